package admin

import (
	"context"
	"errors"
	"log/slog"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Kind is why a call is not done, as callers may know it.
type Kind int

// The kinds.
const (
	KindInternal Kind = iota
	KindInvalid
	KindNotFound
	KindDenied
	KindUnsafe
	KindConflict
	KindStalePlan
	KindUnavailable
	KindUnauthenticated
	KindLimited // too many calls or watches
)

// Error is why a call is not done. All of it is shown to the caller.
type Error struct {
	Kind     Kind
	Message  string
	Refusals []placement.Refusal
	// Operation is the id of the operation in the way, or of the one that goes on.
	Operation string
	// Elsewhere says that nothing of the call was done here, for a reason of this
	// node's own: another may serve it.
	Elsewhere bool
	Err       error // stays in the node
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, which stays in the node.
func (e *Error) Unwrap() error { return e.Err }

// Refused makes the error of a verdict that refuses.
func Refused(message string, v placement.Verdict) *Error {
	kind := KindUnsafe
	for _, r := range v.Refusals {
		if r.Code == placement.Conflict {
			kind = KindConflict
		}
	}
	return &Error{Kind: kind, Message: message, Refusals: v.Refusals}
}

type wireKind struct {
	code connect.Code
	kind adminpb.ErrorKind
}

var wireKinds = map[Kind]wireKind{
	KindInternal:    {connect.CodeInternal, adminpb.ErrorKind_ERROR_KIND_INTERNAL},
	KindInvalid:     {connect.CodeInvalidArgument, adminpb.ErrorKind_ERROR_KIND_INVALID},
	KindNotFound:    {connect.CodeNotFound, adminpb.ErrorKind_ERROR_KIND_NOT_FOUND},
	KindDenied:      {connect.CodePermissionDenied, adminpb.ErrorKind_ERROR_KIND_DENIED},
	KindUnsafe:      {connect.CodeFailedPrecondition, adminpb.ErrorKind_ERROR_KIND_UNSAFE},
	KindConflict:    {connect.CodeAborted, adminpb.ErrorKind_ERROR_KIND_CONFLICT},
	KindStalePlan:   {connect.CodeAborted, adminpb.ErrorKind_ERROR_KIND_STALE_PLAN},
	KindUnavailable: {connect.CodeUnavailable, adminpb.ErrorKind_ERROR_KIND_UNAVAILABLE},

	KindUnauthenticated: {connect.CodeUnauthenticated, adminpb.ErrorKind_ERROR_KIND_DENIED},
	KindLimited:         {connect.CodeResourceExhausted, adminpb.ErrorKind_ERROR_KIND_UNAVAILABLE},
}

var refusalKinds = map[metastate.Code]Kind{
	metastate.CodeMalformed:     KindInternal,
	metastate.CodeInvalid:       KindInvalid,
	metastate.CodeUninitialized: KindUnavailable,
	metastate.CodeExists:        KindConflict,
	metastate.CodeNotFound:      KindNotFound,
	metastate.CodeConflict:      KindConflict,
	metastate.CodeTombstoned:    KindUnsafe,
	metastate.CodeDenied:        KindDenied,
	metastate.CodeStale:         KindConflict,
	metastate.CodeFinal:         KindConflict,
	metastate.CodeReferenced:    KindUnsafe,
	metastate.CodeNoReturn:      KindUnsafe,
	metastate.CodeCircle:        KindConflict,
	metastate.CodeLimit:         KindInvalid,
}

// wireError turns what a handler returned into what the caller is told; err must
// not be nil. Every error has a detail, with the request's id.
func wireError(logger *slog.Logger, procedure, request string, err error) error {
	var c *connect.Error
	if errors.As(err, &c) {
		if len(c.Details()) > 0 {
			return c
		}
		return withDetail(c, &adminpb.ErrorDetail{Kind: kindOfCode(c.Code()), RequestId: request})
	}
	e := asError(err)
	if e == nil {
		switch {
		case errors.Is(err, context.Canceled):
			return connect.NewError(connect.CodeCanceled, "the call was cancelled")
		case errors.Is(err, context.DeadlineExceeded):
			e = &Error{Kind: KindUnavailable, Message: "no answer in time: the meta range may have no quorum", Err: err}
		default:
			logger.Error("admin call failed", slog.String("procedure", procedure), slog.String("request", request), logattr.Err(err))
			e = &Error{Kind: KindInternal, Message: "internal error; the node's log says more of request " + request, Err: err}
		}
	}
	w := wireKinds[e.Kind]
	detail := &adminpb.ErrorDetail{Kind: w.kind, OperationId: e.Operation, RequestId: request, Elsewhere: e.Elsewhere}
	detail.Findings, detail.Fixes = findings(e.Refusals)
	return withDetail(connect.NewError(w.code, e.Message).WithCause(err), detail)
}

func withDetail(e *connect.Error, detail *adminpb.ErrorDetail) error {
	if d, err := connectproto.NewErrorDetail(detail); err == nil {
		return e.WithDetail(d)
	}
	return e
}

// kindOfCode is for errors of the protocol itself, such as malformed JSON.
func kindOfCode(c connect.Code) adminpb.ErrorKind {
	for _, w := range wireKinds {
		if w.code == c && w.code != connect.CodeAborted {
			return w.kind
		}
	}
	return adminpb.ErrorKind_ERROR_KIND_INVALID
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var r *metastate.Refusal
	if errors.As(err, &r) {
		return &Error{Kind: refusalKinds[r.Code], Message: r.Message, Operation: r.Operation, Err: err}
	}
	return nil
}

// findings turns refusals into what operators read, with each fix once.
func findings(refusals []placement.Refusal) ([]*adminpb.Finding, []*adminpb.Fix) {
	var fs []*adminpb.Finding
	var fixes []*adminpb.Fix
	seen := map[placement.Fix]bool{}
	for _, r := range refusals {
		fs = append(fs, &adminpb.Finding{
			Code: string(r.Code), Severity: severityRefuse, Text: r.Why, Ranges: rangeIDs(r.Ranges), Nodes: nodeIDs(r.Nodes),
		})
		for _, f := range r.Fixes {
			if !seen[f] {
				seen[f] = true
				fixes = append(fixes, &adminpb.Fix{Text: f.Does, Command: f.Command})
			}
		}
	}
	return fs, fixes
}
