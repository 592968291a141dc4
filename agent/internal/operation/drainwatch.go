package operation

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// silentFor is how long a node may be down in the middle of its drain before
// the coordinator ends the operation for it.
const silentFor = 30 * time.Second

// watchDrain admits a drain, one at a time, and ends it for a node that cannot:
// it was restarted, or is gone. The rest is the Drainer's, on the node itself.
func (c *Controller) watchDrain(r *run) {
	if c.in.Now.Before(r.retryAt) || r.saving != 0 || len(r.op.Spec.Nodes) == 0 {
		return
	}
	node := r.op.Spec.Nodes[0]
	if r.stored.State != cluster.OpQueued {
		// The Drainer writes this record: go by what it wrote.
		r.op = *r.stored
	}
	switch {
	case r.op.State == cluster.OpQueued:
		c.admitDrain(r, node)
	case r.stopped:
		c.closeDrain(r, fmt.Sprintf("the disk of %s hangs, and its process ends without it", node))
	case c.hung(node) && r.op.Spec.Shutdown:
		c.stopHung(r, node)
	case c.restarted(r, node):
		c.closeDrain(r, fmt.Sprintf("%s was restarted, and serves again", node))
	case c.goneFor(node) > silentFor:
		c.closeDrain(r, fmt.Sprintf("%s is not alive", node))
	}
}

// admitDrain asks whether the node may stop, the nodes of all other operations
// being counted as gone. One coordinator asks for one drain after the other, so
// two that exclude each other are never both admitted.
func (c *Controller) admitDrain(r *run, node cluster.NodeID) {
	s := *c.snap
	s.Busy = c.admitted(r.op.ID, cluster.OpDrain, cluster.OpDecommission, cluster.OpRepair)
	verdict := placement.SafeToStop(&s, r.op.Spec.Nodes)
	if !verdict.OK() {
		if c.collecting(r, verdict) || c.waits(r, verdict, placement.SafeToStop(c.snap.Settled(), r.op.Spec.Nodes)) {
			return
		}
		r.op.Refusals = obstacles(verdict)
		r.fail(verdict.String())
		return
	}
	n := c.snap.Node(node)
	switch nonce := c.incarnation(node); {
	case c.hung(node) && !r.op.Spec.Shutdown:
		r.fail(fmt.Sprintf("the disk of %s hangs: it leads nothing, and hears of no drain; with --shutdown its process is stopped", node))
		return
	case !n.Live() && !c.hung(node):
		r.fail(fmt.Sprintf("%s is not alive: there is nothing to drain", node))
		return
	case n.Reported && nonce != "":
	case c.in.Now.Sub(r.stored.CreatedAt) < c.cfg.Collect:
		return // which process is to be drained?
	default:
		r.fail(fmt.Sprintf("%s does not answer: see nodedbctl members why %s", node, node))
		return
	}
	r.op.Phases = drainPhases(r.op.Spec.Shutdown)
	beginPhase(&r.op, PhaseCheck, c.in.Now)
	endPhase(&r.op, PhaseCheck, phaseDone, "", c.in.Now)
	r.op.Incarnations = map[cluster.NodeID]string{node: c.incarnation(node)}
	r.op.Total.Leaders = 0 // the plan's figure; what counts is what it leads now
	for i := range c.snap.Ranges {
		if c.snap.Ranges[i].Leader == node {
			r.op.Total.Leaders++
		}
	}
	if st := c.in.Reports[node].Status; st != nil {
		r.op.Total.Sessions = st.Sessions
	}
	r.say(cluster.OpRunning, "")
}

// stopHung ends the process of a node whose disk hangs. The node cannot follow the
// meta range, so that it hears of nothing; its leaderships are gone by themselves,
// and SafeToStop has counted it as dead.
func (c *Controller) stopHung(r *run, node cluster.NodeID) {
	r.retryAt = c.in.Now.Add(time.Second)
	c.do(Action{Kind: ActStop, Operation: r.op.ID, To: node})
}

// hung reports whether a node answers, and its disk does not.
func (c *Controller) hung(id cluster.NodeID) bool {
	r, ok := c.in.Reports[id]
	return ok && r.Status != nil && r.Status.Hung()
}

// collecting reports whether a verdict that refuses may be due to replicas that
// catch up, or to reports that are missing or older than the operation: a leadership that moved a moment ago
// has no report for a beat, and a node that was undrained before the operation
// was asked for is drained still in the report before.
func (c *Controller) collecting(r *run, v placement.Verdict) bool {
	since := c.began
	if r.op.CreatedAt.After(since) {
		since = r.op.CreatedAt
	}
	if c.in.Now.Sub(since) >= c.cfg.Collect {
		return false
	}
	if v.Refusals[0].Code == placement.Collecting || v.Passes() {
		return true
	}
	for _, rep := range c.in.Reports {
		if rep.Status != nil && rep.At.Before(r.op.CreatedAt) && c.in.Liveness[rep.Status.Node] == cluster.Alive {
			return true
		}
	}
	return false
}

// admitted lists the nodes of other operations of some kinds that have been
// admitted, this step included.
func (c *Controller) admitted(except string, kinds ...cluster.OperationKind) []cluster.NodeID {
	var nodes []cluster.NodeID
	for _, id := range sorted(c.runs) {
		if r := c.runs[id]; id != except && slices.Contains(kinds, r.op.Spec.Kind) && r.op.State != cluster.OpQueued && !r.op.State.Final() {
			nodes = append(nodes, r.op.Spec.Nodes...)
		}
	}
	return nodes
}

// incarnation names the process that runs as the node.
func (c *Controller) incarnation(id cluster.NodeID) string {
	if r, ok := c.in.Reports[id]; ok && r.Status != nil && r.Status.BootNonce != "" {
		return r.Status.BootNonce
	}
	if n := c.in.View.Nodes[id]; n != nil {
		return n.BootNonce
	}
	return ""
}

func (c *Controller) restarted(r *run, node cluster.NodeID) bool {
	was, is := r.op.Incarnations[node], c.incarnation(node)
	return was != "" && is != "" && was != is
}

func (c *Controller) goneFor(node cluster.NodeID) time.Duration {
	since, ok := c.downSince[node]
	if !ok {
		return 0
	}
	return c.in.Now.Sub(since)
}

// closeDrain ends a drain whose process has ended: well if it was to stop and had
// come so far, else not.
func (c *Controller) closeDrain(r *run, why string) {
	r.op.Why = why
	switch {
	case r.op.State == cluster.OpCancelling:
		r.op.State = cluster.OpCancelled
	case r.op.Phase == PhaseDrained || r.op.Phase == PhaseStop || r.stopped:
		r.op.State = cluster.OpSucceeded
	default:
		r.op.State = cluster.OpFailed
		r.op.Why = why + " before it was drained"
	}
	r.dirty = true
}
