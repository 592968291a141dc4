package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Status describes the replica.
func (r *Replica) Status() cluster.RangeStatus {
	served := r.leased.served.Load()
	r.said.served, r.said.applied = served, r.applied.Index
	closed, lack := r.past.Closed()
	r.said.closed, r.said.collected = closed, r.garbageBound()
	s := cluster.RangeStatus{
		Descriptor: *r.desc.Clone(),
		Replica:    r.id,
		Leader:     r.nodeOf(cluster.ReplicaID(r.lead)),
		Term:       r.term,
		Applied:    r.applied.Index,
		Bytes:      uint64(max(r.applied.Counts.Bytes(), 0)),
		Counted:    r.applied.Counted,
		Reads:      r.counts.reads + served,
		Writes:     r.counts.writes,
		Checksums:  r.checksums,
	}
	if n := r.applied.Counts; s.Counted {
		s.Keys, s.LiveBytes, s.DeadBytes = uint64(n.Rows), uint64(n.Live), uint64(n.Dead)
	}
	if c, ok := r.machine.(Collector); ok {
		s.Cleared = c.Fence().Cleared
	}
	if lack == cluster.PastServes && closed > 0 {
		s.Closed = closed.Time()
	}
	if r.failed != nil {
		s.Failed = r.failed.Error()
		return s
	}
	if r.damaged != nil {
		s.Failed = r.damaged.Error()
	}
	s.Commit = r.rn.BasicStatus().GetCommit()
	if !r.leading {
		return s
	}
	s.Lease = r.leaseStatus()
	if bound := r.garbageBound(); bound > 0 {
		s.Collected = bound.Time()
	}
	if s.Settled = r.activity.settled(r.cfg.ElectionTicks); r.Asleep() {
		s.Settled = s.Commit // nothing was outstanding when it fell asleep
	}
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if id == uint64(r.id) {
			return
		}
		s.Progress = append(s.Progress, cluster.ReplicaProgress{
			Node:     r.nodeOf(cluster.ReplicaID(id)),
			Match:    pr.Match,
			Active:   r.active(id, &pr),
			Snapshot: pr.State == tracker.StateSnapshot,
			Sent:     r.sentTo(cluster.ReplicaID(id)),
		})
	})
	return s
}

// Moved reports whether a replica that sleeps was read, has applied something, or knows
// that more time is closed or more garbage gone, since Status last said so.
func (r *Replica) Moved() bool {
	closed, _ := r.past.Closed()
	return closed != r.said.closed || r.garbageBound() != r.said.collected || r.leased.served.Load() != r.said.served || r.applied.Index != r.said.applied
}

// Due reports whether Process would find something to do.
func (r *Replica) Due() bool {
	return r.stopped() || r.incoming != nil || len(r.queue) > 0 || len(r.reads.waiting)+len(r.reads.inFlight) > 0 || r.news.due || r.rn.HasReady()
}

// Unsettled reports whether somebody is likely to wait for what the replica says:
// it leads, and a copy is on its way or a change of the replicas is under way.
func (r *Replica) Unsettled() bool {
	if !r.leading {
		return false
	}
	for i := range r.desc.Replicas {
		if r.desc.Replicas[i].Role != cluster.Voter {
			return true
		}
	}
	return len(r.sending) > 0
}

func (r *Replica) sentTo(id cluster.ReplicaID) uint64 {
	if s := r.sending[id]; s != nil {
		return s.Sent()
	}
	return 0
}
