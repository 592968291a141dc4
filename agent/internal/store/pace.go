package store

import "time"

// maxTicks is how many ticks are made up for after the process was held up. More
// would call elections at once.
const maxTicks = 3

// pacer makes a core's ticks: each when it is due, or those of a rest at its end.
type pacer struct {
	tick  time.Duration
	timer *time.Timer
	armed time.Time // when the timer fires; zero: it has
	last  time.Time // of the last tick
	rest  int       // ticks from there on until the next one that has something to do
}

// catchUp makes the ticks of a rest that something ends, ahead of what that wakes. Of
// a rest that has lasted too long the process was held up: as in tick, messages that
// arrived meanwhile come first.
func (p *pacer) catchUp(c *Core) {
	if since := time.Since(p.last); p.rest > 1 && since < time.Duration(p.rest)*p.tick {
		p.make(c, int(since/p.tick))
	}
}

// ticks makes the ticks that are due, after the messages that arrived.
func (p *pacer) ticks(c *Core) {
	due := int(time.Since(p.last) / p.tick)
	if p.make(c, min(due, maxTicks)); due > maxTicks {
		p.last = p.last.Add(time.Duration(due-maxTicks) * p.tick)
	}
}

func (p *pacer) make(c *Core, n int) {
	for range n {
		c.Tick()
	}
	p.last = p.last.Add(time.Duration(n) * p.tick)
	p.rest -= n
}

// arm has the timer fire at the end of the rest.
func (p *pacer) arm(rest int) {
	p.rest = rest
	if at := p.last.Add(time.Duration(rest) * p.tick); !at.Equal(p.armed) {
		p.armed = at
		p.timer.Reset(time.Until(at))
	}
}
