package operation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// sweeping is what the rebalancer remembers of its sweeps in this term.
type sweeping struct {
	at        time.Time // the last
	members   string    // how the membership looked
	changedAt time.Time // when that changed
	again     string    // the cause of a rebalance that ended: look for more at once
	command   uint64    // in flight
	observed  string    // the plan that was recorded last
}

// rebalance has the rebalancer look if it is time: each SweepEvery, and each
// time it is called for a while after the membership changed or a rebalance
// ended. What it wants done becomes an operation.
func (c *Controller) rebalance() {
	c.watchMembers()
	policy := c.in.View.Settings.Rebalance()
	cause := c.sweepCause()
	if _, busy := c.inflight[c.sweep.command]; policy == metastate.RebalanceOff || cause == "" || busy {
		return
	}
	if c.operating() || len(c.moves) > 0 || len(c.transfers) > 0 {
		return // at once when they have ended
	}
	c.sweep.at, c.sweep.again = c.in.Now, ""
	plan, verdict := placement.Make(c.snap, c.sweepIntent())
	if !verdict.OK() || plan.Empty() {
		return
	}
	spec := cluster.OperationSpec{Kind: cluster.OpRebalance, MaxMoves: placement.DefaultMaxMoves}
	plan.ID = planID(&plan, c.in.View, spec)
	spec.Nodes = touched(&plan)
	stored, err := storedPlan(&plan, c.in.View.Epoch(), spec)
	if err != nil {
		return // a plan always encodes
	}
	if policy == metastate.RebalanceObserve {
		c.noteSweep(&plan, stored, cause)
		return
	}
	op := cluster.Operation{
		Spec: stored.Spec, PlanID: plan.ID, State: cluster.OpQueued, RequestedBy: "coordinator", Total: plan.Total, Cause: cause,
		Planned: plan.Prediction.P50, Phases: stepPhases(cluster.OpRebalance), GainPredicted: plan.Gain,
		Reason: "the load is uneven: " + unevenness(plan.Before),
	}
	op.Spec.Plan, op.Spec.MaxMoves = plan.ID, 0
	c.sweep.command = c.command(upkeepOperation, metastate.Command{Batch: []metastate.Command{
		{PutPlan: &metastate.PutPlan{Plan: *stored}}, {CreateOperation: &metastate.CreateOperation{Operation: op}},
	}})
}

// noteSweep records what would have been done, once for the same plan.
func (c *Controller) noteSweep(plan *placement.Plan, stored *cluster.StoredPlan, cause string) {
	if c.sweep.observed == plan.ID {
		return
	}
	c.sweep.observed = plan.ID
	c.sweep.command = c.command(upkeepOperation, metastate.Command{Batch: []metastate.Command{
		{PutPlan: &metastate.PutPlan{Plan: *stored}},
		{RecordSweep: &metastate.RecordSweep{Sweep: cluster.Sweep{
			ID: plan.ID, At: c.in.Now, Cause: cause, Outcome: "observed", Why: unevenness(plan.Before),
			Moves: len(plan.Moves), Transfers: len(plan.Transfers), Predicted: plan.Gain, Plan: plan.ID,
		}}},
	}})
}

// sweepIntent is what every sweep asks of the planner.
func (c *Controller) sweepIntent() placement.Intent {
	in := placement.Intent{
		Goal: placement.GoalRebalance, MaxMoves: placement.DefaultMaxMoves, Threshold: c.in.View.Settings.RebalanceSpread(),
	}
	in.Cooling, in.CoolingLeaders = cooling(c.in.View, c.in.Now, c.cfg.Cooldown)
	return in
}

// sweepCause says why to look now; "" if there is no reason.
func (c *Controller) sweepCause() string {
	switch {
	case c.sweep.again != "":
		return c.sweep.again
	case !c.sweep.changedAt.IsZero() && c.in.Now.Sub(c.sweep.changedAt) < c.cfg.Settle:
		return cluster.CauseMembership
	case c.in.Now.Sub(c.sweep.at) >= c.cfg.SweepEvery:
		return cluster.CauseInterval
	}
	return ""
}

// watchMembers notices when nodes come, go, or change what they may receive.
func (c *Controller) watchMembers() {
	var b strings.Builder
	for i := range c.snap.Nodes {
		n := &c.snap.Nodes[i]
		fmt.Fprintf(&b, "%d %s %v %v %s;", n.ID, n.Membership, n.Live(), n.Cordon, n.Service)
	}
	if now := b.String(); now != c.sweep.members {
		if c.sweep.members != "" {
			c.sweep.changedAt = c.in.Now
		}
		c.sweep.members = now
	}
}

// cooling lists the ranges of which operations have moved a replica, and the
// leadership, within the cooldown.
func cooling(v *metastate.View, now time.Time, cooldown time.Duration) (moved, led []cluster.RangeID) {
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		rest := cooldown
		if op.Cause == cluster.CauseMembership {
			rest /= 10 // the cluster is another one now: it must not wait to become even
		}
		if !op.Spec.Kind.MovesOnly() || op.EndedAt.IsZero() || now.Sub(op.EndedAt) >= rest {
			continue
		}
		for i := range op.Items {
			switch it := &op.Items[i]; {
			case it.Step != itemDone:
			case it.Leadership:
				led = append(led, it.Range)
			default:
				moved = append(moved, it.Range)
			}
		}
	}
	slices.Sort(moved)
	slices.Sort(led)
	return slices.Compact(moved), slices.Compact(led)
}

// storedPlan is the plan as the meta range keeps it.
func storedPlan(plan *placement.Plan, epoch uint64, spec cluster.OperationSpec) (*cluster.StoredPlan, error) {
	body, err := json.Marshal(plan)
	if err != nil {
		return nil, fmt.Errorf("encode the plan %s: %w", plan.ID, err)
	}
	return &cluster.StoredPlan{ID: plan.ID, Spec: spec, Epoch: epoch, Body: body}, nil
}

// touched lists the nodes of a plan's steps.
func touched(plan *placement.Plan) []cluster.NodeID {
	var ids []cluster.NodeID
	for _, m := range plan.Moves {
		ids = append(ids, m.From, m.To)
	}
	for _, t := range plan.Transfers {
		ids = append(ids, t.From, t.To)
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id cluster.NodeID) bool { return id == 0 })
}

// unevenness names the dimensions that are too uneven.
func unevenness(ds []placement.Dimension) string {
	var parts []string
	for _, d := range ds {
		if d.WouldAct {
			parts = append(parts, d.Name+": "+d.Why)
		}
	}
	return strings.Join(parts, "; ")
}

// Sweeps is when the rebalancer looked last and looks next; zero while another
// node coordinates.
type Sweeps struct {
	Last time.Time `json:"last,omitzero"`
	Next time.Time `json:"next,omitzero"`
}

// Sweeps returns when the rebalancer looked last and will look next.
func (c *Controller) Sweeps() Sweeps {
	if c.term == 0 || c.sweep.at.IsZero() {
		return Sweeps{}
	}
	s := Sweeps{Last: c.sweep.at, Next: c.sweep.at.Add(c.cfg.SweepEvery)}
	if c.in.View != nil && c.in.View.Settings.Rebalance() == metastate.RebalanceOff {
		s.Next = time.Time{}
	}
	return s
}
