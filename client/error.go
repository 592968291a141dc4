package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Kind is why a call was not done.
type Kind int

// The kinds.
const (
	Internal    Kind = iota // unexpected
	Invalid                 // the request is malformed
	NotFound                // no such node, range, operation or token
	Denied                  // not authenticated, or the role does not allow it
	Unsafe                  // a safety check refuses; nothing was changed
	Conflict                // another operation holds the nodes or ranges
	StalePlan               // the confirmed plan is no longer the plan
	Unavailable             // no quorum of the meta range, or no node reachable
	Timeout                 // the caller's time was over
	Cancelled               // the caller gave up; never what a node that stops says
)

// Error is why a call was not done, with what the cluster said about it.
type Error struct {
	Kind     Kind
	Message  string
	Findings []*adminpb.Finding
	Fixes    []*adminpb.Fix
	// Operation is the id of the operation in the way, or of the one that goes on.
	Operation string
	// Sent is false when the request surely reached no node.
	Sent bool
	Err  error

	elsewhere bool // the node did nothing of it, and another may serve it
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether the same call may succeed later.
func (e *Error) Retryable() bool { return e.Kind == Unavailable || e.Kind == Timeout }

// MaybeApplied reports whether a change may have been made all the same.
func (e *Error) MaybeApplied() bool {
	return e.Sent && (e.Kind == Unavailable || e.Kind == Timeout || e.Kind == Internal || e.Kind == Cancelled) && len(e.Findings) == 0
}

// Unserved reports whether the node knows no such call: it runs an older version.
func (e *Error) Unserved() bool {
	var c *connect.Error
	return errors.As(e.Err, &c) && c.Code() == connect.CodeUnimplemented
}

// AsError returns err as an *Error; every error of a call is one.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Kind: Cancelled, Message: "interrupted", Sent: true, Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Timeout, Message: "the time for the call was over", Sent: true, Err: err}
	}
	var d *dialError
	if errors.As(err, &d) {
		return &Error{Kind: d.kind(), Message: d.Error(), Err: err}
	}
	var c *connect.Error
	if errors.As(err, &c) {
		return fromConnect(c)
	}
	var n *net.OpError
	if errors.As(err, &n) {
		return &Error{Kind: Unavailable, Message: "the connection to the node was lost: " + n.Error(), Sent: true, Err: err}
	}
	return &Error{Kind: Internal, Message: err.Error(), Sent: true, Err: err}
}

func fromConnect(c *connect.Error) *Error {
	e := &Error{Kind: kindOfCode(c.Code()), Message: c.Message(), Sent: true, Err: c}
	if e.Message == "" {
		e.Message = c.Code().String()
	}
	for _, d := range c.Details() {
		m, err := connectproto.UnmarshalErrorDetail(d)
		if detail, ok := m.(*adminpb.ErrorDetail); ok && err == nil {
			if k, known := kinds[detail.GetKind()]; known {
				e.Kind = k
			}
			e.Findings, e.Fixes, e.Operation = detail.GetFindings(), detail.GetFixes(), detail.GetOperationId()
			e.elsewhere = detail.GetElsewhere()
			e.Sent = !e.elsewhere
		}
	}
	switch {
	case c.IsRemote():
	case refusedByServer(c.Message()):
		e.Kind, e.Message = Denied, "the node refused the client certificate: "+c.Message()
	case broken(c):
		e.Kind, e.Message = Unavailable, "the connection to the node was lost: "+c.Message()
	}
	return e
}

var kinds = map[adminpb.ErrorKind]Kind{
	adminpb.ErrorKind_ERROR_KIND_INVALID:     Invalid,
	adminpb.ErrorKind_ERROR_KIND_NOT_FOUND:   NotFound,
	adminpb.ErrorKind_ERROR_KIND_DENIED:      Denied,
	adminpb.ErrorKind_ERROR_KIND_UNSAFE:      Unsafe,
	adminpb.ErrorKind_ERROR_KIND_CONFLICT:    Conflict,
	adminpb.ErrorKind_ERROR_KIND_STALE_PLAN:  StalePlan,
	adminpb.ErrorKind_ERROR_KIND_UNAVAILABLE: Unavailable,
	adminpb.ErrorKind_ERROR_KIND_INTERNAL:    Internal,
}

func kindOfCode(c connect.Code) Kind {
	switch c {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeUnimplemented:
		return Invalid
	case connect.CodeNotFound:
		return NotFound
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return Denied
	case connect.CodeFailedPrecondition:
		return Unsafe
	case connect.CodeAborted, connect.CodeAlreadyExists:
		return Conflict
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeCanceled:
		return Unavailable // a node cancels what it does when it stops
	case connect.CodeDeadlineExceeded:
		return Timeout
	default:
		return Internal
	}
}

// broken reports whether c is not a node's verdict but that of the library on a
// connection that ended too early, for which it uses nearly every code. The end
// of the caller's own context is looked for before.
func broken(c *connect.Error) bool {
	return !c.IsRemote() && c.Code() != connect.CodeResourceExhausted
}

// refusedByServer recognises a TLS alert about the client's certificate. In TLS
// 1.3 it arrives with the first read, after the dial, and as text.
func refusedByServer(text string) bool {
	return strings.Contains(text, "remote error: tls:") &&
		(strings.Contains(text, "certificate") || strings.Contains(text, "unknown"))
}

// dialError says that no address could be dialled, and why not each.
type dialError struct {
	given int // the first so many addresses are the caller's own
	at    []int
	addrs []string
	errs  []error
}

func (d *dialError) Error() string {
	if len(d.addrs) == 1 {
		return fmt.Sprintf("no node answers at %s: %s", d.addrs[0], reason(d.errs[0]))
	}
	var b strings.Builder
	b.WriteString("no node answers")
	for i, a := range d.addrs {
		fmt.Fprintf(&b, "; %s: %s", a, reason(d.errs[i]))
	}
	return b.String()
}

func (d *dialError) Unwrap() []error { return d.errs }

// kind is Denied when somebody answered who cannot be trusted, else Unavailable.
// At an address that was only learnt, somebody else may live by now.
func (d *dialError) kind() Kind {
	for i, err := range d.errs {
		if d.at[i] < d.given && untrusted(err) {
			return Denied
		}
	}
	return Unavailable
}

func untrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &invalid) || errors.Is(err, errNotANode)
}

// reason shortens what the net package says to what a person needs.
func reason(err error) string {
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) {
		return "its certificate is not signed by the context's CA"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": connect: "); i >= 0 {
		return text[i+len(": connect: "):]
	}
	return text
}
