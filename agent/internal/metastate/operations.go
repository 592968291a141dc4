package metastate

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// maxEnded is how many operations that have ended are kept.
const maxEnded = 256

func (c *change) createOperation(in *CreateOperation, by string) Result {
	op := in.Operation
	slices.Sort(op.Spec.Nodes)
	op.Spec.Nodes = slices.Compact(op.Spec.Nodes)
	if op.State == "" {
		op.State = cluster.OpQueued
	}
	if op.RequestedBy == "" {
		op.RequestedBy = by
	}
	if op.Spec.Kind == "" || len(op.Spec.Nodes) == 0 && op.Spec.Kind.NamesNodes() || op.State.Final() {
		return refused(CodeInvalid, "an operation needs a kind, nodes and a state that is not final")
	}
	op.Child = 0
	if found, r := c.attach(&op); r != nil {
		return Result{Refusal: r}
	} else if found != nil {
		return Result{Existed: true, Operation: found}
	}
	if found, r := c.usePlan(&op); r != nil {
		return Result{Refusal: r}
	} else if found != nil {
		return Result{Existed: true, Operation: found}
	}
	for _, id := range op.Spec.Nodes {
		if _, r := c.liveNode(id); r != nil {
			return Result{Refusal: r}
		}
	}
	if op.ID == "" {
		op.ID = c.newOperationID()
	} else if _, ok := c.view.Operations[op.ID]; ok {
		return refused(CodeExists, "operation %s already exists", op.ID)
	}
	if r := c.settleConflicts(&op); r != nil {
		return Result{Refusal: r}
	}
	if op.Spec.Kind.OfPool() {
		if r := c.checkPoolOperation(&op); r != nil {
			return Result{Refusal: r}
		}
	}
	if op.Spec.Kind == cluster.OpSplit {
		if r := c.prepareSplit(&op); r != nil {
			return Result{Refusal: r}
		}
	}
	if op.Spec.Kind == cluster.OpUpgrade {
		if r := c.prepareUpgrade(&op); r != nil {
			return Result{Refusal: r}
		}
	}
	op.CreatedAt, op.CoordinatorTerm = c.now, 0
	op.StartedAt, op.EndedAt = op.StartedAt.UTC(), op.EndedAt.UTC()
	stored := c.putOperation(op)
	c.operationEvents(nil, stored)
	c.claimPlan(&op)
	c.pruneEnded()
	return Result{Operation: stored}
}

// attach finds the operation that the request repeats: by its idempotency key
// for ever, by kind and nodes while that one runs, and a decommission of nodes
// that are gone by the operation that removed them.
func (c *change) attach(op *cluster.Operation) (*cluster.Operation, *Refusal) {
	for _, id := range c.view.OperationIDs() {
		old := c.view.Operations[id]
		byKey := op.IdempotencyKey != "" && old.IdempotencyKey == op.IdempotencyKey
		if !byKey && (!sameWork(&old.Spec, &op.Spec) || old.State.Final()) {
			continue
		}
		if diff := old.Spec.Difference(&op.Spec); diff != "" {
			r := refuse(CodeConflict, "%s is the same request with different options (%s)", old.ID, diff)
			r.Operation = old.ID
			return nil, r
		}
		return old, nil
	}
	if op.Spec.Kind != cluster.OpDecommission {
		return nil, nil
	}
	for _, id := range slices.Backward(c.view.OperationIDs()) {
		old := c.view.Operations[id]
		if old.Spec.Kind == op.Spec.Kind && old.State == cluster.OpSucceeded && slices.Equal(old.Spec.Nodes, op.Spec.Nodes) {
			return old, c.unlessAllGone(op.Spec.Nodes)
		}
	}
	return nil, nil
}

// unlessAllGone refuses nothing if every node is decommissioned. A succeeded
// decommission whose nodes live on cannot be: the two are one command.
func (c *change) unlessAllGone(nodes []cluster.NodeID) *Refusal {
	for _, id := range nodes {
		if n, ok := c.view.Nodes[id]; ok && n.Membership != cluster.Decommissioned {
			return refuse(CodeConflict, "%s was decommissioned according to its operation, but is %s", id, n.Membership)
		}
	}
	return nil
}

// settleConflicts refuses op if another operation that runs is in the way, and
// cancels those that it preempts. At most one operation that moves replicas
// touches a node; a drain and a removal of the same node exclude each other; a
// decommission preempts a repair, whose work it contains.
func (c *change) settleConflicts(op *cluster.Operation) *Refusal {
	for _, id := range c.view.OperationIDs() {
		old := c.view.Operations[id]
		shared := sharedNodes(old.Spec.Nodes, op.Spec.Nodes)
		if old.State.Final() || len(shared) == 0 {
			continue
		}
		if settled, r := c.settleMoves(old, op); r != nil {
			return r
		} else if settled {
			continue
		}
		a, b := old.Spec.Kind, op.Spec.Kind
		switch {
		case a == cluster.OpRepair && b == cluster.OpDecommission:
			preempted := *old
			preempted.State = cluster.OpCancelling
			preempted.Why = fmt.Sprintf("preempted by %s, which removes %s", op.ID, shared[0])
			c.operationEvents(old, c.putOperation(preempted))
		case a == cluster.OpDrain && b == cluster.OpRepair, a == cluster.OpRepair && b == cluster.OpDrain:
			// A repair works on a node that is dead; the drain stops by itself.
		case op.Queue:
			op.Why = fmt.Sprintf("waits for %s, a %s of %s", old.ID, a, shared[0])
		default:
			r := refuse(CodeConflict, "%s, a %s of %s, is %s", old.ID, a, shared[0], old.State)
			r.Operation = old.ID
			return r
		}
	}
	return nil
}

func sharedNodes(a, b []cluster.NodeID) []cluster.NodeID {
	var both []cluster.NodeID
	for _, id := range a {
		if slices.Contains(b, id) {
			both = append(both, id)
		}
	}
	return both
}

// newOperationID derives a short id from the view's index: op-7f3a.
func (c *change) newOperationID() string {
	// An odd multiplier permutes the 16-bit numbers, so ids look unlike but
	// repeat only after 65,536 commands; a number in use is stepped over.
	for n := c.view.Index + 1; ; n++ {
		id := fmt.Sprintf("op-%04x", uint16(n*0x9e37+0x79b9))
		if _, ok := c.view.Operations[id]; !ok {
			return id
		}
	}
}

func (c *change) pruneEnded() {
	var ended []string
	for _, id := range c.view.OperationIDs() {
		if c.view.Operations[id].State.Final() {
			ended = append(ended, id)
		}
	}
	for len(ended) > maxEnded {
		c.dropOperation(ended[0])
		ended = ended[1:]
	}
}

func (c *change) updateOperation(in *UpdateOperation) Result {
	old, ok := c.view.Operations[in.Operation.ID]
	switch {
	case !ok:
		return refused(CodeNotFound, "there is no operation %s", in.Operation.ID)
	case old.State.Final():
		return refused(CodeFinal, "operation %s has ended: %s", old.ID, old.State)
	case in.Term < old.CoordinatorTerm:
		return refused(CodeStale, "operation %s is coordinated at term %d, not %d", old.ID, old.CoordinatorTerm, in.Term)
	case !knownState(in.Operation.State):
		return refused(CodeInvalid, "an operation cannot be %q", in.Operation.State)
	}
	op := in.Operation
	op.Spec, op.RequestedBy, op.Reason, op.IdempotencyKey = old.Spec, old.RequestedBy, old.Reason, old.IdempotencyKey
	op.CreatedAt, op.CoordinatorTerm, op.Child = old.CreatedAt, in.Term, old.Child
	op.Cause, op.PreemptedBy, op.Held = old.Cause, old.PreemptedBy, old.Held
	op.Limit, op.Queue, op.PoolID, op.PoolBefore = old.Limit, old.Queue, old.PoolID, old.PoolBefore
	if !op.State.Final() && (old.State == cluster.OpPaused) != (op.State == cluster.OpPaused) && op.State != cluster.OpCancelling {
		// A person, or an operation in its place, pauses and resumes; the coordinator had not seen it yet.
		op.State, op.Why = old.State, old.Why
	}
	if old.State == cluster.OpCancelling && !op.State.Final() {
		// The coordinator had not seen the request yet.
		op.State = cluster.OpCancelling
	}
	op.StartedAt, op.EndedAt = old.StartedAt, old.EndedAt
	if op.StartedAt.IsZero() && op.State != cluster.OpQueued && op.State != cluster.OpPaused {
		op.StartedAt = c.now
	}
	if op.State.Final() {
		op.EndedAt = c.now
		op.Phases = endedPhases(&op)
	}
	stored := c.putOperation(op)
	c.operationEvents(old, stored)
	if op.State.Final() {
		c.release(op.ID)
		c.endRaising(op.ID)
	}
	return Result{Operation: stored}
}

// endedPhases are the phases of an operation that has ended: what ran when it did
// not succeed ended as it did, and what was still to come never comes.
func endedPhases(op *cluster.Operation) []cluster.Phase {
	phases := slices.Clone(op.Phases)
	for i := range phases {
		p := &phases[i]
		switch {
		case op.State == cluster.OpSucceeded:
		case p.State == "running":
			p.State, p.Ended = string(op.State), op.EndedAt
		case p.State == "pending":
			p.State = "skipped"
		}
	}
	return phases
}

func knownState(s cluster.OperationState) bool {
	switch s {
	case cluster.OpQueued, cluster.OpRunning, cluster.OpPaused, cluster.OpBlocked, cluster.OpCancelling,
		cluster.OpCancelled, cluster.OpSucceeded, cluster.OpFailed:
		return true
	}
	return false
}

func (c *change) requestCancel(in *RequestCancel, by string) Result {
	old, ok := c.view.Operations[in.ID]
	switch {
	case !ok:
		return refused(CodeNotFound, "there is no operation %s", in.ID)
	case old.State.Final():
		return refused(CodeFinal, "operation %s has ended: %s", old.ID, old.State)
	case old.State == cluster.OpCancelling:
		return Result{Existed: true, Operation: old}
	}
	if old.Spec.Kind == cluster.OpPoolDrop {
		return refused(CodeNoReturn, "operation %s is past the point of no return: pool %s is dropped", old.ID, old.Spec.Pool)
	}
	if old.Spec.Kind == cluster.OpDecommission {
		for _, id := range old.Spec.Nodes {
			if n, ok := c.view.Nodes[id]; ok && n.Membership == cluster.Decommissioned {
				return refused(CodeNoReturn, "operation %s is past the point of no return: %s is decommissioned", old.ID, id)
			}
		}
	}
	op := *old
	op.State = cluster.OpCancelling
	op.Why = "cancelled"
	if by != "" {
		op.Why += " by " + by
	}
	if in.Reason != "" {
		op.Why += ": " + in.Reason
	}
	stored := c.putOperation(op)
	c.operationEvents(old, stored)
	return Result{Operation: stored}
}
