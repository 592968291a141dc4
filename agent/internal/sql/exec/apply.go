package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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
	// applyParallel is how many ranges one statement writes to at once.
	applyParallel = 16
	// maxAttempts is how often a statement that lost against others runs again.
	maxAttempts = 20
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
	rows []*rowWrite
	err  error
	// failed is the row whose condition did not hold.
	failed *rowWrite
}

// apply writes rows, each range's in commands of their own, and returns the rows
// that were written and those of ranges where a condition failed.
func (r *Run) apply(ctx context.Context, table *catalog.Table, writes []*rowWrite) (written []*rowWrite, conflicts []*chunk, err error) {
	for _, w := range writes { // before any is written
		if err := checkRow(table, w.mut.Key, w.mut.Value); err != nil {
			return nil, nil, err
		}
	}
	chunks := r.chunks(writes)
	results := make([][]*chunk, len(chunks))
	var wg sync.WaitGroup
	slots := make(chan struct{}, applyParallel)
	for i := range chunks {
		if i == len(chunks)-1 { // the last, usually the only one, needs no goroutine
			results[i] = r.write(ctx, chunks[i])
			break
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = r.write(ctx, chunks[i])
		})
	}
	wg.Wait()
	var ambiguous *store.AmbiguousError
	for _, c := range slices.Concat(results...) {
		switch {
		case c.failed != nil:
			conflicts = append(conflicts, c)
		case c.err == nil:
			written = append(written, c.rows...)
		case err == nil || errors.As(c.err, &ambiguous):
			err = c.err
		}
	}
	return written, conflicts, err
}

// chunks groups rows by range, in order.
func (r *Run) chunks(writes []*rowWrite) []*chunk {
	if len(writes) == 1 {
		return []*chunk{{rows: writes}}
	}
	var out []*chunk
	open := map[cluster.RangeID]*chunk{}
	bytes := map[cluster.RangeID]int{}
	for _, w := range writes {
		id := r.DB.RangeOf(w.mut.Pool, w.mut.Collection, w.mut.Key)
		c := open[id]
		if c == nil || len(c.rows) >= chunkRows || bytes[id]+w.size() > chunkBytes {
			c = &chunk{}
			open[id], bytes[id] = c, 0
			out = append(out, c)
		}
		c.rows = append(c.rows, w)
		bytes[id] += w.size()
	}
	return out
}

// write writes one chunk. If the range was split meanwhile its rows go one by
// one, each a chunk of its own.
func (r *Run) write(ctx context.Context, c *chunk) []*chunk {
	c.failed, c.err = r.writeRows(ctx, c.rows)
	var multi *kv.MultiRangeError
	if !errors.As(c.err, &multi) || len(c.rows) == 1 {
		return []*chunk{c}
	}
	out := make([]*chunk, len(c.rows))
	for i, w := range c.rows {
		out[i] = &chunk{rows: []*rowWrite{w}}
		out[i].failed, out[i].err = r.writeRows(ctx, out[i].rows)
	}
	return out
}

// writeRows writes rows as one command.
func (r *Run) writeRows(ctx context.Context, rows []*rowWrite) (failed *rowWrite, err error) {
	muts := make([]kv.Mutation, 0, len(rows))
	owner := make([]*rowWrite, 0, len(rows))
	for _, w := range rows {
		muts, owner = append(muts, w.mut), append(owner, w)
		if w.old != nil {
			muts, owner = append(muts, *w.old), append(owner, w)
		}
	}
	_, err = r.DB.Write(ctx, muts, kv.WriteOptions{OneRange: true, Writer: r.Writer})
	var condition *kv.ConditionError
	if errors.As(err, &condition) && condition.Mutation < len(owner) {
		return owner[condition.Mutation], err
	}
	if err != nil {
		return nil, fmt.Errorf("write rows: %w", err)
	}
	return nil, nil
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
