package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// proposed is a row that an INSERT wants to add.
type proposed struct {
	key []byte
	row []datum.Datum
}

// Insert runs an INSERT and returns the number of rows inserted or updated.
func (r *Run) Insert(ctx context.Context, ins *queryplan.Insert, slow SlowRows) (int64, error) {
	if r.streams(ins) {
		return r.insertStream(ctx, ins, slow)
	}
	rows, err := r.proposals(ctx, ins, slow)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if ins.Conflict != nil {
		if rows, err = distinct(rows, ins); err != nil {
			return 0, err
		}
		return r.upsert(ctx, ins, rows)
	}
	if r.Tx != nil {
		return r.insertInTx(ctx, ins, rows)
	}
	writes := insertions(ins.Table, rows)
	if err := refuseRepeated(ins.Table, writes); err != nil {
		return 0, err
	}
	written, err := r.insertRows(ctx, ins.Table, writes)
	if err != nil {
		return 0, finish(err, written, len(writes))
	}
	return int64(len(rows)), r.returning(ins.Returning, results(writes))
}

// insertRows writes new rows. That a key is there already is what the leader of its
// range finds: nothing is read before. The violation that is told is the first in
// the order of the rows.
func (r *Run) insertRows(ctx context.Context, table *catalog.Table, writes []*rowWrite) (written int, err error) {
	done, conflicts, err := r.apply(ctx, table, writes, true)
	if err == nil && len(conflicts) > 0 {
		first := slices.MinFunc(conflicts, func(a, b *chunk) int { return a.failed.at - b.failed.at })
		err = uniqueViolation(table, first.failed.mut.Key)
	}
	return len(done), err
}

// insertInTx buffers new rows. COMMIT would find the keys that are there already,
// but a statement that violates a key has to say so itself.
func (r *Run) insertInTx(ctx context.Context, ins *queryplan.Insert, rows []proposed) (int64, error) {
	writes := insertions(ins.Table, rows)
	if err := refuseRepeated(ins.Table, writes); err != nil {
		return 0, err
	}
	if err := r.refusePresent(ctx, ins.Table, writes); err != nil {
		return 0, err
	}
	for _, w := range writes {
		if err := r.Tx.put(ins.Table, w.mut.Key, inserted(w.mut.Value)); err != nil {
			return 0, err
		}
	}
	return int64(len(rows)), r.returning(ins.Returning, results(writes))
}

func insertions(table *catalog.Table, rows []proposed) []*rowWrite {
	writes := make([]*rowWrite, len(rows))
	for i, p := range rows {
		writes[i] = insertion(table, p)
	}
	return writes
}

func results(writes []*rowWrite) [][]datum.Datum {
	rows := make([][]datum.Datum, len(writes))
	for i, w := range writes {
		rows[i] = w.result
	}
	return rows
}

func insertion(table *catalog.Table, p proposed) *rowWrite {
	return &rowWrite{result: p.row, mut: kv.Mutation{Pool: table.Pool(), Collection: table.ID(), Key: p.key,
		Value: table.EncodeValue(p.row), Expect: datastate.Absent}}
}

// proposals computes all rows.
func (r *Run) proposals(ctx context.Context, ins *queryplan.Insert, slow SlowRows) ([]proposed, error) {
	var out []proposed
	total := 0
	err := r.propose(ctx, ins, slow, func(p proposed) error {
		out = append(out, p)
		total += rowBytes(p.row)
		// The row, and what is written of it.
		if err := r.Memory.Grow(heldRow(p.row)); err != nil {
			return err
		}
		return checkSize(len(out), total)
	})
	return out, err
}

// propose computes the rows and gives each to add.
func (r *Run) propose(ctx context.Context, ins *queryplan.Insert, slow SlowRows, add func(proposed) error) error {
	check := func(row []datum.Datum) error {
		if err := checkNotNull(ins.Table, row); err != nil {
			return err
		}
		key, err := ins.Table.EncodeKey(row)
		if err != nil {
			return err
		}
		return add(proposed{key: key, row: row})
	}
	if ins.Select == nil && ins.Slow == nil {
		for _, exprs := range ins.Rows {
			row, err := r.evalRow(exprs)
			if err != nil {
				return err
			}
			if err := check(row); err != nil {
				return err
			}
		}
		return nil
	}
	source := func(values []datum.Datum) error {
		row, err := r.mapRow(ins, values)
		if err != nil {
			return err
		}
		return check(row)
	}
	if ins.Slow != nil {
		return slow(ctx, ins.Slow, source)
	}
	inner := *r
	inner.Emit = source
	_, err := inner.Select(ctx, ins.Select)
	return err
}

func (r *Run) evalRow(exprs []queryplan.Expr) ([]datum.Datum, error) {
	row := make([]datum.Datum, len(exprs))
	var err error
	for i, e := range exprs {
		if row[i], err = e.Eval(r.Env); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// mapRow makes a table's row of a source's.
func (r *Run) mapRow(ins *queryplan.Insert, values []datum.Datum) ([]datum.Datum, error) {
	row := make([]datum.Datum, len(ins.From))
	for i, from := range ins.From {
		var err error
		if from < 0 {
			row[i], err = ins.Defaults[i].Eval(r.Env)
		} else {
			row[i], err = queryplan.Assign(r.Env, values[from], ins.Table.Columns[i].Type, ins.Table.Columns[i].Modifier)
		}
		if err != nil {
			return nil, err
		}
	}
	return row, nil
}

func rowBytes(row []datum.Datum) int {
	n := 48 * len(row)
	for i := range row {
		n += len(row[i].S)
	}
	return n
}

// heldRow is about what a row takes that is to be written.
func heldRow(row []datum.Datum) int64 { return int64(2*rowBytes(row) + perRow) }

// perRow is about what a row that is held takes beside its values.
const perRow = 256

func checkSize(rows, bytes int) error {
	if rows > maxRows || bytes > maxBytes {
		return &syntax.Error{Code: "54000", Message: fmt.Sprintf("statement changes more than %d rows or %d MiB", maxRows, maxBytes>>20),
			Hint: "Split it by key."}
	}
	return nil
}

func checkNotNull(table *catalog.Table, row []datum.Datum) error {
	for i, c := range table.Columns {
		if c.NotNull && row[i].Null {
			return &syntax.Error{Code: "23502", Message: fmt.Sprintf("null value in column %q of relation %q violates not-null constraint", c.Name, table.Name()),
				Detail: "Failing row contains (" + rowText(table, row) + ").", Table: table.Name(), Column: c.Name}
		}
	}
	return nil
}

// rowText shows a row as PostgreSQL's details do.
func rowText(table *catalog.Table, row []datum.Datum) string {
	const limit = 64
	var parts []string
	for i, c := range table.Columns {
		if c.Hidden {
			continue
		}
		text := "null"
		if !row[i].Null {
			if text = row[i].Text(); len(text) > limit {
				text = text[:limit] + "..."
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// refuseRepeated finds a key that a statement has twice, before anything is written.
func refuseRepeated(table *catalog.Table, writes []*rowWrite) error {
	if len(writes) < 2 {
		return nil
	}
	seen := make(map[string]struct{}, len(writes))
	for _, w := range writes {
		if _, ok := seen[string(w.mut.Key)]; ok {
			return uniqueViolation(table, w.mut.Key)
		}
		seen[string(w.mut.Key)] = struct{}{}
	}
	return nil
}

// refusePresent finds keys that are there already, as the transaction sees them.
func (r *Run) refusePresent(ctx context.Context, table *catalog.Table, writes []*rowWrite) error {
	for part := range slices.Chunk(writes, chunkRows) {
		keys := make([][]byte, len(part))
		for i, w := range part {
			keys[i] = w.mut.Key
		}
		found, err := r.get(ctx, table, keys)
		if err != nil {
			return err
		}
		for i, f := range found {
			if f.Value != nil {
				return uniqueViolation(table, keys[i])
			}
		}
	}
	return nil
}

// distinct drops rows that repeat a key (DO NOTHING) or refuses them (DO UPDATE).
func distinct(rows []proposed, ins *queryplan.Insert) ([]proposed, error) {
	seen := make(map[string]struct{}, len(rows))
	var out []proposed
	for _, p := range rows {
		if _, ok := seen[string(p.key)]; ok {
			if ins.Conflict.Set != nil {
				return nil, &syntax.Error{Code: "21000", Message: "ON CONFLICT DO UPDATE command cannot affect row a second time",
					Hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values."}
			}
			continue
		}
		seen[string(p.key)] = struct{}{}
		out = append(out, p)
	}
	return out, nil
}

// upsert runs an INSERT with ON CONFLICT. What is there is read anew at each attempt,
// whatever snapshot the source was read at: a row that came later would be met for ever.
func (r *Run) upsert(ctx context.Context, ins *queryplan.Insert, rows []proposed) (int64, error) {
	latest := *r
	latest.TS = 0
	r = &latest
	if r.Tx == nil && len(rows) == 1 {
		return r.upsertOne(ctx, ins, rows[0])
	}
	var results [][]datum.Datum
	done := 0
	kept := keptPlaces{db: r.DB}
	defer kept.giveUp()
	for len(rows) > 0 {
		writes, pending, err := r.upsertWrites(ctx, ins, rows)
		if err != nil {
			return 0, finish(err, done, done+len(rows))
		}
		if r.Tx != nil {
			for _, w := range writes {
				b := inserted(w.mut.Value)
				if w.mut.Expect != datastate.Absent {
					b = changed(w.mut.Value, r.TS)
				}
				if err := r.Tx.put(ins.Table, w.mut.Key, b); err != nil {
					return 0, err
				}
				results = append(results, w.result)
			}
			break
		}
		kept.goOn(writes)
		written, conflicts, err := r.apply(ctx, ins.Table, writes, false)
		kept.lose(conflicts)
		done += len(written)
		for _, w := range written {
			results = append(results, w.result)
		}
		if err != nil {
			return 0, finish(err, done, done+len(rows))
		}
		rows = rows[:0:0]
		for _, c := range conflicts {
			for _, w := range c.rows {
				rows = append(rows, pending[w])
			}
		}
	}
	return int64(len(results)), r.returning(ins.Returning, results)
}

// upsertWrites decides for each row whether it is inserted, updated or left.
func (r *Run) upsertWrites(ctx context.Context, ins *queryplan.Insert, rows []proposed) ([]*rowWrite, map[*rowWrite]proposed, error) {
	keys := make([][]byte, len(rows))
	for i, p := range rows {
		keys[i] = p.key
	}
	found, err := r.get(ctx, ins.Table, keys)
	if err != nil {
		return nil, nil, err
	}
	var writes []*rowWrite
	pending := make(map[*rowWrite]proposed, len(rows))
	for i, p := range rows {
		w := insertion(ins.Table, p)
		if found[i].Value != nil {
			if w, err = r.conflictUpdate(ins, found[i], p); err != nil {
				return nil, nil, err
			}
		}
		if w != nil {
			writes = append(writes, w)
			pending[w] = p
		}
	}
	return writes, pending, nil
}

// conflictUpdate computes DO UPDATE; nil: the row stays as it is.
func (r *Run) conflictUpdate(ins *queryplan.Insert, found kv.Row, p proposed) (*rowWrite, error) {
	if ins.Conflict.Set == nil {
		return nil, nil
	}
	n := len(ins.Table.Columns)
	row := make([]datum.Datum, 2*n)
	if err := ins.Table.DecodeRow(found.Key, found.Value, row[:n]); err != nil {
		return nil, err
	}
	copy(row[n:], p.row)
	if ok, err := r.accepts(ins.Conflict.Where, row); err != nil || !ok {
		return nil, err
	}
	updated, err := r.assign(ins.Table, ins.Conflict.Set, row)
	if err != nil {
		return nil, err
	}
	return &rowWrite{result: updated, mut: kv.Mutation{Pool: ins.Table.Pool(), Collection: ins.Table.ID(), Key: p.key, Value: ins.Table.EncodeValue(updated),
		Expect: datastate.VersionIs, ExpectTS: found.Version}}, nil
}

// assign computes a row after SET. row may be longer than the table's.
func (r *Run) assign(table *catalog.Table, set []queryplan.Assignment, row []datum.Datum) ([]datum.Datum, error) {
	updated := slices.Clone(row[:len(table.Columns)])
	r.Env.Row = row
	for _, a := range set {
		var err error
		if updated[a.Column], err = a.Value.Eval(r.Env); err != nil {
			return nil, err
		}
	}
	return updated, checkNotNull(table, updated)
}

// returning emits the RETURNING list for each row.
func (r *Run) returning(list []queryplan.Expr, rows [][]datum.Datum) error {
	if list == nil {
		return nil
	}
	out := make([]datum.Datum, len(list))
	for _, row := range rows {
		r.Env.Row = row
		for i, e := range list {
			var err error
			if out[i], err = e.Eval(r.Env); err != nil {
				return errors.Join(errReturning, err)
			}
		}
		if err := r.Emit(out); err != nil {
			return err
		}
	}
	return nil
}

// errReturning marks an error after the rows were written.
var errReturning = errors.New("the rows were written") //nolint:gochecknoglobals // a sentinel
