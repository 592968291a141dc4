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
