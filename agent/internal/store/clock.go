package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// The clock's ceiling is durable ahead of the clock, so that a restart begins
// above every timestamp that this node ever gave or accepted, whatever the
// machine's clock says then. It leads by ceilingLead and is raised with the next
// append once less than ceilingLow of that is left.
const (
	ceilingLead = 2 * time.Second
	ceilingLow  = time.Second
	// wakeMargin is how far ahead of the physical clock a restarted node may be
	// when it begins to speak: peers refuse a clock that is too far ahead.
	wakeMargin = 300 * time.Millisecond
)

const clockFormat byte = 1

type clock struct {
	hlc     *hlc.Clock
	engine  *storage.Engine
	marks   *Marks
	ceiling hlc.Timestamp // durable
	asked   hlc.Timestamp // being written
	heard   hlc.Timestamp // was refused: the next ceiling is to be above it
	// waking: after a restart, until it is settled what the time is and the physical
	// clock is near start. Nothing is given or accepted then, so the ceiling stays: one
	// that rose with each restart would keep a node that restarts often away for longer
	// each time.
	waking  bool
	start   hlc.Timestamp // the ceiling that was found
	planted replica.Planted
}

func (c *clock) open(e *storage.Engine, h *hlc.Clock, m *Marks) error {
	c.hlc, c.engine, c.marks = h, e, m
	var err error
	if c.ceiling, err = Ceiling(e); err != nil {
		return fmt.Errorf("read clock: %w", err)
	}
	if c.ceiling != 0 && !c.planted.Leases().Volatile() {
		h.Forward(c.ceiling)
		c.start = c.ceiling
		h.Found(c.ceiling.Time().Add(-ceilingLead))
	}
	c.waking = true
	c.wake()
	return nil
}

// wake ends the silence after a restart once the physical clock is near the
// ceiling.
func (c *clock) wake() bool {
	if c.waking && c.hlc.Settled() && c.start.Time().Sub(c.hlc.Physical()) <= wakeMargin {
		c.waking = false
	}
	return !c.waking
}

// present is the newest timestamp that there is now.
func (c *clock) present() hlc.Timestamp {
	now := c.hlc.Physical()
	if c.planted.WritesCeilingFirst() {
		now = c.hlc.Wall()
	}
	return max(hlc.New(now), c.hlc.Last())
}

// rest makes the present durable at a clean stop: that spares the next start the
// wait for the ceiling. A node that has given no timestamp has nothing to add.
//
// What was promised must be covered still: the next start, too, is to be above it.
func (c *clock) rest(promised hlc.Timestamp) error {
	if c.waking {
		return nil
	}
	return c.store(max(c.present(), promised))
}

// dry reports whether the present is at or above the durable ceiling: after the
// process was held up for a second or more, or while the disk hangs; otherwise wanted
// has raised the ceiling with some append before. A node gives and takes no timestamp
// then. It does not wait for the disk here: the loop must go round while that hangs.
func (c *clock) dry() bool { return !c.waking && c.left() <= 0 }

// left is how long the durable ceiling lasts.
func (c *clock) left() time.Duration {
	return c.ceiling.Time().Sub(c.present().Time())
}

var errDry = fmt.Errorf("%w: the clock waits for the disk", ErrOverloaded)

// wakes returns when the clock is near enough to the ceiling that was found.
func (c *clock) wakes() time.Time { return c.start.Time().Add(-wakeMargin) }

// observe moves the clock past ts, which a peer or a client gave.
func (c *clock) observe(ts hlc.Timestamp) error {
	if ts < c.ceiling {
		return c.hlc.Update(ts)
	}
	if ahead := ts.Time().Sub(c.hlc.Physical()); ahead > ceilingLead/2 {
		return c.hlc.Update(ts) // refused; the clock's own limit is stricter
	}
	c.heard = max(c.heard, ts)
	return errDry
}

// wanted returns the ceiling that the next batch should store, 0 if none.
func (c *clock) wanted() hlc.Timestamp {
	if c.waking {
		return 0
	}
	now := max(c.present(), c.heard)
	if now.Add(ceilingLow) < max(c.ceiling, c.asked) {
		return 0
	}
	c.asked = now.Add(ceilingLead)
	return c.asked
}

func (c *clock) stored(ts hlc.Timestamp) { c.ceiling = max(c.ceiling, ts) }

func (c *clock) store(ts hlc.Timestamp) error {
	b := c.engine.NewWriteBatch()
	err := writeCeiling(b, ts)
	if err == nil {
		err = c.marks.commit(b)
	}
	if e := b.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("store the clock's ceiling: %w", err)
	}
	c.stored(ts)
	return nil
}

func writeCeiling(w storage.Writer, ts hlc.Timestamp) error {
	return w.Set(keys.StoreClock(), binary.BigEndian.AppendUint64([]byte{clockFormat}, uint64(ts)))
}

// Ceiling reads the ceiling of a store: nothing above it was given or taken by its
// node. 0: it has not spoken yet.
func Ceiling(r storage.Reader) (hlc.Timestamp, error) {
	v, ok, err := r.Get(keys.StoreClock())
	if err != nil || !ok {
		return 0, err
	}
	if len(v) != 9 || v[0] != clockFormat {
		return 0, storage.ErrCorruption
	}
	return hlc.Timestamp(binary.BigEndian.Uint64(v[1:])), nil
}

// Awake reports whether this node speaks: it is settled what the time is, and the
// clock has passed what was used before a restart.
func (c *Core) Awake() bool { return !c.clock.waking }

// Wakes returns the time, by the physical clock, that has to be passed before this
// node speaks after a restart; the zero time: none.
func (c *Core) Wakes() time.Time {
	if !c.clock.waking || c.clock.start == 0 {
		return time.Time{}
	}
	return c.clock.wakes()
}

func (c *Core) awake() bool {
	if !c.clock.waking {
		return true
	}
	if !c.clock.wake() {
		return false
	}
	c.campaignAlone()
	return true
}

// observe moves the clock past a timestamp that another node gave.
func (c *Core) observe(ts hlc.Timestamp) error { return c.clock.observe(ts) }
