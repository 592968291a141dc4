package operation

import (
	"fmt"
	"math"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

const (
	paceWindow = 30 * time.Second // over which the time left is measured
	rateWindow = 10 * time.Second // over which the rate is
	markEvery  = time.Second
	// rangeWork is what a range weighs besides its bytes: round trips.
	rangeWork = 1 << 20
	bandLeast = 0.1 // half the width of the ETA's band, at least
	// trust is how much of the work counts as done in the time that was planned for
	// it, besides what is measured: less and less, after trustFor seconds nothing.
	trust, trustFor = 0.02, 30.0
	smoothing       = 5.0 // seconds in which the time left follows what is measured
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
	now, done := c.in.Now, work(r.op.Done)+rangeWork*r.partly
	limit, of := c.in.View.SnapshotLimit()
	if r.paced.IsZero() || limit != r.pacedRate {
		r.restPace()
		r.paced, r.pacedRate = now, limit
	}
	if of != "" {
		r.op.Pace.Limit, r.op.Pace.LimitOf = limit, of
	} else {
		r.op.Pace.Limit, r.op.Pace.LimitOf = 0, ""
	}
	if n := len(r.marks); n == 0 || now.Sub(r.marks[n-1].at) >= markEvery {
		r.marks = append(r.marks, mark{now, r.op.Done.Bytes, done})
	}
	for len(r.marks) > 1 && now.Sub(r.marks[1].at) >= paceWindow {
		r.marks = r.marks[1:]
	}
	first, lately := r.marks[0], r.marks[0]
	for _, m := range r.marks {
		if now.Sub(m.at) >= rateWindow {
			lately = m
		}
	}
	r.op.Pace.Rate = uint64(perSecond(float64(r.op.Done.Bytes)-float64(lately.bytes), now.Sub(lately.at)))
	recent := perSecond(done-lately.work, now.Sub(lately.at))
	rate := r.blend(done-first.work, now.Sub(first.at), now.Sub(r.paced))
	r.op.Pace.ETA, r.op.Pace.Low, r.op.Pace.High = r.smooth(work(r.op.Total)-done, rate, recent, now)
	c.stall(r)
}

// blend returns the work per second: what is measured, and at the beginning what
// the plan foresees for a small part of the work, unless the plan was made for
// another rate.
func (r *run) blend(done float64, over, since time.Duration) float64 {
	foreseen := trust * work(r.op.Total) * max(0, 1-since.Seconds()/trustFor)
	if r.op.Planned <= 0 || r.op.Spec.Rate > 0 && r.pacedRate != r.op.Spec.Rate || r.op.Spec.Rate == 0 && r.op.Pace.LimitOf != "" {
		foreseen = 0
	}
	if foreseen == 0 && over < markEvery {
		return 0
	}
	takes := foreseen * r.op.Planned / max(work(r.op.Total), 1)
	return max(0, done+foreseen) / max(over.Seconds()+takes, 0.001)
}

// restPace begins to measure anew: it was paused, or may go faster or slower now.
func (r *run) restPace() {
	r.marks, r.paced, r.endsAt = nil, time.Time{}, time.Time{}
}

func perSecond(amount float64, over time.Duration) float64 {
	if over < markEvery || amount <= 0 {
		return 0
	}
	return amount / over.Seconds()
}

// smooth returns the seconds left and a band around them; zeros: not known. The
// moment of the end follows what is measured slowly: a time left that jumps
// helps nobody.
func (r *run) smooth(left, rate, recent float64, now time.Time) (eta, low, high float64) {
	if left <= 0 || rate <= 0 {
		r.endsAt = time.Time{}
		return 0, 0, 0
	}
	ends := now.Add(span(left / rate))
	if r.endsAt.IsZero() {
		r.endsAt = ends
	} else {
		part := min(1, now.Sub(r.smoothedAt).Seconds()/smoothing)
		r.endsAt = r.endsAt.Add(time.Duration(part * float64(ends.Sub(r.endsAt))))
	}
	r.smoothedAt = now
	eta = max(0.1, r.endsAt.Sub(now).Seconds())
	low, high = eta*(1-bandLeast), eta*(1+bandLeast)
	for _, x := range []float64{rate, recent} {
		if x > 0 {
			low, high = min(low, left/x), max(high, left/x)
		}
	}
	round := func(s float64) float64 { return math.Round(s*10) / 10 }
	return round(eta), round(low), round(high)
}

// span is a duration in seconds, bounded: next to nothing per second takes for
// ever.
func span(seconds float64) time.Duration {
	return time.Duration(min(seconds, (1000*time.Hour).Seconds()) * float64(time.Second))
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
	r.op.Pace = cluster.Pace{Limit: r.op.Pace.Limit, LimitOf: r.op.Pace.LimitOf}
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
