package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// RangeLocks are the locks of a range that this node leads.
type RangeLocks struct {
	Range cluster.RangeID
	Locks []lock.Lock
}

// rangeTable is the lock table of a range.
type rangeTable struct {
	id    cluster.RangeID
	table *lock.Table
}

// lockTables are those of the ranges that this node leads, by id, as far as they hold
// anything.
func (c *Core) lockTables() []rangeTable {
	var out []rangeTable
	for _, s := range c.order {
		if s.destroying {
			continue
		}
		if t := s.r.LockTable(); t != nil && t.Len() > 0 {
			out = append(out, rangeTable{s.id, t})
		}
	}
	return out
}

// Locks returns what transactions hold, and wait for, in the ranges that this node
// leads: about as many as limit. It is read beside the loop, range by range.
func (s *Store) Locks(ctx context.Context, limit int) ([]RangeLocks, error) {
	tables, err := request(ctx, s, func(c *Core, done func([]rangeTable, error)) { done(c.lockTables(), nil) })
	if err != nil {
		return nil, err
	}
	var out []RangeLocks
	for _, t := range tables {
		if limit <= 0 {
			break
		}
		if locks := t.table.All(limit); len(locks) > 0 {
			out, limit = append(out, RangeLocks{t.id, locks}), limit-len(locks)
		}
	}
	return out, nil
}
