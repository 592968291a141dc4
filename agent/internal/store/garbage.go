package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// garbageTicks is how often, in ticks, the ranges that are led here are asked whether
// they have garbage to collect: once a second. Those that sleep are, too.
const garbageTicks = 10

// tickGarbage has the ranges that are led here collect their garbage.
func (c *Core) tickGarbage() {
	if c.cfg.Garbage == nil || c.ticks%garbageTicks != 0 || c.hangs() {
		return
	}
	p := c.cfg.Garbage()
	if p.Keep == 0 {
		return
	}
	for _, s := range c.order {
		if !s.takesPart() || !s.r.Leading() {
			continue
		}
		if c.roomFor(s, false) != nil {
			continue // what it finds would not go
		}
		jobs := len(c.garbage)
		if s.r.CollectGarbage(p); len(c.garbage) > jobs {
			c.mark(s)
		}
	}
}

// Garbage satisfies replica.Output.
func (c *Core) Garbage(j *replica.GarbageJob) { c.garbage = append(c.garbage, j) }

// TakeGarbage hands out the ranges whose garbage is to be looked for.
func (c *Core) TakeGarbage() []*replica.GarbageJob {
	js := c.garbage
	c.garbage = nil
	return js
}

// Collected ends a job that TakeGarbage handed out.
func (c *Core) Collected(j *replica.GarbageJob, f evaluation.Found, err error) {
	if s, ok := c.slots[j.Range]; ok {
		c.mark(s)
	}
	c.work.collected.Add(uint64(f.Versions)) //nolint:gosec // not negative
	j.Replica().Collected(j, f, err)
}

// collect carries out one job: garbage of one range of the node is looked for at a time.
// The view is taken when its turn has come.
func (s *Store) collect(ctx context.Context, j *replica.GarbageJob) {
	select {
	case s.collecting <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.collecting }()
	defer j.Drop() // the loop may open it after its caller has left
	var f evaluation.Found
	err := s.do(ctx, func(_ *Core, done func(error)) { done(j.Open()) })
	if err == nil {
		f, err = j.Collect(func(bytes int64) error { return s.garbageRate.wait(ctx, int(bytes)) })
	}
	_ = s.inbox.complete(func(c *Core) { c.Collected(j, f, err) }) // a stopped store does not care
}

// Threshold is the time below which this node's replica of a range is not read any more.
func (c *Core) Threshold(id cluster.RangeID) (ts hlc.Timestamp) {
	if s, ok := c.slots[id]; ok {
		ts = s.r.LeaseReads().Threshold()
	}
	return ts
}
