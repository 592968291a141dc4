package exec

import (
	"context"
	"errors"
	"maps"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// errStale says that a row has changed since the snapshot of a statement of several queries,
// and that only the slow path could tell what becomes of it.
var errStale = errors.New("a row has changed since the snapshot")

// Several runs a statement of several queries, in a transaction: run has a copy of the run for
// each of them. All read what was there before the first, and at one time: where one finds
// that a row has changed, what all have written is taken back, and all are run again at a new
// snapshot. What was locked stays locked, so that it ends.
func (r *Run) Several(ctx context.Context, run func() error) error {
	marked, used := r.Tx.marked, r.Memory.Used()
	mark := r.Tx.Mark()
	for {
		err := r.beginSeveral(ctx)
		if err == nil {
			err = run()
		}
		if !errors.Is(err, errStale) {
			if !marked { // nobody goes back any more
				r.Tx.marked, r.Tx.undo = false, nil
			}
			if err != nil {
				return err
			}
			r.before = nil
			return r.settleKeys(ctx)
		}
		r.Tx.takeBack(mark)
		r.Memory.Shrink(r.Memory.Used() - used)
		r.TS = 0
		r.Tx.Transaction().Refresh()
	}
}

// beginSeveral keeps what there was for what the queries read.
func (r *Run) beginSeveral(ctx context.Context) error {
	if _, err := r.snapshot(ctx); err != nil {
		return err
	}
	before := *r.Tx
	before.tables = make(map[cluster.CollectionID]*buffer, len(r.Tx.tables))
	for id, b := range r.Tx.tables {
		before.tables[id] = &buffer{table: b.table, rows: maps.Clone(b.rows)}
	}
	r.before, r.work = &before, &keyWork{}
	r.Held = map[*queryplan.Part][][]datum.Datum{}
	return nil
}

// Reader is the run for what a query reads: of several, none sees what the others write. One
// that locks rows sees the newest versions of these, of a table that no other has changed.
func (r *Run) Reader(ctx context.Context, s *queryplan.Select) (*Run, error) {
	if r.before == nil || s != nil && s.Lock != nil {
		return r, nil
	}
	if _, err := r.snapshot(ctx); err != nil {
		return nil, err
	}
	in := *r
	in.Tx = r.before
	return &in, nil
}

// Hold counts a row that is held.
func (r *Run) Hold(row []datum.Datum) error { return r.Memory.Grow(int64(rowBytes(row) + perRow)) }
