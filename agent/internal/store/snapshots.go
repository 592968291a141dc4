package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// sendSnapshot carries out one job. It waits for a free slot without holding a
// view: the view is taken when the stream begins.
func (s *Store) sendSnapshot(ctx context.Context, j *replica.SnapshotJob) {
	var reply []byte
	err := context.Canceled
	select {
	case s.slots <- struct{}{}:
		begun := time.Now()
		reply, err = s.stream(ctx, j)
		<-s.slots
		if err == nil {
			s.cfg.Logger.Debug("snapshot sent", logattr.Range(j.Range), logattr.Peer(j.Node), logattr.Duration(time.Since(begun)))
		}
	case <-ctx.Done():
	}
	_ = s.inbox.complete(func(c *Core) { c.SnapshotDone(j, reply, err) }) // a stopped store does not care
}

func (s *Store) stream(ctx context.Context, j *replica.SnapshotJob) ([]byte, error) {
	type opened struct {
		header []byte
		reader *replica.SnapshotReader
	}
	o, err := request(ctx, s, func(_ *Core, done func(opened, error)) {
		header, reader, err := j.Open()
		done(opened{header, reader}, err)
	})
	if err != nil {
		return nil, err
	}
	reply, err := s.cfg.Sender.SendSnapshot(ctx, j.Node, o.header, func() ([]byte, error) {
		chunk, err := o.reader.Next()
		if err != nil {
			return nil, err
		}
		return chunk, s.rate.wait(ctx, len(chunk))
	})
	if err = errors.Join(err, o.reader.Close()); err != nil {
		return nil, fmt.Errorf("send snapshot of %s to %s: %w", j.Range, j.Node, err)
	}
	return reply, nil
}

// HandleSnapshot receives a snapshot that a peer's Sender sends, and returns the
// reply for it once the snapshot is installed and durable.
func (s *Store) HandleSnapshot(ctx context.Context, from cluster.NodeID, header []byte, recv func() ([]byte, error)) ([]byte, error) {
	h, err := replica.DecodeSnapshotHeader(header)
	if err != nil {
		return nil, err
	}
	if d, ok := h.Descriptor.ByReplica(h.From); !ok || d.Node != from {
		return nil, &RefusedError{Range: h.Range, Reason: "snapshot is not from the sender's own replica"}
	}
	leave, err := s.places.enter(ctx, h)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.do(ctx, func(c *Core, done func(error)) { done(c.ExpectSnapshot(h)) }); err != nil {
		return nil, err
	}
	in, err := s.receive(ctx, h, recv)
	if err != nil {
		return nil, fmt.Errorf("receive snapshot of %s from %s: %w", h.Range, from, err)
	}
	reply, err := request(ctx, s, func(c *Core, done func([]byte, error)) { c.Install(in, done) })
	if errors.Is(err, ErrStopped) || errors.Is(err, ErrOverloaded) {
		in.Drop(err)
	}
	return reply, err
}

func (s *Store) receive(ctx context.Context, h *replica.SnapshotHeader, recv func() ([]byte, error)) (*replica.Incoming, error) {
	w := replica.NewSnapshotWriter(s.cfg.Engine, h)
	for {
		chunk, err := recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.intake.wait(ctx, len(chunk)) // the sender feels it through flow control
		}
		if err == nil {
			err = w.Add(chunk)
		}
		if err != nil {
			return nil, errors.Join(err, w.Abort())
		}
	}
	in, err := w.Finish()
	if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return in, nil
}

// rateLimit is a token bucket whose rate may change while others wait.
type rateLimit struct {
	mu      sync.Mutex
	rate    int64 // bytes per second
	tokens  float64
	filled  time.Time
	changed chan struct{} // closed and replaced when the rate changes
}

func newRateLimit(rate int64) *rateLimit {
	return &rateLimit{rate: rate, filled: time.Now(), changed: make(chan struct{})}
}

func (r *rateLimit) set(rate int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refill()
	r.rate = max(rate, 1)
	close(r.changed)
	r.changed = make(chan struct{})
}

// refill adds what time has brought, at most a quarter second's worth.
func (r *rateLimit) refill() {
	now := time.Now()
	r.tokens = min(r.tokens+now.Sub(r.filled).Seconds()*float64(r.rate), float64(r.rate)/4)
	r.filled = now
}

// wait takes n bytes' worth of tokens and returns when they have come. It may
// overdraw once, so that chunks larger than the bucket pass.
func (r *rateLimit) wait(ctx context.Context, n int) error {
	r.mu.Lock()
	r.refill()
	r.tokens -= float64(n)
	r.mu.Unlock()
	for {
		r.mu.Lock()
		r.refill()
		missing, changed := -r.tokens/float64(r.rate), r.changed
		r.mu.Unlock()
		if missing <= 0 {
			return nil
		}
		t := time.NewTimer(time.Duration(missing * float64(time.Second)))
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
