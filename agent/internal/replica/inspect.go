package replica

import (
	"go.etcd.io/raft/v3"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Inspect returns the replica's raft state.
func (r *Replica) Inspect() cluster.RaftState {
	s := cluster.RaftState{Status: r.Status(), LogBytes: uint64(max(r.log.Bytes(), 0))}
	s.FirstIndex, _ = r.log.FirstIndex() // never an error
	s.LastIndex, _ = r.log.LastIndex()
	if r.failed != nil {
		s.State = "failed"
		return s
	}
	s.Asleep, s.BoundTo, s.BoundTerm = r.Asleep(), r.lease.binding.Node, r.lease.binding.Term
	basic := r.rn.BasicStatus()
	s.Vote = cluster.ReplicaID(basic.GetVote())
	switch basic.RaftState {
	case raft.StateLeader:
		s.State = "leader"
	case raft.StateCandidate:
		s.State = "candidate"
	case raft.StatePreCandidate:
		s.State = "pre-candidate"
	default:
		s.State = "follower"
	}
	return s
}
