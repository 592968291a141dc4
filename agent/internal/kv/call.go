package kv

import (
	"context"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Span holds the rows of a collection with primary keys in [Start, End); empty: no bound.
type Span struct {
	Pool       cluster.PoolID
	Collection cluster.CollectionID
	Start, End []byte // encoded primary keys
}

// Point is the span of one row.
func Point(p cluster.PoolID, c cluster.CollectionID, key []byte) Span {
	end := append(append(make([]byte, 0, len(key)+1), key...), 0) // keys are prefix-free
	return Span{Pool: p, Collection: c, Start: key, End: end}
}

// Encoder is a request of a data range.
type Encoder interface{ Encode() []byte }

// Call is one request of one range, and its answer.
type Call struct {
	Range   cluster.RangeID
	Request Encoder
	Bytes   int // about how large the request is
	Rows    int // how many it names

	Result *datastate.Result
	TS     hlc.Timestamp // of the entry, if there is one
	Err    error
}

const (
	// flightBytes, flightCalls and flightRows bound what one Do has sent and not yet heard
	// of: enough for a command to each of 64 ranges and for several to one, little enough
	// that a hundred such requests leave a node its memory, and that leaders evaluate what
	// there is long before an attempt ends.
	flightBytes = 8 << 20
	flightCalls = 256
	flightRows  = 4096
)

// Do makes calls side by side, within bounds, and returns when each has its answer. A
// range that does not own what it is asked about answers datastate.WrongRange, or a
// *store.RangeMismatchError; then the table has learnt what it owns.
func (d *DB) Do(ctx context.Context, calls []*Call) {
	if len(calls) == 1 {
		d.call(ctx, calls[0])
		return
	}
	var (
		wg    sync.WaitGroup
		room  = sync.NewCond(new(sync.Mutex))
		calld int
		bytes int
		rows  int
	)
	for i, c := range calls {
		room.L.Lock()
		for calld > 0 && (calld >= flightCalls || bytes+c.Bytes > flightBytes || rows+c.Rows > flightRows) {
			room.Wait()
		}
		calld, bytes, rows = calld+1, bytes+c.Bytes, rows+c.Rows
		room.L.Unlock()
		if i == len(calls)-1 { // who waits for it may as well make it
			d.call(ctx, c)
			break
		}
		wg.Go(func() {
			d.call(ctx, c)
			room.L.Lock()
			calld, bytes, rows = calld-1, bytes-c.Bytes, rows-c.Rows
			room.L.Unlock()
			room.Signal()
		})
	}
	wg.Wait()
}

// call makes one call.
func (d *DB) call(ctx context.Context, c *Call) {
	if b, ok := c.Request.(*datastate.Batch); ok {
		b.For(d.cfg.Active(), d.cfg.Self)
	}
	cmd := store.Command{Payload: c.Request.Encode()}
	raw, ts, err := d.propose(ctx, c.Range, &cmd, Policy{})
	c.TS, c.Err = ts, err
	if err != nil {
		return
	}
	if c.Result, c.Err = datastate.DecodeResult(raw); c.Err != nil || c.Result.Outcome != datastate.WrongRange {
		return
	}
	if row := c.misplaced(); row != nil {
		d.learnSpan(ctx, row, c.Range)
	}
}

// misplaced is a row that is where the range was asked about something that it does not
// own; nil: nobody knows.
func (c *Call) misplaced() []byte {
	var record []byte
	var rows [][]byte
	switch r := c.Request.(type) {
	case *datastate.Batch:
		rows = opRows(r.Ops)
	case *datastate.Prewrite:
		rows = opRows(r.Ops)
	case *datastate.Commit:
		record, rows = r.Record, opRows(r.Ops)
	case *datastate.Push:
		record = r.Record
	case *datastate.Forget:
		if n := c.Result.FailedOp; n < len(r.Records) {
			record = r.Records[n]
		}
	case *datastate.Remains:
		rows = [][]byte{keys.DataSpan(r.Span.Pool, r.Span.From, r.Span.To).Start}
	case *datastate.Raise:
		rows = [][]byte{keys.DataSpan(r.Pool, r.From, r.From+"\x00").Start}
	case *datastate.Resolve:
		if rows = r.Rows; r.Span.To != "" {
			rows = [][]byte{keys.DataSpan(r.Span.Pool, r.Span.From, r.Span.To).Start}
		}
	case *datastate.Lock:
		rows = r.Rows
	}
	if n := c.Result.FailedOp; n < len(rows) {
		return rows[n]
	}
	return keys.BesideRecord(record)
}

func opRows(ops []datastate.Op) [][]byte {
	rows := make([][]byte, len(ops))
	for i := range ops {
		rows[i] = ops[i].Row
	}
	return rows
}

// RangeOf says which range owns a row, or the record of a transaction, as far as is known
// here; 0: nobody knows.
func (d *DB) RangeOf(key []byte) cluster.RangeID {
	route, ok := d.cfg.Table.Lookup(keys.PoolOf(key), keys.Bound(key))
	if !ok {
		return 0
	}
	return route.Descriptor.ID
}
