package store

import (
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// inbox holds the lanes for any number of goroutines.
type inbox struct {
	signal chan struct{} // holds one token while there is something
	began  time.Time
	memory *budget.Budget // of bulk messages; urgent ones are little, and have their own bound

	mu struct {
		sync.Mutex
		lanes  *Lanes
		closed bool
	}
}

func newInbox(limits LaneLimits, memory *budget.Budget, planted replica.Planted) *inbox {
	i := &inbox{signal: make(chan struct{}, 1), began: time.Now(), memory: memory}
	i.mu.lanes = NewLanes(limits, planted)
	return i
}

func (i *inbox) now() time.Duration { return time.Since(i.began) }

// ask queues a request.
func (i *inbox) ask(l Lane, fn func(*Core)) error { return i.queue(l, false, fn) }

// complete queues the end of what the core began.
func (i *inbox) complete(fn func(*Core)) error { return i.queue(Urgent, true, fn) }

func (i *inbox) queue(l Lane, completes bool, fn func(*Core)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mu.closed {
		return ErrStopped
	}
	if !i.mu.lanes.Ask(l, completes, i.now(), fn) {
		return ErrOverloaded
	}
	i.wake()
	return nil
}

// message queues a batch from a peer, or refuses it: raft sends again.
func (i *inbox) message(b RaftBatch) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mu.closed {
		return ErrStopped
	}
	bulk := laneOfBatch(b.Bytes) == Bulk
	if bulk {
		if err := i.memory.Reserve(int64(len(b.Bytes))); err != nil {
			return fmt.Errorf("%w: %w", ErrOverloaded, err)
		}
	}
	if !i.mu.lanes.Message(b, i.now()) {
		if bulk {
			i.memory.Release(int64(len(b.Bytes)))
		}
		return ErrOverloaded
	}
	i.wake()
	return nil
}

func (i *inbox) wake() {
	select {
	case i.signal <- struct{}{}:
	default:
	}
}

// take moves into w what the core is to do next.
func (i *inbox) take(w *Share) {
	i.mu.Lock()
	defer i.mu.Unlock()
	more, bytes := i.mu.lanes.Take(w, i.now())
	i.memory.Release(int64(bytes))
	if more {
		i.wake()
	}
}

func (i *inbox) usage() []LaneUsage {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mu.lanes.Usage(i.now())
}

// close refuses everything from now on and returns the requests that wait.
func (i *inbox) close() []func(*Core) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mu.closed = true
	var out []func(*Core)
	for more := true; more; {
		var w Share
		var bytes int
		more, bytes = i.mu.lanes.Take(&w, i.now())
		i.memory.Release(int64(bytes))
		out = append(out, w.Requests...)
	}
	return out
}
