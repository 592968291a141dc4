package store

import (
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// The errors that the API returns; each says whether anything was done.
type (
	NotLeaderError       = replica.NotLeaderError
	RangeNotFoundError   = replica.RangeNotFoundError
	RangeMismatchError   = replica.RangeMismatchError
	AmbiguousError       = replica.AmbiguousError
	StaleDescriptorError = replica.StaleDescriptorError
	InvalidChangeError   = replica.InvalidChangeError
	ReplicaFailedError   = replica.FailedError
	DamagedError         = replica.DamagedError
	TransferError        = replica.TransferError
	RefusedError         = replica.RefusedError
	TooOldError          = replica.TooOldError
)

// The errors that carry nothing.
var (
	ErrProposalLost  = replica.ErrProposalLost
	ErrOverloaded    = replica.ErrOverloaded
	ErrStopped       = replica.ErrStopped
	ErrNotCaughtUp   = replica.ErrNotCaughtUp
	ErrChangePending = replica.ErrChangePending
	ErrLeaderLeaves  = replica.ErrLeaderLeaves
	ErrTooLarge      = replica.ErrTooLarge
)

// Intent is what a transaction that has not ended has left of a row.
type Intent = evaluation.Intent

// MaxIntents is how many intents one answer names, in some 150 KiB. A reader of what a
// large transaction has just written settles so many, and begins again: with few it would
// begin hundreds of times.
const MaxIntents = 2048

// IntentsError says that a read met intents that may be versions at its time: what
// becomes of their transactions has to be settled first. Nothing was read.
type IntentsError struct {
	Range cluster.RangeID
	// TS is the time of the read; it is the node's own, if the request named none.
	TS hlc.Timestamp
	// Intents are what it met, MaxIntents at most.
	Intents []Intent
}

func (e *IntentsError) Error() string {
	return fmt.Sprintf("%s: %d rows have changes of transactions that have not ended", e.Range, len(e.Intents))
}

// Meets returns an *IntentsError if a read meets intents. It is asked before the view
// of the engine is looked at, whose mirror m is.
func Meets(id cluster.RangeID, m evaluation.Mirror, q evaluation.Query) error {
	if m == nil {
		return nil
	}
	q.Limit = MaxIntents
	if met := m.Met(&q); len(met) > 0 {
		return &IntentsError{Range: id, TS: q.TS, Intents: met}
	}
	return nil
}

// ErrDiskFull says that a command was not proposed, as no quorum of the range's nodes
// has room for it: see Room.
var ErrDiskFull = errors.New("no quorum has room on its disks")

// IDAge is how long a range remembers that it applied a command.
const IDAge = replica.IDAge

// Retryable reports whether the request that err answers may succeed if it is
// made again, here or at the leader.
func Retryable(err error) bool { return replica.Retryable(err) }

// MaybeApplied reports whether the command that err answers may have been
// applied, or may still be.
func MaybeApplied(err error) bool { return replica.MaybeApplied(err) }
