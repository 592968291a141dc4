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
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// maxTxBytes bounds what a transaction buffers.
const maxTxBytes = maxBytes

// Tx is a transaction: snapshots, locks and buffered writes.
type Tx struct {
	db      DB
	options TxOptions
	level   txn.Isolation
	txn     Transaction   // nil: no statement has needed it yet
	past    hlc.Timestamp // all statements read at, if they may read the past; 0: they do not
	tables  map[cluster.CollectionID]*buffer
	bytes   int
	held    hlc.Timestamp // is kept from being collected, until release; 0: none is
	release func()
	// undo is what writes replaced, oldest first, from the first Mark on.
	undo   []replaced
	marked bool
	// deferred is what foreign keys leave to COMMIT.
	deferred []deferredKey
}

// TxOptions are whose a transaction is, and what it may take.
type TxOptions struct {
	Writer cluster.WriterID
	Info   txn.Info
	// Memory counts what is buffered. It is not closed.
	Memory *budget.Account
	// Planted are faults that tests plant.
	Planted Planted
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
	seen   hlc.Timestamp // the version that VersionIs expects
	// marks says that it is written though nothing may be there before and after: who fills
	// an index by rows as they were sees that one has changed since.
	marks bool
}

// replaced is what a write took the place of.
type replaced struct {
	buffer *buffer
	key    string
	was    *buffered // nil: the row was not written before
	bytes  int       // that the write took
	held   int64     // of memory
}

// Mark is a state of a transaction's writes and locks.
type Mark struct {
	undo, locks int
	deferred    []deferredKey
}

// NewTx returns a transaction in which nothing was done yet.
func NewTx(db DB, o TxOptions) *Tx {
	return &Tx{db: db, options: o, tables: map[cluster.CollectionID]*buffer{}}
}

// Begin begins a statement. The level is that of the first one.
func (t *Tx) Begin(level txn.Isolation) {
	if t.txn == nil {
		t.level = level
		return
	}
	t.txn.Refresh()
}

// Transaction is what the statements have the cluster do in.
func (t *Tx) Transaction() Transaction {
	if t.txn == nil {
		t.txn = t.db.Begin(t.level, t.options.Info)
	}
	return t.txn
}

// Close gives the locks of the transaction up. It is not to be used after it, but for
// another Close.
func (t *Tx) Close() {
	if t == nil {
		return
	}
	t.hold(0)
	if t.txn != nil {
		t.txn.Rollback()
	}
}

// snapshot is the time that the statement reads at.
func (t *Tx) snapshot(ctx context.Context) (hlc.Timestamp, error) {
	if t.past != 0 {
		t.hold(t.past)
		return t.past, nil
	}
	ts, err := t.Transaction().Read(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin snapshot: %w", err)
	}
	t.hold(ts)
	return ts, nil
}

// hold keeps what can be read at ts from being collected, and nothing else any more.
func (t *Tx) hold(ts hlc.Timestamp) {
	if ts == t.held {
		return
	}
	if t.release != nil {
		t.release()
	}
	t.held, t.release = ts, nil
	if ts != 0 {
		t.release = t.db.Hold(ts)
	}
}

// Wrote reports whether the transaction has written rows of collections that keep
// accepts; nil: of any.
func (t *Tx) Wrote(keep func(*catalog.Table) bool) bool {
	for _, b := range t.tables {
		if len(b.rows) > 0 && (keep == nil || keep(b.table)) {
			return true
		}
	}
	return false
}

// Forget takes back all that was written to collections. The transaction is to end with it.
func (t *Tx) Forget(collections []cluster.CollectionID) {
	for _, id := range collections {
		delete(t.tables, id)
	}
}

// CommitOptions say what is to be committed.
type CommitOptions struct {
	// Keep says of which collections rows are written; nil: of all.
	Keep func(*catalog.Table) bool
	// With takes part in the commit; nil: nobody.
	With txn.Participant
	// Versions are those that the commit gives to tables: rows of these are written by them.
	Versions []cluster.SchemaVersion
}

// Tables are those that the transaction has written to.
func (t *Tx) Tables() []*catalog.Table {
	var out []*catalog.Table
	for _, b := range t.tables {
		if len(b.rows) > 0 {
			out = append(out, b.table)
		}
	}
	return out
}

// Mark returns the state of the writes and the locks, to which BackTo can go.
func (t *Tx) Mark() Mark {
	t.marked = true
	m := Mark{undo: len(t.undo), deferred: slices.Clip(t.deferred)}
	if t.txn != nil {
		m.locks = t.txn.Mark()
	}
	return m
}

// BackTo takes back what was written since the mark, and ends the locks of rows that were
// locked since, and not before it. An error says that some of them last until the end of
// the transaction.
func (t *Tx) BackTo(ctx context.Context, m Mark) error {
	t.takeBack(m)
	if t.txn == nil {
		return nil
	}
	return t.txn.BackTo(ctx, m.locks) //nolint:wrapcheck // it says all
}

// takeBack takes back what was written since the mark.
func (t *Tx) takeBack(m Mark) {
	for _, r := range slices.Backward(t.undo[m.undo:]) {
		if r.was == nil {
			delete(r.buffer.rows, r.key)
		} else {
			r.buffer.rows[r.key] = r.was
		}
		t.bytes -= r.bytes
		t.options.Memory.Shrink(r.held)
	}
	clear(t.undo[m.undo:])
	t.undo, t.deferred = t.undo[:m.undo], m.deferred
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
	n, held := len(key)+len(w.value), int64(2*len(key)+len(w.value)+128)
	if t.bytes+n > maxTxBytes {
		return &syntax.Error{Code: "54000", Message: fmt.Sprintf("a transaction may write at most %d MiB", maxTxBytes>>20),
			Hint: "Split it."}
	}
	if err := t.options.Memory.Grow(held); err != nil {
		return err
	}
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
		w.expect, w.seen, w.marks = was.expect, was.seen, w.marks || was.marks
	}
	if was != nil && w.value == nil && w.expect == datastate.Absent && !w.marks {
		delete(b.rows, string(key)) // inserted and deleted here: nothing happened
		return nil
	}
	b.rows[string(key)] = &w
	return nil
}

// is is what the row is by the write; nil: there is no write, or it deletes.
func (w *buffered) is() []byte {
	if w == nil {
		return nil
	}
	return w.value
}

// changed is a write of a row that was locked at a version.
func changed(value []byte, version hlc.Timestamp) buffered {
	return buffered{value: value, expect: datastate.VersionIs, seen: version}
}

// inserted is a write of a row that was not there.
func inserted(value []byte) buffered { return buffered{value: value, expect: datastate.Absent} }

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

// version is that of a table's descriptor by which its rows are written.
func (o *CommitOptions) version(t *catalog.Table) uint64 {
	for _, v := range o.Versions {
		if v.Collection == t.Owner().ObjectID() {
			return v.Version
		}
	}
	return t.Version()
}

// Commit writes all or nothing, and ends the transaction.
func (t *Tx) Commit(ctx context.Context, o CommitOptions) error {
	if t.txn == nil {
		return nil // nothing was done that needed it
	}
	muts, err := t.mutations(&o)
	if err != nil {
		t.txn.Rollback()
		return err
	}
	t.tables, t.undo = nil, nil // they may be large, and it is over
	if o.With != nil {
		t.txn.With(o.With)
	}
	_, err = t.txn.Commit(ctx, muts, t.options.Writer)
	var failed *kv.ConditionError
	var conflict *txn.ConflictError
	switch {
	case errors.As(err, &conflict):
		return conflict
	case errors.As(err, &failed):
		// Each key was locked, and not there: its statement has said 23505 otherwise. So
		// the lock was lost with its leader, and another has come first.
		return &txn.ConflictError{Reason: reasonAppeared, Cause: failed}
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// mutations are what the transaction writes.
func (t *Tx) mutations(o *CommitOptions) (muts []kv.Mutation, err error) {
	rows, size := 0, 0
	for _, b := range t.tables {
		rows += len(b.rows)
		for k := range b.rows {
			size += len(k)
		}
	}
	muts = make([]kv.Mutation, 0, rows)
	all := make([]byte, 0, size) // the keys, in one piece: there may be millions
	for _, b := range t.tables {
		if o.Keep != nil && !o.Keep(b.table) {
			continue
		}
		for k, w := range b.rows {
			all = append(all, k...)
			m := kv.Mutation{Pool: b.table.Pool(), Collection: b.table.ID(), Key: all[len(all)-len(k) : len(all) : len(all)], Delete: w.value == nil, Value: w.value,
				Expect: w.expect, ExpectTS: w.seen, Schema: o.version(b.table)}
			if muts, err = t.options.Planted.mirrored(append(muts, m), b.table, &m); err != nil {
				return nil, err
			}
		}
	}
	return muts, nil
}

// reasonAppeared is of a lock on a key that was lost with its leader.
const reasonAppeared = "a row that was not there when its key was locked has been inserted since"

// uniqueViolation is 23505 on the primary key.
func uniqueViolation(table *catalog.Table, key []byte) *syntax.Error {
	columns, values := table.DecodeKeyText(key)
	return &syntax.Error{Code: "23505", Message: fmt.Sprintf("duplicate key value violates unique constraint %q", table.KeyName()),
		Detail: keyExists(columns, values), Schema: table.Schema().Name, Table: table.Name(), Constraint: table.KeyName()}
}

func keyExists(columns, values string) string {
	return fmt.Sprintf("Key (%s)=(%s) already exists.", columns, values)
}

// keyViolation is uniqueViolation of any key of a table.
func keyViolation(table *catalog.Table) func(key []byte) error {
	return func(key []byte) error { return uniqueViolation(table, key) }
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
