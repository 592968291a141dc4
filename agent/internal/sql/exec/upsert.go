package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// upsert is an INSERT with ON CONFLICT into a table with indexes, in a transaction.
type upsert struct {
	run *Run
	ins *queryplan.Insert
	// rows are those that may be inserted still, there what each is in conflict with.
	rows  []proposed
	there []kv.Row // Key nil: nothing
}

// errTwice is DO UPDATE of a row that the same statement has inserted or updated.
func errTwice() error {
	return &syntax.Error{Code: "21000", Message: "ON CONFLICT DO UPDATE command cannot affect row a second time",
		Hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values."}
}

func (r *Run) upsertIndexed(ctx context.Context, ins *queryplan.Insert, rows []proposed) ([][]datum.Datum, int64, error) {
	u := &upsert{run: r, ins: ins, rows: rows, there: make([]kv.Row, len(rows))}
	if ins.Conflict.Primary {
		if err := u.primary(ctx); err != nil {
			return nil, 0, err
		}
	}
	for _, x := range ins.Conflict.Indexes {
		if err := u.index(ctx, x); err != nil {
			return nil, 0, err
		}
	}
	if !ins.Conflict.Primary {
		var fresh [][]byte
		seen := map[string]bool{}
		for i := range u.rows {
			if own, ok := r.Tx.find(ins.Table, u.rows[i].key); u.there[i].Key == nil {
				if ok && own.value != nil || seen[string(u.rows[i].key)] {
					return nil, 0, uniqueViolation(ins.Table, u.rows[i].key)
				}
				seen[string(u.rows[i].key)] = true
				fresh = append(fresh, u.rows[i].key)
			}
		}
		if err := r.lockAbsent(ctx, ins.Table, fresh, keyViolation(ins.Table)); err != nil {
			return nil, 0, err
		}
	}
	return u.apply(ctx)
}

// primary looks for conflicts of the primary key.
func (u *upsert) primary(ctx context.Context) error {
	r := u.run
	rows, err := distinct(u.rows, u.ins)
	if err != nil {
		return err
	}
	if u.ins.Conflict.Set == nil {
		if rows, err = r.absent(ctx, u.ins.Table, rows); err != nil {
			return err
		}
	}
	there, err := r.lockProposed(ctx, u.ins.Table, rows)
	if err != nil {
		return err
	}
	u.rows, u.there = nil, nil
	for i := range rows {
		switch {
		case there[i].Value == nil:
			u.rows, u.there = append(u.rows, rows[i]), append(u.there, kv.Row{})
		case u.ins.Conflict.Set != nil:
			u.rows, u.there = append(u.rows, rows[i]), append(u.there, there[i])
		}
	}
	return nil
}

// index looks for conflicts with the entries of a unique index.
func (u *upsert) index(ctx context.Context, x *queryplan.Entries) error {
	r := u.run
	wanted := make([]*entry, len(u.rows)) // nil: it conflicts with nothing
	seen := map[string]bool{}
	drop := make([]bool, len(u.rows))
	var keys [][]byte
	for i, p := range u.rows {
		e, ok, err := r.entryOf(x, p.row, p.key)
		if err != nil {
			return err
		}
		if !ok || !e.unique || u.there[i].Key != nil {
			continue
		}
		if seen[string(e.key)] {
			if u.ins.Conflict.Set != nil {
				return errTwice()
			}
			drop[i] = true
			continue
		}
		seen[string(e.key)] = true
		wanted[i], keys = &e, append(keys, e.key)
	}
	found, err := r.get(ctx, x.Index.Entries, keys)
	if err != nil {
		return err
	}
	var open []int // rows whose entries are not there, as far as is known
	for i, e := range wanted {
		if e == nil {
			continue
		}
		row := found[0]
		found = found[1:]
		switch {
		case row.Value == nil:
			open = append(open, i)
		case u.ins.Conflict.Set == nil:
			drop[i] = true
		default:
			same, err := u.conflicting(ctx, x, i, e, &row)
			if err != nil {
				return err
			}
			if !same {
				open = append(open, i)
			}
		}
	}
	if err := u.lockOpen(ctx, x, wanted, open, drop); err != nil {
		return err
	}
	u.leaveOut(drop)
	return nil
}

// lockOpen locks entries that seem not to be there, and looks at them again.
func (u *upsert) lockOpen(ctx context.Context, x *queryplan.Entries, wanted []*entry, open []int, drop []bool) error {
	r := u.run
	var keys [][]byte
	var of []int
	for _, i := range open {
		if _, own := r.Tx.find(x.Index.Entries, wanted[i].key); !own {
			keys, of = append(keys, wanted[i].key), append(of, i)
		}
	}
	locked, err := r.lock(ctx, x.Index.Entries, keys, lock.Update)
	if err != nil {
		return err
	}
	for n, i := range of {
		switch {
		case locked[n].Value == nil:
		case u.ins.Conflict.Set == nil:
			drop[i] = true
		default:
			if _, err := u.conflicting(ctx, x, i, wanted[i], &locked[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// conflicting locks the row that an entry is of, and notes that proposed row i is in
// conflict with it. same is false if it is there no more, or has other values by now.
func (u *upsert) conflicting(ctx context.Context, x *queryplan.Entries, i int, e *entry, found *kv.Row) (same bool, err error) {
	r, table := u.run, u.ins.Table
	_, primary, _, err := x.Index.Split(found.Key, found.Value)
	if err != nil {
		return false, err
	}
	there, err := r.lockProposed(ctx, table, []proposed{{key: primary}})
	if err != nil || there[0].Value == nil {
		return false, err
	}
	row := make([]datum.Datum, len(table.Columns))
	if err := table.DecodeRow(there[0].Key, there[0].Value, row); err != nil {
		return false, err
	}
	now, ok, err := r.entryOf(x, row, primary)
	if err != nil || !ok || string(now.key) != string(e.key) {
		return false, err
	}
	u.there[i] = there[0]
	return true, nil
}

func (u *upsert) leaveOut(drop []bool) {
	n := 0
	for i := range u.rows {
		if !drop[i] {
			u.rows[n], u.there[n] = u.rows[i], u.there[i]
			n++
		}
	}
	u.rows, u.there = u.rows[:n], u.there[:n]
}

// apply buffers what becomes of the rows.
func (u *upsert) apply(ctx context.Context) ([][]datum.Datum, int64, error) {
	r, ins := u.run, u.ins
	var results [][]datum.Datum
	var changes []rowChange
	for i, p := range u.rows {
		there := &u.there[i]
		change := rowChange{is: p.row, isKey: p.key}
		if there.Key != nil {
			p.key = there.Key
			change = rowChange{was: make([]datum.Datum, len(ins.Table.Columns)), wasKey: p.key, isKey: p.key}
			if err := ins.Table.DecodeRow(there.Key, there.Value, change.was); err != nil {
				return nil, 0, err
			}
		}
		w, updated, err := r.upsertRow(ins, there, p)
		if err != nil {
			return nil, 0, err
		}
		if w == nil {
			continue
		}
		b := inserted(w.mut.Value)
		if w.mut.Expect != datastate.Absent {
			b, change.is = changed(w.mut.Value, w.mut.ExpectTS), updated
		}
		if err := r.Tx.put(ins.Table, w.mut.Key, b); err != nil {
			return nil, 0, err
		}
		results, changes = append(results, w.returned), append(changes, change)
	}
	r.noteWritten(ins.Table, changes)
	return results, int64(len(results)), r.bufferEntries(ctx, ins.Entries, changes)
}

// distinct drops rows that repeat a key (DO NOTHING) or refuses them (DO UPDATE).
func distinct(rows []proposed, ins *queryplan.Insert) ([]proposed, error) {
	seen := make(map[string]struct{}, len(rows))
	var out []proposed
	for _, p := range rows {
		if _, ok := seen[string(p.key)]; ok {
			if ins.Conflict.Set != nil {
				return nil, errTwice()
			}
			continue
		}
		seen[string(p.key)] = struct{}{}
		out = append(out, p)
	}
	return out, nil
}

// upsertInTx runs an INSERT with ON CONFLICT in a transaction: on the rows as they are
// when they are locked. Those that DO NOTHING finds in the snapshot are not locked.
func (r *Run) upsertInTx(ctx context.Context, ins *queryplan.Insert, rows []proposed) ([][]datum.Datum, int64, error) {
	if ins.Conflict.Set == nil {
		var err error
		if rows, err = r.absent(ctx, ins.Table, rows); err != nil {
			return nil, 0, err
		}
	}
	there, err := r.lockProposed(ctx, ins.Table, rows)
	if err != nil {
		return nil, 0, err
	}
	var results [][]datum.Datum
	for i, p := range rows {
		w, err := r.upsertWrite(ins, &there[i], p)
		if err != nil {
			return nil, 0, err
		}
		if w == nil {
			continue
		}
		b := inserted(w.mut.Value)
		if w.mut.Expect != datastate.Absent {
			b = changed(w.mut.Value, w.mut.ExpectTS)
		}
		if err := r.Tx.put(ins.Table, w.mut.Key, b); err != nil {
			return nil, 0, err
		}
		results = append(results, w.returned)
	}
	return results, int64(len(results)), nil
}

// absent leaves out the rows whose keys the transaction sees.
func (r *Run) absent(ctx context.Context, table *catalog.Table, rows []proposed) ([]proposed, error) {
	var out []proposed
	for part := range slices.Chunk(rows, keyBatch) {
		found, err := r.get(ctx, table, proposedKeys(part))
		if err != nil {
			return nil, err
		}
		for i, p := range part {
			if found[i].Value == nil {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

func proposedKeys(rows []proposed) [][]byte {
	keys := make([][]byte, len(rows))
	for i, p := range rows {
		keys[i] = p.key
	}
	return keys
}

// lockProposed locks the keys of rows and returns what is there, for the transaction.
func (r *Run) lockProposed(ctx context.Context, table *catalog.Table, rows []proposed) ([]kv.Row, error) {
	there := make([]kv.Row, len(rows))
	var keys [][]byte
	for i, p := range rows {
		if w, own := r.Tx.find(table, p.key); own {
			there[i] = kv.Row{Key: p.key, Value: w.value}
			continue
		}
		keys = append(keys, p.key)
	}
	locked, err := r.lock(ctx, table, keys, lock.Update)
	if err != nil {
		return nil, err
	}
	for i := range there {
		if there[i].Key == nil {
			there[i], locked = locked[0], locked[1:]
		}
	}
	return there, nil
}

// upsertWrites decides for each row whether it is inserted, updated or left.
func (r *Run) upsertWrites(ctx context.Context, ins *queryplan.Insert, rows []proposed) ([]*rowWrite, error) {
	found, err := r.get(ctx, ins.Table, proposedKeys(rows))
	if err != nil {
		return nil, err
	}
	var writes []*rowWrite
	for i, p := range rows {
		w, err := r.upsertWrite(ins, &found[i], p)
		if err != nil {
			return nil, err
		}
		if w == nil {
			continue
		}
		if err := r.Memory.Grow(w.held()); err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// upsertWrite decides about one row; nil: it stays as it is.
func (r *Run) upsertWrite(ins *queryplan.Insert, there *kv.Row, p proposed) (*rowWrite, error) {
	w, _, err := r.upsertRow(ins, there, p)
	return w, err
}

// upsertRow is upsertWrite with the row that is written.
func (r *Run) upsertRow(ins *queryplan.Insert, there *kv.Row, p proposed) (*rowWrite, []datum.Datum, error) {
	if there.Value == nil {
		w, err := r.insertion(ins, p)
		return w, p.row, err
	}
	return r.conflictUpdate(ins, there, p)
}

// conflictUpdate computes DO UPDATE; nil: the row stays as it is.
func (r *Run) conflictUpdate(ins *queryplan.Insert, found *kv.Row, p proposed) (*rowWrite, []datum.Datum, error) {
	if ins.Conflict.Set == nil {
		return nil, nil, nil
	}
	n := len(ins.Table.Columns)
	row := make([]datum.Datum, 2*n)
	if err := ins.Table.DecodeRow(found.Key, found.Value, row[:n]); err != nil {
		return nil, nil, err
	}
	copy(row[n:], p.row)
	if ok, err := r.accepts(ins.Conflict.Guard, row[:n]); err != nil {
		return nil, nil, err
	} else if !ok {
		return nil, nil, &syntax.Error{Code: "42501", Message: fmt.Sprintf("new row violates row-level security policy (USING expression) for table %q", ins.Table.Name())}
	}
	if ok, err := r.accepts(ins.Conflict.Where, row); err != nil || !ok {
		return nil, nil, err
	}
	updated, err := r.assign(ins.Table, ins.Conflict.Set, row)
	if err == nil {
		updated, err = r.conflictFired(ins.Table, p.key, row[:n], updated)
	}
	if err == nil && updated == nil {
		return nil, nil, nil
	}
	if err == nil {
		err = r.complete(ins.Table, ins.Conflict.Rules, updated)
	}
	if err == nil {
		err = r.after(cluster.OnUpdate, row[:n:n], updated)
	}
	if err != nil {
		return nil, nil, err
	}
	later, err := ins.Table.Later(found.Value)
	if err != nil {
		return nil, nil, err
	}
	r.Env.Updated = true
	returned, err := r.returned(ins.Returning, updated)
	r.Env.Updated = false
	return &rowWrite{returned: returned, mut: kv.Mutation{Pool: ins.Table.Pool(), Collection: ins.Table.ID(), Key: p.key, Value: ins.Table.EncodeValue(updated, later),
		Expect: datastate.VersionIs, ExpectTS: found.Version, Schema: ins.Table.Version()}}, updated, err
}
