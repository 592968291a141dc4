package exec

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// byIndex reads by an index: the rows of the entries of an access path, or the entries if
// they cover what is wanted. Both are read at one time.
func (r *Run) byIndex(ctx context.Context, a *queryplan.Access, req kv.ScanRequest) (Rows, error) {
	entries := a.Index.Index.Entries
	r.fixPast(entries, nil)
	ts, err := r.snapshot(ctx)
	if err == nil && ts == 0 {
		ts, err = r.DB.Fresh(ctx)
	}
	if err != nil {
		return nil, err
	}
	if x := a.Index.Index; ts < hlc.Timestamp(x.Desc.Since) {
		return nil, &YoungIndexError{Index: x.Name(), TS: ts}
	}
	run := *r
	run.TS = ts
	out := &indexRows{run: &run, access: a, ts: ts, req: req, release: r.DB.Hold(ts), batch: firstLookups}
	if err := out.open(ctx); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// YoungIndexError says that an index was filled after the time that a statement reads at: it
// has too few entries as of then.
type YoungIndexError struct {
	Index string
	TS    hlc.Timestamp
}

func (e *YoungIndexError) Error() string {
	return fmt.Sprintf("index %q is younger than what is read", e.Index)
}

// firstLookups is how many rows are looked up at first, by entries: few, as there may be a
// LIMIT, and then ever more.
const firstLookups = 16

// indexRows are the rows of entries, or these.
type indexRows struct {
	run    *Run
	access *queryplan.Access
	req    kv.ScanRequest
	ts     hlc.Timestamp

	// points are what entries are over that were not looked for yet, as they are encoded.
	points [][]byte
	rows   Rows // of entries; nil: of none yet
	queue  []kv.Row
	batch  int
	held   int64 // bytes of memory of the rows that were given last

	release func()
}

func (x *indexRows) open(ctx context.Context) error {
	var err error
	if len(x.access.Points) > 0 {
		if x.points, err = x.access.Keys(x.run.Env); err == nil && x.req.Reverse {
			slices.Reverse(x.points)
		}
		return err
	}
	var empty bool
	if x.req.Start, x.req.End, empty, err = x.access.Span(x.run.Env); err != nil || empty {
		return err
	}
	x.rows, err = x.run.scan(ctx, x.access.Index.Index.Entries, x.req)
	return err
}

// Next returns the next rows.
func (x *indexRows) Next(ctx context.Context) ([]kv.Row, error) {
	x.run.Memory.Shrink(x.held)
	x.held = 0
	for {
		if len(x.queue) == 0 {
			var err error
			if x.queue, err = x.entries(ctx); err != nil {
				return nil, err
			}
		}
		if x.access.Covering {
			out := x.queue
			x.queue = nil
			if len(out) > 0 {
				return out, nil
			}
			continue
		}
		part := x.queue[:min(len(x.queue), x.batch)]
		x.queue, x.batch = x.queue[len(part):], min(2*x.batch, keyBatch)
		if out, err := x.lookUp(ctx, part); err != nil || len(out) > 0 {
			return out, err
		}
	}
}

// lookUp reads the rows of entries, in their order.
func (x *indexRows) lookUp(ctx context.Context, entries []kv.Row) ([]kv.Row, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	index := x.access.Index.Index
	primary := make([][]byte, len(entries))
	for i := range entries {
		var err error
		if _, primary[i], _, err = index.Split(entries[i].Key, entries[i].Value); err != nil {
			return nil, err
		}
	}
	rows, err := x.run.getAt(ctx, index.Table, primary, x.ts)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Version != 0 { // else it is the transaction's own
			x.held += rows[i].Size()
		}
		if rows[i].Value == nil {
			return nil, fmt.Errorf("index %q of %q has an entry of a row that is not there", index.Name(), index.Table.Name())
		}
	}
	return rows, nil
}

// entries returns more of them, or io.EOF.
func (x *indexRows) entries(ctx context.Context) ([]kv.Row, error) {
	index := x.access.Index.Index
	for {
		if x.rows != nil {
			rows, err := x.rows.Next(ctx)
			if err == nil || !isEOF(err) || len(x.points) == 0 {
				return rows, err
			}
			x.rows.Close()
			x.rows = nil
		}
		if len(x.points) == 0 {
			return nil, errEOF
		}
		if index.Single() { // nothing else has values without nulls
			part := x.points[:min(len(x.points), keyBatch)]
			x.points = x.points[len(part):]
			wanted := make([][]byte, len(part))
			for i, values := range part {
				wanted[i] = keys.Entry(values, nil)
			}
			rows, err := x.run.getAt(ctx, index.Entries, wanted, x.ts)
			return slices.DeleteFunc(rows, func(r kv.Row) bool { return r.Value == nil }), err
		}
		values := x.points[0]
		x.points = x.points[1:]
		req := x.req
		req.Start = keys.EntryPrefix(values)
		req.End = keys.PrefixEnd(bytes.Clone(req.Start))
		vshard := keys.VShardOfValues(index.Entries.ID(), values)
		req.Only = &vshard
		var err error
		if x.rows, err = x.run.scan(ctx, index.Entries, req); err != nil {
			return nil, err
		}
	}
}

// Close ends the reading.
func (x *indexRows) Close() {
	if x.rows != nil {
		x.rows.Close()
	}
	x.run.Memory.Shrink(x.held)
	x.held = 0
	x.release()
}
