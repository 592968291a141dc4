package operation

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// held reports whether an operation may begin nothing now: it is paused, or
// waits its turn.
func (c *Controller) held(r *run) bool {
	switch {
	case c.in.View.NoWayBack(&r.op.Spec): // statements wait for it
		return false
	case r.stored.State == cluster.OpPaused && r.op.State != cluster.OpCancelling:
		if r.op.State != cluster.OpPaused {
			r.op.State, r.dirty = cluster.OpPaused, false
			r.op.Pace, r.op.Stalled = cluster.Pace{}, false
			r.restPace()
		}
		r.op.Why = r.stored.Why
		r.movedAt, r.progressAt = c.in.Now, c.in.Now // a pause is no stall
		if r.op.Spec.Kind.MovesOnly() {
			c.giveWay(r)
		} else if r.op.Phase == PhaseMove && !r.op.Spec.Kind.OfPool() {
			c.count(r)
			c.items(r)
		}
		return true
	case r.op.State == cluster.OpPaused:
		r.op.State, r.op.Why = r.stored.State, r.stored.Why // resumed
	}
	if r.op.State != cluster.OpQueued || !r.op.Queue {
		return false
	}
	if front := c.inFront(r); front != nil {
		r.say(cluster.OpQueued, fmt.Sprintf("waits for %s, a %s of %s", front.ID, front.Spec.Kind, nodeNames(front.Spec.Nodes)))
		return true
	}
	return false
}

// overdue has an operation cancelled that has not ended by its deadline, as a person
// would cancel it, and reports whether it has just asked. A pause and the queue
// count. The deadline of a drain is its node's: what it does then is in the spec.
// Past the point of no return an operation goes on.
func (c *Controller) overdue(r *run) bool {
	spec := &r.op.Spec
	limit := seconds(spec.Deadline, 0)
	switch {
	case limit <= 0 || c.in.Now.Sub(r.op.CreatedAt) < limit:
		return false
	case spec.Kind == cluster.OpDrain || spec.Kind == cluster.OpPoolDrop || r.op.State == cluster.OpCancelling || r.op.State.Final():
		return false
	case spec.Kind == cluster.OpDecommission && (r.op.Phase == PhaseVerify || r.op.Phase == PhaseTombstone || r.op.Phase == PhaseStop):
		return false
	case r.command != 0 || c.in.Now.Before(r.retryAt):
		return false
	}
	r.command = c.command(r.op.ID, metastate.Command{RequestCancel: &metastate.RequestCancel{
		ID: r.op.ID, Reason: fmt.Sprintf("its deadline of %s has passed", limit),
	}})
	return true
}

// inFront returns the oldest operation that an operation of the queue waits for.
func (c *Controller) inFront(r *run) *cluster.Operation {
	for _, id := range c.in.View.OperationIDs() {
		old := c.in.View.Operations[id]
		if id == r.op.ID {
			return nil
		}
		if old.State.Final() || old.Spec.Kind == cluster.OpRepair || metastate.GivesWay(&old.Spec, &r.op.Spec) {
			continue
		}
		if slices.ContainsFunc(old.Spec.Nodes, func(n cluster.NodeID) bool { return slices.Contains(r.op.Spec.Nodes, n) }) {
			return old
		}
	}
	return nil
}

// waits keeps an operation of the queue in it if it is refused only because of
// other operations, of nodes that are drained, and of what passes by itself, as a
// leadership that is on its way: settled is the verdict without the first two.
func (c *Controller) waits(r *run, refused, settled placement.Verdict) bool {
	if !r.op.Queue || !settled.OK() && !settled.Passes() {
		return false
	}
	why := "waits for other operations and drained nodes: " + refused.String()
	r.dirty = r.dirty || r.op.Why != why // whoever asked wants to know
	r.say(cluster.OpQueued, why)
	return true
}

func nodeNames(ids []cluster.NodeID) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ", "
		}
		text += id.String()
	}
	if text == "" {
		return "the cluster"
	}
	return text
}

// obstacles keeps what a verdict refuses for the record.
func obstacles(v placement.Verdict) []cluster.Obstacle {
	var out []cluster.Obstacle
	for _, r := range v.Refusals {
		o := cluster.Obstacle{Code: string(r.Code), Why: r.Why, Ranges: r.Ranges, Nodes: r.Nodes}
		for _, f := range r.Fixes {
			o.Fixes = append(o.Fixes, cluster.Remedy{Does: f.Does, Command: f.Command})
		}
		out = append(out, o)
	}
	return out
}

// needs says under which condition a move that is refused with code may go on.
func needs(code placement.Code, m placement.Move) string {
	switch code {
	case placement.Disk:
		return fmt.Sprintf("a node with room for %d bytes below its disk limit", m.Bytes)
	case placement.NoTarget:
		return fmt.Sprintf("a node that is alive and has no replica of %s", m.Range)
	case placement.QuorumAtRisk, placement.MetaQuorum:
		return fmt.Sprintf("more live voters of %s", m.Range)
	case placement.Collecting:
		return "a report of the leader of " + m.Range.String()
	case placement.Conflict:
		return "the end of another change of " + m.Range.String()
	}
	return ""
}

// explain adds to an item what it waits for.
func (c *Controller) explain(it *cluster.Item, m *moving) {
	clearWait(it)
	if m.blocked() {
		it.Needs = needs(m.code, m.move)
	}
	if m.failed != "" && m.retryAt.After(c.in.Now) {
		it.RetryAt = m.retryAt
		if it.Needs == "" {
			it.Needs = "its next attempt"
		}
	}
}

// tryLimit is how many attempts one target gets; avoidFor is how long no more is
// planned there then.
const (
	tryLimit = 6
	avoidFor = 2 * time.Minute
)

// avoid keeps new moves off a node that failed to take one.
func (c *Controller) avoid(node cluster.NodeID) {
	if node != 0 {
		c.avoided[node] = c.in.Now.Add(avoidFor)
	}
}

// without returns the snapshot with the nodes cordoned that moves failed on
// lately; nil: there are none.
func (c *Controller) without(s *placement.Snapshot) *placement.Snapshot {
	var out *placement.Snapshot
	for _, id := range sorted(c.avoided) {
		if !c.in.Now.Before(c.avoided[id]) {
			delete(c.avoided, id)
			continue
		}
		if out == nil {
			out = s.Clone()
		}
		if n := out.Node(id); n != nil {
			n.Cordon = true
		}
	}
	return out
}

// tired gives a target up that has had its attempts.
func (c *Controller) tired(m *moving, kind ActionKind) bool {
	if m.attempts < tryLimit || m.move.To == 0 || kind != ActPrepare && kind != ActChange {
		return false
	}
	c.avoid(m.move.To)
	c.giveUp(m, placement.NoTarget, fmt.Sprintf("%d attempts on %s failed", m.attempts, m.move.To))
	return true
}

// anotherSource hands the leadership of a range to another voter: the snapshot
// that does not arrive comes from there then.
func (c *Controller) anotherSource(m *moving) {
	r := c.snap.Range(m.move.Range)
	if r == nil || r.Leader == 0 {
		return
	}
	for _, rep := range r.Descriptor.Replicas {
		if rep.Node != r.Leader && placement.SafeTransfer(c.snap, r, rep.Node) == "" {
			delete(c.moves, m.move.Range)
			c.hand(m.op, placement.Transfer{Range: m.move.Range, From: r.Leader, To: rep.Node})
			return
		}
	}
}

// uncordon ends cordons whose time is up.
func (c *Controller) uncordon() {
	for _, id := range c.in.View.NodeIDs() {
		n := c.in.View.Nodes[id]
		if !n.Cordon || n.CordonUntil.IsZero() || c.in.Now.Before(n.CordonUntil) || n.Membership == cluster.Decommissioned || c.in.Now.Sub(c.lifted[id]) < tellEvery {
			continue
		}
		c.lifted[id] = c.in.Now
		c.command(upkeepOperation, metastate.Command{SetCordon: &metastate.SetCordon{Node: id, Expired: n.CordonUntil}})
	}
}
