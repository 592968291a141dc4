package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// maxResolved bounds the versions that one Resolve writes, but for its last one.
const maxResolved = 1 << 20

// Touches satisfies evaluation.Request.
func (r *Resolve) Touches() [][]byte {
	if r.Record == nil {
		return nil // locks in memory need no latch
	}
	return withLocks(append(make([][]byte, 0, 2*len(r.Rows)), r.Rows...))
}

// Locks satisfies evaluation.Request.
func (r *Resolve) Locks() evaluation.Locks { return evaluation.Locks{Txn: r.Txn, Record: r.Record} }

// Blocked satisfies evaluation.Request. Nothing blocks a Resolve.
func (r *Resolve) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (r *Resolve) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: r.machine, rows: rows, desc: desc, pending: pending}
	seen := make(map[string]struct{}, len(r.Rows))
	for i, row := range r.Rows {
		if !owns(desc, row) {
			return refuse(i, &Result{Outcome: WrongRange}), nil
		}
		seen[string(row)] = struct{}{}
	}
	if len(seen) < len(r.Rows) {
		return refuse(0, &Result{Outcome: Malformed}), nil
	}
	res := &Result{Outcome: Applied}
	if r.Record == nil {
		d = say(res)
		d.Ends = r.Rows
		return d, nil
	}
	c, size := &command{}, 0
	d.Leaves, d.Ends, d.Saw = make([]any, len(pending)), r.Rows, r.CommitTS
	for i := range r.Rows {
		if size > maxResolved {
			res.More, d.Ends = true, nil
			break
		}
		n, err := r.row(&e, c, &d, i)
		if err != nil {
			return d, fmt.Errorf("resolve row %d: %w", i, err)
		}
		size += n
	}
	if !c.effects {
		d = say(res)
		d.Ends = r.Rows
		return d, nil
	}
	return decided(c, d, res), nil
}

// row adds to a command what becomes of one row.
func (r *Resolve) row(e *evaluating, c *command, d *evaluation.Decision, i int) (size int, err error) {
	row, at := r.Rows[i], len(r.Rows)+i
	l, err := e.lockOf(at, row)
	if err != nil || !l.holds(r.Txn) {
		return 0, err
	}
	if in := l.intentOf(r.Txn); in != nil && r.CommitTS != 0 {
		invariant.Check(in.TS <= r.CommitTS, "an intent of %s at %s commits at %s", r.Txn, in.TS, r.CommitTS)
		found, err := e.newest(i, row)
		if err != nil {
			return 0, err
		}
		leaves, err := decodeVersion(in.Stored)
		if err != nil {
			return 0, err
		}
		leaves.TS, leaves.size = r.CommitTS, int64(len(row)+keys.SuffixLen+len(in.Stored))
		if !leaves.Live {
			leaves.Value = nil
		}
		c.at = append(c.at, writeAt{row, r.CommitTS, in.Stored})
		d.Leaves[i], c.adds = &leaves, c.adds.Plus(found.counted(&leaves))
		size = len(in.Stored)
	}
	e.leaveLock(c, d, row, at, l.without(r.Txn))
	return size, nil
}
