package exec

import (
	"context"
	"maps"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// Several begins a statement of several queries, in a transaction: each copy of the run is
// for one of them. All read what was there before the first.
func (r *Run) Several(ctx context.Context) error {
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

// Settle ends a statement of several queries.
func (r *Run) Settle(ctx context.Context) error {
	r.before = nil
	return r.settleKeys(ctx)
}
