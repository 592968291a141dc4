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
	ticks   int
	heard   map[uint64]int // raft id -> the tick
	commits []uint64       // at each of the last ticks while leading, an election timeout's worth
}

// settled is what was committed an election timeout ago; 0: this replica has not
// led for so long.
func (a *activity) settled(electionTicks int) uint64 {
	if len(a.commits) < electionTicks {
		return 0
	}
	return a.commits[0]
}

// tickActivity notes who is active now.
func (r *Replica) tickActivity() {
	a := &r.activity
	a.ticks++
	if !r.leading {
		clear(a.heard)
		a.commits = a.commits[:0]
		return
	}
	if len(a.commits) >= r.cfg.ElectionTicks {
		a.commits = append(a.commits[:0], a.commits[1:]...)
	}
	a.commits = append(a.commits, r.rn.BasicStatus().GetCommit())
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
// since raft last forgot, or within an election timeout. Less would make a node
// look dead whenever a busy machine delays a heartbeat.
func (r *Replica) active(id uint64, pr *tracker.Progress) bool {
	at, ok := r.activity.heard[id]
	return pr.RecentActive || ok && r.leading && r.activity.ticks-at <= r.cfg.ElectionTicks
}
