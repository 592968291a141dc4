package sql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// How a table goes to another pool. Who writes writes in both places, by one transaction,
// from the first phase on, and rows that nobody writes are copied. Then both places say the
// same at each time, which is looked at from both sides. At last ranges close the old place
// for good, as of a time of theirs: who writes by the old descriptor is refused, and plans
// anew when its node has heard of the new one. What is closed cannot be opened again, so
// that the descriptor says before that there is no way back.

// move does what comes next of a move.
func (c *schemaChange) move(ctx context.Context, until time.Time) (operation.SchemaProgress, error) {
	m := c.object.Collection.Move
	switch {
	case m == nil && c.object.Collection.Left != nil && c.op.Failure == nil && c.op.State != cluster.OpCancelling:
		return c.ended(cluster.OpSucceeded, c.arrived(), nil), nil
	case m == nil && c.op.State == cluster.OpCancelling:
		return c.ended(cluster.OpCancelled, cmp.Or(c.op.Why, "cancelled"), nil), nil
	case m == nil:
		return c.ended(cluster.OpFailed, "it was taken back", c.op.Failure), nil
	case m.Closing:
		return c.arrive(ctx)
	case c.op.State == cluster.OpCancelling:
		return c.stay(ctx, cluster.OpCancelled, cmp.Or(c.op.Why, "cancelled"), nil)
	}
	switch c.op.Phase {
	case operation.PhaseMaintain:
		return c.mirror(ctx)
	case operation.PhaseCopy, operation.PhaseCompare:
		twins, err := c.converted()
		switch {
		case err != nil:
			return operation.SchemaProgress{}, err
		case c.op.Phase == operation.PhaseCopy:
			return c.through(ctx, until, c.copying(twins), c.whole)
		}
		return c.through(ctx, until, c.comparing(twins), c.compared)
	case operation.PhaseSwitch:
		return c.arrive(ctx)
	case operation.PhaseTakeBack:
		return c.stay(ctx, cluster.OpFailed, c.op.Failure.Message, c.op.Failure)
	}
	if err := c.raise(ctx, nil); err != nil {
		return operation.SchemaProgress{}, err
	}
	return c.at(operation.PhaseMaintain, "", nil, 0), nil
}

// arrived says what has come of the move.
func (c *schemaChange) arrived() string {
	if c.what.Converts {
		return fmt.Sprintf("%d rows and index entries were written anew, with columns of their new types", c.op.Rows)
	}
	return fmt.Sprintf("%d rows and index entries are in pool %s, and were found to be the same in both", c.op.Rows, c.what.To)
}

// mirror has all who write write in both places. All of them know of the move by now.
func (c *schemaChange) mirror(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alterMove(ctx, func(m *cluster.Move) { m.State = cluster.ElementWriteOnly })
	if err == nil {
		err = c.raise(ctx, nil)
	}
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("have both places be written: %w", err)
	}
	return c.at(operation.PhaseCopy, "", nil, 0), nil
}

// alterMove changes how far the move is, if it is one.
func (c *schemaChange) alterMove(ctx context.Context, change func(*cluster.Move)) error {
	return c.alter(ctx, func(rows *cluster.Collection) {
		if rows.Move != nil {
			m := *rows.Move
			change(&m)
			rows.Move = &m
		}
	})
}

// twin is what is in one place and is to be in another.
type twin struct {
	from, to cluster.Place
	what     string
	// becomes is what rows become on the way; nil: they stay as they are.
	becomes *queryplan.Conversion
}

// there is what a row is to be in the other place.
func (t *twin) there(row *kv.Row) (value []byte, failure *cluster.Failure) {
	if t.becomes == nil || row.Value == nil {
		return row.Value, nil
	}
	value, err := t.becomes.Value(row.Key, row.Value)
	if err != nil {
		return nil, failureOf(err)
	}
	return value, nil
}

// twins are the rows and the entries of all indexes, in both places.
func (c *schemaChange) twins() []twin {
	rows := c.object.Collection
	out := []twin{{from: cluster.Place{Pool: rows.Pool, ID: c.object.RowsID()}, to: cluster.Place{Pool: rows.Move.Pool, ID: rows.Move.Rows}, what: "table " + c.object.Name}}
	for i := range rows.Indexes {
		to, _ := rows.Move.IndexTo(rows.Indexes[i].ID)
		out = append(out, twin{from: cluster.Place{Pool: rows.Pool, ID: rows.Indexes[i].ID}, to: to, what: "index " + rows.Indexes[i].Name})
	}
	return out
}

// converted are the twins, with what rows become.
func (c *schemaChange) converted() ([]twin, error) {
	out := c.twins()
	view := c.server.catalog.View()
	table, err := catalog.Scope{View: view}.NewTable(c.object, view.Objects[c.object.Parent])
	if err == nil {
		out[0].becomes, err = queryplan.ConversionOf(table)
	}
	return out, err
}

// placeWork is work with all that is in a place.
type placeWork struct {
	place cluster.Place
	what  string
	rowWork
}

func (c *schemaChange) copying(twins []twin) (out []placeWork) {
	for _, t := range twins {
		out = append(out, placeWork{t.from, t.what, &copier{c.server.cfg.DB, t, c.object.Version}})
	}
	return out
}

func (c *schemaChange) comparing(twins []twin) (out []placeWork) {
	for _, t := range twins {
		out = append(out, placeWork{t.from, t.what, &comparer{db: c.server.cfg.DB, twin: t}})
	}
	for _, t := range twins {
		out = append(out, placeWork{t.to, t.what, &comparer{db: c.server.cfg.DB, twin: t, back: true}})
	}
	return out
}

// through does a part of the work with what is in places, one after the other. The cursor
// says in which it is, and where there.
func (c *schemaChange) through(ctx context.Context, until time.Time, of []placeWork, then func(context.Context) (operation.SchemaProgress, error)) (operation.SchemaProgress, error) {
	n, rest := 0, c.op.Cursor
	if len(rest) > 0 {
		n, rest = int(rest[0]), rest[1:]
	}
	at, err := decodeSpot(rest)
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	pace := breath{}
	for n < len(of) {
		began := time.Now()
		s := &sweep{c.server, of[n].place, of[n].what}
		next, failure, err := s.work(ctx, at, of[n])
		switch {
		case err != nil:
			return operation.SchemaProgress{}, fmt.Errorf("go through %s: %w", of[n].what, err)
		case failure != nil:
			c.op.Failure = failure
			return c.at(operation.PhaseTakeBack, "", nil, c.op.Rows), nil
		}
		if c.op.Phase == operation.PhaseCopy || len(c.what.Repairs) > 0 {
			c.op.Rows += uint64(len(next.rows))
		}
		if at = next.next; !next.more {
			n, at = n+1, spot{}
		}
		c.op.Cursor = append([]byte{byte(n)}, at.encode()...)
		if n < len(of) && (!time.Now().Before(until) || c.cancelled()) {
			note := fmt.Sprintf("%d rows and entries are done; %s, %d of %d, about %.1f %%", c.op.Rows, of[n].what, n+1, len(of), at.done())
			return c.at(c.op.Phase, note, c.op.Cursor, c.op.Rows), nil
		}
		if err := pace.take(ctx, time.Since(began), len(next.rows)); err != nil {
			return operation.SchemaProgress{}, err
		}
	}
	return then(ctx)
}

// copier writes what was there before others wrote in both places. Whatever one of these has
// written there is newer.
type copier struct {
	db      exec.DB
	twin    twin
	version uint64
}

// copiedRows bounds what is copied by one command: as many rows in a row are of one range.
const copiedRows = 1000

// some satisfies rowWork.
func (w *copier) some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	var muts []kv.Mutation
	for i := range rows {
		value, failure := w.twin.there(&rows[i])
		if failure != nil {
			return failure, nil
		}
		if value != nil { // else it has gone since, in both places
			muts = append(muts, kv.Mutation{Pool: w.twin.to.Pool, Collection: w.twin.to.ID, Key: rows[i].Key, Value: value,
				Expect: datastate.NotNewerThan, ExpectTS: ts, Schema: w.version})
		}
	}
	if len(muts) == 0 {
		return nil, nil
	}
	var err error
	for part := range slices.Chunk(muts, copiedRows) {
		if _, err = w.db.Write(ctx, part, kv.WriteOptions{Yield: true}); err != nil {
			break
		}
	}
	var written *kv.ConditionError
	var locked *kv.BlockedError
	if errors.As(err, &written) || errors.As(err, &locked) && len(rows) > 1 {
		return w.again(ctx, rows)
	}
	return nil, err
}

// again copies rows of which somebody has written one meanwhile, or has one locked, as they
// are now and in parts, so that those few hold up no others.
func (w *copier) again(ctx context.Context, rows []kv.Row) (failure *cluster.Failure, err error) {
	for part := range slices.Chunk(rows, (len(rows)+1)/2) {
		ts, err := w.db.Fresh(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at rows again: %w", err)
		}
		keys := make([][]byte, len(part))
		for i := range part {
			keys[i] = part[i].Key
		}
		now, err := w.db.Get(ctx, kv.GetRequest{TS: ts, Pool: w.twin.from.Pool, Collection: w.twin.from.ID, Keys: keys})
		if err == nil {
			failure, err = w.some(ctx, now, ts)
		}
		if err != nil || failure != nil {
			return failure, err
		}
	}
	return nil, nil
}

// comparer looks whether what is in one place is the same in the other, at one time.
type comparer struct {
	db   exec.DB
	twin twin
	back bool // what is looked at was copied, and the other place is where from
}

// some satisfies rowWork.
func (w *comparer) some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	other := w.twin.to
	if w.back {
		other = w.twin.from
	}
	for part := range slices.Chunk(rows, comparedAtOnce) {
		keys := make([][]byte, len(part))
		for i := range part {
			keys[i] = part[i].Key
		}
		there, err := w.db.Get(ctx, kv.GetRequest{TS: ts, Pool: other.Pool, Collection: other.ID, Keys: keys})
		if err != nil {
			return nil, fmt.Errorf("read the other place: %w", err)
		}
		for i := range part {
			from, to := &part[i], &there[i]
			if w.back {
				from, to = to, from
			}
			if failure := w.compare(from, to); failure != nil {
				return failure, nil
			}
		}
	}
	return nil, nil
}

// compare says what is wrong with what was made of a row.
func (w *comparer) compare(from, to *kv.Row) *cluster.Failure {
	value, failure := w.twin.there(from)
	if failure != nil || (value == nil) == (to.Value == nil) && bytes.Equal(value, to.Value) {
		return failure
	}
	how, where := "is not the same as", "where it was copied to"
	if to.Value == nil || w.back && from.Value == nil {
		how = "is missing in"
	}
	if w.back {
		where = "where it was copied from"
	}
	return &cluster.Failure{Code: "XX001", Message: fmt.Sprintf("a row of %s %s %s", w.twin.what, how, where), Detail: fmt.Sprintf("Its key is %x. The table is where it was, and nothing of it is changed.", to.Key)}
}

// comparedAtOnce is how many rows are compared at once.
const comparedAtOnce = 500

// whole follows the copying: from now on both places say the same, and reads at any later
// time may go to either. The comparison reads all of the new one later than that, so that
// nothing is written there below that time any more.
func (c *schemaChange) whole(ctx context.Context) (operation.SchemaProgress, error) {
	since, err := c.server.cfg.DB.Fresh(ctx)
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the time from which on both places are whole: %w", err)
	}
	err = c.alterMove(ctx, func(m *cluster.Move) {
		if !m.Closing {
			m.Since = uint64(since)
		}
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("say that both places are whole: %w", err)
	}
	return c.at(operation.PhaseCompare, "", nil, c.op.Rows), nil
}

func (c *schemaChange) compared(context.Context) (operation.SchemaProgress, error) {
	return c.at(operation.PhaseSwitch, "", nil, c.op.Rows), nil
}

// arrive closes the old place, and has the table be in the new one.
func (c *schemaChange) arrive(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alterMove(ctx, func(m *cluster.Move) { m.Closing = true })
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("say that the old place is closed: %w", err)
	}
	if c.see(); c.object == nil || c.object.Collection.Move == nil {
		return c.at(operation.PhaseSwitch, "", nil, c.op.Rows), nil // somebody was first, or dropped it
	}
	if err := c.close(ctx); err != nil {
		return operation.SchemaProgress{}, err
	}
	id := c.object.ID
	err = c.alter(ctx, func(rows *cluster.Collection) {
		if rows.Move != nil && rows.Move.Closing {
			rows.Indexes = slices.Clone(rows.Indexes)
			rows.Arrive(id)
		}
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("publish where the table is: %w", err)
	}
	return c.at(operation.PhaseSwitch, "", nil, c.op.Rows), nil
}

// close closes the old place, and then has each range of the new one write something down:
// what it writes later is later than all that was read in the old place.
func (c *schemaChange) close(ctx context.Context) error {
	var old, next []cluster.SchemaFence
	for _, t := range c.twins() {
		old = append(old, cluster.Closing(t.from.ID))
		next = append(next, cluster.SchemaFence{SchemaVersion: cluster.SchemaVersion{Collection: t.to.ID, Version: c.object.Version}})
	}
	for _, fences := range [][]cluster.SchemaFence{old, next} {
		slices.SortFunc(fences, func(a, b cluster.SchemaFence) int { return cmp.Compare(a.Collection, b.Collection) })
	}
	ctx, cancel := context.WithTimeout(ctx, schemaFence)
	defer cancel()
	if err := c.server.cfg.DB.Raise(ctx, c.object.Collection.Pool, old); err != nil {
		return fmt.Errorf("close the old place: %w", err)
	}
	if err := c.server.cfg.DB.Raise(ctx, c.object.Collection.Move.Pool, next); err != nil {
		return fmt.Errorf("have the new place be later than the old one: %w", err)
	}
	return nil
}

// stay has the table be where it was, unless there is no way back.
func (c *schemaChange) stay(ctx context.Context, state cluster.OperationState, why string, f *cluster.Failure) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) {
		if rows.Move != nil && !rows.Move.Closing {
			rows.Move = nil
		}
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the move of the table back: %w", err)
	}
	if c.see(); c.object != nil && c.object.Collection.Move != nil {
		return c.arrive(ctx)
	}
	if err := c.raise(ctx, nil); err != nil { // nobody writes to the new place any more
		return operation.SchemaProgress{}, err
	}
	return c.ended(state, why, f), nil
}

// placeOfTable is where the rows of a table are.
func placeOfTable(t *catalog.Table) cluster.Place { return cluster.Place{Pool: t.Pool(), ID: t.ID()} }
