package admission

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/invariant"
)

// Queue bounds the statements of one kind. A nil Queue bounds nothing.
type Queue struct {
	name  string
	limit int // that run at once
	room  int // that wait, without those that have begun
	// planted are faults of tests; empty but with the tag "planted".
	planted Planted

	mu struct {
		sync.Mutex
		running       int
		begun, others list.List // of *waiter
		waited        uint64
		waitedFor     time.Duration
		refused       uint64
		refusedAt     time.Time
	}
}

// waiter is a statement in line.
type waiter struct {
	since time.Time
	turn  chan struct{} // closed when it has a place
}

// FullError says that a statement could neither run nor wait. Nothing of it was done.
type FullError struct {
	Queue       string
	Limit, Room int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%d %s statements run and %d wait: there is no room for one more", e.Limit, e.Queue, e.Room)
}

// New makes a queue that lets limit statements run and room more wait.
func New(name string, limit, room int) *Queue { return &Queue{name: name, limit: limit, room: room} }

// enter waits for a place. begun says that the statement goes on with something: it
// is not refused, and goes ahead of those that begin.
func (q *Queue) enter(ctx context.Context, begun bool) error {
	q.mu.Lock()
	if q.mu.running < q.limit {
		q.mu.running++
		q.mu.Unlock()
		return nil
	}
	line := &q.mu.others
	if begun {
		line = &q.mu.begun
	} else if line.Len() >= q.room && !q.planted.noBound() {
		q.mu.refused++
		q.mu.refusedAt = time.Now()
		q.mu.Unlock()
		return &FullError{Queue: q.name, Limit: q.limit, Room: q.room}
	}
	w := &waiter{since: time.Now(), turn: make(chan struct{})}
	e := line.PushBack(w)
	q.mu.Unlock()
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.turn: // it had its turn meanwhile
		if !q.planted.keepsPlace() {
			q.leaveLocked()
		}
	default:
		line.Remove(e)
	}
	return ctx.Err()
}

// leave gives a place to the next in line.
func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leaveLocked()
}

func (q *Queue) leaveLocked() {
	for _, line := range []*list.List{&q.mu.begun, &q.mu.others} {
		e := line.Front()
		if e == nil {
			continue
		}
		if q.planted.overtakes() {
			e = line.Back()
		}
		w := line.Remove(e).(*waiter)
		q.mu.waited++
		q.mu.waitedFor += time.Since(w.since)
		close(w.turn)
		return
	}
	q.mu.running--
	invariant.Check(q.mu.running >= 0, "%d %s statements run", q.mu.running, q.name)
}

// Usage is a queue at one moment.
type Usage struct {
	Name           string
	Running, Limit int
	Waiting, Room  int           // Waiting may be more: those that have begun need no room
	Oldest         time.Duration // that the longest waits; 0: nobody does
	Waited         uint64        // that had to wait and had their turn, and for how long together
	WaitedFor      time.Duration
	Refused        uint64
	LastRefused    time.Time // zero: never
}

// Usage says how full the queue is.
func (q *Queue) Usage() Usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := Usage{Name: q.name, Running: q.mu.running, Limit: q.limit, Waiting: q.mu.begun.Len() + q.mu.others.Len(), Room: q.room,
		Waited: q.mu.waited, WaitedFor: q.mu.waitedFor, Refused: q.mu.refused, LastRefused: q.mu.refusedAt}
	for _, line := range []*list.List{&q.mu.begun, &q.mu.others} {
		if e := line.Front(); e != nil {
			u.Oldest = max(u.Oldest, time.Since(e.Value.(*waiter).since))
		}
	}
	return u
}
