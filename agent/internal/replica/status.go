package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Status describes the replica.
func (r *Replica) Status() cluster.RangeStatus {
	s := cluster.RangeStatus{
		Descriptor: *r.desc.Clone(),
		Replica:    r.id,
		Leader:     r.nodeOf(cluster.ReplicaID(r.lead)),
		Term:       r.term,
		Applied:    r.applied.Index,
		Bytes:      uint64(max(r.applied.Bytes, 0)),
		Keys:       uint64(max(r.applied.Keys, 0)),
		Reads:      r.counts.reads,
		Writes:     r.counts.writes,
	}
	if m, ok := r.machine.(interface {
		Middle(d *cluster.RangeDescriptor) cluster.VShard
	}); ok {
		s.Middle = m.Middle(r.desc)
	}
	if r.failed != nil {
		s.Failed = r.failed.Error()
		return s
	}
	s.Commit = r.rn.BasicStatus().GetCommit()
	if !r.leading {
		return s
	}
	s.Settled = r.activity.settled(r.cfg.ElectionTicks)
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

func (r *Replica) sentTo(id cluster.ReplicaID) uint64 {
	if s := r.sending[id]; s != nil {
		return s.Sent()
	}
	return 0
}
