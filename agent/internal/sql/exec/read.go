package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

var errEOF = io.EOF //nolint:gochecknoglobals // the sentinel of io

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// Run executes one statement.
type Run struct {
	DB DB
	Tx *Tx // nil: outside of a transaction
	// Writer is the number of the user, for what is written outside of a transaction.
	// Such a statement is one of its own at Level, as Info says, if it takes one.
	Writer cluster.WriterID
	Level  txn.Isolation
	Info   txn.Info
	// Waiting is for locks.
	Waiting Waiting
	// TS is the snapshot to read at; 0: outside of a transaction each read sees
	// everything acknowledged before it, in one its snapshot is taken at the first read.
	TS  hlc.Timestamp
	Env *queryplan.Env
	// Reading is how new what is read has to be.
	Reading kv.Reading
	// Lines are the gateway's.
	Lines *Lines
	// Emit takes one row of the result; the slice is used again.
	Emit func(row []datum.Datum) error
	// Planted are faults that tests plant.
	Planted Planted
	// Memory is asked before the statement holds more; nil: there is no bound.
	Memory *budget.Account
	// Feed gives the parameters of an INSERT again and again; nil: they are what they are.
	Feed Feed
	// Triggers are fired for each row that is written; nil: none are.
	Triggers *Triggers

	// Fire gives what is fired for rows that a foreign key changes or deletes; nil: nothing.
	Fire func(ctx context.Context, run *Run, ch *queryplan.Change) (*Triggers, error)
	// Deferred reports whether COMMIT is to look at a constraint; nil: at none.
	Deferred func(cluster.Deferral) bool
	// Tables finds a table by its id.
	Tables func(cluster.ObjectID) (*catalog.Table, bool)

	// Held are the rows of other queries of the statement; nil: there are none.
	Held map[*queryplan.Part][][]datum.Datum

	release func()   // of what Pin holds; nil: nothing
	work    *keyWork // of foreign keys, in a transaction
	// before is the transaction as it was before the first of several queries of one
	// statement: that is what they read, and together they are settled; nil: it is one.
	before *Tx
}

// Close ends the statement.
func (r *Run) Close() {
	if r.release != nil {
		r.release()
	}
}

// snapshot returns the timestamp of reads, 0 outside of a transaction. It stays the
// statement's, whatever statements begin while its rows are read.
func (r *Run) snapshot(ctx context.Context) (_ hlc.Timestamp, err error) {
	if r.TS == 0 && r.Tx != nil {
		r.TS, err = r.Tx.snapshot(ctx)
	}
	return r.TS, err
}

// fixPast sets the time of a statement that may read the past: one for all that it
// reads, or, where all statements of its transaction read one snapshot, for all of them.
// keys are what it reads of a table; nil: perhaps anything.
func (r *Run) fixPast(table *catalog.Table, keys [][]byte) {
	switch {
	case r.TS != 0 || !r.Reading.Past():
	case r.Tx != nil && r.Tx.level != txn.ReadCommitted:
		if r.Tx.past == 0 {
			r.Tx.past = r.DB.PastTime(&r.Reading, 0, 0, nil)
		}
	case table == nil:
		r.TS = r.DB.PastTime(&r.Reading, 0, 0, nil)
	default:
		r.TS = r.DB.PastTime(&r.Reading, table.Pool(), table.ID(), keys)
	}
}

// get reads rows by key, own writes included.
func (r *Run) get(ctx context.Context, table *catalog.Table, keys [][]byte) ([]kv.Row, error) {
	r.fixPast(table, keys)
	ts, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return r.getAt(ctx, table, keys, ts)
}

// keyBatch is how many rows a statement that names many keys reads at once: they
// are all held until they were looked at.
const keyBatch = 512

// byKey reads rows by key in batches, all of one time, and calls fn with each that
// is there until it returns false.
func (r *Run) byKey(ctx context.Context, table *catalog.Table, keys [][]byte, fn func(kv.Row) (bool, error)) error {
	r.fixPast(table, keys)
	ts, err := r.snapshot(ctx)
	if err == nil && ts == 0 && len(keys) > keyBatch {
		ts, err = r.DB.Fresh(ctx)
	}
	if err != nil {
		return err
	}
	for part := range slices.Chunk(keys, keyBatch) {
		before := r.Memory.Used()
		rows, err := r.getAt(ctx, table, part, ts)
		if err != nil {
			return err
		}
		read := r.Memory.Used() - before
		for _, row := range rows {
			if row.Value == nil {
				continue
			}
			if more, err := fn(row); err != nil || !more {
				return err
			}
		}
		r.Memory.Shrink(read)
	}
	return nil
}

// getAt reads rows by key as of ts, own writes included.
func (r *Run) getAt(ctx context.Context, table *catalog.Table, keys [][]byte, ts hlc.Timestamp) ([]kv.Row, error) {
	at, err := r.place(table, ts)
	if err != nil {
		return nil, err
	}
	r.noteKeys(at, keys)
	if r.Tx == nil || r.Tx.tables[table.ID()] == nil {
		rows, err := r.DB.Get(ctx, kv.GetRequest{TS: ts, Pool: at.Pool, Collection: at.ID, Keys: keys, Schema: r.readVersion(table), Memory: r.Memory, Reading: r.Reading})
		if err != nil {
			return nil, fmt.Errorf("read rows of %q by key: %w", table.Name(), err)
		}
		return rows, nil
	}
	out := make([]kv.Row, len(keys))
	var missing [][]byte
	var places []int
	for i, k := range keys {
		if w, ok := r.Tx.find(table, k); ok {
			out[i] = kv.Row{Key: k, Value: w.value}
			continue
		}
		missing, places = append(missing, k), append(places, i)
	}
	if len(missing) == 0 {
		return out, nil
	}
	rows, err := r.DB.Get(ctx, kv.GetRequest{TS: ts, Pool: at.Pool, Collection: at.ID, Keys: missing, Schema: r.readVersion(table), Memory: r.Memory, Reading: r.Reading})
	if err != nil {
		return nil, fmt.Errorf("read rows of %q by key: %w", table.Name(), err)
	}
	for i, row := range rows {
		out[places[i]] = row
	}
	return out, nil
}

// readVersion is the version that reads of a table rest on; 0: none.
func (r *Run) readVersion(table *catalog.Table) uint64 {
	if r.Planted.readsAnyVersion() {
		return 0
	}
	return table.ReadVersion()
}

const serializable = txn.Serializable

// noteKeys notes that rows are read by key.
func (r *Run) noteKeys(at cluster.Place, keys [][]byte) {
	if r.Tx == nil || r.Tx.level != serializable {
		return
	}
	for _, k := range keys {
		r.Tx.Transaction().NoteRead(kv.Point(at.Pool, at.ID, k))
	}
}

// scan reads rows by span, own writes included.
func (r *Run) scan(ctx context.Context, table *catalog.Table, req kv.ScanRequest) (Rows, error) {
	r.fixPast(table, nil)
	ts, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	at, err := r.place(table, ts)
	if err != nil {
		return nil, err
	}
	req.TS, req.Pool, req.Collection, req.Schema, req.Memory, req.Reading = ts, at.Pool, at.ID, r.readVersion(table), r.Memory, r.Reading
	var own *buffer
	if r.Tx != nil {
		own = r.Tx.tables[table.ID()]
	}
	if own != nil && len(own.rows) > 0 {
		req.Limit = 0 // own deletions may take rows away
	}
	if r.Tx != nil && r.Tx.level == serializable {
		r.Tx.Transaction().NoteRead(kv.Span{Pool: req.Pool, Collection: req.Collection, Start: req.Start, End: req.End})
	}
	rows, err := r.DB.Scan(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("scan %q: %w", table.Name(), err)
	}
	if own != nil && len(own.rows) > 0 {
		return newMerged(rows, own, &req), nil
	}
	return rows, nil
}

// access reads the rows of an access path, calling fn with each until it returns
// false: with entries of its index, if that covers what is wanted.
func (r *Run) access(ctx context.Context, table *catalog.Table, a *queryplan.Access, req kv.ScanRequest, fn func(kv.Row) (bool, error)) error {
	if a.ByKey() {
		keys, err := a.Keys(r.Env)
		if err != nil || len(keys) == 0 {
			return err
		}
		return r.byKey(ctx, table, keys, fn)
	}
	switch whole, err := a.Whole(r.Env); {
	case err != nil:
		return err
	case whole:
		a = &queryplan.Access{}
	}
	if a.Index != nil {
		rows, err := r.byIndex(ctx, a, req)
		if err != nil {
			return err
		}
		defer rows.Close()
		return drain(ctx, rows, fn)
	}
	var empty bool
	var err error
	req.Start, req.End, empty, err = a.Span(r.Env)
	if err != nil || empty {
		return err
	}
	rows, err := r.scan(ctx, table, req)
	if err != nil {
		return err
	}
	defer rows.Close()
	return drain(ctx, rows, fn)
}

// limits evaluates LIMIT and OFFSET; limit -1: none.
func (r *Run) limits(s *queryplan.Select) (limit, offset int64, err error) {
	limit = -1
	if s.Limit != nil {
		v, err := s.Limit.Eval(r.Env)
		if err != nil {
			return 0, 0, err
		}
		if !v.Null {
			if v.I < 0 {
				return 0, 0, &datum.Error{Code: "2201W", Message: "LIMIT must not be negative"}
			}
			limit = v.I
		}
	}
	if s.Offset != nil {
		v, err := s.Offset.Eval(r.Env)
		if err != nil {
			return 0, 0, err
		}
		if !v.Null && v.I < 0 {
			return 0, 0, &datum.Error{Code: "2201X", Message: "OFFSET must not be negative"}
		}
		offset = v.I
	}
	return limit, offset, nil
}

// Select runs s and returns the number of rows emitted.
func (r *Run) Select(ctx context.Context, s *queryplan.Select) (int64, error) {
	limit, offset, err := r.limits(s)
	if err != nil {
		return 0, err
	}
	if s.Lock != nil && s.Table != nil && r.Tx == nil {
		return r.selectLocked(ctx, s)
	}
	p := &projector{run: r, plan: s, limit: limit, offset: offset, out: make([]datum.Datum, max(len(s.Output), 1))}
	if s.Table == nil {
		err := p.constant()
		return p.emitted, err
	}
	if limit == 0 {
		return 0, nil
	}
	if s.Group != nil {
		err := r.group(ctx, p)
		return p.emitted, err
	}
	req := kv.ScanRequest{Ordered: s.Ordered, Reverse: s.Reverse}
	var locks *locker
	if s.Lock != nil {
		locks = &locker{p: p, row: make([]datum.Datum, len(s.Table.Columns))}
	} else if limit > 0 && s.Filter == nil && len(s.Sort) == 0 && limit+offset > 0 {
		req.Limit = limit + offset
	}
	access := r.access
	if s.Apart {
		access, req.Limit = r.accessApart, 0
	}
	take, end := r.taker(ctx, p, locks)
	if program := r.program(s); program != nil {
		err = r.sieved(ctx, s, program, take)
	} else {
		err = access(ctx, s.Table, &s.Access, req, func(kr kv.Row) (bool, error) { return take(kr, s.Filter) })
	}
	if err == nil {
		err = end()
	}
	if err == nil && len(s.Sort) > 0 {
		err = p.sorted(ctx, locks)
	}
	if err == nil && locks != nil && (limit < 0 || p.emitted < limit) {
		_, err = locks.flush(ctx)
	}
	return p.emitted, err
}

// taker returns what is done with the rows that are read, and at their end.
func (r *Run) taker(ctx context.Context, p *projector, locks *locker) (take func(kv.Row, queryplan.Expr) (bool, error), end func() error) {
	s := p.plan
	row := make([]datum.Datum, len(s.Table.Columns))
	held := r.tidied(s, p.limit, p.offset, func(kr kv.Row) (bool, error) {
		if err := s.Decoder.Decode(kr.Key, kr.Value, row); err != nil {
			return false, err
		}
		return p.row(row)
	})
	take = func(kr kv.Row, filter queryplan.Expr) (bool, error) {
		if held != nil && filter == nil {
			return held.add(kr)
		}
		if err := s.Decoder.Decode(kr.Key, kr.Value, row); err != nil {
			return false, err
		}
		if ok, err := r.accepts(filter, row); err != nil || !ok {
			return true, err
		}
		switch {
		case len(s.Sort) > 0:
			return true, p.keep(row, kr)
		case locks != nil:
			return locks.add(ctx, kr)
		case held != nil:
			return held.add(kr)
		default:
			return p.row(row)
		}
	}
	if held == nil {
		return take, func() error { return nil }
	}
	return take, held.end
}

// accessApart is access that has read all rows before it hands on the first: what is done
// with them is not seen.
func (r *Run) accessApart(ctx context.Context, table *catalog.Table, a *queryplan.Access, req kv.ScanRequest, fn func(kv.Row) (bool, error)) error {
	var rows []kv.Row
	err := r.access(ctx, table, a, req, func(kr kv.Row) (bool, error) {
		kr.Key, kr.Value = bytes.Clone(kr.Key), bytes.Clone(kr.Value)
		rows = append(rows, kr)
		return true, r.Memory.Grow(kr.Size())
	})
	for _, kr := range rows {
		if err != nil {
			return err
		}
		var more bool
		if more, err = fn(kr); !more {
			return err
		}
	}
	return err
}

// accepts evaluates a filter; nil accepts everything.
func (r *Run) accepts(filter queryplan.Expr, row []datum.Datum) (bool, error) {
	if filter == nil {
		return true, nil
	}
	r.Env.Row = row
	v, err := filter.Eval(r.Env)
	return v.Bool(), err
}

// projector computes and emits the rows of a Select.
type projector struct {
	run           *Run
	plan          *queryplan.Select
	limit, offset int64
	emitted       int64
	out           []datum.Datum
	kept          []keptRow
}

type keptRow struct {
	keys, row []datum.Datum
	stored    kv.Row // of one that is to be locked
}

// constant emits the row of a SELECT without FROM.
func (p *projector) constant() error {
	if p.limit == 0 {
		return nil
	}
	if ok, err := p.run.accepts(p.plan.Filter, nil); err != nil || !ok {
		return err
	}
	_, err := p.row(nil)
	return err
}

// row projects one row and emits it, unless OFFSET skips it.
func (p *projector) row(row []datum.Datum) (more bool, err error) {
	if p.offset > 0 {
		p.offset--
		return true, nil
	}
	env := p.run.Env
	env.Row = row
	for i, e := range p.plan.Output {
		if p.out[i], err = e.Eval(env); err != nil {
			return false, err
		}
	}
	return p.emit()
}

func (p *projector) emit() (more bool, err error) {
	if err := p.run.Emit(p.out); err != nil {
		return false, err
	}
	p.emitted++
	return p.limit < 0 || p.emitted < p.limit, nil
}

// keep stores a row with its sort keys.
func (p *projector) keep(row []datum.Datum, stored kv.Row) error {
	env := p.run.Env
	env.Row = row
	k := keptRow{row: slices.Clone(row), keys: make([]datum.Datum, len(p.plan.Sort))}
	for i, s := range p.plan.Sort {
		var err error
		if k.keys[i], err = s.Expr.Eval(env); err != nil {
			return err
		}
	}
	if err := p.run.Memory.Grow(int64(rowBytes(k.row) + rowBytes(k.keys) + perRow)); err != nil {
		return err
	}
	if p.plan.Lock != nil {
		k.stored = stored
	}
	p.kept = append(p.kept, k)
	return nil
}

// sorted emits the kept rows in order, or has them locked first.
func (p *projector) sorted(ctx context.Context, locks *locker) error {
	slices.SortStableFunc(p.kept, func(a, b keptRow) int {
		for i, s := range p.plan.Sort {
			if c := compareSort(a.keys[i], b.keys[i], s); c != 0 {
				return c
			}
		}
		return 0
	})
	for _, k := range p.kept {
		var more bool
		var err error
		if locks != nil {
			more, err = locks.add(ctx, k.stored)
		} else {
			more, err = p.row(k.row)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func compareSort(a, b datum.Datum, s queryplan.SortKey) int {
	if a.Null || b.Null {
		c := datum.Compare(a, b) // nulls last
		if s.NullsFirst {
			c = -c
		}
		return c
	}
	c := datum.Compare(a, b)
	if s.Descending {
		c = -c
	}
	return c
}

// Pin fixes the snapshot, so that several scans of one statement agree and may
// run at once.
func (r *Run) Pin(ctx context.Context) error {
	r.fixPast(nil, nil)
	if ts, err := r.snapshot(ctx); err != nil || ts != 0 {
		return err
	}
	ts, err := r.DB.Fresh(ctx)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	r.TS = ts
	r.release = r.DB.Hold(ts)
	return nil
}
