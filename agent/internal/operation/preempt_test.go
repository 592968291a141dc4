package operation

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// TestPauseOutlivesPreemption: what a person has paused stays paused when the
// decommission that it gave way to has ended, whichever of the two came first,
// and goes on once a person resumes it.
func TestPauseOutlivesPreemption(t *testing.T) {
	for _, first := range []string{"pause", "preempt"} {
		t.Run(first+" first", func(t *testing.T) {
			r, plan := fourOn3(t, 3)
			id := r.apply(plan, false)
			r.until("the first moves", time.Minute, func() bool { return r.op(id).Phase == PhaseMove })
			pause := func() {
				r.must(metastate.Command{By: "alice", PauseOperation: &metastate.PauseOperation{ID: id, Reason: "busy hour"}})
			}
			if first == "pause" {
				pause()
			}
			dec := r.start(decommission(3))
			if first == "preempt" {
				pause()
			}
			r.until("the decommission", 2*time.Minute, r.ended(dec))
			for range 100 {
				r.advance()
			}
			if op := r.op(id); op.State != cluster.OpPaused || op.PreemptedBy != "" || !strings.Contains(op.Why, "alice: busy hour") {
				t.Fatalf("after the decommission it is %s by %q: %s", op.State, op.PreemptedBy, op.Why)
			}
			r.must(metastate.Command{By: "bob", ResumeOperation: &metastate.ResumeOperation{ID: id}})
			r.until("the rebalance", 2*time.Minute, r.ended(id))
			if op := r.op(id); op.State != cluster.OpSucceeded {
				t.Errorf("%s: %s", op.State, op.Why)
			}
		})
	}
}

// TestResumeBeforePreemptionEnds: resumed, an operation still gives way to the
// decommission, and goes on by itself when that has ended.
func TestResumeBeforePreemptionEnds(t *testing.T) {
	r, plan := fourOn3(t, 3)
	id := r.apply(plan, false)
	r.until("the first moves", time.Minute, func() bool { return r.op(id).Phase == PhaseMove })
	r.must(metastate.Command{By: "alice", PauseOperation: &metastate.PauseOperation{ID: id}})
	dec := r.start(decommission(3))
	r.must(metastate.Command{By: "alice", ResumeOperation: &metastate.ResumeOperation{ID: id}})
	if op := r.op(id); op.State != cluster.OpPaused || op.PreemptedBy != dec || !strings.Contains(op.Why, dec) {
		t.Fatalf("resumed, it is %s by %q: %s", op.State, op.PreemptedBy, op.Why)
	}
	r.until("the decommission", 2*time.Minute, r.ended(dec))
	r.until("the rebalance", 2*time.Minute, r.ended(id))
}

// TestQueuedDoesNotWaitForWhatGivesWay: a decommission of the queue does not wait
// for the rebalance that it has paused.
func TestQueuedDoesNotWaitForWhatGivesWay(t *testing.T) {
	r, plan := fourOn3(t, 3)
	id := r.apply(plan, false)
	r.until("the first moves", time.Minute, func() bool { return r.op(id).Phase == PhaseMove })
	res := r.must(metastate.Command{By: "bob", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
		Spec: decommission(3), State: cluster.OpQueued, Queue: true,
	}}})
	r.until("the decommission", 2*time.Minute, r.ended(res.Operation.ID))
	r.until("the rebalance", 2*time.Minute, r.ended(id))
}

// TestRepairBesideAPause: ranges of a node whose decommission is paused are made
// whole when another node dies.
func TestRepairBesideAPause(t *testing.T) {
	r := newRig(t, 21, 5, 5, 120)
	id := r.start(decommission(5))
	r.until("some moves", time.Minute, func() bool { return r.op(id).Done.Replicas > 2 })
	r.must(metastate.Command{By: "alice", PauseOperation: &metastate.PauseOperation{ID: id}})
	for range 100 {
		r.advance()
	}
	held := func(node cluster.NodeID, also cluster.NodeID) (n int) {
		for _, x := range r.ranges {
			_, on := x.desc.On(node)
			_, other := x.desc.On(also)
			if on && other && !x.desc.IsMeta() {
				n++
			}
		}
		return n
	}
	dead := cluster.NodeID(0)
	for node := range cluster.NodeID(5) {
		if node > 0 && held(node, 5) > 0 {
			dead = node
		}
	}
	if dead == 0 {
		t.Fatal("n5 holds no range any more: nothing to test")
	}
	before := held(5, 5)
	r.kill(dead)
	r.until("repair", 20*time.Minute, func() bool { return held(dead, dead) == 0 })
	if after := held(5, 5); after != before {
		t.Errorf("n5 held %d ranges, holds %d: its decommission is paused", before, after)
	}
	if op := r.op(id); op.State != cluster.OpPaused {
		t.Errorf("the operation is %s", op.State)
	}
}

// TestPauseBeforeTheTombstone: a pause that is recorded before the tombstone keeps
// it away, also if the coordinator has sent it already.
func TestPauseBeforeTheTombstone(t *testing.T) {
	r := newRig(t, 25, 5, 5, 8)
	id := r.start(decommission(5))
	paused := false
	r.watch = func(a Action) {
		if a.Kind == ActCommand && len(a.Command.Batch) > 0 && a.Operation == id && !paused {
			paused = true
			r.must(metastate.Command{By: "alice", PauseOperation: &metastate.PauseOperation{ID: id}})
		}
	}
	r.until("the tombstone is sent", 3*time.Minute, func() bool { return paused })
	for range 100 {
		r.advance()
	}
	if op, m := r.op(id), r.view().Nodes[5].Membership; op.State != cluster.OpPaused || m != cluster.Decommissioning {
		t.Fatalf("it is %s (%s) and n5 %s after a pause", op.State, op.Why, m)
	}
	r.must(metastate.Command{By: "alice", ResumeOperation: &metastate.ResumeOperation{ID: id}})
	r.until("decommission", time.Minute, r.ended(id))
	r.gone(id, 5)
}

// TestElectionIsNoStaleStep: a move whose range elects a leader while the
// operation checks it waits for the leader, strict or not.
func TestElectionIsNoStaleStep(t *testing.T) {
	for _, strict := range []bool{false, true} {
		r, plan := fourOn3(t, 3)
		plan.Moves, plan.Transfers = plan.Moves[:1], nil
		x := r.ranges[plan.Moves[0].Range]
		x.leader, x.lostAt = 0, r.now
		for range 60 { // the nodes report that nobody leads it
			r.advance()
			x.leader, x.lostAt = 0, r.now
		}
		id := r.apply(plan, strict)
		for range 30 {
			r.advance()
			x.leader, x.lostAt = 0, r.now
		}
		r.elect(x)
		r.until("the rebalance", time.Minute, r.ended(id))
		if op := r.op(id); op.State != cluster.OpSucceeded || op.Done.Replicas != 1 {
			t.Errorf("strict %v: %s (%s)", strict, op.State, op.Why)
		}
	}
}
