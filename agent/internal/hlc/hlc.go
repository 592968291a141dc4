// Package hlc is the hybrid logical clock.
//
// A Timestamp holds 46 bits of milliseconds since the Unix epoch and 18 bits of
// counter, so timestamps order as plain integers and 0 is before all of them.
//
// # Concurrency
//
// A Clock may be used by any number of goroutines.
//
// # Invariants
//
//  1. Now never returns the same or a smaller timestamp twice, even when the
//     physical clock steps back, and across a restart when the ceiling that
//     Ceiling reported was stored.
//  2. Update refuses a timestamp that is further ahead of the physical clock
//     than MaxOffset, and then changes nothing.
//  3. The physical clock of a node is a Steady: a step of the wall clock that
//     others do not agree with is in no timestamp.
package hlc

import (
	"fmt"
	"sync"
	"time"
)

const logicalBits = 18

// Timestamp is a point of hybrid time.
type Timestamp uint64

// Max is after every timestamp.
const Max = Timestamp(1<<64 - 1)

// New returns the first timestamp of the millisecond of t.
func New(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) << logicalBits }

// Time returns the physical part.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t >> logicalBits)).UTC() }

// Next returns the timestamp just after t.
func (t Timestamp) Next() Timestamp { return t + 1 }

// Add returns t moved by d, to the millisecond.
func (t Timestamp) Add(d time.Duration) Timestamp {
	return Timestamp(int64(t) + d.Milliseconds()<<logicalBits)
}

// String returns "1763913600000.3": milliseconds, counter.
func (t Timestamp) String() string {
	return fmt.Sprintf("%d.%d", uint64(t)>>logicalBits, uint64(t)&(1<<logicalBits-1))
}

// OffsetError refuses a timestamp that is too far ahead of the physical clock.
// Whose clock is wrong it cannot know: whoever gave the timestamp may be ahead,
// or this machine behind.
type OffsetError struct {
	Ahead, Limit time.Duration
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("its time is %s ahead of this machine's clock (limit %s): check time synchronisation on both", e.Ahead, e.Limit)
}

// Clock is a hybrid logical clock.
type Clock struct {
	physical  func() time.Time
	maxOffset time.Duration
	steady    *Steady // nil: physical is to be trusted

	mu struct {
		sync.Mutex
		last Timestamp
	}
}

// NewClock returns a clock that reads physical time from physical.
func NewClock(physical func() time.Time, maxOffset time.Duration) *Clock {
	return &Clock{physical: physical, maxOffset: maxOffset}
}

// NewSteadyClock returns a clock whose physical clock is s.
func NewSteadyClock(s *Steady) *Clock {
	return &Clock{physical: s.Now, maxOffset: s.cfg.Bound, steady: s}
}

// Settled reports whether the physical clock may be used: after a start peers may
// have to say first what the time is.
func (c *Clock) Settled() bool { return c.steady == nil || c.steady.Settled() }

// Found tells the physical clock where it was before a restart: see Steady.Found.
func (c *Clock) Found(at time.Time) {
	if c.steady != nil {
		c.steady.Found(at)
	}
}

// Wall returns the wall clock, which may be anywhere.
func (c *Clock) Wall() time.Time {
	if c.steady == nil {
		return c.physical()
	}
	return c.steady.Wall()
}

// Ahead is how far the clock is ahead of the physical one.
func (c *Clock) Ahead() time.Duration { return c.Last().Time().Sub(c.physical()) }

// Now returns a timestamp after every one returned or accepted before.
func (c *Clock) Now() Timestamp {
	p := New(c.physical())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.last = max(c.mu.last+1, p)
	return c.mu.last
}

// Last returns the newest timestamp returned or accepted, without advancing.
func (c *Clock) Last() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last
}

// Update makes the clock run at least at t. It returns an *OffsetError, and
// changes nothing, if t is too far ahead of the physical clock.
func (c *Clock) Update(t Timestamp) error {
	if ahead := t.Time().Sub(c.physical()); ahead > c.maxOffset {
		return &OffsetError{Ahead: ahead, Limit: c.maxOffset}
	}
	c.Forward(t)
	return nil
}

// Forward makes the clock run at least at t, unconditionally: for ceilings read
// from this node's own disk.
func (c *Clock) Forward(t Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.last = max(c.mu.last, t)
}

// Physical returns the physical clock's reading.
func (c *Clock) Physical() time.Time { return c.physical() }
