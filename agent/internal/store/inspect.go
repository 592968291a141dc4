package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Inspect returns the raft state of this node's replica of a range.
func (s *Store) Inspect(ctx context.Context, id cluster.RangeID) (cluster.RaftState, error) {
	return request(ctx, s, func(c *Core, done func(cluster.RaftState, error)) { done(c.Inspect(id)) })
}

// Inspect returns the raft state of a replica.
func (c *Core) Inspect(id cluster.RangeID) (cluster.RaftState, error) {
	s, err := c.slot(id)
	if err != nil {
		return cluster.RaftState{}, err
	}
	return s.r.Inspect(), nil
}
