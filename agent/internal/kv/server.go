package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Server answers requests on the ranges that this node leads.
type Server struct {
	cfg   Config
	views views
}

// Methods returns the handlers of calls, by method, but for MethodPropose: see
// BeginPropose.
func (s *Server) Methods() map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	return map[string]func(context.Context, cluster.NodeID, []byte) ([]byte, error){
		MethodRead:  s.handleRead,
		MethodScan:  s.handleFirstChunk,
		MethodClock: s.handleClock,
	}
}

// hear takes a gateway's clock, so that this node's answers are not older than
// what the gateway has seen. A gateway whose clock is too far ahead is refused.
func (s *Server) hear(clock hlc.Timestamp, from cluster.NodeID) error {
	return clockError(s.cfg.Clock.Update(clock), s.cfg.Self, from)
}

// admit takes memory for a request of another gateway, until it is answered. Those
// of the meta range are let in always: what mends an overload goes through it.
func (s *Server) admit(id cluster.RangeID, payload []byte) (held int64, err error) {
	if id == cluster.MetaRangeID {
		return 0, nil
	}
	held = int64(len(payload))
	if err := s.cfg.Requests.Reserve(held); err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrOverloaded, err)
	}
	return held, nil
}

// BeginPropose takes a MethodPropose and gives its answer to reply, once, when the
// command's fate is known: nobody waits meanwhile. A command that raft does not have
// within the time that its gateway waits, or when cancel is called, is taken back.
func (s *Server) BeginPropose(from cluster.NodeID, payload []byte, within time.Duration, reply func([]byte, error)) (cancel func()) {
	req, clock, err := decodeProposeRequest(payload)
	if err != nil {
		reply(nil, err)
		return func() {}
	}
	held, err := s.admit(req.Range, payload)
	if err != nil {
		reply((&proposeReply{Err: err}).encode(s.cfg.Clock.Now()), nil)
		return func() {}
	}
	done := func(result []byte, ts hlc.Timestamp, err error) {
		s.cfg.Requests.Release(held)
		answer := proposeReply{TS: ts, Result: result, Err: clockError(err, s.cfg.Self, from)}
		reply(answer.encode(s.cfg.Clock.Now()), nil)
	}
	if err := s.hear(clock, from); err != nil {
		done(nil, 0, err)
		return func() {}
	}
	return s.cfg.Store.Begin(req.Range, req.Command, within, done)
}

func (s *Server) handleRead(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	req, clock, err := decodeReadRequest(payload)
	if err != nil {
		return nil, err
	}
	var reply readReply
	held, err := s.admit(req.Range, payload)
	defer s.cfg.Requests.Release(held)
	if reply.Err = err; err == nil {
		reply.Err = s.hear(clock, from)
	}
	if reply.Err == nil {
		reply.Rows, reply.Err = s.read(ctx, &req)
	}
	reply.Err = clockError(reply.Err, s.cfg.Self, from)
	return reply.encode(s.cfg.Clock.Now()), nil
}

func (s *Server) handleClock(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	r, clock := openMessage(payload)
	if err := r.End(); err != nil {
		return nil, err
	}
	// A gateway too far ahead is no reason not to tell it the time.
	_ = s.cfg.Clock.Update(clock)
	return beginMessage(0, s.cfg.Clock.Now()).b, nil
}

// readBytes bounds the values of one answer, but for its first row: who asked for
// more asks again for the rest.
const readBytes = 1 << 20

// read returns the rows at the request's time, or at this node's own; fewer, but at
// least one, if they are large.
func (s *Server) read(ctx context.Context, req *readRequest) ([]readRow, error) {
	ts := req.TS
	if ts == 0 {
		ts = s.cfg.Clock.Now()
	}
	var rows []readRow
	err := s.cfg.Store.ReadRows(ctx, req.Range, ts, req.Rows, func(r storage.Reader, d *cluster.RangeDescriptor, m evaluation.Mirror) (err error) {
		if err := store.Meets(req.Range, m, evaluation.Query{Rows: req.Rows, TS: ts, Passed: req.Passed}); err != nil {
			return err
		}
		rows, err = s.rows(req, ts, view{r, d, m})
		return err
	})
	return rows, err
}

// readPast is read, by the replica here as it is. It passes over no intent: of a transaction
// that was cleaned up and forgotten before it was asked about, the answer is that it commits
// later. At the leader its intents are gone by then; a replica that lags may have them still,
// and not what came of them.
func (s *Server) readPast(req *readRequest, newest bool) (rows []readRow, err error) {
	err = s.cfg.Store.ReadPast(req.Range, req.TS, newest, func(r storage.Reader, d *cluster.RangeDescriptor, m evaluation.Mirror) (err error) {
		if err := store.Meets(req.Range, m, evaluation.Query{Rows: req.Rows, TS: req.TS}); err != nil {
			return err
		}
		rows, err = s.rows(req, req.TS, view{r, d, m})
		return err
	})
	return rows, err
}

// view is a range as a read finds it.
type view struct {
	r storage.Reader
	d *cluster.RangeDescriptor
	m evaluation.Mirror
}

// rows reads the rows of a request from a range at a time.
func (s *Server) rows(req *readRequest, ts hlc.Timestamp, v view) ([]readRow, error) {
	rows := make([]readRow, len(req.Rows))
	size, r, d := 0, v.r, v.d
	if err := req.allowed(ts, r, d, v.m); err != nil {
		return nil, err
	}
	for i, row := range req.Rows {
		if _, err := keys.DecodeRow(row); err != nil {
			return nil, err
		}
		if !keys.Owns(d, row) {
			at := keys.Bound(row)
			return nil, s.mismatch(d, keys.PoolOf(row), at, at+"\x00")
		}
		s.cfg.Meter.read(req.Range, row)
		value, version, ok, err := datastate.Get(r, row, ts)
		if err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		if rows[i].Version = version; ok {
			rows[i].Value = value
		}
		if size += len(value); size > readBytes {
			return rows[:i+1], nil
		}
	}
	return rows, nil
}

// maxOthers bounds the ranges that one refusal names.
const maxOthers = 64

// mismatch says what d owns by now, and who owns the rest of [from, to) of pool p
// as far as this node knows.
func (s *Server) mismatch(d *cluster.RangeDescriptor, p cluster.PoolID, from, to cluster.Key) error {
	e := &store.RangeMismatchError{Descriptor: *d.Clone()}
	for at := from; at < to && len(e.Others) < maxOthers; {
		if d.Contains(p, at) {
			at = d.End
			continue
		}
		route, ok := s.cfg.Table.Lookup(p, at)
		if !ok || !route.Descriptor.Contains(p, at) {
			at = (at.VShard() + 1).Key()
			continue
		}
		if route.Descriptor.ID != d.ID {
			e.Others = append(e.Others, *route.Descriptor.Clone())
		}
		at = route.Descriptor.End
	}
	return e
}

// handleFirstChunk answers a whole small scan, or the beginning of a large one,
// in one call.
func (s *Server) handleFirstChunk(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	req, clock, err := decodeScanRequest(payload)
	if err != nil {
		return nil, err
	}
	req.MaxChunks = 1
	var out []byte
	if err = s.hear(clock, from); err == nil {
		err = s.scan(ctx, &req, func(chunk []byte) error {
			out = chunk
			return nil
		})
	}
	if err != nil {
		out = encodeScanError(s.cfg.Clock.Now(), clockError(err, s.cfg.Self, from))
	}
	return out, nil
}

// HandleScan answers a scan with a stream of chunks.
func (s *Server) HandleScan(ctx context.Context, from cluster.NodeID, request []byte, send func([]byte) error) error {
	req, clock, err := decodeScanRequest(request)
	if err != nil {
		return err
	}
	if err = s.hear(clock, from); err == nil {
		err = s.scan(ctx, &req, send)
	}
	if err != nil && ctx.Err() == nil {
		return send(encodeScanError(s.cfg.Clock.Now(), clockError(err, s.cfg.Self, from)))
	}
	return err
}

// view takes a view for a scan. A scan may take long; to confirm leadership may not.
func (s *Server) view(ctx context.Context, req *scanRequest) (*store.ReadHandle, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.AttemptTimeout, errAttempt)
	defer cancel()
	return s.cfg.Store.Read(ctx, req.Range, req.TS, req.scope(Planted{}))
}

// What one chunk may hold, whatever a request says.
const (
	maxChunkRows  = 1 << 16
	maxChunkBytes = 2 << 20
)

// scan sends the chunks of a scan, at most MaxChunks; the last one says whether
// rows may follow.
func (s *Server) scan(ctx context.Context, req *scanRequest, send func(chunk []byte) error) error {
	h, err := s.view(ctx, req)
	if err != nil {
		return err
	}
	return s.scanView(ctx, h, req, send)
}

// scanPast is scan, by the replica here as it is. It passes over no intent: see readPast.
func (s *Server) scanPast(ctx context.Context, req *scanRequest, newest bool, send func(chunk []byte) error) error {
	h, err := s.cfg.Store.PastView(req.Range, req.TS, newest)
	if err != nil {
		return err
	}
	here := *req
	here.Passed = nil
	return s.scanView(ctx, h, &here, send)
}

// scanView sends what a scan finds in a view, and closes it.
func (s *Server) scanView(ctx context.Context, h *store.ReadHandle, req *scanRequest, send func(chunk []byte) error) error {
	view := s.views.begin(h, s.cfg.ViewAge)
	defer view.close()
	if d := &h.Descriptor; !req.within(d) {
		return s.mismatch(d, req.Pool, req.From, req.To)
	}
	if err := unclosed(h.Mirror, req.Collection, req.TS); err != nil {
		return err
	}
	if err := allowed(h.Reader, &h.Descriptor, cluster.SchemaVersion{Collection: req.Collection, Version: req.Schema}); err != nil {
		return err
	}
	met := evaluation.Query{Span: req.scope(Planted{}).Span, TS: req.TS, Passed: req.Passed}
	if err := store.Meets(req.Range, h.Mirror, met); err != nil {
		return err
	}
	req.MaxRows, req.MaxBytes = min(max(req.MaxRows, 1), maxChunkRows), min(max(req.MaxBytes, 1), maxChunkBytes)
	rs := newRangeScan(h.Reader, req)
	var err error
	if rs.program, err = s.program(req); err != nil {
		return err
	}
	for n := uint64(1); ; n++ {
		chunk := newChunkWriter(s.cfg.Clock.Now(), 256)
		more, err := rs.fill(chunk)
		if errors.Is(err, storage.ErrCorruption) { // the engine tells of it, too
			return &store.DamagedError{Range: req.Range, Cause: err}
		}
		if err != nil {
			return fmt.Errorf("scan %s: %w", req.Range, err)
		}
		chunk.last = rs.last
		if rs.last != nil {
			s.cfg.Meter.read(req.Range, keys.Row(req.Pool, rs.last.VShard, req.Collection, rs.last.Key))
		}
		last := !more || n >= req.MaxChunks
		if last {
			view.close()
		} else {
			view.rest()
		}
		if err := s.sendChunk(chunk.finish(more), send); err != nil || last {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !view.read() {
			return nil // the chunk before said that there is more
		}
	}
}

// sendChunk counts the chunk until it is sent: as long as its reader lets it wait.
func (s *Server) sendChunk(chunk []byte, send func([]byte) error) error {
	n := int64(len(chunk))
	if err := s.cfg.Reads.Reserve(n); err != nil {
		return fmt.Errorf("%w: %w", store.ErrOverloaded, err)
	}
	defer s.cfg.Reads.Release(n)
	return send(chunk)
}
