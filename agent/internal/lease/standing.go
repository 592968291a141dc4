package lease

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// stalled is how late a promise is withdrawn by a node that stood still itself: it
// looks each tick, and at each message.
const stalled = 500 * time.Millisecond

// Standing is how support between this node and a peer stands, in one direction.
type Standing struct {
	Node  cluster.NodeID
	Epoch Epoch // zero: there never was any
	Live  bool
	// Since is when the stretch began, or, of one that is over, when it ended, by the
	// boot-time clock.
	Since   time.Duration
	Left    time.Duration // for how long it counts
	Ceiling hlc.Timestamp
	Ended   uint64 // stretches that are over
	Cause   cluster.SupportCause
}

// end withdraws a promise.
func (g *promise) end(now time.Duration) {
	g.cause = cluster.SupportSilent
	switch {
	case g.restarted:
		g.cause = cluster.SupportRestarted
	case now > g.until+stalled:
		g.cause = cluster.SupportStalled
	}
	g.live, g.since = false, now
}

// Given is the support that this node gives each peer that has asked for it, by node.
// Any goroutine may call it.
func (p *Pairs) Given() []Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	out := make([]Standing, 0, len(p.given))
	for _, g := range p.given {
		s := Standing{Node: g.node, Live: g.live, Since: g.since, Ceiling: g.ceiling, Ended: g.count, Cause: g.cause}
		if s.Live {
			s.Left = max(g.until-now, 0)
		}
		if s.Epoch = p.epoch(g); !s.Live && g.count > 0 {
			s.Epoch.Count-- // of the stretch that is over
		}
		out = append(out, s)
	}
	return out
}

// Left is for how long a lease that holds goes on if no voter answers any more; the
// leader's own vote does not run out.
func (g *Grant) Left(now time.Duration) time.Duration {
	left := Counted
	for h := range g.need {
		var runs []time.Duration
		for i := range g.voters {
			v := &g.voters[i]
			if !v.Half[h] {
				continue
			}
			run := Counted
			if v.Peer != nil {
				s := v.Peer.now.Load()
				if s == nil || s.epoch != v.Bound {
					continue
				}
				run = max(s.until-now, 0)
			}
			runs = append(runs, run)
		}
		if len(runs) < g.need[h] {
			return 0
		}
		slices.SortFunc(runs, func(a, b time.Duration) int { return cmp.Compare(b, a) })
		if g.need[h] > 0 {
			left = min(left, runs[g.need[h]-1])
		}
	}
	return left
}

// Standing is how the peer's support stands. Any goroutine may call it.
func (p *Peer) Standing(now time.Duration) Standing {
	out := Standing{Node: p.node, Ended: p.lost.Load()}
	s := p.now.Load()
	if s == nil {
		return out
	}
	out.Epoch, out.Ceiling = s.epoch, s.ceiling
	if out.Left = max(s.until-now, 0); out.Left > 0 {
		out.Live, out.Since = true, s.since
	} else {
		out.Since = s.until
	}
	return out
}
