package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// activity remembers when the leader last heard of each other replica. raft
// forgets all of them once per election timeout, to count them anew for
// CheckQuorum: until the next heartbeat is answered everybody looks dead, and
// with many ranges some range always looks so.
type activity struct {
	ticks int
	heard map[uint64]int // raft id -> the tick
}

// tickActivity notes who is active now.
func (r *Replica) tickActivity() {
	a := &r.activity
	a.ticks++
	if !r.leading {
		clear(a.heard)
		return
	}
	if a.heard == nil {
		a.heard = map[uint64]int{}
	}
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if pr.RecentActive {
			a.heard[id] = a.ticks
		}
	})
}

// active reports whether the replica with the raft id has been heard of lately:
// since raft last forgot, or within two heartbeats before.
func (r *Replica) active(id uint64, pr *tracker.Progress) bool {
	at, ok := r.activity.heard[id]
	return pr.RecentActive || ok && r.leading && r.activity.ticks-at <= 2*r.cfg.HeartbeatTicks
}
