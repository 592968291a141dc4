package store

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// inspectWait is how long Inspect waits for the loop: it goes round each tick.
const inspectWait = time.Second

// Inspect returns the raft state of this node's replica of a range. If the loop does
// not get on, it is what was published.
func (s *Store) Inspect(ctx context.Context, id cluster.RangeID) (cluster.RaftState, error) {
	wait, cancel := context.WithTimeout(ctx, inspectWait)
	defer cancel()
	st, err := request(wait, s, func(c *Core, done func(cluster.RaftState, error)) { done(c.Inspect(id)) })
	if wait.Err() != nil && ctx.Err() == nil {
		st, err = s.published(id)
	}
	if err != nil {
		return st, err
	}
	if r, ok := s.core.leases.reads.Load(id); ok {
		reads, _ := r.(*replica.LeaseReads)
		st.LeaseLeft = reads.Left().Seconds()
	}
	return st, nil
}

// published is what the board says of a replica.
func (s *Store) published(id cluster.RangeID) (cluster.RaftState, error) {
	st, ok := s.RangeStatus(id)
	if !ok {
		return cluster.RaftState{}, &RangeNotFoundError{Range: id}
	}
	out := cluster.RaftState{Status: st, State: "follower", Age: s.StatusAge().Seconds(), Asleep: st.Lease != nil && st.Lease.Awake == ""}
	switch {
	case st.Failed != "":
		out.State = "failed"
	case st.IsLeader():
		out.State = "leader"
	}
	return out, nil
}
