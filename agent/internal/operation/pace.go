package operation

import (
	"fmt"
	"math"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

const (
	paceWindow = 10 * time.Second // over which the rate is measured
	markEvery  = time.Second
	// rangeWork is what a range weighs besides its bytes: round trips.
	rangeWork = 1 << 20
	bandLeast = 0.1 // half the width of the ETA's band, at least
)

// mark is how far an operation was at some moment.
type mark struct {
	at    time.Time
	bytes uint64
	work  float64
}

// work weighs progress: bytes, and ranges, which cost time without bytes too.
func work(p cluster.Progress) float64 { return float64(p.Bytes) + rangeWork*float64(p.Replicas) }

// pace measures how fast an operation that moves replicas goes, how long it will
// take, and whether it stalls.
func (c *Controller) pace(r *run) {
	now, done := c.in.Now, work(r.op.Done)
	if r.paced.at.IsZero() {
		r.paced = mark{now, r.op.Done.Bytes, done}
	}
	if n := len(r.marks); n == 0 || now.Sub(r.marks[n-1].at) >= markEvery {
		r.marks = append(r.marks, mark{now, r.op.Done.Bytes, done})
	}
	for len(r.marks) > 1 && now.Sub(r.marks[1].at) >= paceWindow {
		r.marks = r.marks[1:]
	}
	first := r.marks[0]
	recent := perSecond(done-first.work, now.Sub(first.at))
	mean := perSecond(done-r.paced.work, now.Sub(r.paced.at))
	r.op.Pace.Rate = uint64(perSecond(float64(r.op.Done.Bytes)-float64(first.bytes), now.Sub(first.at)))
	r.op.Pace.ETA, r.op.Pace.Low, r.op.Pace.High = estimate(work(r.op.Total)-done, mean, recent)
	c.stall(r)
}

func perSecond(amount float64, over time.Duration) float64 {
	if over < markEvery || amount <= 0 {
		return 0
	}
	return amount / over.Seconds()
}

// estimate returns the seconds left and a band around them; zeros: not known.
func estimate(left, mean, recent float64) (eta, low, high float64) {
	if left <= 0 || mean <= 0 {
		return 0, 0, 0
	}
	eta = left / mean
	low, high = eta*(1-bandLeast), eta*(1+bandLeast)
	if recent > 0 {
		low, high = min(low, left/recent), max(high, left/recent)
	}
	round := func(s float64) float64 { return math.Round(s*10) / 10 }
	return round(eta), round(low), round(high)
}

// stall notes whether anything has gone on lately, and if not what it waits for.
func (c *Controller) stall(r *run) {
	sum, limit, first := progressSum{done: r.op.Done}, c.cfg.Stall, ""
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if m.op != r.op.ID {
			continue
		}
		sum.match += m.match
		if m.step == "snapshot" {
			limit = max(limit, c.patience(m))
		}
		if first == "" {
			first = fmt.Sprintf("%s %s -> %s: %s %s", id, m.move.From, m.move.To, m.step, m.why)
		}
	}
	if sum != r.progress || r.progressAt.IsZero() {
		r.progress, r.progressAt = sum, c.in.Now
	}
	quiet := c.in.Now.Sub(r.progressAt)
	stalled := r.op.State == cluster.OpRunning && quiet > limit
	if stalled != r.op.Stalled {
		r.op.Stalled, r.dirty = stalled, true
	}
	if !stalled {
		return
	}
	if first == "" {
		first = "a place for the next move"
	}
	r.op.Pace = cluster.Pace{}
	r.op.Why = fmt.Sprintf("no progress for %s; waits for %s", quiet.Round(time.Minute), first)
}

// progressSum differs whenever something has gone on.
type progressSum struct {
	done  cluster.Progress
	match uint64
}

// patience is how long a snapshot may take before its target, or its source, is
// given up: its log does not grow meanwhile, and its bytes share the rate with
// those of other moves.
func (c *Controller) patience(m *moving) time.Duration {
	rate := c.snap.Rate
	if r := c.runs[m.op]; r != nil && r.op.Rate() > 0 {
		rate = r.op.Rate()
	}
	copying := float64(c.cfg.MovesAtOnce) * float64(m.move.Bytes) / float64(max(rate, 1))
	return 10*c.cfg.Stall + time.Duration(copying*float64(time.Second))
}

// score compares what an operation took with what was predicted.
func score(op *cluster.Operation, planned float64, now time.Time) float64 {
	if planned <= 0 || op.StartedAt.IsZero() {
		return 0
	}
	return math.Round(100*(now.Sub(op.StartedAt).Seconds()/planned-1)) / 100
}
