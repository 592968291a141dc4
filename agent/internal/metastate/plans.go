package metastate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Bounds of what is kept of plans and sweeps.
const (
	maxPlans   = 64
	maxSweeps  = 128
	planTTL    = time.Hour      // unless the command says otherwise
	planTTLMax = 24 * time.Hour // then it is removed for good, applied or not
)

// putPlan stores a plan. The same plan again lives longer; one that is being
// carried out stays as it is.
func (c *change) putPlan(in *PutPlan, by string) Result {
	p := in.Plan
	if p.ID == "" || p.Spec.Kind == "" || len(p.Body) == 0 {
		return refused(CodeInvalid, "a plan needs an id, a spec and a body")
	}
	if in.TTL < 0 || in.TTL > planTTLMax.Seconds() {
		return refused(CodeInvalid, "a plan is kept for at most %s", planTTLMax)
	}
	if old := c.view.Plans[p.ID]; old != nil && old.Operation != "" {
		if op := c.view.Operations[old.Operation]; op != nil && !op.State.Final() {
			return Result{Existed: true, Plan: old}
		}
	}
	ttl := planTTL
	if in.TTL > 0 {
		ttl = time.Duration(in.TTL * float64(time.Second))
	}
	p.CreatedAt, p.ExpiresAt, p.CreatedBy, p.Operation = c.now, c.now.Add(ttl).UTC(), by, ""
	stored := c.storePlan(p)
	c.prunePlans()
	return Result{Plan: stored}
}

func (c *change) storePlan(p cluster.StoredPlan) *cluster.StoredPlan {
	s := stage(c, kindPlan, []byte(p.ID), &p)
	own(c, &c.view.Plans)[p.ID] = s
	return s
}

// prunePlans drops plans that are long past, and the oldest beyond the bound.
// A plan that is being carried out stays.
func (c *change) prunePlans() {
	for i, id := range c.view.PlanIDs() {
		p := c.view.Plans[id]
		if op := c.view.Operations[p.Operation]; op != nil && !op.State.Final() {
			continue
		}
		if i < maxPlans && c.now.Sub(p.CreatedAt) < planTTLMax {
			continue
		}
		delete(own(c, &c.view.Plans), id)
		c.erase(kindPlan, []byte(id))
	}
}

// usePlan checks the plan that an operation is to carry out. found is the
// operation that carried it out before.
func (c *change) usePlan(op *cluster.Operation) (found *cluster.Operation, r *Refusal) {
	if op.Spec.Plan == "" {
		return nil, nil
	}
	p := c.view.Plans[op.Spec.Plan]
	if p == nil {
		return nil, refuse(CodeNotFound, "there is no plan %s", op.Spec.Plan)
	}
	if old := c.view.Operations[p.Operation]; old != nil && old.State == cluster.OpSucceeded {
		return old, nil
	}
	if p.Expired(c.now) {
		return nil, refuse(CodeConflict, "plan %s has expired: make a new one", p.ID)
	}
	return nil, nil
}

// claimPlan marks the plan as carried out by op.
func (c *change) claimPlan(op *cluster.Operation) {
	if p := c.view.Plans[op.Spec.Plan]; p != nil {
		claimed := *p
		claimed.Operation = op.ID
		c.storePlan(claimed)
	}
}

// recordSweep adds a sweep of the rebalancer, or replaces the one of that id.
func (c *change) recordSweep(in *RecordSweep) Result {
	s := in.Sweep
	if s.ID == "" || s.Outcome == "" {
		return refused(CodeInvalid, "a sweep needs an id and an outcome")
	}
	s.At = s.At.UTC()
	if old := c.view.Sweeps[s.ID]; old != nil {
		s.At = old.At
	} else if s.At.IsZero() {
		s.At = c.now
	}
	own(c, &c.view.Sweeps)[s.ID] = stage(c, kindSweep, []byte(s.ID), &s)
	for i, id := range c.view.SweepIDs() {
		if i >= maxSweeps {
			delete(own(c, &c.view.Sweeps), id)
			c.erase(kindSweep, []byte(id))
		}
	}
	return Result{}
}

// PlanIDs returns the ids of the stored plans, the newest first.
func (v *View) PlanIDs() []string {
	ids := slices.Sorted(maps.Keys(v.Plans))
	slices.SortStableFunc(ids, func(a, b string) int { return v.Plans[b].CreatedAt.Compare(v.Plans[a].CreatedAt) })
	return ids
}

// SweepIDs returns the ids of the sweeps that are kept, the newest first.
func (v *View) SweepIDs() []string {
	ids := slices.Sorted(maps.Keys(v.Sweeps))
	slices.SortStableFunc(ids, func(a, b string) int { return v.Sweeps[b].At.Compare(v.Sweeps[a].At) })
	return ids
}

// sameWork reports whether two specs ask for the same thing, whatever their
// options.
func sameWork(a, b *cluster.OperationSpec) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case cluster.OpRebalance:
		return a.Plan == b.Plan
	case cluster.OpMove:
		return a.Range == b.Range && a.From == b.From && a.To == b.To
	case cluster.OpTransfer:
		return a.Range == b.Range && a.To == b.To
	case cluster.OpSplit:
		return a.Range == b.Range
	case cluster.OpPoolCreate, cluster.OpPoolAlter, cluster.OpPoolDrop:
		return a.Pool == b.Pool
	case cluster.OpSchemaChange:
		return false // of two the second finds what the first has published
	}
	return slices.Equal(a.Nodes, b.Nodes)
}

// settleMoves settles what op, which is new, and old, which shares nodes with
// it, are to each other if one of them only moves replicas or leaderships:
// settled is false if neither does.
//
//   - A drain or a decommission pauses moves and rebalances until it has ended.
//   - A move pauses a rebalance: somebody asked for this one.
//   - A rebalance that somebody asked for cancels one that began by itself.
//   - Transfers and repairs go on beside anything but the same range.
//   - Everything else waits its turn.
func (c *change) settleMoves(old, op *cluster.Operation) (settled bool, r *Refusal) {
	a, b := old.Spec.Kind, op.Spec.Kind
	if !a.MovesOnly() && !b.MovesOnly() {
		return false, nil
	}
	sameRange := old.Spec.Range != 0 && old.Spec.Range == op.Spec.Range
	switch {
	case a == cluster.OpRepair || b == cluster.OpRepair:
		return true, nil
	case GivesWay(&old.Spec, &op.Spec):
		c.preempt(old, op)
		return true, nil
	case a == cluster.OpRebalance && b == cluster.OpRebalance && old.Cause != cluster.CauseRequest && op.Cause == cluster.CauseRequest:
		c.preempt(old, op)
		return true, nil
	case a.MovesOnly() && (a == cluster.OpTransfer || b == cluster.OpTransfer) && !sameRange:
		return true, nil
	}
	if op.Queue {
		op.Why = fmt.Sprintf("waits for %s, a %s of %s", old.ID, a, nodeNames(old.Spec.Nodes))
		return true, nil
	}
	refusal := refuse(CodeConflict, "%s, a %s of %s, is %s", old.ID, a, nodeNames(old.Spec.Nodes), old.State)
	refusal.Operation = old.ID
	return true, refusal
}

// preempt makes old give way to op: it is paused until op has ended, or, if it
// began by itself, cancelled: it would begin again by itself.
func (c *change) preempt(old, op *cluster.Operation) {
	given := *old
	switch {
	case old.State == cluster.OpCancelling:
		return
	case old.Spec.Kind == cluster.OpRebalance && old.Cause != cluster.CauseRequest:
		given.State, given.Why = cluster.OpCancelling, fmt.Sprintf("preempted by %s, a %s", op.ID, op.Spec.Kind)
	default:
		if old.State == cluster.OpPaused && old.PreemptedBy == "" {
			given.Held = old.Why
		}
		given.State, given.PreemptedBy = cluster.OpPaused, op.ID
		given.Why = givesWay(op.ID, given.Held)
	}
	c.operationEvents(old, c.putOperation(given))
}

// GivesWay reports whether an operation is preempted by a newer one that shares
// nodes with it. The newer must not wait for it then: it waits itself.
func GivesWay(old, op *cluster.OperationSpec) bool {
	a, b := old.Kind, op.Kind
	return a.MovesOnly() && !b.MovesOnly() || a == cluster.OpRebalance && b == cluster.OpMove
}

// givesWay says why an operation that another one has preempted is paused, held
// why a person has paused it as well.
func givesWay(to, held string) string {
	if held != "" {
		return held + "; besides preempted by " + to
	}
	return "preempted by " + to + "; goes on when that has ended"
}

// release lets go on what waits for the operation that has ended, unless a person
// has paused it, or another operation is in the way by now.
func (c *change) release(ended string) {
	for _, id := range c.view.OperationIDs() {
		op := c.view.Operations[id]
		if op.State != cluster.OpPaused || op.PreemptedBy != ended {
			continue
		}
		given := *op
		given.State, given.PreemptedBy, given.Why = cluster.OpRunning, "", ""
		if given.StartedAt.IsZero() {
			given.State = cluster.OpQueued
		}
		switch by := c.inTheWay(op); {
		case by != nil:
			given.State, given.PreemptedBy = cluster.OpPaused, by.ID
			given.Why = givesWay(by.ID, given.Held)
		case given.Held != "":
			given.State, given.Why, given.Held = cluster.OpPaused, given.Held, ""
		}
		c.operationEvents(op, c.putOperation(given))
	}
}

// inTheWay finds an operation that op must give way to.
func (c *change) inTheWay(op *cluster.Operation) *cluster.Operation {
	for _, id := range c.view.OperationIDs() {
		x := c.view.Operations[id]
		kind := x.Spec.Kind
		if x.State.Final() || id == op.ID || kind == cluster.OpRepair || len(sharedNodes(x.Spec.Nodes, op.Spec.Nodes)) == 0 {
			continue
		}
		if !kind.MovesOnly() || op.Spec.Kind == cluster.OpRebalance && kind == cluster.OpMove {
			return x
		}
	}
	return nil
}
