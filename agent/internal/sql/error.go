package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Error is what a client is told, in PostgreSQL's fields. It is the only error
// type that leaves this package.
type Error struct {
	Code       string // SQLSTATE
	Message    string
	Detail     string
	Hint       string
	Position   int // 1-based character of the statement, 0: unknown
	Schema     string
	Table      string
	Column     string
	Constraint string
	DataType   string // a domain
	Severity   string // "" is ERROR
	Context    string // what was carried out, a line for each part, innermost first
	cause      error
}

func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Unwrap returns what happened inside, for logs; clients never see it.
func (e *Error) Unwrap() error { return e.cause }

// Retryable reports whether the whole transaction may succeed if it is run again,
// with nothing of it having been applied.
func (e *Error) Retryable() bool {
	switch e.Code {
	case "40001", "40P01", "57P03", "08006", "53200", "53000":
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
	if errors.As(err, &e) {
		return e
	}
	if e := ended(err); e != nil {
		return e
	}
	if e := storeError(err); e != nil {
		return e
	}
	var s *syntax.Error
	var d *datum.Error
	var q *duck.Error
	var refusal *metastate.Refusal
	var full *budget.FullError
	var crowded *admission.FullError
	switch {
	case errors.As(err, &full):
		return outOfMemory(full)
	case errors.As(err, &crowded):
		return tooManyStatements(crowded)
	case errors.As(err, &s):
		return &Error{Code: s.Code, Message: s.Message, Detail: s.Detail, Hint: s.Hint, Position: s.Position,
			Schema: s.Schema, Table: s.Table, Column: s.Column, Constraint: s.Constraint, DataType: s.DataType, cause: err}
	case errors.As(err, &d):
		return &Error{Code: d.Code, Message: d.Message, Detail: d.Detail, cause: err}
	case errors.As(err, &q):
		// With what DuckDB said, for the log.
		return &Error{Code: q.Code, Message: q.Message, Detail: q.Detail, Hint: q.Hint, Position: q.Position, cause: errors.Join(err, errors.Unwrap(q))}
	case errors.As(err, &refusal):
		return &Error{Code: "55000", Message: refusal.Message, cause: err}
	default:
		return &Error{Code: "XX000", Message: "internal error", Hint: "The node's log has the details.", cause: err}
	}
}

// outOfMemory says that a budget of this node is used up.
func outOfMemory(full *budget.FullError) *Error {
	return &Error{Code: "53200", Message: "out of memory", cause: full,
		Detail: fmt.Sprintf("The memory of this node for %s, %d MiB, is used up: %d more bytes are needed.", full.Budget, full.Limit>>20, full.Wanted),
		Hint:   "Split the statement, run fewer at once, connect to another node, or raise memory in node.yaml; nodedbctl nodes show tells who holds how much."}
}

// tooManyStatements says that a statement could not even wait. PostgreSQL has no such
// limit, and so no code of its own for it: 53300 would say that the connection is one
// too many, and pools drop it; 53400 that the same statement fails tomorrow as well.
// 53000 is what is left of their class: the node has not enough for it now.
func tooManyStatements(full *admission.FullError) *Error {
	return &Error{Code: "53000", Message: "too many statements wait to run on this node", cause: full,
		Detail: fmt.Sprintf("%d %s statements run and %d wait. Nothing of this one was done.", full.Limit, full.Queue, full.Room),
		Hint:   "Try again later, or on another node; use fewer connections. nodedbctl check tells which nodes are overloaded."}
}

// endedError says that the statement's context ended, whatever else went wrong then.
type endedError struct{ why, err error }

func (e *endedError) Error() string   { return e.why.Error() + ": " + e.err.Error() }
func (e *endedError) Unwrap() []error { return []error{e.why, e.err} }

// ended maps the end of the statement's context, unless something may have been
// applied by then; nil: the context did not end.
func ended(err error) *Error {
	var ambiguous *store.AmbiguousError
	var worker *duck.Error
	var unavailable *kv.UnavailableError
	var over *endedError
	switch {
	case errors.As(err, &ambiguous):
		return nil
	case errors.As(err, &unavailable) && !errors.As(err, &over):
		return nil // it was an attempt at one node that took too long
	case errors.As(err, &worker) && worker.Code == "57014": // it knows which of the two
		return &Error{Code: worker.Code, Message: worker.Message, cause: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: "57014", Message: "canceling statement due to user request", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: "57014", Message: "canceling statement due to statement timeout", cause: err}
	default:
		return nil
	}
}

// retryHint is for errors that leave nothing behind.
const retryHint = "Nothing of the transaction was written. Run all of it again."

// cycle tells who waited for whom.
func cycle(e *txn.DeadlockError) string {
	lines := make([]string, len(e.Cycle))
	for i, id := range e.Cycle {
		lines[i] = fmt.Sprintf("Transaction %s waits for transaction %s.", id, e.Cycle[(i+1)%len(e.Cycle)])
	}
	return strings.Join(lines, "\n")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// storeError maps what kv and the store say; nil: it is none of theirs. What may
// have been applied comes first.
func storeError(err error) *Error {
	var ambiguous *store.AmbiguousError
	var unavailable *kv.UnavailableError
	var conflict *txn.ConflictError
	var deadlock *txn.DeadlockError
	var clock *kv.ClockError
	var damaged *store.DamagedError
	var tooOld *store.TooOldError
	var blocked *kv.BlockedError
	var met *store.IntentsError
	var stale *kv.StaleSchemaError
	switch {
	case errors.As(err, &ambiguous):
		return &Error{Code: "40003", Message: "it is not known whether the statement was applied", cause: err,
			Hint: "Read the rows before you try again."}
	case errors.As(err, &conflict):
		return &Error{Code: "40001", Message: "could not serialize access due to concurrent update", Detail: capital(conflict.Reason) + ".", Hint: retryHint, cause: err}
	case errors.As(err, &stale):
		return staleSchema(stale)
	case errors.As(err, &deadlock):
		return &Error{Code: "40P01", Message: "deadlock detected", Detail: cycle(deadlock), Hint: retryHint, cause: err}
	case errors.Is(err, txn.ErrLockTimeout):
		return &Error{Code: "55P03", Message: "canceling statement due to lock timeout", cause: err}
	case errors.Is(err, txn.ErrLockNotAvailable):
		return &Error{Code: "55P03", Message: "could not obtain lock on row", cause: err}
	case errors.Is(err, txn.ErrClosed):
		return &Error{Code: "57P01", Message: "the node is stopping", Hint: "Connect to another node.", cause: err}
	case errors.As(err, &blocked), errors.As(err, &met):
		return &Error{Code: "40001", Message: "could not serialize access: a transaction that has not ended is in the way", Hint: retryHint, cause: err}
	case errors.Is(err, txn.ErrEnded):
		return &Error{Code: "40001", Message: "could not serialize access: the transaction was aborted", Hint: retryHint, cause: err}
	case errors.As(err, &clock):
		return &Error{Code: "08006", Message: "the nodes' clocks differ too much to serve this statement", cause: err,
			Hint: "Nothing was written. Try again, or on another node; nodedbctl check tells which clock is off."}
	case errors.Is(err, store.ErrOverloaded):
		return &Error{Code: "53200", Message: "a node that has rows of this statement has no room for more requests", cause: err,
			Hint: "Nothing was written. Try again later, or run fewer statements at once; nodedbctl check tells which node it is."}
	case errors.As(err, &tooOld):
		return &Error{Code: "72000", Message: "snapshot too old", cause: err,
			Detail: "It is of " + tooOld.TS.Time().UTC().Format(time.RFC3339) + "; rows as they were before " + tooOld.Threshold.Time().UTC().Format(time.RFC3339) + " may be gone.",
			Hint:   "Begin the transaction again, or ask for a later time. The setting gc_ttl says how long old versions are kept, snapshot_max_age how long open transactions hold them."}
	case errors.Is(err, kv.ErrDropped):
		return &Error{Code: "42P01", Message: "a table of this statement was dropped", Hint: "Nothing was written.", cause: err}
	case errors.As(err, &damaged):
		return &Error{Code: "XX001", Message: "the disk of the node that leads rows of this statement does not give them back, and no other node can lead them", cause: err,
			Hint: "Nothing was written. nodedbctl check names the node and the range: start the other nodes that hold it."}
	case errors.As(err, &unavailable):
		return &Error{Code: "08006", Message: "no leader could be reached for rows of this statement", cause: err,
			Hint: "Nothing was written. Try again; SHOW RANGES tells which ranges have no leader."}
	case errors.Is(err, store.ErrDiskFull):
		return &Error{Code: "53100", Message: "the disks of most nodes that have rows of this statement are full", cause: err,
			Hint: "Nothing of it was written. DELETE and DROP work, while the reserves last. nodedbctl check names the nodes: add a node, or grow the volumes."}
	case errors.Is(err, store.ErrTooLarge):
		return &Error{Code: "54000", Message: "the rows are too large to be written together", Hint: "Write fewer rows, or smaller ones.", cause: err}
	case errors.Is(err, store.ErrStopped):
		return &Error{Code: "57P01", Message: "the node is stopping", Hint: "Connect to another node.", cause: err}
	case store.Retryable(err):
		return &Error{Code: "08006", Message: "the cluster could not serve the statement in time", Hint: "Try again.", cause: err}
	default:
		return nil
	}
}
