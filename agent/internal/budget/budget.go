package budget

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/invariant"
)

// Budget is what one part of a node may hold. A nil Budget has no bound and
// counts nothing: tests and the simulation use it.
type Budget struct {
	name   string
	limit  int64
	parent *Budget
	// planted are faults of tests; empty but with the tag "planted".
	planted Planted

	used, peak atomic.Int64
	refused    atomic.Uint64
	refusedAt  atomic.Int64 // Unix nanoseconds; 0: never

	mu struct {
		sync.Mutex
		children []*Budget
	}
}

// FullError says that bytes were refused. Nothing was taken.
type FullError struct {
	Budget      string // the one that is full: the part's own, or one above it
	Limit, Used int64
	Wanted      int64 // bytes more
}

func (e *FullError) Error() string {
	return fmt.Sprintf("memory for %s is used up: %d of %d bytes, %d more are needed", e.Budget, e.Used, e.Limit, e.Wanted)
}

// New makes a budget of limit bytes with nothing above it.
func New(name string, limit int64) *Budget { return &Budget{name: name, limit: limit} }

// Child makes a part of b with a bound of its own. A nil Budget has nil children.
func (b *Budget) Child(name string, limit int64) *Budget {
	if b == nil {
		return nil
	}
	c := New(name, limit)
	c.parent, c.planted = b, b.planted
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.children = append(b.mu.children, c)
	return c
}

// Reserve takes n bytes, or returns a *FullError.
func (b *Budget) Reserve(n int64) error {
	for at := b; at != nil; at = at.parent {
		used := at.used.Add(n)
		if used > at.limit && (at == b || !b.planted.ownBound()) {
			for undo := b; !b.planted.keepsTaken(); undo = undo.parent {
				undo.used.Add(-n)
				if undo == at {
					break
				}
			}
			b.refuse()
			return &FullError{Budget: at.name, Limit: at.limit, Used: used - n, Wanted: n}
		}
	}
	for at := b; at != nil; at = at.parent {
		at.reach()
	}
	return nil
}

// reach raises the peak to what is taken; more than the limit is somebody who is
// just being refused.
func (b *Budget) reach() {
	used := min(b.used.Load(), b.limit)
	for peak := b.peak.Load(); used > peak && !b.peak.CompareAndSwap(peak, used); peak = b.peak.Load() {
	}
}

func (b *Budget) refuse() {
	b.refused.Add(1)
	b.refusedAt.Store(time.Now().UnixNano())
}

// Release gives back n bytes that Reserve has taken.
func (b *Budget) Release(n int64) {
	for at := b; at != nil; at = at.parent {
		used := at.used.Add(-n)
		invariant.Check(used >= 0, "budget %s holds %d bytes", at.name, used)
	}
}

// Used is what is taken now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Usage is a budget at one moment.
type Usage struct {
	Name              string
	Depth             int // 0: the whole
	Used, Peak, Limit int64
	// Refused counts what was asked of this budget in vain, also if one above it was
	// the full one; LastRefused is when that was last, zero: never.
	Refused     uint64
	LastRefused time.Time
}

// Usage returns the budget and all below it: parts after their whole, in the order
// in which they were made.
func (b *Budget) Usage() []Usage {
	if b == nil {
		return nil
	}
	return b.usage(nil, 0)
}

func (b *Budget) usage(out []Usage, depth int) []Usage {
	u := Usage{Name: b.name, Depth: depth, Used: b.used.Load(), Peak: b.peak.Load(), Limit: b.limit, Refused: b.refused.Load()}
	if at := b.refusedAt.Load(); at != 0 {
		u.LastRefused = time.Unix(0, at)
	}
	out = append(out, u)
	b.mu.Lock()
	children := b.mu.children
	b.mu.Unlock()
	for _, c := range children {
		out = c.usage(out, depth+1)
	}
	return out
}
