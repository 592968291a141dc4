package transport

import (
	"context"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// outbox is the bounded send queue of one stream: encoded frames that the
// stream's writer takes all at once, so that under load one gRPC message
// carries many.
type outbox struct {
	limit  int            // bytes
	memory *budget.Budget // of what waits
	pool   *bufferPool
	wake   chan struct{} // 1 deep

	mu struct {
		sync.Mutex
		buf    *[]byte
		taken  uint64 // batches that the writer took
		closed bool
	}
}

func newOutbox(limit int, memory *budget.Budget, pool *bufferPool) *outbox {
	o := &outbox{limit: limit, memory: memory, pool: pool, wake: make(chan struct{}, 1)}
	o.mu.buf = pool.Get(0)
	return o
}

// push adds a frame and returns the number of the batch that it goes in. It
// returns false, and changes nothing, if there is no room or the box is closed.
func (o *outbox) push(f *frame) (batch uint64, ok bool) {
	n := f.size()
	o.mu.Lock()
	have := len(*o.mu.buf)
	if o.mu.closed || have > 0 && have+n > o.limit || o.memory.Reserve(int64(n)) != nil {
		o.mu.Unlock()
		return 0, false
	}
	*o.mu.buf = f.append(*o.mu.buf)
	batch = o.mu.taken + 1
	o.mu.Unlock()
	if have == 0 {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return batch, true
}

// take returns all frames that wait, or nil.
func (o *outbox) take() *[]byte {
	next := o.pool.Get(0)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(*o.mu.buf) == 0 {
		o.pool.Put(next)
		return nil
	}
	b := o.mu.buf
	o.memory.Release(int64(len(*b)))
	o.mu.buf = next
	o.mu.taken++
	return b
}

// close refuses further frames and returns how many batches were taken: a frame
// of a later batch was never sent.
func (o *outbox) close() (taken uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.mu.closed { // nobody takes what is left
		o.memory.Release(int64(len(*o.mu.buf)))
		*o.mu.buf = (*o.mu.buf)[:0]
	}
	o.mu.closed = true
	return o.mu.taken
}

// run sends what is pushed until ctx is done or send fails. fault is asked
// before each batch.
func (o *outbox) run(ctx context.Context, to cluster.NodeID, fault func(cluster.NodeID) Fault, send func(any) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.wake:
		}
		b := o.take()
		if b == nil {
			continue
		}
		f := fault(to)
		if f.Cut {
			continue // as a network does: silently
		}
		if f.Delay > 0 && !pause(ctx, f.Delay) {
			return context.Cause(ctx)
		}
		if err := send(&message{data: *b}); err != nil {
			return err
		}
	}
}

// pause waits for d and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
