package exec

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// maxTogether is how many statements one write of a row carries at most: enough that
// a row takes thousands a second, few enough that the last one waits microseconds for
// the others' arithmetic.
const maxTogether = 256

// Lines are the statements of a gateway that change single rows outside of
// transactions: UPDATE and DELETE of one key, INSERT of one row with ON CONFLICT.
// Those of one row stand in line. Whoever waits while a write is under way goes into
// the next one: their changes are made one upon the other, in the order in which they
// came, and are committed together, as if nobody had looked in between. So clients of
// one row do not lose against each other. Gateways of one row do, against each other:
// their writes queue at the range's leader, and who lost keeps its place there, so that
// it does not lose again. It is tried for as long as a statement waits.
type Lines struct {
	mu    sync.Mutex
	lines map[lineKey]*line // guarded by mu; one is there as long as its server runs
}

// NewLines returns the lines of a gateway.
func NewLines() *Lines { return &Lines{lines: map[lineKey]*line{}} }

// lineKey is a row, and who writes it: that goes into the row's version.
type lineKey struct {
	pool       cluster.PoolID
	collection cluster.CollectionID
	key        string
	writer     cluster.WriterID
	schema     uint64 // the version of the table that its statements were planned on
}

type line struct {
	key     lineKey
	db      DB
	waiting []*place // guarded by Lines.mu
	// kept is the place at the range's leader, of the last write that lost; for serve.
	kept kv.Place
}

// place is one statement's place in a line. The statement computes its change itself,
// when it is told what the row is: as often as the write has to be tried.
type place struct {
	turn chan kv.Row
	made chan change   // has room for one
	done chan error    // has room for one: what became of it
	gone chan struct{} // closed by a statement that does not wait any longer
}

// change is what a statement makes of a row.
type change struct {
	write *rowWrite // nil: it leaves the row as it is
	err   error
}

// alone changes one row in its line, by what step makes of it, and returns what step
// made in the end. If the fate of a write is unknown that had nothing of this
// statement, what step saw may never have been: it stands in line again.
func (r *Run) alone(ctx context.Context, table *catalog.Table, key []byte, step func(kv.Row) (*rowWrite, error)) (*rowWrite, error) {
	for {
		w, err := r.inLine(ctx, table, key, step)
		var ambiguous *store.AmbiguousError
		if w != nil || ctx.Err() != nil || !errors.As(err, &ambiguous) {
			return w, err
		}
	}
}

func (r *Run) inLine(ctx context.Context, table *catalog.Table, key []byte, step func(kv.Row) (*rowWrite, error)) (*rowWrite, error) {
	p := &place{turn: make(chan kv.Row), made: make(chan change, 1), done: make(chan error, 1), gone: make(chan struct{})}
	r.Lines.join(lineKey{table.Pool(), table.ID(), string(key), r.Writer, table.Version()}, r.DB, p)
	var last change
	for {
		select {
		case row := <-p.turn:
			if ctx.Err() != nil { // nothing of it is there
				p.made <- change{}
				return nil, context.Cause(ctx)
			}
			last = r.step(table, key, row, step)
			p.made <- last
		case err := <-p.done:
			if err == nil {
				err = last.err
			}
			return last.write, err
		case <-ctx.Done():
			if last.write == nil {
				close(p.gone)
				return nil, context.Cause(ctx)
			}
			return p.leave(ctx, last)
		}
	}
}

// leaveFor is for how long a statement that has ended waits to hear what became of the
// write that carries it: a leader that has it wait for locks says so every third of a second.
const leaveFor = 800 * time.Millisecond

// leave has a statement go away whose write may be under way.
func (p *place) leave(ctx context.Context, last change) (*rowWrite, error) {
	timer := time.NewTimer(leaveFor)
	defer timer.Stop()
	select {
	case err := <-p.done:
		if err == nil && last.err == nil {
			return last.write, nil
		}
		var ambiguous *store.AmbiguousError
		if errors.As(err, &ambiguous) {
			return last.write, err
		}
		return nil, context.Cause(ctx)
	case <-p.turn: // the write lost: nothing of it is there
		p.made <- change{}
		return nil, context.Cause(ctx)
	case <-timer.C:
		close(p.gone)
		return nil, &store.AmbiguousError{Cause: context.Cause(ctx)}
	}
}

// step makes one statement's change of a row, which the statement holds until it ends.
func (r *Run) step(table *catalog.Table, key []byte, row kv.Row, step func(kv.Row) (*rowWrite, error)) change {
	w, err := step(row)
	if err == nil && w != nil {
		err = checkRow(table, key, w.mut.Value)
	}
	if err == nil && w != nil {
		err = r.Memory.Grow(w.held())
	}
	if err != nil {
		return change{err: err}
	}
	return change{write: w}
}

// join puts a statement into a line, and has the line served.
func (l *Lines) join(k lineKey, db DB, p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lines[k]
	if ln == nil {
		ln = &line{key: k, db: db}
		l.lines[k] = ln
		go l.serve(ln) // ends when nobody is in line who waits; kv's patience bounds each of its writes
	}
	ln.waiting = append(ln.waiting, p)
}

// next takes those out of a line that go into one write; none: the line is gone.
func (l *Lines) next(ln *line) []*place {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(ln.waiting) == 0 {
		delete(l.lines, ln.key)
	}
	return ln.take(maxTogether)
}

// more takes those who came while a write lost: the next one carries them, too.
func (l *Lines) more(ln *line, ps []*place) []*place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(ps, ln.take(maxTogether-len(ps))...)
}

// take takes up to n of those who wait. Lines.mu is held.
func (ln *line) take(n int) []*place {
	n = min(len(ln.waiting), n)
	ps := ln.waiting[:n:n]
	ln.waiting = ln.waiting[n:]
	return ps
}

// serve writes a row until nobody is in line for it.
func (l *Lines) serve(ln *line) {
	// The statements' own contexts end their waiting, not the write of all.
	ctx := context.Background()
	var known *kv.Row // as the last write left it
	for ps := l.next(ln); len(ps) > 0; ps = l.next(ln) {
		var err error
		ps, known, err = l.together(ctx, ln, ps, known)
		for _, p := range ps {
			p.done <- err
		}
	}
	ln.db.GiveUp(ctx, ln.kept)
}

// together makes the changes of all statements in one write, and of those who come
// while it loses. It returns all of them. What is known of the row from before may be
// old: a write upon it finds out, and what writes nothing asks.
func (l *Lines) together(ctx context.Context, ln *line, ps []*place, known *kv.Row) ([]*place, *kv.Row, error) {
	fresh := false
	for {
		if known == nil {
			row, err := ln.read(ctx)
			if err != nil {
				return ps, nil, err
			}
			known, fresh = row, true
		}
		first := *known
		row, changed, there := offer(ps, first)
		if !there {
			return ps, known, nil
		}
		if !changed || first.Value == nil && row.Value == nil {
			if fresh {
				return ps, known, nil
			}
			known = nil
			continue
		}
		ts, err := ln.write(ctx, &first, row.Value)
		var condition *kv.ConditionError
		switch {
		case errors.As(err, &condition): // another gateway was first
			known, fresh = &kv.Row{Key: first.Key, Value: condition.Existing, Version: condition.ExistingTS}, true
			ln.kept = condition.Place
			ps = l.more(ln, ps)
		case err != nil:
			return ps, nil, err
		default:
			row.Version = ts
			return ps, &row, nil
		}
	}
}

// write makes value of the row, if it is still as it was.
func (ln *line) write(ctx context.Context, was *kv.Row, value []byte) (hlc.Timestamp, error) {
	mut := kv.Mutation{Pool: ln.key.pool, Collection: ln.key.collection, Key: was.Key, Value: value, Delete: value == nil, Expect: datastate.Absent, Schema: ln.key.schema}
	if was.Value != nil {
		mut.Expect, mut.ExpectTS = datastate.VersionIs, was.Version
	}
	o := kv.WriteOptions{OneRange: true, Writer: ln.key.writer, Keep: true, Yield: true, Place: ln.kept}
	ln.kept = kv.Place{}
	return ln.db.Write(ctx, []kv.Mutation{mut}, o)
}

func (ln *line) read(ctx context.Context) (*kv.Row, error) {
	rows, err := ln.db.Get(ctx, kv.GetRequest{Pool: ln.key.pool, Collection: ln.key.collection, Keys: [][]byte{[]byte(ln.key.key)}})
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

// offer has one statement after another change the row. Those that are gone are left
// out: nothing of theirs was written; there says that somebody is not gone.
func offer(ps []*place, row kv.Row) (_ kv.Row, changed, there bool) {
	for _, p := range ps {
		select {
		case p.turn <- row:
		case <-p.gone:
			continue
		}
		there = true
		if c := <-p.made; c.write != nil {
			row.Value, changed = c.write.mut.Value, true
			if c.write.mut.Delete {
				row.Value = nil
			}
		}
	}
	return row, changed, there
}

// changeOne runs an UPDATE or a DELETE of one key.
func (r *Run) changeOne(ctx context.Context, ch *queryplan.Change, key []byte) (int64, error) {
	w, err := r.alone(ctx, ch.Table, key, func(kr kv.Row) (*rowWrite, error) {
		if kr.Value == nil {
			return nil, nil
		}
		row := make([]datum.Datum, len(ch.Table.Columns))
		if err := ch.Table.DecodeRow(kr.Key, kr.Value, row); err != nil {
			return nil, err
		}
		if ok, err := r.accepts(ch.Filter, row); err != nil || !ok {
			return nil, err
		}
		later, err := ch.Table.Later(kr.Value)
		if err != nil {
			return nil, err
		}
		return r.change(ch, &found{key: kr.Key, row: row, version: kr.Version, later: later})
	})
	return r.one(w, err, ch.Returning)
}

// upsertOne runs an INSERT of one row with ON CONFLICT.
func (r *Run) upsertOne(ctx context.Context, ins *queryplan.Insert, p proposed) (int64, error) {
	w, err := r.alone(ctx, ins.Table, p.key, func(kr kv.Row) (*rowWrite, error) {
		return r.upsertWrite(ins, &kr, p)
	})
	return r.one(w, err, ins.Returning)
}

// one ends a statement that changed a row, or none.
func (r *Run) one(w *rowWrite, err error, returning []queryplan.Expr) (int64, error) {
	if err != nil || w == nil {
		return 0, err
	}
	return 1, r.emit(returning, [][]datum.Datum{w.returned})
}
