package operation

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// The phases of an upgrade, after check.
const (
	PhasePromise = "promise" // every node stores that no older binary may run there
	PhaseRaise   = "raise"
	PhaseSettle  = "settle" // every node that runs acts upon it
)

func upgradePhases() []cluster.Phase {
	return phases(PhaseCheck, PhasePromise, PhaseRaise, PhaseSettle)
}

// stepUpgrade carries the raising of the cluster's version on. Where it stands
// follows from the meta range, which has the promises.
func (c *Controller) stepUpgrade(r *run) {
	if r.op.State.Final() || r.command != 0 || c.in.Now.Before(r.retryAt) {
		return
	}
	was := r.op.Why
	c.carryUpgrade(r)
	r.dirty = r.dirty || r.op.Why != was
}

func (c *Controller) carryUpgrade(r *run) {
	v, to := c.in.View, r.op.Spec.Version
	raising := v.Raising
	switch {
	case v.Active >= to:
		c.settleUpgrade(r)
	case r.op.State == cluster.OpCancelling:
		r.op.State, r.dirty = cluster.OpCancelled, true
	case raising == nil || raising.Operation != r.op.ID:
		r.fail(fmt.Sprintf("version %d is not being raised any more", to))
	case len(v.Without(to)) > 0:
		r.phase(PhasePromise, c.in.Now)
		r.say(cluster.OpBlocked, fmt.Sprintf("%s: start these nodes with a nodedb-agent that runs version %d, or run nodedbctl upgrade abort", unsupporting(v, to), to))
	case len(v.Unpromised()) > 0:
		r.phase(PhasePromise, c.in.Now)
		c.awaitPromises(r)
	default:
		r.say(cluster.OpRunning, "")
		r.phase(PhaseRaise, c.in.Now)
		r.command = c.command(r.op.ID, metastate.Command{RaiseVersion: &metastate.RaiseVersion{Operation: r.op.ID}})
	}
}

// awaitPromises says whose promise is waited for: of a node that is down it will
// not come by itself.
func (c *Controller) awaitPromises(r *run) {
	var down []cluster.NodeID
	missing := c.in.View.Unpromised()
	for _, id := range missing {
		if c.in.Liveness[id] != cluster.Alive && id != c.in.Self {
			down = append(down, id)
		}
	}
	if len(down) > 0 {
		r.say(cluster.OpBlocked, fmt.Sprintf("%s must promise version %d and is down: start it, decommission it, or run nodedbctl upgrade abort", nodeNames(down), r.op.Spec.Version))
		return
	}
	r.say(cluster.OpRunning, fmt.Sprintf("waits for the promise of version %d by %s", r.op.Spec.Version, nodeNames(missing)))
}

// settleUpgrade ends the operation when every node that runs acts upon the version;
// the others do when they start.
func (c *Controller) settleUpgrade(r *run) {
	r.phase(PhaseSettle, c.in.Now)
	to := r.op.Spec.Version
	var late []cluster.NodeID
	for _, id := range c.in.View.Members() {
		rep, ok := c.in.Reports[id]
		if alive := c.in.Liveness[id] == cluster.Alive || id == c.in.Self; alive && (!ok || rep.Status == nil || rep.Status.Active < to) {
			late = append(late, id)
		}
	}
	if len(late) > 0 {
		r.say(cluster.OpRunning, fmt.Sprintf("the cluster is at version %d; waits until %s acts upon it", to, nodeNames(late)))
		return
	}
	endPhase(&r.op, PhaseSettle, phaseDone, "", c.in.Now)
	r.op.State, r.dirty = cluster.OpSucceeded, true
	r.op.Why = fmt.Sprintf("the cluster is at version %d", to)
}

// unsupporting says which nodes' binaries lack a version.
func unsupporting(v *metastate.View, to gate.Version) string {
	var out []string
	for _, id := range v.Without(to) {
		n := v.Nodes[id]
		out = append(out, fmt.Sprintf("%s runs %s (%s)", id, n.Version, n.Supports))
	}
	return strings.Join(out, ", ")
}
