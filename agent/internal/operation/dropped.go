package operation

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// forgetEvery is how often a record of a dropped collection is asked to be forgotten, at
// most: the command is on its way for a moment.
const forgetEvery = 2 * time.Second

// forgetDropped forgets the records of dropped collections that every range of their
// pool has cleared. Leaders clear by themselves (package replica); here it is only seen.
func (c *Controller) forgetDropped() {
	v := c.in.View
	if len(v.Dropped) == 0 || c.in.Now.Sub(c.forgotAt) < forgetEvery {
		return
	}
	cleared := map[cluster.PoolID]uint64{}
	var gone []cluster.CollectionID
	for id, d := range v.Dropped {
		pool := d.Object.Collection.Pool
		if _, known := cleared[pool]; !known {
			cleared[pool] = c.clearedIn(pool)
		}
		if d.Index <= cleared[pool] {
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		return
	}
	c.forgotAt = c.in.Now
	slices.Sort(gone)
	gone = gone[:min(len(gone), maxForgotten)]
	c.command(upkeepOperation, metastate.Command{ForgetDropped: &metastate.ForgetDropped{Collections: gone}})
}

// maxForgotten bounds the records that one command forgets.
const maxForgotten = 256

// clearedSpan is a part of a pool that a replica has told to be cleared up to a drop.
type clearedSpan struct {
	start, end cluster.Key
	through    uint64
}

// clearedIn is the newest drop that the whole of a pool has cleared, and so all before
// it. What counts is what a replica says of the span that it had when it said so: the
// view may know of a range what was before a split, whose other half has not cleared.
// What is cleared stays so, wherever its span goes: a half has the fence of the whole.
func (c *Controller) clearedIn(pool cluster.PoolID) uint64 {
	var spans []clearedSpan
	for _, list := range c.lookout.told {
		for _, x := range list {
			if d := &x.status.Descriptor; d.Pool == pool && !d.IsMeta() && x.status.Cleared > 0 {
				spans = append(spans, clearedSpan{d.Start, d.End, x.status.Cleared})
			}
		}
	}
	if c.cfg.Planted.forgetsEarly() {
		most := uint64(0)
		for _, s := range spans {
			most = max(most, s.through)
		}
		return most
	}
	return coveredThrough(spans)
}

// coveredThrough is the highest number such that spans with at least that number cover all
// keys; 0: none.
func coveredThrough(spans []clearedSpan) uint64 {
	slices.SortFunc(spans, func(a, b clearedSpan) int { return cmp.Compare(a.start, b.start) })
	var numbers []uint64
	for _, s := range spans {
		numbers = append(numbers, s.through)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	// If a number is covered, so are all below it.
	n, _ := slices.BinarySearchFunc(numbers, true, func(number uint64, _ bool) int {
		if covers(spans, number) {
			return -1
		}
		return 1
	})
	if n == 0 {
		return 0
	}
	return numbers[n-1]
}

func covers(spans []clearedSpan, least uint64) bool {
	at := cluster.VShard(0).Key()
	for _, s := range spans {
		switch {
		case s.through < least:
		case s.start > at:
			return false
		case s.end > at:
			at = s.end
		}
	}
	return at >= cluster.VShard(cluster.VShards).Key()
}

// pruneEvery is how often it is looked for what ended long ago: what is kept for a month
// may be kept for an hour more.
const pruneEvery = time.Hour

// prune forgets what ended long ago, in the hour in which this node begins to coordinate
// and then each.
func (c *Controller) prune() {
	if c.in.Now.Sub(c.prunedAt) < pruneEvery {
		return
	}
	c.prunedAt = c.in.Now
	if c.in.View.Prunable(c.in.Now) {
		c.command(upkeepOperation, metastate.Command{Prune: &metastate.Prune{}})
	}
}
