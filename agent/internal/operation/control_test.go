package operation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// kinds are the kinds of the events about a node, oldest first.
func (r *rig) kinds(node cluster.NodeID, nouns ...string) []string {
	var out []string
	for _, e := range r.view().Events {
		noun, _, _ := strings.Cut(string(e.Kind), ".")
		if e.Node == node && (len(nouns) == 0 || slices.Contains(nouns, noun)) {
			out = append(out, string(e.Kind))
		}
	}
	return out
}

// TestPauseResume pauses a decommission in the middle: what is in flight ends,
// nothing begins, whoever coordinates; resumed, it goes on to its end.
func TestPauseResume(t *testing.T) {
	r := newRig(t, 21, 5, 5, 120)
	id := r.start(decommission(5))
	r.until("some moves", time.Minute, func() bool { return r.op(id).Done.Replicas > 2 })
	r.must(metastate.Command{By: "alice", PauseOperation: &metastate.PauseOperation{ID: id, Reason: "busy hour"}})
	settle := func() {
		for range 100 {
			r.advance()
		}
	}
	settle()
	held := func() int {
		n := 0
		for _, x := range r.ranges {
			if _, ok := x.desc.On(5); ok && !x.desc.IsMeta() {
				n++
			}
		}
		return n
	}
	before := held()
	if before == 0 {
		t.Fatal("nothing is left to move: the pause came too late to test anything")
	}
	r.kill(r.coordinator)
	settle()
	settle()
	if op := r.op(id); op.State != cluster.OpPaused || !strings.Contains(op.Why, "alice: busy hour") {
		t.Fatalf("the operation is %s (%s), not paused", op.State, op.Why)
	}
	if after := held(); after != before {
		t.Fatalf("a paused decommission went on: n5 holds %d ranges, before %d", after, before)
	}
	for id := range r.nodes {
		if !r.up(id) && id != 5 {
			r.restart(id)
		}
	}
	r.must(metastate.Command{By: "bob", ResumeOperation: &metastate.ResumeOperation{ID: id}})
	r.until("decommission", 3*time.Minute, r.ended(id))
	r.gone(id, 5)
}

// TestCancelWhilePaused: a pause does not hold up a cancellation.
func TestCancelWhilePaused(t *testing.T) {
	r := newRig(t, 22, 5, 5, 120)
	id := r.start(decommission(5))
	r.until("some moves", time.Minute, func() bool { return r.op(id).Done.Replicas > 2 })
	r.must(metastate.Command{PauseOperation: &metastate.PauseOperation{ID: id}})
	r.must(metastate.Command{RequestCancel: &metastate.RequestCancel{ID: id}})
	r.until("cancelled", time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpCancelled {
		t.Fatalf("the operation is %s: %s", op.State, op.Why)
	}
	if m := r.view().Nodes[5].Membership; m != cluster.Active {
		t.Fatalf("n5 is %s after the cancellation", m)
	}
}

// TestDeadline: what has not ended by its deadline is cancelled and says why, whether
// it runs, is paused or waits for a node; what is in time ends as it would have.
func TestDeadline(t *testing.T) {
	spec := decommission(5)
	spec.Deadline = 3
	for name, prepare := range map[string]func(*rig, string){
		"runs": func(r *rig, _ string) { r.copyRate = 1 << 10 },
		"paused": func(r *rig, id string) {
			r.must(metastate.Command{PauseOperation: &metastate.PauseOperation{ID: id}})
		},
	} {
		r := newRig(t, 24, 5, 5, 120)
		id := r.start(spec)
		prepare(r, id)
		r.until(name+": cancelled", time.Minute, r.ended(id))
		if op := r.op(id); op.State != cluster.OpCancelled || !strings.Contains(op.Why, "its deadline of 3s has passed") {
			t.Errorf("%s: the operation is %s: %s", name, op.State, op.Why)
		}
		if m := r.view().Nodes[5].Membership; m != cluster.Active {
			t.Errorf("%s: n5 is %s after the cancellation", name, m)
		}
	}
	r := newRig(t, 24, 5, 5, 8)
	spec.Deadline = 600
	id := r.start(spec)
	r.until("in time", 3*time.Minute, r.ended(id))
	r.gone(id, 5)
}

// TestQueue: a decommission of a node that is being drained waits for the drain,
// and says so; one that nothing is in front of begins.
func TestQueue(t *testing.T) {
	r := newRig(t, 23, 5, 5, 8)
	first := r.start(decommission(5))
	res := r.must(metastate.Command{By: "bob", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
		Spec: cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{4, 5}}, State: cluster.OpQueued, Queue: true,
	}}})
	second := res.Operation.ID
	if op := r.op(second); !strings.Contains(op.Why, first) {
		t.Fatalf("the queue does not say what it waits for: %q", op.Why)
	}
	r.until("first ends", 3*time.Minute, func() bool {
		if st := r.op(second).State; st != cluster.OpQueued && !r.op(first).State.Final() {
			t.Fatalf("%s is %s before its turn", second, st)
		}
		return r.op(first).State.Final()
	})
	// n5 is gone then: what was asked for cannot be done, and is refused with why.
	r.until("second ends", 3*time.Minute, r.ended(second))
	if op := r.op(second); op.State != cluster.OpFailed || len(op.Refusals) == 0 || op.Refusals[0].Code != "TOMBSTONED" {
		t.Fatalf("%s is %s: %s %+v", second, op.State, op.Why, op.Refusals)
	}
}

// TestQueueWaitsForADrainedNode: a drain of the queue that is not safe beside a
// node that was drained waits until that one serves again, whatever drained it.
func TestQueueWaitsForADrainedNode(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { queueWaitsForADrainedNode(t, seed) })
	}
}

func queueWaitsForADrainedNode(t *testing.T, seed uint64) {
	r := newRig(t, seed, 3, 3, 4)
	r.nodes[1].service = cluster.Drained
	drain := cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{2}}
	res := r.must(metastate.Command{By: "bob", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{Spec: drain, State: cluster.OpQueued, Queue: true}}})
	second := res.Operation.ID
	r.until("the queue says why", time.Minute, func() bool { return strings.Contains(r.op(second).Why, "drained nodes") })
	for range 300 {
		r.advance()
	}
	if op := r.op(second); op.State != cluster.OpQueued {
		t.Fatalf("beside the drained n1 it is %s: %s", op.State, op.Why)
	}
	r.nodes[1].service = cluster.Ready
	r.until("the second drain begins", time.Minute, func() bool { return r.op(second).State != cluster.OpQueued })
	if op := r.op(second); op.State != cluster.OpRunning {
		t.Fatalf("when n1 serves again it is %s: %s", op.State, op.Why)
	}
}

// TestCordonEnds: a cordon with a time limit ends by itself, one without stays.
func TestCordonEnds(t *testing.T) {
	r := newRig(t, 24, 3, 3, 2)
	r.must(metastate.Command{SetCordon: &metastate.SetCordon{Node: 2, Cordon: true, Until: r.now.Add(20 * time.Second)}})
	r.must(metastate.Command{SetCordon: &metastate.SetCordon{Node: 3, Cordon: true}})
	at := r.now
	r.until("the end of the cordon", time.Minute, func() bool { return !r.view().Nodes[2].Cordon })
	if d := r.now.Sub(at); d < 20*time.Second {
		t.Fatalf("the cordon ended after %s, not 20 s", d)
	}
	if !r.view().Nodes[3].Cordon {
		t.Fatal("the cordon without an end has ended")
	}
}

// TestLivenessEvents: each transition is recorded once, a change of coordinators
// in between or not.
func TestLivenessEvents(t *testing.T) {
	r := newRig(t, 25, 5, 5, 2)
	victim := cluster.NodeID(4)
	r.until("a coordinator", time.Minute, func() bool { return r.coordinator != 0 })
	if r.coordinator == victim {
		victim = 3
	}
	r.kill(victim)
	for range 100 {
		r.advance()
	}
	r.kill(r.coordinator)
	for range 200 {
		r.advance()
	}
	r.restart(victim)
	for range 100 {
		r.advance()
	}
	got := slices.DeleteFunc(r.kinds(victim, "node"), func(k string) bool { return k == "node.joining" || k == "node.active" })
	if want := []string{"node.suspect", "node.dead", "node.alive"}; !slices.Equal(got, want) {
		t.Fatalf("events of %s: %v, want %v", victim, got, want)
	}
	terms := 0
	for _, e := range r.view().Events {
		if e.Kind == cluster.EventCoordinatorMove {
			terms++
		}
	}
	if terms < 2 {
		t.Fatalf("%d changes of the coordinator are recorded, want two at least", terms)
	}
}

// TestStall: a decommission whose targets never catch up says that it stalls and
// what it waits for; when they do again it ends.
func TestStall(t *testing.T) {
	r := newRig(t, 26, 5, 5, 6)
	for _, n := range r.nodes {
		n.slow = true
	}
	id := r.start(decommission(5))
	r.until("stalled", 15*time.Minute, func() bool { return r.op(id).Stalled })
	if op := r.op(id); !strings.Contains(op.Why, "no progress for") || !strings.Contains(op.Why, "waits for r") {
		t.Fatalf("a stalled operation says %q", op.Why)
	}
	for _, n := range r.nodes {
		n.slow = false
	}
	r.until("decommission", 30*time.Minute, r.ended(id))
	r.gone(id, 5)
	if r.op(id).Stalled {
		t.Fatal("it ended as stalled")
	}
}

// TestAnotherTarget: a node on which nothing can be prepared is given up for the
// others, and the item says why meanwhile.
func TestAnotherTarget(t *testing.T) {
	r := newRig(t, 27, 6, 6, 12)
	broken, said := cluster.NodeID(0), false
	r.refuse = func(a Action) error {
		if a.Kind != ActPrepare || broken != 0 && a.To != broken {
			return nil
		}
		broken = a.To
		return errBroken
	}
	id := r.start(decommission(6))
	r.until("decommission", 3*time.Minute, func() bool {
		for _, it := range r.op(id).Items {
			if it.Error != "" && it.To == broken && it.Needs != "" {
				said = true
			}
		}
		return r.op(id).State.Final()
	})
	r.gone(id, 6)
	if !said {
		t.Error("no item said why it waits")
	}
	for _, x := range r.ranges {
		if _, on := x.desc.On(broken); on && x.desc.Generation > 8 {
			t.Errorf("%s is on %s, which refused it", x.desc.ID, broken)
		}
	}
}

// TestScore: an operation that succeeded is scored against its prediction.
func TestScore(t *testing.T) {
	r := newRig(t, 28, 4, 4, 8)
	id := r.start(decommission(4))
	sawPace := false
	r.until("decommission", 2*time.Minute, func() bool {
		if p := r.op(id).Pace; p.ETA > 0 && p.Low <= p.ETA && p.ETA <= p.High {
			sawPace = true
		}
		return r.op(id).State.Final()
	})
	op := r.op(id)
	want := op.EndedAt.Sub(op.StartedAt).Seconds()/op.Planned - 1
	if op.Planned <= 0 || op.ModelError < want-0.2 || op.ModelError > want+0.2 {
		t.Fatalf("took %s of %.1f s planned: scored %v, want %.2f", op.EndedAt.Sub(op.StartedAt), op.Planned, op.ModelError, want)
	}
	if !sawPace && op.EndedAt.Sub(op.StartedAt) > 5*time.Second {
		t.Error("no time that is left was ever said")
	}
}
