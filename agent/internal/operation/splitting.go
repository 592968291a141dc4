package operation

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The phases of a split, after check.
const (
	PhaseSplit   = "split"
	PhasePublish = "publish"
)

// MethodSplit splits a range at its leader.
const MethodSplit = "range.split"

// MethodMiddle asks the leader of a range at which key its bytes are halved; until
// it knows it answers with an error.
const MethodMiddle = "range.middle"

func splitPhases() []cluster.Phase { return phases(PhaseCheck, PhaseSplit, PhasePublish) }

// stepSplit carries a split on. Nothing of it is kept in memory: where it stands
// follows from the descriptors.
func (c *Controller) stepSplit(r *run) {
	if r.op.State.Final() || r.command != 0 || c.in.Now.Before(r.retryAt) {
		return
	}
	was := r.op.Why
	c.carrySplit(r)
	r.dirty = r.dirty || r.op.Why != was
}

func (c *Controller) carrySplit(r *run) {
	spec := &r.op.Spec
	x := c.snap.Range(spec.Range)
	switch {
	case x == nil:
		r.fail(fmt.Sprintf("there is no range %s", spec.Range))
	case x.Descriptor.End <= spec.At:
		c.awaitChild(r, x.Descriptor.Pool)
	case r.op.State == cluster.OpCancelling:
		r.op.State, r.dirty = cluster.OpCancelled, true
	case r.op.State == cluster.OpPaused:
	case spec.At <= x.Descriptor.Start:
		r.fail(fmt.Sprintf("%s is no boundary inside %s, which owns %s", spec.At.Text(), spec.Range, c.in.View.Span(&x.Descriptor)))
	case c.moves[spec.Range] != nil:
		r.say(cluster.OpRunning, fmt.Sprintf("waits for the move of %s", spec.Range))
	case x.Descriptor.Joint():
		r.say(cluster.OpRunning, fmt.Sprintf("waits until %s has left its joint configuration", spec.Range))
	case x.Leader == 0:
		r.say(cluster.OpBlocked, fmt.Sprintf("%s has no leader that is known", spec.Range))
	default:
		r.say(cluster.OpRunning, "")
		r.phase(PhaseSplit, c.in.Now)
		r.command = c.do(Action{
			Kind: ActSplit, Operation: r.op.ID, To: x.Leader, Range: spec.Range,
			Split: cluster.RangeSplit{At: spec.At, Child: r.op.Child, Expect: x.Descriptor.Generation},
		})
	}
}

// awaitChild ends the operation when the meta range shows both halves.
func (c *Controller) awaitChild(r *run, pool cluster.PoolID) {
	r.phase(PhasePublish, c.in.Now)
	spec := &r.op.Spec
	parent, child := c.in.View.Ranges.Get(spec.Range), c.in.View.Ranges.Get(r.op.Child)
	switch {
	case child != nil && parent != nil && parent.End <= spec.At:
		endPhase(&r.op, PhasePublish, phaseDone, "", c.in.Now)
		r.op.State, r.dirty = cluster.OpSucceeded, true
		r.op.Why = fmt.Sprintf("%s has the keys %s, %s %s", parent.ID, c.in.View.Span(parent), child.ID, c.in.View.Span(child))
		r.op.Done = r.op.Total
	case child == nil:
		if d, ok := c.in.View.RangeOf(pool, spec.At); ok && d.Contains(pool, spec.At) && d.ID != spec.Range {
			r.fail(fmt.Sprintf("%s was split before: %s belongs to %s", spec.Range, spec.At.Text(), d.ID))
			return
		}
		r.op.Why = fmt.Sprintf("waits until %s has a leader and the meta range knows it", r.op.Child)
	default:
		r.op.Why = fmt.Sprintf("waits until the meta range knows of %s as it is now", spec.Range)
	}
}

// splitDone takes in what came of the split at the leader.
func (c *Controller) splitDone(done Completion) {
	r := c.runs[done.Action.Operation]
	if r == nil || r.command != done.Action.ID {
		return
	}
	r.command = 0
	if done.Err != nil {
		// It may have happened all the same: the descriptor tells.
		r.commandFailed(c.in.Now, done.Err)
		r.dirty = true
		delete(c.extra, done.Action.Range)
	}
}

// beingSplit reports whether an operation is about to split the range: no move of
// it begins then.
func (c *Controller) beingSplit(id cluster.RangeID) bool {
	for _, r := range c.runs {
		if r.op.Spec.Kind == cluster.OpSplit && r.op.Spec.Range == id && r.op.State == cluster.OpRunning {
			return true
		}
	}
	return false
}

func (s *Server) middle(ctx context.Context, r *request) (*reply, error) {
	at, err := s.Middle(ctx, r.Range)
	if err != nil {
		return nil, err
	}
	return &reply{At: at}, nil
}

func (s *Server) split(ctx context.Context, r *request) (*reply, error) {
	if r.Split == nil {
		return nil, fmt.Errorf("split %s: no boundary", r.Range)
	}
	parent, child, err := s.Store.Split(ctx, r.Range, *r.Split)
	if err != nil {
		return nil, err
	}
	rep := s.standing(r.Range, child.ID)
	rep.Descriptors = []cluster.RangeDescriptor{*parent, *child}
	return rep, nil
}
