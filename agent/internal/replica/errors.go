package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

var (
	// ErrProposalLost says that a command was certainly not applied and never
	// will be: to propose it again is safe.
	ErrProposalLost = errors.New("proposal lost: certainly not applied")
	// ErrOverloaded says that a queue is full. Nothing was done.
	ErrOverloaded = errors.New("range has too many requests waiting")
	// ErrStopped says that the store is closing. Nothing was done.
	ErrStopped = errors.New("store is stopped")
	// ErrNotCaughtUp refuses to promote a learner that is behind.
	ErrNotCaughtUp = errors.New("learner has not caught up")
	// ErrChangePending refuses a change of replicas while another is under way.
	ErrChangePending = errors.New("another change of replicas is under way")
	// ErrLeaderLeaves refuses to leave a joint configuration in which the leader
	// is on its way out: transfer leadership first.
	ErrLeaderLeaves = errors.New("leader is outgoing: transfer leadership first")
	// ErrTooLarge refuses a command that is larger than an entry may be.
	ErrTooLarge = errors.New("command is too large")
)

// NotLeaderError says that this replica does not lead its range. Nothing was done.
type NotLeaderError struct {
	Range      cluster.RangeID
	Leader     cluster.NodeID // 0: unknown
	Generation uint64         // of the descriptor this replica knows
}

func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("%s: no leader is known here", e.Range)
	}
	return fmt.Sprintf("%s: the leader is on %s", e.Range, e.Leader)
}

// RangeNotFoundError says that this node holds no replica of the range. Nothing was done.
type RangeNotFoundError struct{ Range cluster.RangeID }

func (e *RangeNotFoundError) Error() string {
	return fmt.Sprintf("%s: no replica on this node", e.Range)
}

// RangeMismatchError says that a key is not of this range. Nothing was done.
type RangeMismatchError struct {
	Descriptor cluster.RangeDescriptor // of this range, as it is now
	// Others are ranges that own what this one does not, as far as its leader knows.
	Others []cluster.RangeDescriptor
}

func (e *RangeMismatchError) Error() string {
	return fmt.Sprintf("%s: owns %s", e.Descriptor.ID, e.Descriptor.Span())
}

// AmbiguousError says that nobody here knows whether the command was or will be
// applied. A retry must carry the same command id.
type AmbiguousError struct{ Cause error }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("fate of the command is unknown: %v", e.Cause)
}

func (e *AmbiguousError) Unwrap() error { return e.Cause }

// StaleDescriptorError refuses a change of replicas that expected another
// generation. Nothing was done.
type StaleDescriptorError struct{ Current cluster.RangeDescriptor }

func (e *StaleDescriptorError) Error() string {
	return fmt.Sprintf("%s: descriptor is at generation %d", e.Current.ID, e.Current.Generation)
}

// TooOldError refuses a read of a time of which the range no longer has all versions.
type TooOldError struct{ TS, Threshold hlc.Timestamp }

func (e *TooOldError) Error() string {
	return fmt.Sprintf("the snapshot of %s is too old: versions from before %s may be collected (setting gc_ttl)",
		e.TS.Time().UTC().Format(time.RFC3339Nano), e.Threshold.Time().UTC().Format(time.RFC3339Nano))
}

// InvalidChangeError refuses a change of replicas that the descriptor does not
// allow. Nothing was done.
type InvalidChangeError struct {
	Range  cluster.RangeID
	Reason string
}

func (e *InvalidChangeError) Error() string { return fmt.Sprintf("%s: %s", e.Range, e.Reason) }

// FailedError says that this replica has stopped after an error of its own.
type FailedError struct {
	Range cluster.RangeID
	Cause error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("%s: replica has stopped: %v", e.Range, e.Cause)
}

func (e *FailedError) Unwrap() error { return e.Cause }

// TransferError says why leadership did not move.
type TransferError struct {
	Range  cluster.RangeID
	To     cluster.NodeID
	Reason string
}

func (e *TransferError) Error() string {
	return fmt.Sprintf("%s: leadership did not move to %s: %s", e.Range, e.To, e.Reason)
}

// RefusedError says why a replica cannot be prepared or destroyed. Nothing was done.
type RefusedError struct {
	Range  cluster.RangeID
	Reason string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %s", e.Range, e.Reason) }

// MaybeApplied reports whether the command that err answers may have been
// applied, or may still be.
func MaybeApplied(err error) bool {
	var ambiguous *AmbiguousError
	return errors.As(err, &ambiguous)
}

// Retryable reports whether the request that err answers may succeed if it is
// made again, here or at the leader. After an error that MaybeApplied the retry
// must carry the same command id.
func Retryable(err error) bool {
	var (
		notLeader *NotLeaderError
		notFound  *RangeNotFoundError
		mismatch  *RangeMismatchError
		ambiguous *AmbiguousError
		failed    *FailedError
		damaged   *DamagedError
		offset    *hlc.OffsetError // refused at the door
	)
	switch {
	case errors.Is(err, ErrProposalLost), errors.Is(err, ErrOverloaded), errors.Is(err, ErrStopped),
		errors.Is(err, ErrNotCaughtUp), errors.Is(err, ErrChangePending):
		return true
	case errors.As(err, &notLeader), errors.As(err, &notFound), errors.As(err, &mismatch),
		errors.As(err, &ambiguous), errors.As(err, &failed), errors.As(err, &damaged), errors.As(err, &offset):
		return true
	}
	return false
}
