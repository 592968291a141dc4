package operation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// oneSided is the share of the load from which on a split is of no use: a single
// row has it, and cannot be split.
const oneSided = 0.9

// splitHot asks for a split of a range whose load has been above the threshold for
// a while, at the key that halves it: one at a time, and not the same one again
// before it is known what the last split did.
func (c *Controller) splitHot() {
	limit := c.in.View.Settings.SplitLoad()
	if c.in.View.Settings.Rebalance() != metastate.RebalanceAuto {
		limit = 0 // nothing is done of its own accord
	}
	var hottest *placement.Range
	var load *cluster.RangeLoad
	for id := range c.hot {
		if !c.lookout.loads[id] {
			delete(c.hot, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.lookout.loads)) {
		x := c.snap.Range(id)
		if x == nil {
			continue
		}
		l := c.loadOf(x)
		if limit == 0 || l == nil || l.Rate < limit {
			delete(c.hot, id)
			continue
		}
		if _, ok := c.hot[id]; !ok {
			c.hot[id] = c.in.Now
		}
		if c.in.Now.Sub(c.hot[id]) < c.cfg.HotFor || !c.worthSplitting(x, l) {
			continue
		}
		if hottest == nil || l.Rate > load.Rate {
			hottest, load = x, l
		}
	}
	if hottest == nil || c.in.Now.Sub(c.splitAsked) < c.cfg.HotFor || c.splitting() {
		return
	}
	c.askSplit(hottest.Descriptor.ID, load.Middle, fmt.Sprintf("load: %.0f rows per second for %s, the threshold is %.0f",
		load.Rate, c.in.Now.Sub(c.hot[hottest.Descriptor.ID]).Round(time.Second), limit))
}

// askSplit asks for a split as an operator would.
func (c *Controller) askSplit(id cluster.RangeID, at cluster.Key, reason string) {
	c.splitAsked = c.in.Now
	c.command(upkeepOperation, metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
		Spec:        cluster.OperationSpec{Kind: cluster.OpSplit, Range: id, At: at},
		RequestedBy: "coordinator", State: cluster.OpQueued, Phases: splitPhases(), Total: cluster.Progress{Ranges: 1},
		Reason: reason,
	}}})
}

// worthSplitting reports whether a split would bring something now.
func (c *Controller) worthSplitting(x *placement.Range, l *cluster.RangeLoad) bool {
	d := &x.Descriptor
	return d.Inside(l.Middle) && max(l.Left, 1-l.Left) < oneSided && c.splittable(d)
}

// splittable reports whether nothing is in the way of a split of its own accord.
func (c *Controller) splittable(d *cluster.RangeDescriptor) bool {
	return !d.Joint() && c.moves[d.ID] == nil && !c.splitLately(d.ID)
}

// loadOf returns what the range's leader says of its load, if that is fresh.
func (c *Controller) loadOf(x *placement.Range) *cluster.RangeLoad {
	r, ok := c.in.Reports[x.Leader]
	if !ok || r.Status == nil || c.in.Now.Sub(r.At) > c.cfg.Fresh {
		return nil
	}
	if st := r.Status.Range(x.Descriptor.ID); st != nil && st.IsLeader() {
		return st.Load
	}
	return nil
}

// splitLately reports whether the range was split, or split off, a short while ago:
// its load is smoothed, and leaders may still move to where it is even.
func (c *Controller) splitLately(id cluster.RangeID) bool {
	for _, op := range c.in.View.Operations {
		if op.Spec.Kind == cluster.OpSplit && (op.Spec.Range == id || op.Child == id) && op.State.Final() && c.in.Now.Sub(op.EndedAt) < c.cfg.SplitCooldown {
			return true
		}
	}
	return false
}

// splitting reports whether a split is under way.
func (c *Controller) splitting() bool {
	for _, op := range c.in.View.Operations {
		if op.Spec.Kind == cluster.OpSplit && !op.State.Final() {
			return true
		}
	}
	return false
}
