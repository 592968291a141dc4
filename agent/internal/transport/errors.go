package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Codes of call errors that the transport itself makes. The owners of methods
// define theirs.
const (
	CodeInternal   = "internal"   // the handler returned an error without a code
	CodeOverloaded = "overloaded" // too many calls at once; surely not begun
	CodeCanceled   = "canceled"
	CodeDeadline   = "deadline"
)

// CallError is the error that a peer's handler answered.
type CallError struct {
	Code    string
	Message string
	Detail  []byte // belongs to the owner of the method
}

func (e *CallError) Error() string { return e.Message }

// Is makes a peer's end of context look like one's own.
func (e *CallError) Is(target error) bool {
	return e.Code == CodeDeadline && target == context.DeadlineExceeded ||
		e.Code == CodeCanceled && target == context.Canceled
}

func asCallError(err error) *CallError {
	var ce *CallError
	switch {
	case errors.As(err, &ce):
		return ce
	case errors.Is(err, context.DeadlineExceeded):
		return &CallError{Code: CodeDeadline, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &CallError{Code: CodeCanceled, Message: err.Error()}
	}
	return &CallError{Code: CodeInternal, Message: err.Error()}
}

// UnreachableError says that a peer gave no answer.
type UnreachableError struct {
	Node cluster.NodeID
	// Sent is false if the peer surely never got the request.
	Sent  bool
	Cause error
}

func (e *UnreachableError) Error() string {
	if e.Sent {
		return fmt.Sprintf("%s did not answer: %v", e.Node, e.Cause)
	}
	return fmt.Sprintf("%s cannot be reached: %v", e.Node, e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// Codes of refusals.
const (
	RefusedCluster        = "wrong-cluster"
	RefusedNode           = "wrong-node"
	RefusedVersion        = "wrong-version"
	RefusedDecommissioned = "decommissioned"
	RefusedUnknown        = "unknown-node"
	RefusedBehind         = "store-behind"
	RefusedOther          = "refused"
)

// RefusedError says that a peer, or Admit, does not want a connection.
type RefusedError struct {
	Node   cluster.NodeID // who refuses; 0: this node
	Code   string
	Reason string
	Detail []byte // belongs to whoever refuses; with RefusedBehind what is known
}

func (e *RefusedError) Error() string {
	if e.Node == 0 {
		return "connection refused: " + e.Reason
	}
	return fmt.Sprintf("%s refuses the connection: %s", e.Node, e.Reason)
}

func asRefused(err error) *RefusedError {
	var re *RefusedError
	if errors.As(err, &re) {
		return re
	}
	return &RefusedError{Code: RefusedOther, Reason: err.Error()}
}

// Causes of unreachability.
var (
	ErrQueueFull = errors.New("send queue is full")
	ErrClosed    = errors.New("transport is closed")
	errNoAddress = errors.New("its address is not known")
	errCut       = errors.New("link is cut")
	errSession   = errors.New("connection ended")
	errReset     = errors.New("connection was reset")
)
