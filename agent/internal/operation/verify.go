package operation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// MethodVerify has the replicas of a range compared, at its leader: it answers with
// the index of the entry at which.
const MethodVerify = "range.verify"

func (s *Server) verify(ctx context.Context, r *request) (*reply, error) {
	index, err := s.Store.Verify(ctx, r.Range)
	return &reply{Index: index}, err
}

// verifying is where the round over all ranges stands.
type verifying struct {
	next  cluster.RangeID               // the first that was not looked at yet
	asked map[cluster.RangeID]time.Time // when a range's leader was asked last
}

// verifyLook is how many ranges are looked at in one step: a hundred thousand in two
// minutes.
const verifyLook = 1000

// verifyRanges has the replicas of each range compared once in an interval, at a moment
// that follows from its id. A cluster that was never compared is not read all at
// once: at most twice as many are asked in a second as the interval calls for.
func (c *Controller) verifyRanges() {
	every := c.in.View.Settings.VerifyEvery()
	if every == 0 {
		return
	}
	for id, at := range c.verifying.asked {
		if c.in.Now.Sub(at) >= c.cfg.VerifyPause {
			delete(c.verifying.asked, id)
		}
	}
	ranges := c.snap.Ranges
	budget := 1 + int(2*float64(len(ranges))*c.cfg.SpreadEvery.Seconds()/every.Seconds())
	i, _ := slices.BinarySearchFunc(ranges, c.verifying.next, func(r placement.Range, id cluster.RangeID) int { return int(r.Descriptor.ID) - int(id) })
	for n := 0; n < min(verifyLook, len(ranges)) && budget > 0; n++ {
		x := &ranges[i%len(ranges)]
		i++
		c.verifying.next = x.Descriptor.ID + 1
		if i%len(ranges) == 0 {
			c.verifying.next = 0
		}
		if c.verifyDue(x, every) {
			budget--
			c.verifying.asked[x.Descriptor.ID] = c.in.Now
			c.do(Action{Kind: ActVerify, To: x.Leader, Range: x.Descriptor.ID})
		}
	}
}

// verifyDue reports whether the range's moment has passed since it was compared last.
// What moves or splits would be void.
func (c *Controller) verifyDue(x *placement.Range, every time.Duration) bool {
	d := &x.Descriptor
	if x.Leader == 0 || d.Joint() || len(d.Replicas) < 2 || c.moves[d.ID] != nil || !c.verifying.asked[d.ID].IsZero() {
		return false
	}
	return c.lookout.compare(d).At.Before(slot(c.in.Now, d.ID, every))
}

// slot is the last moment, at or before now, at which a range's turn came. Ids are
// spread over the interval by the golden ratio: neighbours are far apart.
func slot(now time.Time, id cluster.RangeID, every time.Duration) time.Time {
	const golden = 0x9e3779b97f4a7c15
	phase := time.Duration((uint64(id) * golden >> 32) % uint64(every))
	return now.Add(-phase).Truncate(every).Add(phase)
}

// diverged returns the events of ranges whose replicas differ.
func (c *Controller) diverged() []cluster.Event {
	var out []cluster.Event
	for _, id := range sorted(c.lookout.diverged) {
		cmp := c.lookout.diverged[id]
		key := divergedRange{id, fmt.Sprint(cmp.Index)}
		if c.observed.diverged[key] {
			continue
		}
		e := cluster.Event{
			Kind: cluster.EventRangeDiverged, Severity: cluster.SeverityError, Range: id, Text: short(cmp.Tell(id)),
			Data: map[string]string{"index": key.index},
		}
		if len(cmp.Differ) == 1 {
			e.Node = cmp.Differ[0]
		}
		out = append(out, e)
	}
	return out
}

// Diverged is how many ranges have replicas that differ, as the last step saw it.
func (c *Controller) Diverged() int { return len(c.lookout.diverged) }
