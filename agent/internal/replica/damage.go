package replica

import (
	"errors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// A replica is damaged when its disk does not give back what was stored: a block of a
// table whose checksum is wrong, or that cannot be read. Nothing wrong is ever
// answered, as each block is checked. Its log goes on, so the replica keeps its vote
// and follows, which a quorum may need; but it leads only as long as nobody else
// can, and says that it has failed, so that it is made anew from the others. That is
// not stored: after a restart the next read finds the damage again, if it is still
// there.

// handOverTicks is the pause before a damaged leader tries again to have another lead
// that was not able to, or was damaged too and gave it back.
const handOverTicks = 50

// Damaged tells the replica that its disk cannot read back what it stored.
func (r *Replica) Damaged(err error) {
	if r.stopped() || r.damaged != nil {
		return
	}
	r.damaged = err
	r.cfg.Logger.Error("replica is damaged: the disk does not give back what was stored", logattr.Range(r.rangeID), logattr.Replica(r.id), logattr.Err(err))
	r.followPast()
	r.Wake()
	r.out.Changed(r, false)
}

// unreadable answers who needed what cannot be read.
func (r *Replica) unreadable(err error) error {
	if !errors.Is(err, storage.ErrCorruption) {
		return nil
	}
	r.Damaged(err)
	return &DamagedError{Range: r.rangeID, Cause: err}
}

// tickDamaged hands the leadership of a damaged replica to the voter whose log is
// longest.
func (r *Replica) tickDamaged() {
	if r.damaged == nil || !r.leading || r.cfg.Planted.leadsDamaged() {
		return
	}
	if r.handOver > 0 {
		r.handOver--
		return
	}
	if to, ok := r.successor(); ok && len(r.transfers) == 0 {
		r.handOver = handOverTicks
		r.Transfer(to, func(error) {})
	}
}

// DamagedError says that the node's disk cannot read back what the request needs.
// Nothing was done.
type DamagedError struct {
	Range cluster.RangeID
	Cause error
}

func (e *DamagedError) Error() string {
	return e.Range.String() + ": the disk does not give back what was stored: " + e.Cause.Error()
}

func (e *DamagedError) Unwrap() error { return e.Cause }
