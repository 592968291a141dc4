package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// SlowRows runs a slow plan at the Run's snapshot and gives its rows to emit.
type SlowRows func(ctx context.Context, p duck.Prepared, emit func(row []datum.Datum) error) error

// found is a row that a Change applies to.
type found struct {
	key     []byte
	row     []datum.Datum // all columns
	version hlc.Timestamp // 0: read by the slow path
	set     []datum.Datum // of the slow path: a value per SetColumns
}

// Change runs an UPDATE or a DELETE and returns the number of rows.
func (r *Run) Change(ctx context.Context, ch *queryplan.Change, slow SlowRows) (int64, error) {
	if r.Tx != nil {
		return r.changeInTx(ctx, ch, slow)
	}
	if ch.Slow == nil && !ch.KeyChange && ch.Access.ByKey() {
		if keys, err := ch.Access.Keys(r.Env); err != nil {
			return 0, err
		} else if len(keys) == 1 {
			return r.changeOne(ctx, ch, keys[0])
		}
	}
	done := map[string]struct{}{} // keys, old and new, that were written
	var results [][]datum.Datum
	kept := keptPlaces{db: r.DB}
	defer kept.giveUp()
	for { // rows that changed are looked at again, for as long as the statement may take
		if ch.Slow != nil { // its rows must be of one snapshot, which the writes then check
			ts, err := r.DB.Fresh(ctx)
			if err != nil {
				return 0, fmt.Errorf("begin snapshot: %w", err)
			}
			r.TS = ts
		}
		writes, err := r.changes(ctx, ch, slow, done)
		if err != nil || len(writes) == 0 {
			if err != nil {
				return 0, finish(err, len(results), len(results)+1)
			}
			break
		}
		kept.goOn(writes)
		written, conflicts, err := r.apply(ctx, ch.Table, writes, false)
		kept.lose(conflicts)
		for _, c := range conflicts { // they are looked for again
			for _, w := range c.rows {
				r.Memory.Shrink(int64(w.size() + rowBytes(w.result) + perRow))
			}
		}
		for _, w := range written {
			results = append(results, w.result)
			done[string(w.mut.Key)] = struct{}{}
			if w.old != nil {
				done[string(w.old.Key)] = struct{}{}
			}
		}
		if err != nil {
			return 0, finish(err, len(results), len(results)+len(writes)-len(written))
		}
		if len(conflicts) == 0 {
			break
		}
		if err := duplicateKey(ch, conflicts); err != nil {
			return 0, finish(err, len(results), len(writes))
		}
	}
	return int64(len(results)), r.returning(ch.Returning, results)
}

// duplicateKey tells a new key that is taken, which no retry helps, from a row
// that changed.
func duplicateKey(ch *queryplan.Change, conflicts []*chunk) error {
	for _, c := range conflicts {
		if c.failed.mut.Expect == datastate.Absent {
			return uniqueViolation(ch.Table, c.failed.mut.Key)
		}
	}
	return nil
}

// find gives the rows that a Change applies to.
func (r *Run) find(ctx context.Context, ch *queryplan.Change, slow SlowRows, fn func(found) error) error {
	n := len(ch.Table.Columns)
	if ch.Slow != nil {
		seen := map[string]struct{}{} // a join may give a row several times: the first counts
		return slow(ctx, ch.Slow, func(values []datum.Datum) error {
			values = slices.Clone(values)
			key, err := ch.Table.EncodeKey(values[:n])
			if err != nil {
				return err
			}
			if _, ok := seen[string(key)]; ok {
				return nil
			}
			seen[string(key)] = struct{}{}
			return fn(found{key: key, row: values[:n:n], set: values[n:]})
		})
	}
	row := make([]datum.Datum, n)
	return r.access(ctx, ch.Table, &ch.Access, kv.ScanRequest{}, func(kr kv.Row) (bool, error) {
		if err := ch.Table.DecodeRow(kr.Key, kr.Value, row); err != nil {
			return false, err
		}
		if ok, err := r.accepts(ch.Filter, row); err != nil || !ok {
			return true, err
		}
		return true, fn(found{key: kr.Key, row: slices.Clone(row), version: kr.Version})
	})
}

// newRow computes what becomes of a row; nil: it is deleted.
func (r *Run) newRow(ch *queryplan.Change, f found) ([]datum.Datum, error) {
	if ch.Delete {
		return nil, nil
	}
	if ch.Slow == nil {
		return r.assign(ch.Table, ch.Set, f.row)
	}
	updated := slices.Clone(f.row)
	for i, column := range ch.SetColumns {
		c := &ch.Table.Columns[column]
		var err error
		if updated[column], err = queryplan.Assign(r.Env, f.set[i], c.Type, c.Modifier); err != nil {
			return nil, err
		}
	}
	return updated, checkNotNull(ch.Table, updated)
}

// changes computes the writes of one attempt, leaving out what was done.
func (r *Run) changes(ctx context.Context, ch *queryplan.Change, slow SlowRows, done map[string]struct{}) ([]*rowWrite, error) {
	var writes []*rowWrite
	total := 0
	err := r.find(ctx, ch, slow, func(f found) error {
		if _, ok := done[string(f.key)]; ok {
			return nil
		}
		w, err := r.change(ch, f)
		if err != nil {
			return err
		}
		writes = append(writes, w)
		n := w.size() + rowBytes(w.result)
		total += n
		if err := r.Memory.Grow(int64(n + perRow)); err != nil {
			return err
		}
		return checkSize(len(writes), total)
	})
	return writes, err
}

func (r *Run) change(ch *queryplan.Change, f found) (*rowWrite, error) {
	updated, err := r.newRow(ch, f)
	if err != nil {
		return nil, err
	}
	mut := kv.Mutation{Pool: ch.Table.Pool(), Collection: ch.Table.ID(), Key: f.key, Expect: datastate.VersionIs, ExpectTS: f.version}
	if f.version == 0 {
		mut.Expect, mut.ExpectTS = datastate.NotNewerThan, r.TS
	}
	if updated == nil {
		mut.Delete = true
		return &rowWrite{mut: mut, result: f.row}, nil
	}
	w := &rowWrite{mut: mut, result: updated}
	w.mut.Value = ch.Table.EncodeValue(updated)
	if !ch.KeyChange {
		return w, nil
	}
	key, err := ch.Table.EncodeKey(updated)
	if err != nil || string(key) == string(f.key) {
		return w, err
	}
	if p, c := ch.Table.Pool(), ch.Table.ID(); r.DB.RangeOf(p, c, key) != r.DB.RangeOf(p, c, f.key) {
		return nil, errKeyMoves()
	}
	mut.Delete = true
	w.old = &mut
	w.mut.Key, w.mut.Expect, w.mut.ExpectTS = key, datastate.Absent, 0
	return w, nil
}

func errKeyMoves() error {
	return &syntax.Error{Code: "0A000", Message: "changing a primary key so that the row moves to another range is not supported yet",
		Hint: "INSERT the new row, then DELETE the old one."}
}

// changeInTx buffers the changes.
func (r *Run) changeInTx(ctx context.Context, ch *queryplan.Change, slow SlowRows) (int64, error) {
	var rows []found
	total := 0
	err := r.find(ctx, ch, slow, func(f found) error {
		rows = append(rows, f)
		total += rowBytes(f.row)
		if err := r.Memory.Grow(int64(2*rowBytes(f.row) + perRow)); err != nil {
			return err
		}
		return checkSize(len(rows), total)
	})
	if err != nil {
		return 0, err
	}
	results := make([][]datum.Datum, len(rows))
	for i, f := range rows {
		updated, err := r.newRow(ch, f)
		if err != nil {
			return 0, err
		}
		if results[i] = updated; updated == nil {
			results[i] = f.row
		}
		if err := r.bufferChange(ctx, ch, f, updated); err != nil {
			return 0, err
		}
	}
	return int64(len(rows)), r.returning(ch.Returning, results)
}

func (r *Run) bufferChange(ctx context.Context, ch *queryplan.Change, f found, updated []datum.Datum) error {
	if updated == nil {
		return r.Tx.put(ch.Table, f.key, changed(nil, r.TS))
	}
	key, err := ch.Table.EncodeKey(updated)
	if err != nil {
		return err
	}
	value := ch.Table.EncodeValue(updated)
	if string(key) == string(f.key) {
		return r.Tx.put(ch.Table, key, changed(value, r.TS))
	}
	rows, err := r.get(ctx, ch.Table, [][]byte{key})
	if err != nil {
		return err
	}
	if rows[0].Value != nil {
		return uniqueViolation(ch.Table, key)
	}
	if err := r.Tx.put(ch.Table, f.key, changed(nil, r.TS)); err != nil {
		return err
	}
	return r.Tx.put(ch.Table, key, inserted(value))
}
