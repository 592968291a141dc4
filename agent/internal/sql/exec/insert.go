package exec

import (
	"cmp"
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
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// proposed is a row that an INSERT wants to add.
type proposed struct {
	key []byte
	row []datum.Datum
}

// Insert runs an INSERT and returns the number of rows inserted or updated.
func (r *Run) Insert(ctx context.Context, ins *queryplan.Insert, slow SlowRows) (int64, error) {
	if r.Tx != nil && r.before == nil {
		r.work = &keyWork{}
	}
	refers := looksLater(ins.Table)
	if r.Feed != nil {
		return r.insertFed(ctx, ins)
	}
	if r.Triggers != nil {
		return r.insertFired(ctx, ins, slow)
	}
	if r.Tx == nil && (r.Waiting.Lock > 0 || r.Level == serializable && (ins.Select != nil || ins.Slow != nil)) {
		return r.insertAtomic(ctx, ins, func(in *Run) ([][]datum.Datum, int64, error) {
			rows, err := in.proposals(ctx, ins, slow)
			if err != nil || len(rows) == 0 {
				return nil, 0, err
			}
			return in.insertInTx(ctx, ins, rows)
		})
	}
	if r.Tx == nil && ins.Conflict == nil && !refers {
		return r.insertNew(ctx, ins, slow)
	}
	rows, err := r.proposals(ctx, ins, slow)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if r.Tx == nil && (refers || len(ins.Entries) > 0) {
		latest := *r
		latest.TS = 0
		return latest.insertAtomic(ctx, ins, func(in *Run) ([][]datum.Datum, int64, error) { return in.insertInTx(ctx, ins, rows) })
	}
	if r.Tx != nil {
		results, n, err := r.insertInTx(ctx, ins, rows)
		if err == nil {
			err = r.settleKeys(ctx)
		}
		if err != nil {
			return 0, err
		}
		return n, r.emit(ins.Returning, results)
	}
	if rows, err = distinct(rows, ins); err != nil {
		return 0, err
	}
	if len(rows) == 1 {
		if n, err := r.upsertOne(ctx, ins, rows[0]); !isBlocked(err) {
			return n, err
		}
	} else if r.proposedInOne(ins.Table, rows) {
		latest := *r
		latest.TS = 0 // what is there is read anew at each attempt, whatever the source was read at
		writes, err := r.inRange(ctx, ins.Table, func() ([]*rowWrite, error) { return latest.upsertWrites(ctx, ins, rows) })
		if err == nil {
			return int64(len(writes)), r.emitOf(ins.Returning, writes)
		}
		if !errors.Is(err, errSeveral) {
			return 0, err
		}
	}
	return r.insertAtomic(ctx, ins, func(in *Run) ([][]datum.Datum, int64, error) { return in.upsertInTx(ctx, ins, rows) })
}

func (r *Run) insertAtomic(ctx context.Context, ins *queryplan.Insert, fn func(in *Run) ([][]datum.Datum, int64, error)) (int64, error) {
	results, n, err := r.atomic(ctx, fn)
	if err != nil {
		return 0, err
	}
	return n, r.emit(ins.Returning, results)
}

// insertNew writes new rows outside of a transaction, all or none. That a key is there
// already is what the leader of its range finds: nothing is read or locked before.
func (r *Run) insertNew(ctx context.Context, ins *queryplan.Insert, slow SlowRows) (int64, error) {
	if ins.Select != nil {
		if err := r.Pin(ctx); err != nil {
			return 0, err
		}
	}
	writes, err := r.insertions(ctx, ins, slow)
	if err != nil || len(writes) == 0 {
		return 0, err
	}
	if err := refuseRepeated(ins.Table, writes); err != nil {
		return 0, err
	}
	if err := refuseRepeatedEntries(writes); err != nil {
		return 0, err
	}
	muts, err := r.command(ins.Table, writes)
	var multi *kv.MultiRangeError
	if err == nil {
		_, err = r.DB.Write(ctx, muts, kv.WriteOptions{OneRange: true, Writer: r.Writer, Yield: true})
	}
	if errors.Is(err, errSeveral) || errors.As(err, &multi) || isBlocked(err) {
		err = r.insertSeveral(ctx, ins.Table, writes)
	}
	var condition *kv.ConditionError
	switch {
	case errors.As(err, &condition):
		return 0, r.violation(ctx, ins.Table, writes, condition.Mutation)
	case err != nil:
		return 0, fmt.Errorf("write rows: %w", err)
	}
	return int64(len(writes)), r.emitOf(ins.Returning, writes)
}

// insertSeveral writes new rows of several ranges.
func (r *Run) insertSeveral(ctx context.Context, table *catalog.Table, writes []*rowWrite) error {
	muts, err := r.mutations(table, writes)
	if err != nil {
		return err
	}
	for {
		t := r.DB.Begin(txn.ReadCommitted, r.Info)
		t.SetDeadlockTimeout(r.Waiting.Deadlock)
		_, err := t.Commit(ctx, muts, r.Writer)
		t.Rollback()
		var conflict *txn.ConflictError
		if !errors.As(err, &conflict) || ctx.Err() != nil {
			return err
		}
	}
}

// violation tells the first row of a statement whose key is there. failed is one.
func (r *Run) violation(ctx context.Context, table *catalog.Table, writes []*rowWrite, failed int) error {
	for part := range slices.Chunk(writes[:min(failed, len(writes))], keyBatch) {
		keys := make([][]byte, len(part))
		for i, w := range part {
			keys[i] = w.mut.Key
		}
		rows, err := r.DB.Get(ctx, kv.GetRequest{Pool: table.Pool(), Collection: table.ID(), Keys: keys})
		if err != nil {
			break // one of them is told
		}
		for i := range rows {
			if rows[i].Value != nil {
				return uniqueViolation(table, rows[i].Key)
			}
		}
	}
	if failed < len(writes) {
		return uniqueViolation(table, writes[failed].mut.Key)
	}
	if e := r.takenEntry(ctx, writes); e != nil {
		return e.violation()
	}
	return metEntry(writes, failed).violation()
}

// metEntry is the entry that is written by the mutation with the number.
func metEntry(writes []*rowWrite, mutation int) *entry {
	n := mutation - len(writes)
	for _, w := range writes {
		if n < len(w.entries) {
			return &w.entries[n]
		}
		n -= len(w.entries)
	}
	return &writes[0].entries[0] // cannot be
}

// proposedInOne reports whether rows may be written by one command.
func (r *Run) proposedInOne(table *catalog.Table, rows []proposed) bool {
	in := r.DB.RangeOf(table.Pool(), table.ID(), rows[0].key)
	for _, p := range rows[1:] {
		if r.DB.RangeOf(table.Pool(), table.ID(), p.key) != in {
			return false
		}
	}
	return len(rows) <= commandRows
}

// insertInTx locks the keys of new rows and buffers them. COMMIT would find the keys
// that are there already, but a statement that violates a key has to say so itself.
func (r *Run) insertInTx(ctx context.Context, ins *queryplan.Insert, rows []proposed) ([][]datum.Datum, int64, error) {
	if ins.Conflict != nil && (len(ins.Entries) > 0 || len(ins.Table.Desc.Collection.ForeignKeys) > 0) {
		return r.upsertIndexed(ctx, ins, rows)
	}
	if ins.Conflict != nil {
		rows, err := distinct(rows, ins)
		if err != nil || len(rows) == 0 {
			return nil, 0, err
		}
		return r.upsertInTx(ctx, ins, rows)
	}
	writes := make([]*rowWrite, len(rows))
	keys := make([][]byte, len(rows))
	for i, p := range rows {
		w, err := r.insertion(ins, p)
		if err != nil {
			return nil, 0, r.inFront(ctx, ins, rows[:i+1], err)
		}
		writes[i], keys[i] = w, p.key
		if own, ok := r.Tx.find(ins.Table, p.key); ok && own.value != nil {
			return nil, 0, uniqueViolation(ins.Table, p.key)
		}
	}
	if err := refuseRepeated(ins.Table, writes); err != nil {
		return nil, 0, err
	}
	if r.Feed != nil && ins.Table.Columns[ins.Table.Key[0]].Hidden {
		r.Tx.Transaction() // COMMIT writes; a key that was just made up nobody else can have
	} else if err := r.lockAbsent(ctx, ins.Table, keys, keyViolation(ins.Table)); err != nil {
		return nil, 0, err
	}
	added := newRows(rows)
	if err := r.bufferEntries(ctx, ins.Entries, added); err != nil {
		return nil, 0, err
	}
	r.noteWritten(ins.Table, added)
	results := make([][]datum.Datum, len(writes))
	for i, w := range writes {
		if err := r.Tx.put(ins.Table, w.mut.Key, inserted(w.mut.Value)); err != nil {
			return nil, 0, err
		}
		results[i] = w.returned
	}
	return results, int64(len(results)), nil
}

func newRows(rows []proposed) []rowChange {
	out := make([]rowChange, len(rows))
	for i, p := range rows {
		out[i] = rowChange{is: p.row, isKey: p.key}
	}
	return out
}

// insertion is the write of a new row.
func (r *Run) insertion(ins *queryplan.Insert, p proposed) (*rowWrite, error) {
	returned, err := r.returned(ins.Returning, p.row)
	if err == nil {
		err = r.insertedFired(p)
	}
	return &rowWrite{returned: returned, mut: kv.Mutation{Pool: ins.Table.Pool(), Collection: ins.Table.ID(), Key: p.key,
		Value: ins.Table.EncodeValue(p.row, datum.Later{}), Expect: datastate.Absent, Schema: ins.Table.Version()}}, err
}

// insertions computes the writes of all new rows.
func (r *Run) insertions(ctx context.Context, ins *queryplan.Insert, slow SlowRows) ([]*rowWrite, error) {
	var out []*rowWrite
	total, front := 0, 0
	var own error // of a row that is added
	err := r.propose(ctx, ins, slow, func(p proposed) error {
		front++
		w, err := r.insertion(ins, p)
		if err == nil {
			w.entries, err = r.entriesOf(ins.Adding(), p.row, p.key)
		}
		if own = err; err != nil {
			return err
		}
		out = append(out, w)
		total += w.size() + rowBytes(w.returned)
		if err := r.Memory.Grow(w.held()); err != nil {
			return err
		}
		return checkSize(len(out), total)
	})
	if own != nil || err != nil && inTurn(ins, err) {
		err = r.behind(ctx, ins, slow, front, err)
	}
	return out, err
}

// proposals computes all rows.
func (r *Run) proposals(ctx context.Context, ins *queryplan.Insert, slow SlowRows) ([]proposed, error) {
	var out []proposed
	total := 0
	err := r.propose(ctx, ins, slow, func(p proposed) error {
		out = append(out, p)
		total += rowBytes(p.row)
		// The row, and what is written of it.
		if err := r.Memory.Grow(HeldRow(p.row)); err != nil {
			return err
		}
		return checkSize(len(out), total)
	})
	if err != nil && r.Triggers == nil && inTurn(ins, err) {
		err = r.inFront(ctx, ins, out, err)
	}
	return out, err
}

// propose computes the rows and gives each to add.
func (r *Run) propose(ctx context.Context, ins *queryplan.Insert, slow SlowRows, add func(proposed) error) error {
	check := func(row []datum.Datum) error {
		if r.Triggers != nil { // they see it before it is checked
			return add(proposed{row: row})
		}
		if err := r.complete(ins.Table, ins.Rules, row); err != nil {
			return err
		}
		key, err := ins.Table.EncodeKey(row)
		if err != nil {
			return err
		}
		return add(proposed{key: key, row: row})
	}
	if ins.Select == nil && ins.Slow == nil {
		for i, exprs := range ins.Rows {
			row, err := r.evalRow(exprs)
			if err != nil {
				return err
			}
			if err := check(row); err != nil {
				return cmp.Or(r.evalRows(ins.Rows[i+1:]), err)
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
		return slow(ctx, r, ins.Slow, source)
	}
	reader, err := r.Reader(ctx, ins.Select)
	if err != nil {
		return err
	}
	inner := *reader
	inner.Emit = source
	_, err = inner.Select(ctx, ins.Select)
	return err
}

// evalRows says whether rows can be computed: where they are constants, PostgreSQL does that
// before it looks at the first.
func (r *Run) evalRows(rows [][]queryplan.Expr) error {
	for _, exprs := range rows {
		if _, err := r.evalRow(exprs); err != nil {
			return err
		}
	}
	return nil
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

// HeldRow is about what a row takes that is to be written.
func HeldRow(row []datum.Datum) int64 { return int64(2*rowBytes(row) + perRow) }

// perRow is about what a row that is held takes beside its values.
const perRow = 256

func checkSize(rows, bytes int) error {
	if rows > maxRows || bytes > maxBytes {
		return &syntax.Error{Code: "54000", Message: fmt.Sprintf("statement changes more than %d rows or %d MiB", maxRows, maxBytes>>20),
			Hint: "Split it by key."}
	}
	return nil
}

// violated is what is wrong with a new row that policies do not let pass.
func violated(table *catalog.Table, policy string) error {
	name := ""
	if policy != "" {
		name = fmt.Sprintf("%q ", policy)
	}
	return &syntax.Error{Code: "42501", Message: fmt.Sprintf("new row violates row-level security policy %sfor table %q", name, table.Name())}
}

// complete computes the generated columns of a row that is to be written, and checks it.
func (r *Run) complete(table *catalog.Table, rules *queryplan.Rules, row []datum.Datum) (err error) {
	r.Env.Row = row
	for _, g := range rules.Generated {
		if row[g.Column], err = g.Value.Eval(r.Env); err != nil {
			return err
		}
	}
	for _, d := range rules.Domains {
		if err := d.Domain.Check(r.Env, row[d.Column]); err != nil {
			return err
		}
	}
	r.Env.Row = row
	for _, k := range rules.Policies {
		if ok, err := r.accepts(k.Condition, row); err != nil {
			return err
		} else if !ok {
			return violated(table, k.Name)
		}
		r.Env.Row = row
	}
	if err := checkNotNull(table, row); err != nil {
		return err
	}
	for _, k := range rules.Checks {
		v, err := k.Value.Eval(r.Env)
		if err != nil {
			return err
		}
		if !v.Null && !v.Bool() {
			return &syntax.Error{Code: "23514", Message: fmt.Sprintf("new row for relation %q violates check constraint %q", table.Name(), k.Name),
				Detail: "Failing row contains (" + rowText(table, row) + ").", Schema: table.Schema().Name, Table: table.Name(), Constraint: k.Name}
		}
	}
	if rules.Conversion != nil { // what it becomes has to be possible, too
		if _, err := rules.Conversion.Row(row); err != nil {
			return err
		}
	}
	for _, k := range rules.Options {
		v, err := k.Value.Eval(r.Env)
		if err != nil {
			return err
		}
		if v.Null || !v.Bool() {
			return &syntax.Error{Code: "44000", Message: fmt.Sprintf("new row violates check option for view %q", k.Name),
				Detail: "Failing row contains (" + rowText(table, row) + ")."}
		}
	}
	return nil
}

func checkNotNull(table *catalog.Table, row []datum.Datum) error {
	for i, c := range table.Columns {
		if c.NotNull && row[i].Null {
			return &syntax.Error{Code: "23502", Message: fmt.Sprintf("null value in column %q of relation %q violates not-null constraint", c.Name, table.Name()),
				Detail: "Failing row contains (" + rowText(table, row) + ").", Schema: table.Schema().Name, Table: table.Name(), Column: c.Name}
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
	return updated, nil
}
