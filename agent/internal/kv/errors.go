package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// ConditionError says that a mutation's condition did not hold. Nothing of its
// range was written.
type ConditionError struct {
	Mutation int // its index in the Write
	// Existing is the row's value, nil if it has none; ExistingTS its newest version.
	Existing   []byte
	ExistingTS hlc.Timestamp
	// Place is where the next write of these rows may go on; the zero Place, unless
	// the Write asked for one.
	Place Place
}

func (e *ConditionError) Error() string {
	return fmt.Sprintf("the condition of mutation %d does not hold", e.Mutation)
}

// ErrDropped refuses a write to a collection that was dropped so long ago that its rows go,
// from a gateway that has not heard of that. Nothing of its range was written.
var ErrDropped = errors.New("the collection was dropped")

// MultiRangeError refuses a Write that must be atomic but touches more than one
// range. Nothing was written.
type MultiRangeError struct{ Ranges int }

func (e *MultiRangeError) Error() string {
	return fmt.Sprintf("the rows are in %d ranges, and only writes within one are atomic", e.Ranges)
}

// UnavailableError says that no leader of a range could be reached within the
// budget. The request surely did nothing.
type UnavailableError struct {
	Range cluster.RangeID // 0: no range is known for the key
	Cause error
}

func (e *UnavailableError) Error() string {
	if e.Range == 0 {
		return fmt.Sprintf("unavailable: %v", e.Cause)
	}
	return fmt.Sprintf("%s is unavailable: %v", e.Range, e.Cause)
}

func (e *UnavailableError) Unwrap() error { return e.Cause }

// ClockError says that a node refused a request because of a clock. Nothing was
// done there; another node may serve it.
type ClockError struct {
	At, Of       cluster.NodeID // who refused, and whose clock; the same: its own was set back
	Ahead, Limit time.Duration
}

func (e *ClockError) Error() string {
	if e.At == e.Of {
		return fmt.Sprintf("the clock of %s was set back: it has given times that are %s ahead of it (limit %s)", e.At, e.Ahead, e.Limit)
	}
	return fmt.Sprintf("%s refuses the clock of %s, which is %s ahead of its own (limit %s): check time synchronisation on both", e.At, e.Of, e.Ahead, e.Limit)
}

// clockError names the nodes of an *hlc.OffsetError that was met at a node by a
// request of the gateway of. Other errors are returned as they are.
func clockError(err error, at, of cluster.NodeID) error {
	var offset *hlc.OffsetError
	if !errors.As(err, &offset) {
		return err
	}
	return &ClockError{At: at, Of: of, Ahead: offset.Ahead, Limit: offset.Limit}
}

// Retryable reports whether the request that err answers may succeed if it is
// made again.
func Retryable(err error) bool {
	var unavailable *UnavailableError
	var clock *ClockError
	return errors.As(err, &unavailable) || errors.As(err, &clock) || store.Retryable(err)
}

// MaybeApplied reports whether the write that err answers may have been applied.
func MaybeApplied(err error) bool { return store.MaybeApplied(err) }

// BlockedError says that others have locked rows of a write that does not wait for them.
// Nothing was written.
type BlockedError struct{}

func (e *BlockedError) Error() string { return errBlocked.Error() }

// RemoteError is an error of another node that has no type of its own here.
// Nothing was applied.
type RemoteError struct{ Message string }

func (e *RemoteError) Error() string { return e.Message }

var (
	errNoRoute    = errors.New("no range is known for the key")
	errNoReplicas = errors.New("the range has no replicas")
	errAttempt    = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	errSuspected  = fmt.Errorf("the node is suspected to be down: %w", context.Canceled)
	errNoPrograms = errors.New("this node runs no programs")
	errBlocked    = errors.New("a transaction has locked a row")
	errTooOften   = errors.New("the ranges changed too often")
	errWaking     = errors.New("this node has started and does not know yet what the time is, or waits until it has passed what it used before")
)

// The codes of errors in messages.
const (
	codeNone byte = iota
	codeNotLeader
	codeRangeNotFound
	codeRangeMismatch
	codeAmbiguous
	codeProposalLost
	codeOverloaded
	codeStopped
	codeReplicaFailed
	codeTooLarge
	codeCanceled
	codeOther
	codeClock
	codeDiskFull
	codeDamaged
	codeIntents
	codeTooOld
	codeStaleSchema
	codeProgram
)

// writeError encodes what err means to a gateway.
func writeError(w *writer, err error) {
	var (
		notLeader *store.NotLeaderError
		notFound  *store.RangeNotFoundError
		mismatch  *store.RangeMismatchError
		ambiguous *store.AmbiguousError
		failed    *store.ReplicaFailedError
		damaged   *store.DamagedError
		clock     *ClockError
		intents   *store.IntentsError
		tooOld    *store.TooOldError
		stale     *StaleSchemaError
	)
	switch {
	case err == nil:
		w.byte(codeNone)
	case errors.As(err, &ambiguous): // first: it wraps a cause
		w.byte(codeAmbiguous)
		w.text(ambiguous.Cause.Error())
	case errors.As(err, &notLeader):
		w.byte(codeNotLeader)
		w.uvarint(uint64(notLeader.Range))
		w.uvarint(uint64(notLeader.Leader))
		w.uvarint(notLeader.Generation)
	case errors.As(err, &notFound):
		w.byte(codeRangeNotFound)
		w.uvarint(uint64(notFound.Range))
	case errors.As(err, &mismatch):
		w.byte(codeRangeMismatch)
		writeMismatch(w, mismatch)
	case errors.Is(err, store.ErrProposalLost):
		w.byte(codeProposalLost)
	case errors.Is(err, store.ErrOverloaded):
		w.byte(codeOverloaded)
	case errors.Is(err, store.ErrStopped):
		w.byte(codeStopped)
	case errors.As(err, &failed):
		w.byte(codeReplicaFailed)
		w.uvarint(uint64(failed.Range))
		w.text(failed.Cause.Error())
	case errors.As(err, &damaged):
		w.byte(codeDamaged)
		w.uvarint(uint64(damaged.Range))
		w.text(damaged.Cause.Error())
	case errors.As(err, &intents):
		w.byte(codeIntents)
		writeIntents(w, intents)
	case errors.As(err, &tooOld):
		w.byte(codeTooOld)
		w.ts(tooOld.TS)
		w.ts(tooOld.Threshold)
	case errors.As(err, &stale):
		w.byte(codeStaleSchema)
		w.uvarint(uint64(stale.Wanted.Collection))
		w.uvarint(stale.Wanted.Version)
	case errors.Is(err, store.ErrTooLarge):
		w.byte(codeTooLarge)
	case errors.Is(err, store.ErrDiskFull):
		w.byte(codeDiskFull)
	case errors.As(err, &clock):
		w.byte(codeClock)
		w.uvarint(uint64(clock.At))
		w.uvarint(uint64(clock.Of))
		w.uvarint(uint64(clock.Ahead.Milliseconds()))
		w.uvarint(uint64(clock.Limit.Milliseconds()))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		w.byte(codeCanceled)
	default:
		writeOther(w, err)
	}
}

// writeOther encodes an error of which no more than its text is told.
func writeOther(w *writer, err error) {
	var program *ProgramError
	if errors.As(err, &program) {
		w.byte(codeProgram)
		w.text(program.Cause.Error())
		return
	}
	w.byte(codeOther)
	w.text(err.Error())
}

// readError is the inverse of writeError. Faults of the message stick to r.
func readError(r *reader) error {
	switch r.Byte() {
	case codeNone:
		return nil
	case codeNotLeader:
		return &store.NotLeaderError{Range: cluster.RangeID(r.Uvarint()), Leader: r.node(), Generation: r.Uvarint()}
	case codeRangeNotFound:
		return &store.RangeNotFoundError{Range: cluster.RangeID(r.Uvarint())}
	case codeRangeMismatch:
		return readMismatch(r)
	case codeAmbiguous:
		return &store.AmbiguousError{Cause: errors.New(r.text())}
	case codeProposalLost:
		return store.ErrProposalLost
	case codeOverloaded:
		return store.ErrOverloaded
	case codeStopped:
		return store.ErrStopped
	case codeReplicaFailed:
		return &store.ReplicaFailedError{Range: cluster.RangeID(r.Uvarint()), Cause: errors.New(r.text())}
	case codeDamaged:
		return &store.DamagedError{Range: cluster.RangeID(r.Uvarint()), Cause: errors.New(r.text())}
	case codeIntents:
		return readIntents(r)
	case codeTooOld:
		return &store.TooOldError{TS: r.ts(), Threshold: r.ts()}
	case codeStaleSchema:
		return &StaleSchemaError{Wanted: cluster.SchemaVersion{Collection: cluster.CollectionID(r.Uvarint()), Version: r.Uvarint()}}
	case codeProgram:
		return &ProgramError{Cause: errors.New(r.text())}
	case codeTooLarge:
		return store.ErrTooLarge
	case codeDiskFull:
		return store.ErrDiskFull
	case codeCanceled:
		return context.Canceled
	case codeClock:
		return &ClockError{At: r.node(), Of: r.node(), Ahead: r.milliseconds(), Limit: r.milliseconds()}
	case codeOther:
		return &RemoteError{Message: r.text()}
	}
	r.Fail("unknown error code")
	return r.Err()
}

func (r *reader) node() cluster.NodeID {
	v := r.Uvarint()
	if v > 1<<32-1 {
		r.Fail("node id past the end")
		return 0
	}
	return cluster.NodeID(v)
}

func (r *reader) milliseconds() time.Duration {
	v := r.Uvarint()
	if v > uint64(math.MaxInt64/time.Millisecond) {
		r.Fail("duration past the end")
		return 0
	}
	return time.Duration(v) * time.Millisecond
}

// mismatchBody is a mismatch in a message: the descriptor, and beside its fields
// those of others. Such errors are rare: JSON will do.
type mismatchBody struct {
	cluster.RangeDescriptor
	Others []cluster.RangeDescriptor `json:"others,omitempty"`
}

func writeIntents(w *writer, e *store.IntentsError) {
	w.uvarint(uint64(e.Range))
	w.ts(e.TS)
	w.count(w.reserveCount(), len(e.Intents))
	for i := range e.Intents {
		w.bytes(e.Intents[i].Row)
		w.bytes(e.Intents[i].Record)
		w.ts(e.Intents[i].TS)
	}
}

func readIntents(r *reader) error {
	e := &store.IntentsError{Range: cluster.RangeID(r.Uvarint()), TS: r.ts()}
	e.Intents = make([]store.Intent, r.Count32(10))
	for i := range e.Intents {
		e.Intents[i] = store.Intent{Row: r.Bytes(), Record: r.Bytes(), TS: r.ts()}
	}
	return e
}

func writeMismatch(w *writer, e *store.RangeMismatchError) {
	b, err := json.Marshal(mismatchBody{e.Descriptor, e.Others})
	if err != nil { // it holds numbers and strings only
		b = []byte("{}")
	}
	w.bytes(b)
}

func readMismatch(r *reader) error {
	var m mismatchBody
	if err := json.Unmarshal(r.Bytes(), &m); err != nil {
		r.Fail("descriptor")
	}
	return &store.RangeMismatchError{Descriptor: m.RangeDescriptor, Others: m.Others}
}
