package exec

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// SlowRows runs a slow plan at the snapshot of in and gives its rows to emit.
type SlowRows func(ctx context.Context, in *Run, p duck.Prepared, emit func(row []datum.Datum) error) error

// found is a row that a Change applies to.
type found struct {
	key     []byte
	row     []datum.Datum // all columns
	version hlc.Timestamp // 0: read by the slow path, or written by the transaction
	own     bool          // written by the transaction
	locked  bool          // as it is here, in the strength that the change wants
	set     []datum.Datum // of the slow path: a value per SetColumns
	beside  []datum.Datum // of the slow path: what RETURNING sees of other relations
	later   datum.Later   // columns that the statement does not know
	fired   bool          // triggers have said what becomes of it, which is next
	next    []datum.Datum
}

// Change runs an UPDATE or a DELETE and returns the number of rows.
func (r *Run) Change(ctx context.Context, ch *queryplan.Change, slow SlowRows) (int64, error) {
	ch, err := r.wider(ch)
	if err != nil {
		return 0, err
	}
	if r.Tx != nil {
		if r.before == nil {
			r.work = &keyWork{}
		}
		results, err := r.changeInTx(ctx, ch, slow)
		if err == nil {
			err = r.settleKeys(ctx)
		}
		if err != nil {
			return 0, err
		}
		return int64(len(results)), r.emit(ch.Returning, results)
	}
	if ch.Slow == nil && !ch.KeyChange && len(ch.Entries) == 0 && !touchesKeys(ch) && r.direct() {
		keys, one, err := r.keysInOne(ch.Table, &ch.Access)
		switch {
		case err != nil:
			return 0, err
		case one && len(keys) == 1:
			if n, err := r.changeOne(ctx, ch, keys[0]); !isBlocked(err) {
				return n, err
			}
		case one:
			writes, err := r.inRange(ctx, ch.Table, func() ([]*rowWrite, error) { return r.changes(ctx, ch) })
			if err == nil {
				return int64(len(writes)), r.emitOf(ch.Returning, writes)
			}
			if !errors.Is(err, errSeveral) {
				return 0, err
			}
		}
	}
	results, n, err := r.atomic(ctx, func(in *Run) ([][]datum.Datum, int64, error) {
		results, err := in.changeInTx(ctx, ch, slow)
		return results, int64(len(results)), err
	})
	if err != nil {
		return 0, err
	}
	return n, r.emit(ch.Returning, results)
}

// wider is a change with what triggers may change beside it.
func (r *Run) wider(ch *queryplan.Change) (*queryplan.Change, error) {
	if r.Triggers == nil || !r.Triggers.Sets || ch.Delete {
		return ch, nil
	}
	entries, err := queryplan.EntriesOf(ch.Table)
	out := *ch
	out.KeyChange, out.Entries = ch.KeyChange || r.Triggers.Keys, entries
	return &out, err
}

// find gives the rows that a Change applies to.
func (r *Run) find(ctx context.Context, ch *queryplan.Change, slow SlowRows, fn func(found) error) error {
	n := len(ch.Table.Columns)
	if ch.Keys != nil {
		return r.findLocked(ctx, ch, fn)
	}
	if ch.Slow != nil {
		seen := map[string]struct{}{} // a join may give a row several times: the first counts
		return slow(ctx, r, ch.Slow, func(values []datum.Datum) error {
			values = slices.Clone(values)
			if ok, err := r.accepts(ch.Guard, values[:n]); err != nil || !ok {
				return err
			}
			key, err := ch.Table.EncodeKey(values[:n])
			if err != nil {
				return err
			}
			if _, ok := seen[string(key)]; ok && ch.Once {
				return errSecondTime()
			} else if ok {
				return nil
			}
			seen[string(key)] = struct{}{}
			sets := n + len(ch.SetColumns)
			f := found{key: key, row: values[:n:n], set: values[n:sets], beside: values[sets:]}
			if w, own := r.Tx.find(ch.Table, key); own && w.value != nil {
				f.own = true
				if err := f.stored(ch.Table, w.value); err != nil {
					return err
				}
			}
			return fn(f)
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
		later, err := ch.Table.Later(kr.Value)
		if err != nil {
			return false, err
		}
		_, own := r.Tx.find(ch.Table, kr.Key)
		return true, fn(found{key: kr.Key, row: slices.Clone(row), version: kr.Version, own: own, later: later})
	})
}

// stored takes the row from its value: the engine, which has found it, has some values in
// another form, and what a statement does not set stays as it is.
func (f *found) stored(table *catalog.Table, value []byte) (err error) {
	row := make([]datum.Datum, len(table.Columns))
	if err = table.DecodeRow(f.key, value, row); err != nil {
		return err
	}
	f.row = row
	f.later, err = table.Later(value)
	return err
}

// newRow computes what becomes of a row; nil: it is deleted.
func (r *Run) newRow(ch *queryplan.Change, f *found) ([]datum.Datum, error) {
	if f.fired {
		return f.next, nil
	}
	updated, err := r.assigned(ch, f)
	if err != nil || updated == nil {
		return nil, err
	}
	return updated, r.complete(ch.Table, ch.Rules, updated)
}

// assigned is a row after SET; nil: it is deleted.
func (r *Run) assigned(ch *queryplan.Change, f *found) ([]datum.Datum, error) {
	if f.fired { // a foreign key says so
		return f.next, nil
	}
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
	return updated, nil
}

// changes computes the writes of one attempt outside of transactions.
func (r *Run) changes(ctx context.Context, ch *queryplan.Change) ([]*rowWrite, error) {
	var writes []*rowWrite
	total := 0
	err := r.find(ctx, ch, nil, func(f found) error {
		w, err := r.change(ch, &f)
		if err != nil {
			return err
		}
		writes = append(writes, w)
		total += w.size() + rowBytes(w.returned)
		if err := r.Memory.Grow(w.held()); err != nil {
			return err
		}
		return checkSize(len(writes), total)
	})
	return writes, err
}

// change computes the write of a row whose key stays.
func (r *Run) change(ch *queryplan.Change, f *found) (*rowWrite, error) {
	updated, err := r.newRow(ch, f)
	if err != nil {
		return nil, err
	}
	w := &rowWrite{mut: kv.Mutation{Pool: ch.Table.Pool(), Collection: ch.Table.ID(), Key: f.key, Expect: datastate.VersionIs, ExpectTS: f.version, Schema: ch.Table.Version()}}
	if updated == nil {
		w.mut.Delete = true
		updated = f.row
	} else {
		w.mut.Value = ch.Table.EncodeValue(updated, f.later)
	}
	w.returned, err = r.returned(ch.Returning, updated)
	return w, err
}

// changeInTx locks the rows, buffers their changes and returns what RETURNING says.
func (r *Run) changeInTx(ctx context.Context, ch *queryplan.Change, slow SlowRows) ([][]datum.Datum, error) {
	for {
		before := r.Memory.Used()
		rows, err := r.toChange(ctx, ch, slow)
		if err != nil {
			return nil, err
		}
		rows, stale, err := r.lockFound(ctx, ch, rows)
		if err != nil {
			return nil, err
		}
		if !stale {
			return r.changeLocked(ctx, ch, rows)
		}
		if r.before != nil {
			return nil, errStale
		}
		// Only the slow path could tell what becomes of the row that is there now. What
		// it has found stays locked, so that it finds it again.
		r.Memory.Shrink(r.Memory.Used() - before)
		r.TS = 0
		r.Tx.Transaction().Refresh()
	}
}

// changeLocked changes rows that are locked.
func (r *Run) changeLocked(ctx context.Context, ch *queryplan.Change, rows []found) ([][]datum.Datum, error) {
	if r.Triggers != nil {
		return r.changeFired(ctx, ch, rows)
	}
	return r.bufferChanges(ctx, ch, rows)
}

// toChange collects the rows that a Change applies to, at the statement's snapshot.
func (r *Run) toChange(ctx context.Context, ch *queryplan.Change, slow SlowRows) ([]found, error) {
	rows, ok, err := r.lockFirst(ctx, ch)
	if ok || err != nil {
		return rows, err
	}
	total := 0
	err = r.find(ctx, ch, slow, func(f found) error {
		rows = append(rows, f)
		total += rowBytes(f.row)
		if err := r.Memory.Grow(int64(2*rowBytes(f.row) + perRow)); err != nil {
			return err
		}
		return checkSize(len(rows), total)
	})
	if ch.Slow != nil { // who locks the same rows comes to them in the same order
		slices.SortFunc(rows, func(a, b found) int { return bytes.Compare(a.key, b.key) })
	}
	return rows, err
}

// lockFound locks rows that were found, and looks at those again that have changed since
// the snapshot: one that the statement applies to no more is left out. stale says that
// it takes the slow path to look again. At the levels above read committed a row that
// has changed is an error of the lock.
func (r *Run) lockFound(ctx context.Context, ch *queryplan.Change, rows []found) (_ []found, stale bool, err error) {
	keys := make([][]byte, 0, len(rows))
	for i := range rows {
		if !rows[i].own && !rows[i].locked {
			keys = append(keys, rows[i].key)
		}
	}
	locked, err := r.lock(ctx, ch.Table, keys, strengthOf(ch))
	if err != nil {
		return nil, false, err
	}
	kept := rows[:0]
	for _, f := range rows {
		if f.own || f.locked {
			kept = append(kept, f)
			continue
		}
		now := &locked[0]
		locked = locked[1:]
		if changed := now.Version != f.version; ch.Slow != nil {
			stale = stale || now.Value == nil || now.Version > r.TS
			if now.Value != nil {
				if err := f.stored(ch.Table, now.Value); err != nil {
					return nil, false, err
				}
			}
		} else if changed {
			applies, err := r.again(ch, &f, now)
			if err != nil {
				return nil, false, err
			}
			if !applies {
				continue
			}
		}
		f.version = now.Version
		kept = append(kept, f)
	}
	return kept, stale, nil
}

// strengthOf is how the rows of a change are locked.
func strengthOf(ch *queryplan.Change) lock.Strength {
	if ch.Delete || ch.KeyChange {
		return lock.Update
	}
	return lock.NoKeyUpdate
}

// findLocked has the subquery lock its rows, and gives those that match what else the
// statement says as they are now.
func (r *Run) findLocked(ctx context.Context, ch *queryplan.Change, fn func(found) error) error {
	keys, err := r.lockedKeys(ctx, ch)
	if err != nil {
		return err
	}
	var toLock [][]byte
	for _, k := range keys {
		if _, own := r.Tx.find(ch.Table, k); !own {
			toLock = append(toLock, k)
		}
	}
	rows, err := r.lock(ctx, ch.Table, toLock, strengthOf(ch))
	if err != nil {
		return err
	}
	for _, k := range keys {
		f := found{key: k, locked: true}
		var now kv.Row
		if w, own := r.Tx.find(ch.Table, k); own {
			f.own, now = true, kv.Row{Key: k, Value: w.value}
		} else {
			now, rows = rows[0], rows[1:]
			f.version = now.Version
		}
		if applies, err := r.again(ch, &f, &now); err != nil {
			return err
		} else if !applies {
			continue
		}
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// lockedKeys runs the subquery that locks rows and returns their keys, each once.
func (r *Run) lockedKeys(ctx context.Context, ch *queryplan.Change) ([][]byte, error) {
	var keys [][]byte
	seen := map[string]bool{}
	in, rows := *r, 0
	in.Emit = func(values []datum.Datum) error {
		if rows++; rows > 1 && ch.Keys.One {
			return &syntax.Error{Code: "21000", Message: "more than one row returned by a subquery used as an expression"}
		}
		row := make([]datum.Datum, len(ch.Table.Columns))
		row[ch.Table.Key[0]] = values[ch.Keys.Column]
		key, err := ch.Table.EncodeKey(row)
		if err == nil && !seen[string(key)] {
			seen[string(key)] = true
			keys = append(keys, key)
		}
		return err
	}
	_, err := in.Select(ctx, ch.Keys.Select)
	return keys, err
}

// again looks at a row that has changed since it was found: as PostgreSQL does, at it
// alone, as it is now.
func (r *Run) again(ch *queryplan.Change, f *found, now *kv.Row) (applies bool, err error) {
	if now.Value == nil {
		return false, nil
	}
	f.row = make([]datum.Datum, len(ch.Table.Columns))
	if err := ch.Table.DecodeRow(now.Key, now.Value, f.row); err != nil {
		return false, err
	}
	if f.later, err = ch.Table.Later(now.Value); err != nil {
		return false, err
	}
	return r.accepts(ch.Filter, f.row)
}

// bufferChanges computes what becomes of locked rows and buffers it.
func (r *Run) bufferChanges(ctx context.Context, ch *queryplan.Change, rows []found) ([][]datum.Datum, error) {
	updated, moved := make([][]datum.Datum, len(rows)), make([][]byte, len(rows))
	results := make([][]datum.Datum, len(rows))
	for i := range rows {
		f := &rows[i]
		var err error
		if updated[i], err = r.newRow(ch, f); err != nil {
			return nil, err
		}
		shown := updated[i]
		if shown == nil {
			shown = f.row
		}
		if len(f.beside) > 0 {
			shown = slices.Concat(shown, f.beside)
		}
		if results[i], err = r.returned(ch.Returning, shown); err != nil {
			return nil, err
		}
		if updated[i] == nil || !ch.KeyChange {
			continue
		}
		key, err := ch.Table.EncodeKey(updated[i])
		if err != nil {
			return nil, err
		}
		if string(key) != string(f.key) {
			moved[i] = key
		}
	}
	if err := r.lockMoved(ctx, ch, moved); err != nil {
		return nil, err
	}
	changes := make([]rowChange, len(rows))
	for i := range rows {
		if err := r.bufferChange(ch, &rows[i], updated[i], moved[i]); err != nil {
			return nil, err
		}
		changes[i] = rowChange{was: rows[i].row, wasKey: rows[i].key, is: updated[i], isKey: rows[i].key}
		if moved[i] != nil {
			changes[i].isKey = moved[i]
		}
	}
	r.noteWritten(ch.Table, changes)
	return results, r.bufferEntries(ctx, ch.Entries, changes)
}

// lockMoved locks the keys that rows get, nil being none.
func (r *Run) lockMoved(ctx context.Context, ch *queryplan.Change, moved [][]byte) error {
	keys := slices.DeleteFunc(slices.Clone(moved), func(k []byte) bool { return k == nil })
	return r.lockAbsent(ctx, ch.Table, keys, keyViolation(ch.Table))
}

func (r *Run) bufferChange(ch *queryplan.Change, f *found, updated []datum.Datum, moved []byte) error {
	if updated == nil {
		return r.Tx.put(ch.Table, f.key, changed(nil, f.version))
	}
	value := ch.Table.EncodeValue(updated, f.later)
	if moved == nil {
		return r.Tx.put(ch.Table, f.key, changed(value, f.version))
	}
	if w, ok := r.Tx.find(ch.Table, moved); ok && w.value != nil {
		return uniqueViolation(ch.Table, moved)
	}
	if err := r.Tx.put(ch.Table, f.key, changed(nil, f.version)); err != nil {
		return err
	}
	return r.Tx.put(ch.Table, moved, inserted(value))
}
