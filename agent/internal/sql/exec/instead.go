package exec

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// Instead has the triggers of a view do what a statement asks for, row by row, when all rows
// are found. Rows that they let go on count, and are returned.
func (r *Run) Instead(ctx context.Context, to *queryplan.Instead, slow SlowRows) (int64, error) {
	var was, next [][]datum.Datum
	var err error
	if to.Insert != nil {
		var rows []proposed
		if rows, err = r.proposals(ctx, to.Insert, slow); err != nil {
			return 0, err
		}
		for _, p := range rows {
			next = append(next, p.row)
		}
	} else if was, next, err = r.insteadRows(ctx, to, slow); err != nil {
		return 0, err
	}
	var results [][]datum.Datum
	for i := range max(len(was), len(next)) {
		var old, row []datum.Datum
		if was != nil {
			old = was[i]
		}
		if next != nil {
			row = next[i]
		}
		row, ok, err := r.Triggers.Before(to.Event, old, row)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		if to.Event == cluster.OnDelete {
			row = old
		}
		if row, err = r.returned(to.Returning, row); err != nil {
			return 0, err
		}
		results = append(results, row)
	}
	return int64(len(results)), r.emit(to.Returning, results)
}

// insteadRows are the rows that are to be changed, and what they are to be; next is nil of a
// DELETE.
func (r *Run) insteadRows(ctx context.Context, to *queryplan.Instead, slow SlowRows) (was, next [][]datum.Datum, err error) {
	n, total := len(to.View.Columns), 0
	err = slow(ctx, r, to.Slow, func(values []datum.Datum) error {
		old := slices.Clone(values[:n])
		was = append(was, old)
		if to.Event == cluster.OnUpdate {
			row := slices.Clone(old)
			for i, column := range to.SetColumns {
				c := &to.View.Columns[column]
				v, err := queryplan.Assign(r.Env, values[n+i], c.Type, c.Modifier)
				if err != nil {
					return err
				}
				row[column] = v
			}
			next = append(next, row)
		}
		total += rowBytes(old)
		if err := r.Memory.Grow(2 * HeldRow(old)); err != nil {
			return err
		}
		return checkSize(len(was), total)
	})
	return was, next, err
}
