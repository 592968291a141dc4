package txn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// ConflictError ends a transaction that lost against others: nothing of it was written.
// SQLSTATE 40001.
type ConflictError struct {
	Reason string
	Cause  error // a *kv.ConditionError that names the mutation, or nil
}

func (e *ConflictError) Error() string { return "the transaction conflicts with others: " + e.Reason }

func (e *ConflictError) Unwrap() error { return e.Cause }

// DeadlockError ends a transaction that waited for others that waited for it. SQLSTATE
// 40P01.
type DeadlockError struct {
	// Cycle begins with the transaction itself: each waits for the next, and the last for
	// the first.
	Cycle []cluster.TxnID
}

func (e *DeadlockError) Error() string {
	ids := make([]string, len(e.Cycle))
	for i, id := range e.Cycle {
		ids[i] = id.String()
	}
	return fmt.Sprintf("deadlock: each of these transactions waits for the next: %s", strings.Join(ids, ", "))
}

// ErrLockNotAvailable says that a row is locked by another transaction, and that the
// caller does not wait, or has waited for as long as it wants. SQLSTATE 55P03.
var ErrLockNotAvailable = errors.New("could not obtain lock on row")

// ErrLockTimeout is the ErrLockNotAvailable of who has waited.
var ErrLockTimeout = fmt.Errorf("canceling statement due to lock timeout: %w", ErrLockNotAvailable)

// ErrEnded refuses to use a transaction that has ended.
var ErrEnded = errors.New("the transaction has ended")

// ErrClosed ends what waits when the node stops. SQLSTATE 57P01.
var ErrClosed = errors.New("the node stops")
