package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxTxBytes bounds what a transaction buffers: it becomes one command.
const maxTxBytes = maxRowBytes

// Isolation is what a transaction sees of others.
type Isolation int

// The isolation levels: at ReadCommitted each statement reads a snapshot of its own, at
// RepeatableRead all statements read one.
const (
	ReadCommitted Isolation = iota
	RepeatableRead
)

// Tx is a transaction of several statements: snapshots and buffered writes.
type Tx struct {
	db        DB
	writer    cluster.WriterID
	isolation Isolation
	ts        hlc.Timestamp // 0: no statement has read yet
	tables    map[cluster.CollectionID]*buffer
	bytes     int
	rng       cluster.RangeID // of all writes, 0: none yet
	memory    *budget.Account // for what is buffered
	// undo is what writes replaced, oldest first, from the first Mark on.
	undo   []replaced
	marked bool
}

// buffer holds a transaction's writes to one collection.
type buffer struct {
	table *catalog.Table
	rows  map[string]*buffered
}

// buffered is a write. It is replaced, never changed.
type buffered struct {
	value  []byte // nil: deleted
	expect datastate.Condition
	seen   hlc.Timestamp // for NotNewerThan: when the row was read
}

// replaced is what a write took the place of.
type replaced struct {
	buffer *buffer
	key    string
	was    *buffered // nil: the row was not written before
	bytes  int       // that the write took
	held   int64     // of memory
}

// Mark is a state of a transaction's writes.
type Mark struct{ undo int }

// NewTx begins a transaction of the user with that number; what it buffers counts
// in memory.
func NewTx(db DB, writer cluster.WriterID, memory *budget.Account) *Tx {
	return &Tx{db: db, writer: writer, tables: map[cluster.CollectionID]*buffer{}, memory: memory}
}

// Begin begins a statement.
func (t *Tx) Begin(level Isolation) {
	if t.isolation = level; level == ReadCommitted {
		t.ts = 0
	}
}

// Close gives back what the transaction holds. It is not to be used after it.
func (t *Tx) Close() {
	if t != nil {
		t.memory.Close()
	}
}

// snapshot is the time that the statement reads at.
func (t *Tx) snapshot(ctx context.Context) (hlc.Timestamp, error) {
	if t.ts == 0 {
		ts, err := t.db.Fresh(ctx)
		if err != nil {
			return 0, fmt.Errorf("begin snapshot: %w", err)
		}
		t.ts = ts
	}
	return t.ts, nil
}

// Mark returns the state of the writes, to which BackTo can go.
func (t *Tx) Mark() Mark {
	t.marked = true
	return Mark{undo: len(t.undo)}
}

// BackTo takes back what was written since the mark.
func (t *Tx) BackTo(m Mark) {
	for _, r := range slices.Backward(t.undo[m.undo:]) {
		if r.was == nil {
			delete(r.buffer.rows, r.key)
		} else {
			r.buffer.rows[r.key] = r.was
		}
		t.bytes -= r.bytes
		t.memory.Shrink(r.held)
	}
	clear(t.undo[m.undo:])
	t.undo = t.undo[:m.undo]
	if !t.Wrote() {
		t.rng = 0
	}
}

// Wrote reports whether the transaction has anything to commit.
func (t *Tx) Wrote() bool {
	for _, b := range t.tables {
		if len(b.rows) > 0 {
			return true
		}
	}
	return false
}

// find returns the buffered write of a key.
func (t *Tx) find(table *catalog.Table, key []byte) (*buffered, bool) {
	if t == nil {
		return nil, false
	}
	b, ok := t.tables[table.ID()]
	if !ok {
		return nil, false
	}
	w, ok := b.rows[string(key)]
	return w, ok
}

// put buffers a write; value nil deletes. w says what the transaction saw when it met
// the key first.
func (t *Tx) put(table *catalog.Table, key []byte, w buffered) error {
	if err := checkRow(table, key, w.value); err != nil {
		return err
	}
	rng := t.db.RangeOf(table.Pool(), table.ID(), key)
	if t.rng != 0 && rng != t.rng {
		return MultiRange()
	}
	n, held := len(key)+len(w.value), int64(2*len(key)+len(w.value)+128)
	if t.bytes+n > maxTxBytes {
		return &syntax.Error{Code: "54000", Message: fmt.Sprintf("a transaction may write at most %d MiB", maxTxBytes>>20),
			Hint: "Split it: transactions are limited until they can span ranges."}
	}
	if err := t.memory.Grow(held); err != nil {
		return err
	}
	t.rng = rng
	t.bytes += n
	b, ok := t.tables[table.ID()]
	if !ok {
		b = &buffer{table: table, rows: map[string]*buffered{}}
		t.tables[table.ID()] = b
	}
	was := b.rows[string(key)]
	if t.marked {
		t.undo = append(t.undo, replaced{b, string(key), was, n, held})
	}
	if was != nil {
		w.expect, w.seen = was.expect, was.seen
	}
	if was != nil && w.value == nil && w.expect == datastate.Absent {
		delete(b.rows, string(key)) // inserted and deleted here: nothing happened
		return nil
	}
	b.rows[string(key)] = &w
	return nil
}

// changed is a write of a row that the statement saw at ts.
func changed(value []byte, ts hlc.Timestamp) buffered {
	return buffered{value: value, expect: datastate.NotNewerThan, seen: ts}
}

// inserted is a write of a row that was not there.
func inserted(value []byte) buffered { return buffered{value: value, expect: datastate.Absent} }

// touch makes COMMIT depend on a row that was read at ts: it is written as it is.
func (t *Tx) touch(table *catalog.Table, row kv.Row, ts hlc.Timestamp) error {
	if _, ok := t.find(table, row.Key); ok {
		return nil
	}
	return t.put(table, row.Key, changed(row.Value, ts))
}

// MultiRange is the error for a transaction that writes to more than one range.
func MultiRange() error {
	return &syntax.Error{Code: "0A000", Message: "a transaction can only write rows of one range so far",
		Hint: "Write the rows in separate statements outside of a transaction, each of which is atomic per range."}
}

// span returns the buffered keys within [start, end), ascending.
func (b *buffer) span(start, end []byte) []string {
	var out []string
	for k := range b.rows {
		if (start == nil || k >= string(start)) && (end == nil || k < string(end)) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// Commit writes all or nothing. It returns a *syntax.Error for conflicts.
func (t *Tx) Commit(ctx context.Context) error {
	var muts []kv.Mutation
	var tables []*catalog.Table
	for _, b := range t.tables {
		for k, w := range b.rows {
			muts = append(muts, kv.Mutation{Pool: b.table.Pool(), Collection: b.table.ID(), Key: []byte(k), Delete: w.value == nil, Value: w.value,
				Expect: w.expect, ExpectTS: w.seen})
			tables = append(tables, b.table)
		}
	}
	if len(muts) == 0 {
		return nil
	}
	_, err := t.db.Write(ctx, muts, kv.WriteOptions{OneRange: true, Writer: t.writer})
	var multi *kv.MultiRangeError
	var failed *kv.ConditionError
	switch {
	case errors.As(err, &multi):
		return MultiRange()
	case errors.As(err, &failed) && failed.Mutation < len(muts):
		if muts[failed.Mutation].Expect == datastate.Absent {
			return uniqueViolation(tables[failed.Mutation], muts[failed.Mutation].Key)
		}
		return errConflict
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// uniqueViolation is 23505 on the primary key.
func uniqueViolation(table *catalog.Table, key []byte) *syntax.Error {
	columns, values := table.DecodeKeyText(key)
	return &syntax.Error{Code: "23505", Message: fmt.Sprintf("duplicate key value violates unique constraint %q", table.KeyName()),
		Detail: fmt.Sprintf("Key (%s)=(%s) already exists.", columns, values), Table: table.Name(), Constraint: table.KeyName()}
}

// merged gives the rows of a scan with a transaction's writes over them.
type merged struct {
	rows    Rows
	buffer  *buffer
	pending []string // buffered keys of the span that were not given yet
	ordered bool
	reverse bool
	ended   bool
}

func newMerged(rows Rows, b *buffer, req *kv.ScanRequest) *merged {
	m := &merged{rows: rows, buffer: b, pending: b.span(req.Start, req.End), ordered: req.Ordered || req.Reverse, reverse: req.Reverse}
	if m.reverse {
		slices.Reverse(m.pending)
	}
	return m
}

func (m *merged) Close() { m.rows.Close() }

func (m *merged) Next(ctx context.Context) ([]kv.Row, error) {
	if m.ended {
		return m.rest()
	}
	batch, err := m.rows.Next(ctx)
	if err != nil {
		m.ended = true
		if batch, restErr := m.rest(); restErr == nil && isEOF(err) {
			return batch, nil
		}
		return nil, err
	}
	out := make([]kv.Row, 0, len(batch))
	for _, r := range batch {
		if m.ordered {
			out = m.before(out, r.Key)
		}
		if _, ok := m.buffer.rows[string(r.Key)]; !ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// before appends the pending rows that come before key.
func (m *merged) before(out []kv.Row, key []byte) []kv.Row {
	for len(m.pending) > 0 {
		order := bytes.Compare([]byte(m.pending[0]), key)
		if m.reverse {
			order = -order
		}
		if order > 0 {
			break
		}
		out = m.take(out)
	}
	return out
}

// take appends the first pending row, unless it is a deletion.
func (m *merged) take(out []kv.Row) []kv.Row {
	key := m.pending[0]
	m.pending = m.pending[1:]
	if w := m.buffer.rows[key]; w != nil && w.value != nil {
		out = append(out, kv.Row{Key: []byte(key), Value: w.value})
	}
	return out
}

func (m *merged) rest() ([]kv.Row, error) {
	if len(m.pending) == 0 {
		return nil, errEOF
	}
	var out []kv.Row
	for len(m.pending) > 0 {
		out = m.take(out)
	}
	return out, nil
}
