package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// While all followers are there, nobody needs applied log for long, and what is
// dropped soon is never written to a table: a replica keeps these parts of what its
// configuration allows. The rest is for the leader of a range whose follower is away,
// so that it needs no snapshot when it comes back.
const (
	nearEntries = 4
	nearBytes   = 16
	// A follower that is alive and behind is worth this many times LogBytes.
	aliveBytes = 8
)

// truncate drops the older half of the applied log once it is too long.
// Followers that are alive and not too far behind keep what they need, and so
// do snapshots on their way.
func (r *Replica) truncate(b *storage.Batch) error {
	first, last := r.log.Truncated().Index, r.lastIndex
	if !r.logTooLong(last-first, r.log.Bytes()) {
		return nil
	}
	told := r.told()
	index := min(first+(last-first)/2, told)
	if r.cfg.Planted.truncatesUntold() {
		index = min(first+(last-first)/2, r.applied.Index)
	}
	if r.leading && r.log.Bytes() <= aliveBytes*r.cfg.LogBytes {
		index = min(index, r.slowest())
	}
	for _, h := range r.holds {
		index = min(index, h)
	}
	if index < first+(last-first)/4 {
		return nil // not worth a range deletion
	}
	invariant.Check(index <= told, "%s: the log is truncated up to %d, and raft was told that it is applied up to %d", r.rangeID, index, told)
	return r.log.Truncate(b, index)
}

// told is up to where raft knows the log to be applied: what it gives to apply together,
// it is told of when the last of it is. From there on it looks for changes of members
// before it campaigns.
func (r *Replica) told() uint64 { return r.rn.BasicStatus().Applied }

func (r *Replica) logTooLong(entries uint64, bytes int64) bool {
	if entries <= r.cfg.LogEntries/nearEntries && bytes <= r.cfg.LogBytes/nearBytes {
		return false
	}
	return entries > r.cfg.LogEntries || bytes > r.cfg.LogBytes || !r.leading || !r.anyAway()
}

// anyAway reports whether nothing was heard of a follower lately.
func (r *Replica) anyAway() (away bool) {
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		away = away || id != uint64(r.id) && !r.active(id, &pr)
	})
	return away
}
