package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/store"
)

const (
	// chunkBytes and chunkRows bound one command to a range.
	chunkBytes = 1 << 20
	chunkRows  = 4096
	// flightBytes and flightCommands bound what one statement has sent and not yet
	// heard of: enough for a command to each of 64 ranges and for several to one,
	// little enough that a hundred such statements leave a node its memory.
	flightBytes    = 8 << 20
	flightCommands = 256
	// maxRows and maxBytes bound what one statement changes: it is held in memory.
	maxRows  = 1_000_000
	maxBytes = 256 << 20
	// maxRowBytes bounds one row, with its key: it must fit into a command, and into a
	// transaction on its own.
	maxRowBytes = 3 << 20
)

// checkRow refuses a row that could not be written.
func checkRow(table *catalog.Table, key, value []byte) error {
	n := len(key) + len(value)
	if n <= maxRowBytes {
		return nil
	}
	return &syntax.Error{Code: "54000", Message: fmt.Sprintf("a row may have at most %d MiB, this one has %.1f", maxRowBytes>>20, float64(n)/(1<<20)),
		Hint: "Split large values over several rows.", Table: table.Name()}
}

// rowWrite is one row that a statement writes outside of a transaction.
type rowWrite struct {
	mut kv.Mutation
	// old deletes the row under its former key, if an UPDATE changed the key.
	old *kv.Mutation
	// result is the row for RETURNING.
	result []datum.Datum
	// at is where the row stands among those that apply was given.
	at int
	// place is kept for the row at the leader of its range.
	place kv.Place
}

func (w *rowWrite) size() int {
	n := len(w.mut.Key) + len(w.mut.Value) + 32
	if w.old != nil {
		n += len(w.old.Key) + 32
	}
	return n
}

// chunk is a group of rows of one range that are written together.
type chunk struct {
	rows  []*rowWrite
	bytes int
	place kv.Place // kept for the rows
	err   error
	// failed is the row whose condition did not hold. lost is the place that is kept
	// since.
	failed *rowWrite
	lost   kv.Place
}

// apply writes rows, each range's in commands of their own, and returns the rows
// that were written, in order, and those of ranges where a condition failed. After an error
// that no condition explains nothing more is sent. With firstConflict the same goes
// for a condition that failed: only rows that stand before it are sent then, so that
// the first of the statement's conflicts is among those returned. Without it rows that
// lost keep their places at their leaders, because the statement comes again.
func (r *Run) apply(ctx context.Context, table *catalog.Table, writes []*rowWrite, firstConflict bool) (written []*rowWrite, conflicts []*chunk, err error) {
	for i, w := range writes { // before any is written
		if err := checkRow(table, w.mut.Key, w.mut.Value); err != nil {
			return nil, nil, err
		}
		w.at = i
	}
	f := &flight{run: r, done: make(chan []*chunk, flightCommands), until: len(writes), firstConflict: firstConflict}
	chunks := r.chunks(writes)
	for i, c := range chunks {
		f.makeRoom(c)
		if f.stopped(ctx) || c.rows[0].at > f.until {
			continue
		}
		f.send(ctx, c, i == len(chunks)-1)
	}
	for f.running > 0 {
		f.land(<-f.done)
	}
	if len(chunks) > 1 {
		slices.SortFunc(f.written, func(a, b *rowWrite) int { return a.at - b.at })
	}
	return f.written, f.conflicts, f.err
}

// flight is the commands of one apply that were sent.
type flight struct {
	run            *Run
	firstConflict  bool
	done           chan []*chunk
	running, bytes int
	until          int // rows behind this one are not sent any more

	written   []*rowWrite
	conflicts []*chunk
	err       error
}

// send writes a chunk beside the others; the last one, usually the only one, needs
// no goroutine.
func (f *flight) send(ctx context.Context, c *chunk, last bool) {
	f.running, f.bytes = f.running+1, f.bytes+c.bytes
	if last {
		f.land(f.run.write(ctx, c, !f.firstConflict))
		return
	}
	go func() { f.done <- f.run.write(ctx, c, !f.firstConflict) }() // apply waits for running to be 0
}

// makeRoom waits until c may be sent beside what is under way, and hears of what
// has ended.
func (f *flight) makeRoom(c *chunk) {
	for f.running > 0 {
		if f.running >= flightCommands || f.bytes+c.bytes > flightBytes {
			f.land(<-f.done)
			continue
		}
		select {
		case parts := <-f.done:
			f.land(parts)
		default:
			return
		}
	}
}

// stopped reports whether nothing more is to be sent.
func (f *flight) stopped(ctx context.Context) bool {
	if f.err == nil && ctx.Err() != nil {
		f.err = context.Cause(ctx)
	}
	return f.err != nil
}

// land takes what became of one chunk.
func (f *flight) land(parts []*chunk) {
	f.running--
	var ambiguous *store.AmbiguousError
	for _, c := range parts {
		f.bytes -= c.bytes
		switch {
		case c.failed != nil:
			f.conflicts = append(f.conflicts, c)
			if f.firstConflict {
				f.until = min(f.until, c.failed.at)
			}
		case c.err == nil:
			f.written = append(f.written, c.rows...)
		case f.err == nil || errors.As(c.err, &ambiguous):
			f.err = c.err
		}
	}
}

// chunks groups rows by range and place, in order.
func (r *Run) chunks(writes []*rowWrite) []*chunk {
	if len(writes) == 1 {
		return []*chunk{{rows: writes, bytes: writes[0].size(), place: writes[0].place}}
	}
	type group struct {
		id    cluster.RangeID
		place kv.Place
	}
	var out []*chunk
	open := map[group]*chunk{}
	for _, w := range writes {
		g := group{r.DB.RangeOf(w.mut.Pool, w.mut.Collection, w.mut.Key), w.place}
		c := open[g]
		if c == nil || len(c.rows) >= chunkRows || c.bytes+w.size() > chunkBytes {
			c = &chunk{place: w.place}
			open[g] = c
			out = append(out, c)
		}
		c.rows = append(c.rows, w)
		c.bytes += w.size()
	}
	return out
}

// write writes one chunk. If the range was split meanwhile its rows go to the ranges
// that hold them now, or one by one as long as those are not known.
func (r *Run) write(ctx context.Context, c *chunk, keep bool) []*chunk {
	r.writeRows(ctx, c, keep)
	var multi *kv.MultiRangeError
	if !errors.As(c.err, &multi) {
		return []*chunk{c}
	}
	if len(c.rows) == 1 { // its range was split between its old key and the new one
		c.err = errKeyMoves()
		return []*chunk{c}
	}
	parts := r.chunks(c.rows)
	if len(parts) == 1 {
		parts = parts[:0]
		for _, w := range c.rows {
			parts = append(parts, &chunk{rows: []*rowWrite{w}, bytes: w.size()})
		}
	}
	var out []*chunk
	for _, part := range parts {
		out = append(out, r.write(ctx, part, keep)...)
	}
	return out
}

// writeRows writes the rows of a chunk as one command.
func (r *Run) writeRows(ctx context.Context, c *chunk, keep bool) {
	muts := make([]kv.Mutation, 0, len(c.rows))
	owner := make([]*rowWrite, 0, len(c.rows))
	for _, w := range c.rows {
		muts, owner = append(muts, w.mut), append(owner, w)
		if w.old != nil {
			muts, owner = append(muts, *w.old), append(owner, w)
		}
	}
	_, err := r.DB.Write(ctx, muts, kv.WriteOptions{OneRange: true, Writer: r.Writer, Keep: keep, Place: c.place})
	var condition *kv.ConditionError
	switch {
	case err == nil:
	case errors.As(err, &condition) && condition.Mutation < len(owner):
		c.failed, c.lost, c.err = owner[condition.Mutation], condition.Place, err
	default:
		c.err = fmt.Errorf("write rows: %w", err)
	}
}

// keptPlaces are the places of rows that a statement lost, while it looks at them again.
type keptPlaces struct {
	db    DB
	byKey map[string]kv.Place
}

// lose keeps the places of rows that were not written.
func (k *keptPlaces) lose(conflicts []*chunk) {
	if k.byKey == nil {
		k.byKey = map[string]kv.Place{}
	}
	for _, c := range conflicts {
		for _, w := range c.rows {
			k.byKey[string(w.lookedUp())] = c.lost
		}
	}
}

// lookedUp is the key under which the statement finds the row.
func (w *rowWrite) lookedUp() []byte {
	if w.old != nil {
		return w.old.Key
	}
	return w.mut.Key
}

// goOn has rows be written in their places. The places of others are given up.
func (k *keptPlaces) goOn(writes []*rowWrite) {
	used := map[kv.Place]bool{}
	for _, w := range writes {
		w.place = k.byKey[string(w.lookedUp())]
		used[w.place] = true
	}
	for key, p := range k.byKey {
		if used[p] {
			delete(k.byKey, key)
		}
	}
	k.giveUp()
}

// giveUp gives all places up that nothing was written in. Nobody waits for that.
func (k *keptPlaces) giveUp() {
	given := map[kv.Place]bool{{}: true}
	for _, p := range k.byKey {
		if !given[p] {
			given[p] = true
			go k.db.GiveUp(context.Background(), p) // ends with its one attempt
		}
	}
	clear(k.byKey)
}

// finish turns what a failed apply did into the statement's error.
func finish(err error, written, wanted int) error {
	var ambiguous *store.AmbiguousError
	var partial *PartialError
	if err == nil || written == 0 || errors.As(err, &ambiguous) || errors.As(err, &partial) {
		return err
	}
	return &PartialError{Written: written, Wanted: wanted, Cause: err}
}
