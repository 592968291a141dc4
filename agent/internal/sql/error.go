package sql

import (
	"context"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
)

// Error is what a client is told, in PostgreSQL's fields. It is the only error
// type that leaves this package.
type Error struct {
	Code       string // SQLSTATE
	Message    string
	Detail     string
	Hint       string
	Position   int // 1-based character of the statement, 0: unknown
	Table      string
	Column     string
	Constraint string
	Severity   string // "" is ERROR
	cause      error
}

func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Unwrap returns what happened inside, for logs; clients never see it.
func (e *Error) Unwrap() error { return e.cause }

// Retryable reports whether the whole transaction may succeed if it is run again,
// with nothing of it having been applied.
func (e *Error) Retryable() bool {
	switch e.Code {
	case "40001", "40P01", "57P03", "08006":
		return true
	}
	return false
}

// MaybeApplied reports whether the statement may have been applied in spite of
// the error.
func (e *Error) MaybeApplied() bool { return e.Code == "40003" }

// AsError maps any error to what a client is told. An unknown one becomes XX000
// without its text: internals never cross.
func AsError(err error) *Error {
	var e *Error
	var d *datum.Error
	var q *duck.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &d):
		return &Error{Code: d.Code, Message: d.Message, Detail: d.Detail, cause: err}
	case errors.As(err, &q):
		return &Error{Code: q.Code, Message: q.Message, Detail: q.Detail, Hint: q.Hint, Position: q.Position, cause: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: "57014", Message: "canceling statement due to user request", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: "57014", Message: "canceling statement due to statement timeout", cause: err}
	default:
		return &Error{Code: "XX000", Message: "internal error", Hint: "The node's log has the details.", cause: err}
	}
}
