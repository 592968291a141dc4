package operation

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// largeRange is the range that is to be split because of its size, while its leader
// looks for the middle.
type largeRange struct {
	id     cluster.RangeID
	looked time.Time // at all ranges last
	asked  time.Time // its leader last
	asking bool
	// barren are the sizes of ranges in which no middle was found: one row has it all.
	// They are looked at again when they have doubled.
	barren map[cluster.RangeID]uint64
}

// splitLarge asks for a split of the largest range above the limit, at the key that
// halves its bytes, which its leader finds: one at a time.
func (c *Controller) splitLarge() {
	limit := c.in.View.Settings.RangeMaxBytes()
	if c.in.View.Settings.Rebalance() != metastate.RebalanceAuto {
		limit = 0 // nothing is done of its own accord
	}
	if limit == 0 || c.large.asking || c.in.Now.Sub(c.splitAsked) < c.cfg.HotFor || c.splitting() {
		return
	}
	if c.large.id == 0 {
		if c.in.Now.Sub(c.large.looked) < c.cfg.HotFor {
			return
		}
		c.large.looked = c.in.Now
		c.large.id = c.largest(limit)
	}
	x := c.snap.Range(c.large.id)
	if x == nil || x.Leader == 0 || x.Bytes <= limit || !c.splittable(&x.Descriptor) {
		c.large.id = 0
		return
	}
	if c.in.Now.Sub(c.large.asked) < c.cfg.Retry {
		return
	}
	c.large.asked, c.large.asking = c.in.Now, true
	c.do(Action{Kind: ActMiddle, To: x.Leader, Range: x.Descriptor.ID})
}

// largest returns the largest range above limit that can be split now; 0: none.
func (c *Controller) largest(limit uint64) cluster.RangeID {
	var best *placement.Range
	for i := range c.snap.Ranges {
		x := &c.snap.Ranges[i]
		if !x.Descriptor.IsMeta() && x.Bytes > max(limit, 2*c.large.barren[x.Descriptor.ID]) && x.Leader != 0 && (best == nil || x.Bytes > best.Bytes) && c.splittable(&x.Descriptor) {
			best = x
		}
	}
	if best == nil {
		return 0
	}
	return best.Descriptor.ID
}

// middleDone takes in where the leader of the large range has found its middle.
func (c *Controller) middleDone(done Completion) {
	if done.Action.Range != c.large.id {
		return
	}
	c.large.asking = false
	x := c.snap.Range(c.large.id)
	if done.Err != nil || x == nil {
		return // it looks for it still, or leads no more: it is asked again
	}
	c.large.id = 0
	if done.Middle == "" {
		if c.large.barren == nil {
			c.large.barren = map[cluster.RangeID]uint64{}
		}
		c.large.barren[x.Descriptor.ID] = x.Bytes
		return
	}
	if x.Descriptor.Inside(done.Middle) {
		c.askSplit(x.Descriptor.ID, done.Middle, fmt.Sprintf("size: %d bytes, the limit is %d", x.Bytes, c.in.View.Settings.RangeMaxBytes()))
	}
}
