package kv

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// ScanRequest asks for the rows of a collection.
type ScanRequest struct {
	// TS is the time to read at; 0: after everything acknowledged so far.
	TS         hlc.Timestamp
	Pool       cluster.PoolID // of the collection
	Collection cluster.CollectionID
	// Start and End bound the encoded primary keys [Start, End); nil: no bound.
	Start, End []byte
	// Only, if not nil, is the one vshard in which all that is asked for lies.
	Only *cluster.VShard
	// Ordered gives the rows in the order of their keys; it costs a reader per
	// range at once. Reverse gives them in descending order and implies Ordered.
	Ordered, Reverse bool
	Limit            int64 // 0: none
	Policy           Policy
	// Reading is how the statement reads: see GetRequest.
	Reading Reading
	// Passed are transactions whose intents do not matter.
	Passed []cluster.TxnID
	Schema uint64 // as of a GetRequest
	// Program, if not empty, is sent to where the rows are: instead of them, what it gives
	// comes back, in parts. It excludes Ordered and Limit.
	Program []byte
	// Memory holds what was read and not taken yet; nil: nothing is counted.
	Memory *budget.Account
}

const (
	// firstChunkBytes bounds what comes in one call, among other calls.
	firstChunkBytes = 256 << 10
	// orderedChunkBytes bounds what an ordered scan holds of each range.
	orderedChunkBytes = 128 << 10
	orderedChunkRows  = 512
	// maxChunks bounds a stream: then the view of the range is taken anew, so
	// that a slow reader does not hold old data for ever.
	maxChunks = 16
)

// RowIterator gives the rows of a scan. It must be closed.
type RowIterator struct {
	db     *DB
	req    ScanRequest
	ctx    context.Context //nolint:containedctx // the life of the readers, ended by Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	left   int64 // negative: no limit

	pieces []piece
	next   atomic.Int64   // the piece that an unordered reader takes next
	rows   chan rowBatch  // of an unordered scan
	given  int64          // bytes of the batch that Next of an unordered scan returned last
	merge  *pieceMerge    // of an ordered scan, once it began
	inputs []*pieceSource // of an ordered scan

	held    atomic.Int64  // bytes of req.Memory
	freed   chan struct{} // holds one token when held has shrunk
	release func()        // of the snapshot
}

// rowBatch is one chunk on its way to the caller.
type rowBatch struct {
	rows  []Row
	bytes int64 // of Memory
}

// piece is a span of keys that one range owned when the scan began.
type piece struct{ from, to cluster.Key }

var errClosed = errors.New("the scan was closed")

// Scan begins to read. Ranges are read in parallel, ahead of the caller by a
// bounded amount.
func (d *DB) Scan(ctx context.Context, req ScanRequest) (*RowIterator, error) {
	if req.TS == 0 {
		ts, err := d.Fresh(ctx)
		if err != nil {
			return nil, err
		}
		req.TS = ts
	}
	from, to := cluster.VShard(0), cluster.VShard(cluster.VShards)
	if req.Only != nil {
		from, to = *req.Only, *req.Only+1
	}
	pieces, err := d.pieces(req.Pool, from.Key(), to.Key())
	if err != nil {
		return nil, err
	}
	req.Ordered = req.Ordered || req.Reverse
	it := &RowIterator{db: d, req: req, left: -1, pieces: pieces, freed: make(chan struct{}, 1)}
	if req.Limit > 0 {
		it.left = req.Limit
	}
	it.ctx, it.cancel = context.WithCancelCause(ctx)
	it.release = d.Hold(req.TS)
	if req.Ordered {
		it.startOrdered()
	} else {
		it.startUnordered()
	}
	return it, nil
}

// pieces cuts the keys [at, end) of a pool by range.
func (d *DB) pieces(p cluster.PoolID, at, end cluster.Key) ([]piece, error) {
	var ps []piece
	for at < end {
		route, ok := d.cfg.Table.Lookup(p, at)
		if !ok {
			return nil, &UnavailableError{Cause: errNoRoute}
		}
		to := route.Descriptor.End
		if !route.Descriptor.Contains(p, at) {
			to = (at.VShard() + 1).Key() // of a range that nobody here knows yet
		}
		to = min(to, end)
		ps = append(ps, piece{at, to})
		at = to
	}
	return ps, nil
}

// TS returns the time at which the rows are read.
func (it *RowIterator) TS() hlc.Timestamp { return it.req.TS }

// Next returns the next rows, at least one, or io.EOF. They are valid after the
// next call too.
func (it *RowIterator) Next(ctx context.Context) ([]Row, error) {
	if it.left == 0 {
		return nil, io.EOF
	}
	var rows []Row
	var err error
	if it.req.Ordered {
		rows, err = it.nextMerged(ctx)
	} else {
		rows, err = it.nextBatch(ctx)
	}
	if err != nil {
		return nil, err
	}
	if it.left > 0 {
		rows = rows[:min(int64(len(rows)), it.left)]
		it.left -= int64(len(rows))
	}
	return rows, nil
}

// Close ends the readers and waits for them. It may be called more than once.
func (it *RowIterator) Close() {
	it.cancel(errClosed)
	it.wg.Wait()
	it.release()
	it.req.Memory.Shrink(it.held.Swap(0))
}

// nextBatch returns what a reader of an unordered scan has read.
func (it *RowIterator) nextBatch(ctx context.Context) ([]Row, error) {
	// First: a reader may wait for the memory of what the caller is done with.
	it.free(it.given)
	b, err := it.receive(ctx, it.rows)
	it.given = b.bytes
	return b.rows, err
}

// hold takes memory for a chunk. The readers of an unordered scan share what the
// scan can get: one of them waits for what another has read to be taken. What an
// ordered scan needs of one range is not free before it has something of each.
func (it *RowIterator) hold(n int64) error {
	for {
		err := it.req.Memory.Grow(n)
		if err == nil {
			it.held.Add(n)
			return nil
		}
		if it.req.Ordered || it.held.Load() == 0 {
			return err
		}
		select {
		case <-it.freed:
		case <-it.ctx.Done():
			return context.Cause(it.ctx)
		}
	}
}

// free gives back what hold has taken, unless Close does.
func (it *RowIterator) free(n int64) {
	if n == 0 || it.ctx.Err() != nil {
		return
	}
	it.req.Memory.Shrink(n)
	it.held.Add(-n)
	select {
	case it.freed <- struct{}{}:
	default:
	}
}

// receive takes the next batch from a reader, or its end.
func (it *RowIterator) receive(ctx context.Context, ch <-chan rowBatch) (rowBatch, error) {
	select {
	case b, ok := <-ch:
		if ok {
			return b, nil
		}
		// A reader that fails cancels all before it closes its channel.
		if err := context.Cause(it.ctx); err != nil {
			return rowBatch{}, err
		}
		return rowBatch{}, io.EOF
	case <-it.ctx.Done():
		return rowBatch{}, context.Cause(it.ctx)
	case <-ctx.Done():
		return rowBatch{}, context.Cause(ctx)
	}
}

func (it *RowIterator) send(ch chan<- rowBatch, b rowBatch) error {
	select {
	case ch <- b:
		return nil
	case <-it.ctx.Done():
		return context.Cause(it.ctx)
	}
}

func (it *RowIterator) startUnordered() {
	n := min(it.db.cfg.ScanParallel, len(it.pieces))
	it.rows = make(chan rowBatch, n)
	var readers sync.WaitGroup
	for range n {
		readers.Add(1)
		it.wg.Go(func() {
			defer readers.Done()
			for {
				i := it.next.Add(1) - 1
				if i >= int64(len(it.pieces)) || it.ctx.Err() != nil {
					return
				}
				if err := it.read(it.pieces[i], it.rows); err != nil {
					it.cancel(err)
					return
				}
			}
		})
	}
	it.wg.Go(func() {
		readers.Wait()
		close(it.rows)
	})
}

// pieceReader reads one piece; after is where it stands.
type pieceReader struct {
	it    *RowIterator
	piece piece
	out   chan<- rowBatch
	after *position
	left  int64
	read  readCount // rows that were read, and the bytes that came of them
	rq    *request  // of the pass

	transactions resolving
}

// read sends the rows of p to out, retrying and resuming as leaders change.
func (it *RowIterator) read(p piece, out chan<- rowBatch) error {
	return (&pieceReader{it: it, piece: p, out: out, left: it.req.Limit, transactions: resolving{db: it.db, passed: slices.Clone(it.req.Passed)}}).run()
}

// run reads until the piece ends. A range that is split meanwhile is read on in
// both halves.
func (r *pieceReader) run() error {
	started := time.Now()
	for replans := 0; ; {
		more, err := r.pass()
		var mismatch *store.RangeMismatchError
		var split *splitPieceError
		var intents *store.IntentsError
		switch {
		case errors.As(err, &split):
			return r.fork(split.at)
		case errors.As(err, &intents):
			if _, _, err := r.transactions.met(r.it.ctx, err); err != nil {
				return err
			}
		case errors.As(err, &mismatch):
			if err := r.it.db.replanPause(r.it.ctx, replans, started); err != nil {
				return err
			}
			replans++
		case err != nil:
			return err
		case !more:
			return nil
		default:
			replans, started = 0, time.Now()
		}
	}
}

// pass reads from one view of the range that owns what comes next.
func (r *pieceReader) pass() (more bool, err error) {
	it := r.it
	from := r.piece.from
	if r.after != nil && !it.req.Ordered {
		from = max(from, keys.Bound(keys.Row(it.req.Pool, r.after.VShard, it.req.Collection, r.after.Key)))
	}
	route, ok := it.db.cfg.Table.Lookup(it.req.Pool, from)
	if !ok {
		return false, &UnavailableError{Cause: errNoRoute}
	}
	to := r.piece.to
	if route.Descriptor.Contains(it.req.Pool, from) { // else it refuses, and tells
		to = min(to, route.Descriptor.End)
	}
	if it.req.Ordered && to < r.piece.to {
		return false, &splitPieceError{at: to}
	}
	req := scanRequest{
		Range: route.Descriptor.ID, TS: it.req.TS, Pool: it.req.Pool, Collection: it.req.Collection, From: from, To: to,
		Start: it.req.Start, End: it.req.End, Ordered: it.req.Ordered, Reverse: it.req.Reverse,
		MaxRows: uint64(it.db.cfg.ChunkRows), MaxBytes: uint64(it.db.cfg.ChunkBytes), Passed: r.transactions.passed, Schema: it.req.Schema,
		Program: it.req.Program,
	}
	if len(it.req.Program) > 0 { // few rows come of many
		req.MaxRows, req.MaxBytes = maxChunkRows, maxChunkBytes
	}
	if it.req.Ordered {
		req.MaxRows, req.MaxBytes = min(req.MaxRows, orderedChunkRows), min(req.MaxBytes, orderedChunkBytes)
	}
	r.rq = it.db.request(req.Range, it.req.Policy)
	r.rq.unbounded = true
	if more, err = r.readSome(&req); err != nil {
		return false, fmt.Errorf("scan %s: %w", req.Range, err)
	}
	if !more && to < r.piece.to { // the range was split: go on in its other half
		r.piece.from, r.after, more = to, nil, true
	}
	return more && (it.req.Limit == 0 || r.left > 0), nil
}

// readSome reads what the gate says where it says.
func (r *pieceReader) readSome(req *scanRequest) (more bool, err error) {
	d, reading := r.it.db, &r.it.req.Reading
	began, before := time.Now(), r.read
	part := RangeRead{Range: req.Range, Node: d.cfg.Self, TS: req.TS}
	defer func() {
		if err == nil {
			part.Rows, part.Bytes, part.Took = r.read.rows-before.rows, r.read.bytes-before.bytes, time.Since(began)
			d.noteRead(reading, part)
		}
	}()
	if part.Follower, part.Why = d.gate(req.Range, req.TS, reading); part.Follower {
		more, err = r.readPast(req)
		if err == nil {
			return more, nil
		}
		why, atLeader := pastFailed(err)
		if !atLeader {
			d.learn(err)
			return false, err
		}
		part.Follower, part.Why = false, why
	}
	err = r.rq.run(r.it.ctx, func(ctx context.Context, node cluster.NodeID) (err error) {
		part.Node = node
		more, err = r.readAt(ctx, node, req)
		return err
	})
	return more, err
}

// readPast reads chunks from the replica here as it is.
func (r *pieceReader) readPast(req *scanRequest) (more bool, err error) {
	more = true
	r.prepare(req, maxChunks)
	err = r.it.db.server.scanPast(r.it.ctx, req, r.it.req.Reading.Consistency == Eventual, func(b []byte) (err error) {
		more, err = r.deliver(b)
		return err
	})
	return more, err
}

// readAt reads chunks at one node until the pass or the rows end.
func (r *pieceReader) readAt(ctx context.Context, node cluster.NodeID, req *scanRequest) (more bool, err error) {
	d := r.it.db
	more = true
	deliver := func(b []byte) error {
		var err error
		more, err = r.deliver(b)
		return err
	}
	r.prepare(req, maxChunks)
	if node == d.cfg.Self {
		err = d.server.scan(ctx, req, deliver)
		return more, err
	}
	first := *req
	first.MaxBytes = min(req.MaxBytes, firstChunkBytes)
	if err := r.call(ctx, node, &first, deliver); err != nil || !more {
		return more, err
	}
	r.prepare(req, maxChunks)
	err = d.cfg.Caller.Scan(ctx, node, req.encode(d.cfg.Clock.Now()), deliver)
	return more, err
}

func (r *pieceReader) prepare(req *scanRequest, chunks uint64) {
	req.After, req.MaxChunks = r.after, chunks
	if r.it.req.Limit > 0 {
		req.Limit = uint64(r.left)
	}
}

// call gets the first chunk.
func (r *pieceReader) call(ctx context.Context, node cluster.NodeID, req *scanRequest, deliver func([]byte) error) error {
	d := r.it.db
	callCtx, cancel := context.WithTimeoutCause(ctx, d.patience(node), errAttempt)
	defer cancel()
	b, err := d.cfg.Caller.Call(callCtx, node, MethodScan, req.encode(d.cfg.Clock.Now()))
	if err != nil {
		return err
	}
	return deliver(b)
}

// deliver takes one chunk.
func (r *pieceReader) deliver(b []byte) (more bool, err error) {
	chunk, clock, err := decodeScanChunk(b)
	if err != nil {
		return false, err
	}
	r.it.db.heard(clock)
	if chunk.Err != nil {
		return false, chunk.Err
	}
	if len(chunk.Rows) > 0 {
		// The rows are parts of b.
		if err := r.it.hold(int64(len(b))); err != nil {
			return false, err
		}
		if err := r.it.send(r.out, rowBatch{chunk.Rows, int64(len(b))}); err != nil {
			return false, err
		}
	}
	if chunk.Last != nil {
		r.after = chunk.Last
		r.rq.progress()
	}
	r.left -= int64(len(chunk.Rows))
	r.read.rows += chunk.Read.rows
	r.read.bytes += len(b)
	return chunk.More && (r.it.req.Limit == 0 || r.left > 0), nil
}

// pieceSource is one range's part of an ordered scan.
type pieceSource struct {
	ch    chan rowBatch
	rows  []Row
	bytes int64 // of Memory, for rows
}

func (it *RowIterator) startOrdered() {
	for _, p := range it.pieces {
		src := &pieceSource{ch: make(chan rowBatch, 1)}
		it.inputs = append(it.inputs, src)
		it.wg.Go(func() {
			defer close(src.ch)
			if err := it.read(p, src.ch); err != nil {
				it.cancel(err)
			}
		})
	}
}

// pieceMerge is a heap of sources by their next primary key.
type pieceMerge struct {
	inputs  []*pieceSource // whose first rows have not come yet
	sources []*pieceSource
	reverse bool
}

func (m *pieceMerge) Len() int { return len(m.sources) }
func (m *pieceMerge) Less(i, j int) bool {
	c := bytes.Compare(m.sources[i].rows[0].Key, m.sources[j].rows[0].Key)
	return c < 0 != m.reverse && c != 0
}
func (m *pieceMerge) Swap(i, j int) { m.sources[i], m.sources[j] = m.sources[j], m.sources[i] }
func (m *pieceMerge) Push(x any)    { m.sources = append(m.sources, x.(*pieceSource)) } //nolint:forcetypeassert // of nextOf only
func (m *pieceMerge) Pop() any {
	n := len(m.sources) - 1
	src := m.sources[n]
	m.sources = m.sources[:n]
	return src
}

// mergedRows is how many rows an ordered scan returns at once at most.
const mergedRows = 1024

func (it *RowIterator) nextMerged(ctx context.Context) ([]Row, error) {
	if it.merge == nil {
		it.merge = &pieceMerge{reverse: it.req.Reverse, inputs: it.inputs}
	}
	return it.nextOf(ctx, it.merge)
}

// nextOf returns the next rows of a merge, or io.EOF.
func (it *RowIterator) nextOf(ctx context.Context, m *pieceMerge) ([]Row, error) {
	for len(m.inputs) > 0 {
		src := m.inputs[0]
		if ok, err := it.advance(ctx, src); err != nil {
			return nil, err
		} else if ok {
			heap.Push(m, src)
		}
		m.inputs = m.inputs[1:]
	}
	var out []Row
	for m.Len() > 0 && len(out) < mergedRows {
		src := m.sources[0]
		if len(src.rows) == 1 && len(src.ch) == 0 && len(out) > 0 {
			break // give what there is rather than wait for the next batch
		}
		row := src.rows[0]
		if src.rows = src.rows[1:]; len(src.rows) > 0 {
			heap.Fix(m, 0)
		} else if ok, err := it.advance(ctx, src); err != nil {
			return nil, err
		} else if ok {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
		out = append(out, row)
	}
	if len(out) == 0 {
		return nil, io.EOF
	}
	return out, nil
}

// advance takes the next batch of src; !ok: it has ended.
func (it *RowIterator) advance(ctx context.Context, src *pieceSource) (ok bool, err error) {
	it.free(src.bytes)
	b, err := it.receive(ctx, src.ch)
	src.rows, src.bytes = b.rows, b.bytes
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}
