package operation

import (
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// The pauses between two sweeps of upkeep: short while there is work.
const (
	repairEvery  = 500 * time.Millisecond
	repairAnyway = 5 * time.Second // a disk was cleared, a processor is idle again
	destroyEvery = 10 * time.Second
	tellEvery    = 2 * time.Second
)

// upkeepOperation stands for upkeep where commands name their operation.
const upkeepOperation = ""

// upkeep makes ranges whole, has the rebalancer look, removes replicas that no
// descriptor names, and welcomes nodes that join. An operation that a person
// asked for comes first.
func (c *Controller) upkeep() {
	c.stopTombstoned()
	c.uncordon()
	if !c.collected() {
		return
	}
	c.welcome()
	c.collectReplicas()
	c.clearRemoved()
	c.forgetDropped()
	c.prune()
	if c.in.Now.Sub(c.hotAt) >= c.cfg.SpreadEvery {
		c.hotAt = c.in.Now
		c.splitHot()
		c.splitLarge()
		c.verifyRanges()
	}
	if c.repairDue() {
		c.repairAt = c.in.Now
		c.repair()
	}
	if c.in.Now.Sub(c.sweptAt) >= c.cfg.SpreadEvery {
		c.sweptAt = c.in.Now
		c.handOff()
		c.rebalance()
	}
}

// welcome makes a joining node active once it has its copy of the meta range.
func (c *Controller) welcome() {
	for _, id := range c.in.View.NodeIDs() {
		n := c.snap.Node(id)
		meta := c.snap.Range(cluster.MetaRangeID)
		if n.Membership != cluster.Joining || !n.Live() || meta == nil || !meta.CaughtUp(id) || c.in.Now.Sub(c.told[id]) < tellEvery {
			continue
		}
		c.told[id] = c.in.Now
		c.command(upkeepOperation, metastate.Command{SetMembership: &metastate.SetMembership{
			Nodes: []cluster.NodeID{id}, To: cluster.Active, Reason: "holds the meta range",
		}})
	}
}

// stopTombstoned tells nodes that were decommissioned and still run to stop.
func (c *Controller) stopTombstoned() {
	for _, id := range c.in.View.NodeIDs() {
		n := c.in.View.Nodes[id]
		r, reports := c.in.Reports[id]
		if n.Membership != cluster.Decommissioned || !reports || c.in.Now.Sub(r.At) > c.cfg.Fresh || c.in.Now.Sub(c.told[id]) < tellEvery {
			continue
		}
		if n.Tombstone != nil {
			if op := c.in.View.Operations[n.Tombstone.Operation]; op != nil && op.Spec.Keep {
				continue
			}
		}
		c.told[id] = c.in.Now
		c.do(Action{Kind: ActStop, To: id})
	}
}

// collectReplicas destroys replicas that their range's descriptor names no more.
// Replica ids never return, so an id that the descriptor has given out and does
// not list is gone for good.
func (c *Controller) collectReplicas() {
	for _, id := range slices.Sorted(maps.Keys(c.lookout.strays)) {
		r := c.snap.Range(id)
		if r == nil || c.moves[id] != nil || c.in.Now.Sub(c.destroyed[id]) < destroyEvery {
			continue
		}
		for _, x := range c.lookout.told[id] {
			n := c.snap.Node(x.node)
			if n == nil || !n.Live() || !n.Reported || !stray(&r.Descriptor, x.node, x.status.Replica) {
				continue
			}
			if id == cluster.MetaRangeID && n.Leaving() {
				continue // its last copy of what the cluster knows goes with the process
			}
			c.destroyed[id] = c.in.Now
			c.do(Action{Kind: ActDestroy, To: x.node, Range: id, Replica: x.status.Replica + 1})
			break
		}
	}
}

// rest is what a plan of repairs rests on: at the same rest it is the same plan.
type rest struct{ shape, ended uint64 }

// repairDue reports whether a plan of repairs may be another one than the last: what
// it rests on has changed, or an operation gives up or claims ranges; while a node
// is down time decides, and now and then figures do.
func (c *Controller) repairDue() bool {
	since := c.in.Now.Sub(c.repairAt)
	switch now := (rest{c.lookout.shape, c.ended}); {
	case since < repairEvery:
		return false
	case now != c.repaired || c.operating():
		c.repaired = now
		return true
	case len(c.downSince) > 0:
		return since >= c.cfg.SpreadEvery
	}
	return since >= repairAnyway
}

// repair starts what makes ranges whole. Ranges that an operation is about to
// move are left to it.
func (c *Controller) repair() {
	plan, _ := placement.Make(c.snap, placement.Intent{
		Goal: placement.GoalRepair, MaxMoves: 4 * c.cfg.MovesAtOnce, Skip: c.spokenFor(),
	})
	for _, m := range plan.Moves {
		c.start(upkeepOperation, m)
	}
}

// spokenFor lists the ranges in motion and those of operations. Those of a paused
// one are repaired: a pause may last, and nobody else would.
func (c *Controller) spokenFor() []cluster.RangeID {
	ids := sorted(c.moves)
	ids = append(ids, sorted(c.transfers)...)
	var leaving []cluster.NodeID
	for _, r := range c.runs {
		if r.op.Spec.Kind == cluster.OpDecommission && !r.op.State.Final() && r.op.State != cluster.OpQueued && r.op.State != cluster.OpPaused {
			leaving = append(leaving, r.op.Spec.Nodes...)
		}
	}
	ids = append(ids, c.claimed()...)
	ids = append(ids, c.ofPools()...)
	if len(leaving) == 0 {
		return ids
	}
	for i := range c.snap.Ranges {
		d := &c.snap.Ranges[i].Descriptor
		if d.IsMeta() && c.awaited(d) {
			continue
		}
		if slices.ContainsFunc(d.Replicas, func(rep cluster.ReplicaDescriptor) bool { return slices.Contains(leaving, rep.Node) }) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// ofPools lists the ranges of pools that operations under way are changing.
func (c *Controller) ofPools() []cluster.RangeID {
	var ids []cluster.RangeID
	for _, r := range c.runs {
		if r.op.Spec.Kind.OfPool() && !r.op.State.Final() && r.op.State != cluster.OpPaused {
			if pool, ok := c.in.View.Pool(r.op.Spec.Pool); ok {
				ids = append(ids, c.in.View.RangesIn(pool.ID)...)
			}
		}
	}
	return ids
}

// awaited reports whether a joining node waits for its copy of the meta range. It
// gets it whatever else goes on: a decommission may be waiting for the node.
func (c *Controller) awaited(meta *cluster.RangeDescriptor) bool {
	return slices.ContainsFunc(c.snap.Nodes, func(n placement.Node) bool {
		_, holds := meta.On(n.ID)
		return n.Membership == cluster.Joining && n.Live() && !holds
	})
}

// handOff takes leaderships off nodes that are on their way out.
func (c *Controller) handOff() {
	if !slices.ContainsFunc(c.snap.Nodes, func(n placement.Node) bool { return n.HandsOver() }) {
		return
	}
	in := placement.Intent{Goal: placement.GoalHandOff, MaxTransfers: c.cfg.SpreadTransfers}
	in.Skip = append(sorted(c.moves), sorted(c.transfers)...)
	plan, _ := placement.Make(c.snap, in)
	for _, t := range plan.Transfers {
		c.hand(upkeepOperation, t)
	}
}

// operating reports whether an operation is under way.
func (c *Controller) operating() bool {
	for _, r := range c.runs {
		if !r.op.State.Final() {
			return true
		}
	}
	return false
}
