package exec

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Merge runs a MERGE, in a transaction, and returns the number of rows that it changed. The
// rows of all clauses are found at one snapshot, and locked, before any is changed.
func (r *Run) Merge(ctx context.Context, m *queryplan.Merge, slow SlowRows) (int64, error) {
	changes := make([]*queryplan.Change, len(m.Changes))
	for i, ch := range m.Changes {
		var err error
		if changes[i], err = r.wider(ch); err != nil {
			return 0, err
		}
	}
	var n int64
	err := r.Several(ctx, func() (err error) {
		n, err = r.merge(ctx, m, changes, slow)
		return err
	})
	return n, err
}

func (r *Run) merge(ctx context.Context, m *queryplan.Merge, changes []*queryplan.Change, slow SlowRows) (int64, error) {
	rows, err := r.mergeRows(ctx, changes, slow)
	if err != nil {
		return 0, err
	}
	was := make([][]*buffered, len(rows))
	for i := range rows {
		for k := range rows[i] {
			b, _ := r.Tx.find(m.Table, rows[i][k].key)
			was[i] = append(was[i], b)
		}
	}
	var n int64
	for i, ch := range changes {
		for k := range rows[i] { // triggers of the clauses before may have come to them
			if now, _ := r.Tx.find(m.Table, rows[i][k].key); now != was[i][k] {
				return 0, changedMeanwhile(cluster.OnUpdate)
			}
		}
		in := *r
		results, err := in.changeLocked(ctx, ch, rows[i])
		if err != nil {
			return 0, err
		}
		n += int64(len(results))
	}
	for _, ins := range m.Inserts {
		in := *r
		added, err := in.Insert(ctx, ins, slow)
		if err != nil {
			return 0, err
		}
		n += added
	}
	return n, nil
}

// mergeRows finds and locks the rows that the clauses change. If one has changed since the
// snapshot, all are looked for again: it may be another clause's now, or none's.
func (r *Run) mergeRows(ctx context.Context, changes []*queryplan.Change, slow SlowRows) ([][]found, error) {
	stale := false
	seen := map[string]bool{}
	out := make([][]found, len(changes))
	for i, ch := range changes {
		rows, err := r.toChange(ctx, ch, slow)
		if err != nil {
			return nil, err
		}
		for k := range rows {
			if seen[string(rows[k].key)] {
				return nil, errSecondTime()
			}
			seen[string(rows[k].key)] = true
		}
		rows, newer, err := r.lockFound(ctx, ch, rows)
		if err != nil {
			return nil, err
		}
		out[i], stale = rows, stale || newer
	}
	if stale {
		return nil, errStale
	}
	return out, nil
}

func errSecondTime() error {
	return &syntax.Error{Code: "21000", Message: "MERGE command cannot affect row a second time",
		Hint: "Ensure that not more than one source row matches any one target row."}
}
