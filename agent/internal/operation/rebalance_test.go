package operation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// policy sets what the rebalancer does by itself.
func (r *rig) policy(p string) {
	r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingRebalance, Value: p}})
}

// lead makes node the leader of the ranges.
func (r *rig) lead(node cluster.NodeID, ids ...cluster.RangeID) {
	for _, id := range ids {
		x := r.ranges[id]
		x.leader, x.match[node] = node, x.commit
		x.term++
	}
}

// coordinated waits until a coordinator has seen every node.
func (r *rig) coordinated() {
	r.until("a coordinator has looked", 10*time.Second, func() bool {
		n := r.nodes[r.coordinator]
		return n != nil && n.ctl.Snapshot() != nil && n.ctl.collected() && len(n.reports) == len(r.nodes)
	})
}

// apply stores a plan and asks for its operation, as a Service does.
func (r *rig) apply(plan placement.Plan, strict bool) string {
	plan.ID = planID(&plan, r.view(), cluster.OperationSpec{Kind: cluster.OpRebalance})
	stored, err := storedPlan(&plan, r.view().Epoch(), cluster.OperationSpec{Kind: cluster.OpRebalance, Nodes: touched(&plan)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.must(metastate.Command{By: "ada", PutPlan: &metastate.PutPlan{Plan: *stored}})
	spec := stored.Spec
	spec.Plan, spec.Strict = plan.ID, strict
	res := r.must(metastate.Command{By: "ada", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
		Spec: spec, State: cluster.OpQueued, Cause: cluster.CauseRequest, GainPredicted: plan.Gain,
	}}})
	r.note("%s applies %s: %v %v", res.Operation.ID, plan.ID, plan.Transfers, plan.Moves)
	return res.Operation.ID
}

// fourOn3 is a cluster of four nodes whose ranges are on the first three, and
// which does nothing about it by itself, with the plan that would.
func fourOn3(t *testing.T, seed uint64) (*rig, placement.Plan) {
	t.Helper()
	r := newRig(t, seed, 4, 3, 12)
	r.policy(metastate.RebalanceOff)
	r.until("n4 is active", time.Minute, func() bool { return r.view().Nodes[4].Membership == cluster.Active })
	r.coordinated()
	r.until("n4 has reported", 10*time.Second, func() bool { return r.nodes[r.coordinator].ctl.Snapshot().Node(4).Reported })
	plan, v := placement.Make(r.nodes[r.coordinator].ctl.Snapshot(), placement.Intent{Goal: placement.GoalRebalance})
	if !v.OK() || len(plan.Moves) == 0 {
		t.Fatalf("no plan: %v %v", plan.Moves, v.String())
	}
	return r, plan
}

func (r *rig) moved(plan placement.Plan) (done, not int) {
	for _, m := range plan.Moves {
		d := &r.ranges[m.Range].desc
		_, holds := d.On(m.From)
		to, arrived := d.On(m.To)
		if arrived && to.Role == cluster.Voter && !holds {
			done++
		} else {
			not++
		}
	}
	return done, not
}

func TestPlanIsApplied(t *testing.T) {
	r, plan := fourOn3(t, 1)
	id := r.apply(plan, false)
	r.begun = nil
	r.until("the rebalance", time.Minute, r.ended(id))
	op := r.op(id)
	done, not := r.moved(plan)
	said := map[cluster.RangeID]int{}
	for _, b := range r.begun {
		if said[b.Move.Range]++; b.Operation != id || b.Move.From == 0 || b.Move.To != 4 || b.Move.Why == "" {
			t.Errorf("a move that began: %+v", b)
		}
	}
	for _, m := range plan.Moves {
		if said[m.Range] != 1 {
			t.Errorf("%s: said %d times, want once", m, said[m.Range])
		}
	}
	if op.State != cluster.OpSucceeded || not != 0 || done != len(plan.Moves) {
		r.dump()
		t.Fatalf("%s %s: %d moves made, %d not", op.State, op.Why, done, not)
	}
	if p := op.Proof; p == nil || p.References != 0 || p.Descriptors != op.Total.Ranges || op.Done != op.Total {
		t.Errorf("proof %+v, done %+v of %+v", op.Proof, op.Done, op.Total)
	}
	if op.GainAchieved < plan.Gain-1 || plan.Gain <= 0 {
		t.Errorf("gain: predicted %v, achieved %v", plan.Gain, op.GainAchieved)
	}
	s := r.view().Sweeps[id]
	if s == nil || s.Cause != cluster.CauseRequest || s.Moves != len(plan.Moves) || s.Achieved != op.GainAchieved {
		t.Errorf("the history says %+v", s)
	}
	// Exactly those moves: nothing else has moved.
	for rid, x := range r.ranges {
		planned := slices.ContainsFunc(plan.Moves, func(m placement.Move) bool { return m.Range == rid })
		if on, _ := x.desc.On(4); on.Role == cluster.Voter && !planned && rid != cluster.MetaRangeID {
			t.Errorf("%s was moved to n4, which nobody planned", rid)
		}
	}
	r.rest(time.Minute)
}

func TestStaleStepIsDropped(t *testing.T) {
	r, plan := fourOn3(t, 2)
	stale := plan.Moves[0]
	// Somebody moves that range elsewhere before the plan is applied.
	first := r.apply(placement.Plan{ID: "pl-first", Moves: []placement.Move{stale}}, false)
	r.until("the first move", time.Minute, r.ended(first))
	back := r.start(cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{stale.From, stale.To}, Range: stale.Range, From: otherVoter(r, stale), To: stale.From})
	r.until("the second move", time.Minute, r.ended(back))
	strict := r.apply(plan, true)
	r.until("the strict rebalance", time.Minute, r.ended(strict))
	if op := r.op(strict); op.State != cluster.OpFailed || !strings.Contains(op.Why, string(placement.Conflict)) || op.Done.Ranges != 0 {
		t.Errorf("strict: %s %q done %+v", op.State, op.Why, op.Done)
	}
	id := r.apply(plan, false)
	r.until("the rebalance", time.Minute, r.ended(id))
	op := r.op(id)
	if op.State != cluster.OpSucceeded || !strings.Contains(op.Why, "stale") {
		t.Errorf("%s %q", op.State, op.Why)
	}
	for _, it := range op.Items {
		dropped := it.Step == itemDropped
		if dropped != (it.Range == stale.Range && !it.Leadership) || dropped && it.Why == "" {
			t.Errorf("item %+v", it)
		}
	}
	r.rest(time.Minute)
}

// otherVoter is a node that holds a voter of m's range and is neither end.
func otherVoter(r *rig, m placement.Move) cluster.NodeID {
	for _, n := range r.ranges[m.Range].desc.Voters() {
		if n != m.From && n != m.To {
			return n
		}
	}
	return 0
}

// TestRebalanceOutlivesCoordinators kills the coordinator after each third action
// of a rebalance. Its successor makes the rest of the steps, each once.
func TestRebalanceOutlivesCoordinators(t *testing.T) {
	for after := 1; after < 60; after += 3 {
		t.Run(fmt.Sprintf("kill after action %d", after), func(t *testing.T) {
			r, plan := fourOn3(t, uint64(after))
			base := r.actions
			id := r.apply(plan, false)
			killed := cluster.NodeID(0)
			r.until("the rebalance", 3*time.Minute, func() bool {
				if killed == 0 && r.actions-base >= after && !r.op(id).State.Final() {
					killed = r.coordinator
					r.kill(killed)
				}
				if killed != 0 && r.now.Sub(r.nodes[killed].downAt) > 10*time.Second && !r.up(killed) {
					r.restart(killed)
				}
				return r.op(id).State.Final() && (killed == 0 || r.up(killed))
			})
			op := r.op(id)
			if op.State != cluster.OpSucceeded {
				r.dump()
				t.Fatalf("%s: %s", op.State, op.Why)
			}
			for i, it := range op.Items {
				if it.Step != itemDone && it.Step != itemDropped {
					t.Errorf("item %d ended as %q", i, it.Step)
				}
			}
			r.rest(2 * time.Minute)
		})
	}
}

func TestDecommissionPausesARebalance(t *testing.T) {
	r, plan := fourOn3(t, 3)
	id := r.apply(plan, false)
	r.until("the first moves", time.Minute, func() bool { return r.op(id).Phase == PhaseMove })
	dec := r.start(decommission(3))
	if op := r.op(id); op.State != cluster.OpPaused || op.PreemptedBy != dec || !strings.Contains(op.Why, dec) {
		t.Fatalf("the rebalance is %s by %q: %s", op.State, op.PreemptedBy, op.Why)
	}
	r.until("the decommission", 2*time.Minute, r.ended(dec))
	r.gone(dec, 3)
	r.until("the rebalance", 2*time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpSucceeded || op.PreemptedBy != "" {
		r.dump()
		t.Errorf("%s: %s", op.State, op.Why)
	}
	r.rest(time.Minute)
	for _, it := range r.op(id).Items {
		if it.From == 3 && it.Step == itemDropped && it.Why == "" {
			t.Errorf("%+v was dropped without a reason", it)
		}
	}
}

func TestOwnRebalanceGivesWay(t *testing.T) {
	r := newRig(t, 4, 5, 3, 12)
	var auto string
	r.until("a rebalance begins by itself", time.Minute, func() bool {
		for _, id := range r.view().OperationIDs() {
			if op := r.op(id); op.Spec.Kind == cluster.OpRebalance && !op.State.Final() {
				auto = id
			}
		}
		return auto != ""
	})
	dec := r.start(decommission(2))
	r.until("it gives way", time.Minute, r.ended(auto))
	if op := r.op(auto); op.State != cluster.OpCancelled && op.State != cluster.OpSucceeded {
		t.Errorf("%s: %s", op.State, op.Why)
	}
	r.until("the decommission", 2*time.Minute, r.ended(dec))
	r.gone(dec, 2)
	r.rest(time.Minute)
}

func TestMoveAndTransfer(t *testing.T) {
	r, _ := fourOn3(t, 5)
	x := r.ranges[2]
	from := x.leader
	id := r.start(cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{from, 4}, Range: 2, From: from, To: 4})
	again := r.propose(metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
		Spec: cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{from, 4}, Range: 2, From: from, To: 4},
	}}})
	if !again.Existed || again.Operation.ID != id {
		t.Errorf("the same move again: %+v", again)
	}
	r.until("the move", time.Minute, r.ended(id))
	if _, holds := x.desc.On(from); r.op(id).State != cluster.OpSucceeded || holds {
		t.Errorf("%s %s: %v", r.op(id).State, r.op(id).Why, x.desc.Replicas)
	}
	to := otherVoter(r, placement.Move{Range: 2, From: x.leader})
	id = r.start(cluster.OperationSpec{Kind: cluster.OpTransfer, Nodes: []cluster.NodeID{to}, Range: 2, To: to})
	r.until("the transfer", time.Minute, r.ended(id))
	if r.op(id).State != cluster.OpSucceeded || x.leader != to || r.op(id).Proof == nil {
		t.Errorf("%s %s: %s leads", r.op(id).State, r.op(id).Why, x.leader)
	}
	// A transfer to a node without a replica is stale at once.
	id = r.start(cluster.OperationSpec{Kind: cluster.OpTransfer, Nodes: []cluster.NodeID{from}, Range: 2, To: from})
	r.until("the impossible transfer", time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpFailed || op.Why == "" {
		t.Errorf("%s %q", op.State, op.Why)
	}
}

// TestMoveThatFailedOnce: what an item waited for is forgotten when it is done.
func TestMoveThatFailedOnce(t *testing.T) {
	r, _ := fourOn3(t, 5)
	from, failed, waited := r.ranges[2].leader, false, false
	r.refuse = func(a Action) error {
		if a.Kind != ActChange || a.Change.Kind != cluster.RemoveLearner || failed {
			return nil
		}
		failed = true
		// It was made all the same: only the answer is lost.
		r.change(a)
		return errBroken
	}
	id := r.start(cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{from, 4}, Range: 2, From: from, To: 4})
	r.until("the move", time.Minute, func() bool {
		for _, it := range r.op(id).Items {
			waited = waited || it.Needs != "" && !it.RetryAt.IsZero()
		}
		return r.op(id).State.Final()
	})
	op := r.op(id)
	if !failed || op.State != cluster.OpSucceeded || len(op.Items) != 1 {
		t.Fatalf("failed %v, %s: %+v", failed, op.State, op.Items)
	}
	if it := op.Items[0]; it.Step != itemDone || it.Needs != "" || !it.RetryAt.IsZero() || it.BytesDone != it.Bytes {
		t.Errorf("%s %q waits for %q until %s; %d of %d bytes (it waited before: %v)", it.Step, it.Why, it.Needs, it.RetryAt, it.BytesDone, it.Bytes, waited)
	}
}

// TestMovedBackBeforeTheProof: a move that was made is over, although somebody brought a
// replica back to where it came from before it could be proven. Nobody waits for that one
// to go.
func TestMovedBackBeforeTheProof(t *testing.T) {
	r, _ := fourOn3(t, 5)
	x := r.ranges[2]
	from, id, back := x.leader, "", false
	r.refuse = func(a Action) error {
		if a.Kind == ActProof && a.Operation == id && !back {
			return errBroken
		}
		return nil
	}
	id = r.start(cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{from, 4}, Range: 2, From: from, To: 4})
	r.until("the proof waits", time.Minute, func() bool { return strings.Contains(r.op(id).Why, "the proof waits: ") })
	leaves := otherVoter(r, placement.Move{Range: 2, From: from, To: 4})
	dec := r.start(decommission(leaves)) // of four nodes: the range has to come back
	r.until("the decommission", 2*time.Minute, r.ended(dec))
	r.gone(dec, leaves)
	if _, back = x.desc.On(from); !back {
		t.Fatalf("nothing came back to %s: %v", from, x.desc.Replicas)
	}
	r.until("the move", time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpSucceeded || op.Proof == nil || op.Proof.References != 0 {
		t.Errorf("%s %q, proof %+v", op.State, op.Why, op.Proof)
	}
	r.rest(time.Minute)
}

func TestCancelRebalance(t *testing.T) {
	for after := 1; after < 40; after += 4 {
		t.Run(fmt.Sprintf("after action %d", after), func(t *testing.T) {
			r, plan := fourOn3(t, uint64(100+after))
			base := r.actions
			id := r.apply(plan, false)
			asked := false
			r.until("the end", 2*time.Minute, func() bool {
				if !asked && r.actions-base >= after {
					asked = true
					r.propose(metastate.Command{RequestCancel: &metastate.RequestCancel{ID: id}})
				}
				return r.op(id).State.Final()
			})
			op := r.op(id)
			if op.State != cluster.OpCancelled && op.State != cluster.OpSucceeded {
				t.Errorf("%s: %s", op.State, op.Why)
			}
			r.rest(time.Minute)
			if done, _ := r.moved(plan); op.Done.Replicas != done {
				t.Errorf("it says that %d replicas were moved, %d were", op.Done.Replicas, done)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	rebalances := func(r *rig) (n int) {
		for _, op := range r.view().Operations {
			if op.Spec.Kind == cluster.OpRebalance {
				n++
			}
		}
		return n
	}
	r, _ := fourOn3(t, 6)
	for range 600 {
		r.advance()
	}
	if rebalances(r) != 0 || len(r.view().Sweeps) != 0 {
		t.Errorf("off: %d rebalances, %d sweeps", rebalances(r), len(r.view().Sweeps))
	}
	r.policy(metastate.RebalanceObserve)
	r.until("a sweep is recorded", time.Minute, func() bool { return len(r.view().Sweeps) > 0 })
	for range 900 {
		r.advance()
	}
	if n := len(r.view().Sweeps); rebalances(r) != 0 || n != 1 {
		t.Errorf("observe: %d rebalances, %d sweeps, want none and one", rebalances(r), n)
	}
	for id, s := range r.view().Sweeps {
		if s.Outcome != "observed" || s.Predicted <= 0 || r.view().Plans[id] == nil {
			t.Errorf("the sweep is %+v", s)
		}
	}
	r.policy(metastate.RebalanceAuto)
	r.until("it is done", time.Minute, func() bool { return rebalances(r) > 0 })
	r.rest(time.Minute)
}

// TestNoPingPong lets the load of each range wander for fifty sweeps. The
// rebalancer settles: no replica moves twice, and once the cluster is even it
// hardly does anything.
func TestNoPingPong(t *testing.T) {
	r := newRig(t, 7, 6, 3, 24)
	for id, x := range r.ranges {
		x.bytes, x.reads, x.writes = 128<<20+uint64(id)<<20, 200, 40
	}
	moves := map[cluster.RangeID]int{}
	transfers, last := 0, time.Time{}
	r.watch = func(a Action) {
		if a.Kind == ActChange && a.Change.Kind == cluster.ChangeVoters && a.Range != cluster.MetaRangeID {
			moves[a.Range]++
			last = r.now
		}
		if a.Kind == ActTransfer && r.view().Operations[a.Operation] != nil {
			transfers++
		}
	}
	began := r.now
	for sweep := range 50 {
		for _, id := range sorted(r.ranges) { // a fifth up or down
			x := r.ranges[id]
			x.reads = 200 * (0.8 + 0.4*r.rng.Float64())
			x.writes = 40 * (0.8 + 0.4*r.rng.Float64())
			x.bytes = uint64(float64(128<<20) * (0.95 + 0.1*r.rng.Float64()))
		}
		for range 300 {
			r.advance()
		}
		if sweep == 9 {
			transfers = 0
		}
	}
	for id, n := range moves {
		if n > 2 { // at most one per replica that had to leave the first three nodes
			t.Errorf("%s was moved %d times", id, n)
		}
	}
	if settled := last.Sub(began); settled > 10*time.Minute {
		t.Errorf("the last replica moved after %s", settled)
	}
	if transfers > 8 {
		t.Errorf("%d leaderships were transferred in the last forty sweeps", transfers)
	}
	if even := placement.Measure(r.nodes[r.coordinator].ctl.Snapshot(), placement.Intent{}); even[1].WouldAct || even[2].WouldAct {
		t.Errorf("it is not even: %+v", even)
	}
}
