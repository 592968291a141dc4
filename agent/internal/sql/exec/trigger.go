package exec

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Triggers are what a statement fires for each row. It is in a transaction.
type Triggers struct {
	// Before gives what is to be written in the place of next, which is nil of a row that
	// is deleted, as was is of one that is new; false: the row is left as it is.
	Before func(event string, was, next []datum.Datum) ([]datum.Datum, bool, error)
	// After notes a row that was written.
	After func(event string, was, next []datum.Datum) error
	// Reads says that what Before does may see, or change, what was written before it: rows
	// are written one by one.
	Reads bool
	// Sets says that it may change columns that the statement does not, and Keys that keys
	// are among them.
	Sets, Keys bool
	// written are the keys of rows that an INSERT has written.
	written map[string]bool
}

// step is how many of n rows go through Before together.
func (t *Triggers) step(n int) int {
	if t.Reads {
		return 1
	}
	return max(n, 1)
}

// insertedFired notes a new row.
func (r *Run) insertedFired(p proposed) error {
	if r.Triggers == nil {
		return nil
	}
	r.Triggers.written[string(p.key)] = true
	return r.Triggers.After(cluster.OnInsert, nil, p.row)
}

func (r *Run) after(event string, was, next []datum.Datum) error {
	if r.Triggers == nil {
		return nil
	}
	return r.Triggers.After(event, was, next)
}

// insertFired runs an INSERT that fires triggers for its rows.
func (r *Run) insertFired(ctx context.Context, ins *queryplan.Insert, slow SlowRows) (int64, error) {
	rows, err := r.proposals(ctx, ins, slow)
	if err != nil {
		return 0, err
	}
	var results [][]datum.Datum
	var total int64
	r.Triggers.written = map[string]bool{}
	for part := range slices.Chunk(rows, r.Triggers.step(len(rows))) {
		var kept []proposed
		for _, p := range part {
			row, ok, err := r.Triggers.Before(cluster.OnInsert, nil, p.row)
			if err != nil {
				return 0, err
			}
			if !ok {
				continue
			}
			if err := r.complete(ins.Table, ins.Rules, row); err != nil {
				return 0, err
			}
			key, err := ins.Table.EncodeKey(row)
			if err != nil {
				return 0, err
			}
			kept = append(kept, proposed{key: key, row: row})
		}
		if len(kept) == 0 {
			continue
		}
		some, n, err := r.insertInTx(ctx, ins, kept)
		if err != nil {
			return 0, err
		}
		results, total = append(results, some...), total+n
	}
	if err := r.settleKeys(ctx); err != nil {
		return 0, err
	}
	return total, r.emit(ins.Returning, results)
}

// changeFired changes locked rows and fires triggers for them.
func (r *Run) changeFired(ctx context.Context, ch *queryplan.Change, rows []found) ([][]datum.Datum, error) {
	event := cluster.OnUpdate
	if ch.Delete {
		event = cluster.OnDelete
	}
	was := make([]*buffered, len(rows))
	for i := range rows {
		was[i], _ = r.Tx.find(ch.Table, rows[i].key)
	}
	var results [][]datum.Datum
	step := r.Triggers.step(len(rows))
	for from := 0; from < len(rows); from += step {
		to := min(from+step, len(rows))
		var kept []found
		for i := from; i < to; i++ {
			f := rows[i]
			if now, _ := r.Tx.find(ch.Table, f.key); now != was[i] {
				return nil, changedMeanwhile(event)
			}
			fires, err := r.fired(ch, event, &f)
			if err != nil {
				return nil, err
			}
			if !fires { // it may have changed the row in the place of the statement
				continue
			}
			if now, _ := r.Tx.find(ch.Table, f.key); now != was[i] {
				return nil, changedMeanwhile(event)
			}
			kept = append(kept, f)
		}
		some, err := r.bufferChanges(ctx, ch, kept)
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
		for i := range kept {
			if err := r.after(event, kept[i].row, kept[i].next); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

// fired computes what becomes of a row with what triggers say of it; false: it stays.
func (r *Run) fired(ch *queryplan.Change, event string, f *found) (bool, error) {
	next, err := r.assigned(ch, f)
	if err != nil {
		return false, err
	}
	next, ok, err := r.Triggers.Before(event, f.row, next)
	if err != nil || !ok {
		return false, err
	}
	if ch.Delete {
		next = nil
	} else if err := r.complete(ch.Table, ch.Rules, next); err != nil {
		return false, err
	}
	f.next, f.fired = next, true
	return true, nil
}

// changedMeanwhile is PostgreSQL's error for a BEFORE trigger that changes the row that it
// was fired for.
func changedMeanwhile(event string) error {
	what := "updated"
	if event == cluster.OnDelete {
		what = "deleted"
	}
	return &syntax.Error{Code: "27000", Message: "tuple to be " + what + " was already modified by an operation triggered by the current command",
		Hint: "Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows."}
}

// conflictFired has triggers look at what DO UPDATE makes of a row; nil: it stays.
func (r *Run) conflictFired(table *catalog.Table, key []byte, was, next []datum.Datum) ([]datum.Datum, error) {
	if r.Triggers == nil {
		return next, nil
	}
	if r.Triggers.written[string(key)] {
		return nil, errTwice()
	}
	r.Triggers.written[string(key)] = true
	before, _ := r.Tx.find(table, key)
	next, ok, err := r.Triggers.Before(cluster.OnUpdate, was, next)
	if err != nil || !ok {
		return nil, err
	}
	if now, _ := r.Tx.find(table, key); now != before {
		return nil, changedMeanwhile(cluster.OnUpdate)
	}
	moved, err := table.EncodeKey(next)
	if err == nil && string(moved) != string(key) {
		err = syntax.Unsupported("a trigger that changes the key of a row that ON CONFLICT DO UPDATE changes", "")
	}
	return next, err
}
