package store

// A node whose ranges all sleep has little to do at a tick: promises run out, and are
// asked for again. Rest says when; what happens before brings the next tick near again.

// Rest returns how many ticks pass until one of them has something to do, if nothing
// else happens meanwhile: one, unless every replica sleeps and nothing is under way.
// The shell makes those that pass meanwhile all at once, ahead of what ends the rest:
// they mean nothing to replicas that sleep.
func (c *Core) Rest() int {
	l := &c.leases
	switch {
	case c.cfg.Planted.TicksAsleep(), c.stirred || len(c.dirty) > 0 || c.out != nil || len(c.writes) > 0 || c.committing || c.round != nil || c.disk.hung || c.disk.told,
		c.clock.waking || c.clock.dry() || l.hushed || !c.back.settled,
		len(c.elections)+len(c.retries)+len(l.releases)+len(c.waiting.at) > 0:
		return 1
	}
	// At the ask the clock's ceiling is raised, too.
	due := l.ask - min(c.ticks, l.ask)
	if ends, ok := l.pairs.Next(); ok {
		due = min(due, uint64(max(ends-l.pairs.Now(), 0)/c.cfg.Tick)+1) //nolint:gosec // it is positive
	}
	return int(min(max(due, 1), maxTicks)) //nolint:gosec // it is small
}

// tickReplicas ticks those that are awake, and has the board told what they say. The
// ones that sleep are looked at once in statusTicks: they may have served reads.
func (c *Core) tickReplicas() {
	look := c.ticks%statusTicks == 0
	if !c.stirred && !look {
		return
	}
	c.stirred = false
	for _, s := range c.order {
		switch {
		case s.held || c.hangs() && !s.r.Leading():
			c.stirred = true
			continue
		case s.r.Asleep():
			if look && s.r.Moved() {
				c.publish(s.r)
			}
			continue
		}
		s.r.Tick()
		c.work.ticks.Add(1)
		if s.r.Due() {
			c.mark(s)
		}
		// By id, so that not all of them have their turn in one tick.
		if s.r.Unsettled() || (c.ticks+uint64(s.id))%statusTicks == 0 {
			c.publish(s.r)
		}
		c.stirred = c.stirred || !s.r.Asleep()
	}
}
