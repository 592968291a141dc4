package store

import (
	"errors"

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

// ErrDiskFull says that a command was not proposed, as it would take more of a disk
// that has only its reserve left. Config.Check returns it.
var ErrDiskFull = errors.New("the disk is full but for its reserve")

// IDAge is how long a range remembers that it applied a command.
const IDAge = replica.IDAge

// Retryable reports whether the request that err answers may succeed if it is
// made again, here or at the leader.
func Retryable(err error) bool { return replica.Retryable(err) }

// MaybeApplied reports whether the command that err answers may have been
// applied, or may still be.
func MaybeApplied(err error) bool { return replica.MaybeApplied(err) }
