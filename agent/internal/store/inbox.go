package store

import (
	"fmt"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// inbox is what waits for the core loop. Requests and messages are bounded apart,
// so that neither crowds the other out; both are refused at the door.
type inbox struct {
	signal chan struct{} // holds one token while there is something

	maxRequests, maxBytes int
	memory                *budget.Budget // of batches

	mu struct {
		sync.Mutex
		requests []func(*Core)
		batches  []raftBatch
		bytes    int
		closed   bool
	}
}

type raftBatch struct {
	from  cluster.NodeID
	bytes []byte
}

func newInbox(maxRequests, maxBytes int, memory *budget.Budget) *inbox {
	return &inbox{signal: make(chan struct{}, 1), maxRequests: maxRequests, maxBytes: maxBytes, memory: memory}
}

// ask queues a request; internal ones (completions) are never refused for want
// of room.
func (i *inbox) ask(internal bool, fn func(*Core)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mu.closed {
		return ErrStopped
	}
	if !internal && len(i.mu.requests) >= i.maxRequests {
		return ErrOverloaded
	}
	i.mu.requests = append(i.mu.requests, fn)
	i.wake()
	return nil
}

// message queues a batch from a peer, or refuses it: raft sends again.
func (i *inbox) message(b raftBatch) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mu.closed {
		return ErrStopped
	}
	if i.mu.bytes+len(b.bytes) > i.maxBytes {
		return ErrOverloaded
	}
	if err := i.memory.Reserve(int64(len(b.bytes))); err != nil {
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	}
	i.mu.batches = append(i.mu.batches, b)
	i.mu.bytes += len(b.bytes)
	i.wake()
	return nil
}

func (i *inbox) wake() {
	select {
	case i.signal <- struct{}{}:
	default:
	}
}

// take returns everything that waits, and takes back the slices of the last call.
func (i *inbox) take(requests []func(*Core), batches []raftBatch) ([]func(*Core), []raftBatch) {
	clear(requests)
	clear(batches)
	i.mu.Lock()
	defer i.mu.Unlock()
	r, b := i.mu.requests, i.mu.batches
	i.memory.Release(int64(i.mu.bytes))
	i.mu.requests, i.mu.batches, i.mu.bytes = requests[:0], batches[:0], 0
	return r, b
}

// close refuses everything from now on and returns what waits.
func (i *inbox) close() []func(*Core) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mu.closed = true
	i.memory.Release(int64(i.mu.bytes))
	i.mu.bytes = 0
	return i.mu.requests
}
