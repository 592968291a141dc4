package duck

import (
	"context"
	"errors"
)

// Error is what the executor answers to a statement that fails.
type Error struct {
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
	Position int // 1-based byte of the statement, 0: unknown
	retry    bool
	cause    error
}

// Unwrap returns what DuckDB said, for the log: it may quote the statement.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Retryable says that running the statement again may succeed: the child process
// died or was being started.
func (e *Error) Retryable() bool { return e.retry }

// Is makes errors.Is(err, context.Canceled) true of a cancelled statement.
func (e *Error) Is(target error) bool {
	return e.Code == "57014" && target == context.Canceled
}

// contextError says why ctx ended the statement: the cause if it is a reason of its
// own (statement_timeout, shutdown), else that it was cancelled.
func contextError(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return &Error{Code: "57014", Message: "canceling statement due to statement timeout"}
	case cause == nil || errors.Is(cause, context.Canceled):
		return &Error{Code: "57014", Message: "canceling statement due to user request"}
	}
	return cause
}

func errLost() *Error {
	return &Error{Code: "XX000", Message: "the SQL worker process ended while it ran the statement",
		Hint: "Run the statement again.", retry: true}
}

func errTooMuchMemory() *Error {
	return &Error{Code: "53200", Message: "out of memory", Detail: "The SQL worker process took more memory than it may and was started again.",
		Hint: "Run the statement again if it needs little; another one may have needed too much.", retry: true}
}

func errStopped() *Error {
	return &Error{Code: "57P01", Message: "the SQL worker process is stopped"}
}
