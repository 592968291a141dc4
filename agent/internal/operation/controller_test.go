package operation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func decommission(nodes ...cluster.NodeID) cluster.OperationSpec {
	return cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: nodes}
}

func TestDecommission(t *testing.T) {
	r := newRig(t, 1, 4, 4, 8)
	var phases []string
	id := r.start(decommission(4))
	r.until("decommission", 2*time.Minute, func() bool {
		if op := r.op(id); op.Phase != "" && !slices.Contains(phases, op.Phase) {
			phases = append(phases, op.Phase)
		}
		return r.op(id).State.Final()
	})
	r.gone(id, 4)
	r.until("n4 stops by itself", 10*time.Second, func() bool { return !r.up(4) })
	if got := strings.Join(phases, " "); !strings.HasPrefix(got, "check cordon leaders move") && !strings.HasPrefix(got, "cordon leaders move") {
		t.Errorf("phases %q", got)
	}
	for _, p := range r.op(id).Phases {
		if p.State != phaseDone && p.State != phaseSkipped {
			t.Errorf("phase %s is %s", p.Name, p.State)
		}
	}
	if op := r.op(id); op.Done != op.Total || op.Total.Replicas == 0 {
		t.Errorf("done %+v of %+v", op.Done, op.Total)
	}
}

func TestDecommissionKeepsRunning(t *testing.T) {
	r := newRig(t, 1, 4, 4, 2)
	spec := decommission(4)
	spec.Keep = true
	id := r.start(spec)
	r.until("decommission", 2*time.Minute, r.ended(id))
	for range 100 {
		r.advance()
	}
	if r.gone(id, 4); !r.up(4) {
		t.Error("n4 was stopped although it was to keep running")
	}
}

func TestDecommissionOfDeadNode(t *testing.T) {
	r := newRig(t, 2, 4, 4, 8)
	r.kill(4)
	for range 50 {
		r.advance()
	}
	id := r.start(decommission(4))
	r.until("decommission", 2*time.Minute, r.ended(id))
	r.gone(id, 4)
	for _, p := range r.op(id).Phases {
		if (p.Name == PhaseLeaders || p.Name == PhaseSQLDrain) && p.State != phaseSkipped {
			t.Errorf("phase %s of a dead node is %s, want skipped", p.Name, p.State)
		}
	}
	// Its disk comes back: the node must not be talked to as if nothing was.
	r.restart(4)
	r.until("n4 is told to stop", 10*time.Second, func() bool { return !r.up(4) })
}

func TestDecommissionOfTwo(t *testing.T) {
	r := newRig(t, 3, 6, 6, 8)
	id := r.start(decommission(5, 6))
	r.until("decommission", 3*time.Minute, r.ended(id))
	r.gone(id, 5, 6)
	r.rest(time.Minute)
}

// TestInfeasible: three nodes, three replicas. The operation fails at its check,
// and nothing has changed. (The Service refuses before that.)
func TestInfeasible(t *testing.T) {
	r := newRig(t, 4, 3, 3, 4)
	id := r.start(decommission(3))
	r.until("refusal", 5*time.Second, r.ended(id))
	op := r.op(id)
	if op.State != cluster.OpFailed || !strings.Contains(op.Why, "NO_TARGET") {
		t.Errorf("%s: %s", op.State, op.Why)
	}
	if m := r.view().Nodes[3].Membership; m != cluster.Active {
		t.Errorf("n3 is %s", m)
	}
	for id, x := range r.ranges {
		if x.desc.Generation != 1 {
			t.Errorf("%s was changed", id)
		}
	}
}

// TestCoordinatorKilled kills the coordinator after the first, second, third ...
// action of a decommission, in turn of the node that leaves, too. Its successor
// goes on to the end.
func TestCoordinatorKilled(t *testing.T) {
	for _, leaving := range []cluster.NodeID{1, 4} {
		total := 0
		for after := 1; after <= max(total, 1); after += 3 {
			t.Run(fmt.Sprintf("decommission of %s, kill after action %d", leaving, after), func(t *testing.T) {
				r := newRig(t, uint64(after), 5, 5, 4)
				r.until("first reports", 5*time.Second, func() bool { return r.now.Sub(r.view().TS.Time()) > 2*time.Second })
				base := r.actions
				id := r.start(decommission(leaving))
				killed := cluster.NodeID(0)
				r.until("decommission", 3*time.Minute, func() bool {
					if killed == 0 && r.actions-base >= after && r.coordinator != 0 {
						killed = r.coordinator
						r.kill(killed)
					} else if killed != 0 && !r.up(killed) && r.now.Sub(r.nodes[killed].downAt) > 10*time.Second && r.view().Nodes[killed].Tombstone == nil {
						r.restart(killed)
					}
					return r.op(id).State.Final()
				})
				r.gone(id, leaving)
				if after == 1 {
					total = r.actions - base
				}
			})
		}
	}
}

// TestCancelInEachPhase cancels a decommission in each of its phases: the node
// is active and serves again, every range is whole, nothing is left behind.
func TestCancelInEachPhase(t *testing.T) {
	for _, phase := range []string{"", PhaseCordon, PhaseLeaders, PhaseMove, PhaseSQLDrain, PhaseVerify} {
		t.Run("in "+phase, func(t *testing.T) {
			r := newRig(t, 5, 4, 4, 6)
			id := r.start(decommission(4))
			r.until("phase "+phase, time.Minute, func() bool { return r.op(id).Phase == phase || r.op(id).State.Final() })
			if r.op(id).State.Final() {
				t.Skip("the phase is too short to be seen in the record")
			}
			r.must(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: id}})
			r.until("cancel", time.Minute, r.ended(id))
			if s := r.op(id).State; s != cluster.OpCancelled {
				t.Fatalf("the operation ended %s", s)
			}
			if m := r.view().Nodes[4].Membership; m != cluster.Active {
				t.Errorf("n4 is %s", m)
			}
			r.rest(time.Minute)
			if s := r.nodes[4].service; s != cluster.Ready {
				t.Errorf("n4 is left %s", s)
			}
			if _, ok := r.ranges[cluster.MetaRangeID].desc.On(4); !ok {
				t.Error("n4 has no copy of the meta range")
			}
		})
	}
}

// TestTargetKilled kills the node that a replica is on its way to: another is
// found, and the dead one holds nothing that counts.
func TestTargetKilled(t *testing.T) {
	r := newRig(t, 6, 6, 6, 4)
	killed := cluster.NodeID(0)
	r.watch = func(a Action) {
		if killed == 0 && a.Kind == ActChange && a.Change.Kind == cluster.AddLearner && a.Operation != "" {
			killed = a.Change.Add
			r.nodes[killed].slow = true
		}
	}
	id := r.start(decommission(1))
	r.until("a learner", time.Minute, func() bool { return killed != 0 })
	for range 3 {
		r.advance()
	}
	r.kill(killed)
	// The ranges that the dead node votes in may be moved off n1 only once it is
	// replaced or back; bring it back after a while.
	r.until("decommission", 5*time.Minute, func() bool {
		if !r.up(killed) && r.now.Sub(r.nodes[killed].downAt) > 30*time.Second {
			r.nodes[killed].slow = false
			r.restart(killed)
		}
		return r.op(id).State.Final()
	})
	r.gone(id, 1)
	r.rest(time.Minute)
}

// TestTargetStalls: a learner that never catches up is given up for another
// target.
func TestTargetStalls(t *testing.T) {
	r := newRig(t, 6, 5, 5, 2)
	slow := cluster.NodeID(0)
	r.watch = func(a Action) {
		if slow == 0 && a.Kind == ActChange && a.Change.Kind == cluster.AddLearner {
			slow = a.Change.Add
			r.nodes[slow].slow = true
		}
	}
	id := r.start(decommission(3))
	blocked := false
	r.until("decommission", 20*time.Minute, func() bool {
		for _, it := range r.op(id).Items {
			blocked = blocked || strings.Contains(it.Why, "not caught up") || strings.Contains(it.Why, "catching up")
		}
		if slow != 0 && r.now.Sub(r.view().Nodes[3].JoinedAt) > 15*time.Minute {
			r.nodes[slow].slow = false
		}
		return r.op(id).State.Final()
	})
	r.gone(id, 3)
	if !blocked {
		t.Error("nothing in the items says that the learner does not catch up")
	}
}

// TestBlockedSaysWhy: a suspect bystander stops the moves of the ranges that it
// votes in; the operation says so, and goes on by itself when it is back.
func TestBlockedSaysWhy(t *testing.T) {
	r := newRig(t, 7, 4, 4, 4)
	id := r.start(decommission(4))
	r.until("cordon", time.Minute, func() bool { return r.view().Nodes[4].Membership == cluster.Decommissioning })
	r.kill(2)
	r.until("blocked", time.Minute, func() bool { return r.op(id).State == cluster.OpBlocked })
	if why := r.op(id).Why; !strings.Contains(why, "n2") && !strings.Contains(why, "NO_TARGET") {
		t.Errorf("blocked, but why? %q", why)
	}
	r.restart(2)
	r.until("decommission", 2*time.Minute, r.ended(id))
	r.gone(id, 4)
}

// TestBlockedIsFreedByANodeThatJoins: what a refusal tells the operator to do
// helps. The joining node waits for a copy of the meta range, of which the node
// that leaves holds one.
func TestBlockedIsFreedByANodeThatJoins(t *testing.T) {
	r := newRig(t, 8, 4, 4, 4)
	id := r.start(decommission(4))
	r.until("cordon", time.Minute, func() bool { return r.view().Nodes[4].Membership == cluster.Decommissioning })
	r.kill(2)
	r.until("blocked", time.Minute, func() bool { return r.op(id).State == cluster.OpBlocked })
	r.join(5)
	r.until("n5 is active", time.Minute, func() bool { return r.view().Nodes[5].Membership == cluster.Active })
	r.until("decommission", 20*time.Minute, r.ended(id))
	r.gone(id, 4)
}

// TestTwoAtOnce: of five nodes two may go, each without a word of the other;
// three may not. Asked for at the same moment, two run side by side, and the one
// that is looked at last fails without having changed anything.
func TestTwoAtOnce(t *testing.T) {
	r := newRig(t, 8, 5, 5, 4)
	ids := []string{r.start(decommission(3)), r.start(decommission(4)), r.start(decommission(5))}
	r.until("all", 5*time.Minute, func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !r.op(id).State.Final() })
	})
	failed := 0
	for _, id := range ids {
		op := r.op(id)
		if op.State == cluster.OpSucceeded {
			r.gone(id, op.Spec.Nodes...)
			continue
		}
		failed++
		if m := r.view().Nodes[op.Spec.Nodes[0]].Membership; op.State != cluster.OpFailed || m != cluster.Active {
			t.Errorf("%s %s (%s), %s is %s", id, op.State, op.Why, op.Spec.Nodes[0], m)
		}
	}
	if failed != 1 {
		t.Errorf("%d of three decommissions failed, want one", failed)
	}
	r.rest(time.Minute)
}

// TestTwoDrains: of three nodes one may stop, so of two drains one is admitted.
func TestTwoDrains(t *testing.T) {
	r := newRig(t, 9, 3, 3, 4)
	a := r.start(cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{2}})
	b := r.start(cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{3}})
	r.until("admission", 10*time.Second, func() bool { return r.op(a).State != cluster.OpQueued && r.op(b).State != cluster.OpQueued })
	if got := []cluster.OperationState{r.op(a).State, r.op(b).State}; !slices.Contains(got, cluster.OpRunning) || !slices.Contains(got, cluster.OpFailed) {
		t.Errorf("states %v: want one running, one failed", got)
	}
	// The node is restarted in the middle: the drain does not outlive the process.
	running, node := a, cluster.NodeID(2)
	if r.op(b).State == cluster.OpRunning {
		running, node = b, 3
	}
	r.kill(node)
	r.restart(node)
	r.until("the drain ends", 10*time.Second, r.ended(running))
	if op := r.op(running); op.State != cluster.OpFailed || !strings.Contains(op.Why, "restarted") {
		t.Errorf("%s: %s", op.State, op.Why)
	}
}

// TestDeadNodeIsReplaced: replicas of a node that stays dead are re-created where
// there is room, after dead_after and not before.
func TestDeadNodeIsReplaced(t *testing.T) {
	r := newRig(t, 10, 5, 5, 6)
	r.rest(time.Minute)
	r.kill(3)
	for range 4 * 60 * 10 {
		r.advance()
	}
	for id, x := range r.ranges {
		if _, ok := x.desc.On(3); !ok && r.ranges[id].desc.Generation != 1 && id != cluster.MetaRangeID {
			continue // spread moved it before
		}
	}
	before := 0
	for _, x := range r.ranges {
		if _, ok := x.desc.On(3); ok {
			before++
		}
	}
	if before == 0 {
		t.Fatal("the replicas of a dead node were moved before dead_after")
	}
	r.until("replacement", 3*time.Minute, func() bool {
		for id, x := range r.ranges {
			if _, ok := x.desc.On(3); ok && id != cluster.MetaRangeID {
				return false
			}
		}
		return true
	})
	r.restart(3)
	r.rest(2 * time.Minute)
}

// TestJoin: nodes join a cluster of one; it grows to its three replicas, every
// node gets the meta range and its share of replicas and leaders.
func TestJoin(t *testing.T) {
	r := newRig(t, 11, 1, 1, 12)
	for id := cluster.NodeID(2); id <= 4; id++ {
		r.join(id)
		r.until(fmt.Sprintf("%s is active", id), time.Minute, func() bool { return r.view().Nodes[id].Membership == cluster.Active })
	}
	r.rest(3 * time.Minute)
	r.until("leaders and replicas are even", time.Minute, func() bool {
		leaders, replicas := map[cluster.NodeID]int{}, map[cluster.NodeID]int{}
		for id, x := range r.ranges {
			if id == cluster.MetaRangeID {
				continue
			}
			leaders[x.leader]++
			for _, n := range x.desc.Voters() {
				replicas[n]++
			}
		}
		for id := cluster.NodeID(1); id <= 4; id++ {
			if leaders[id] < 2 || leaders[id] > 4 || replicas[id] < 8 || replicas[id] > 10 {
				return false
			}
		}
		return true
	})
	// One more sweep may still improve on that; then it is quiet: no ping-pong.
	for range 400 {
		r.advance()
	}
	generation := func() (sum uint64) {
		for _, x := range r.ranges {
			sum += x.desc.Generation + x.term
		}
		return sum
	}
	before := generation()
	for range 600 {
		r.advance()
	}
	if after := generation(); after != before {
		r.dump()
		t.Errorf("a minute of peace changed generations and terms by %d", after-before)
	}
}

// TestRandomFaults runs decommissions under crashes, restarts and cancellations
// from a seed; when everything is up again, every operation ends and every range
// is whole.
func TestRandomFaults(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 5
	}
	first := seed.Of(t)
	for i := range seeds {
		seed := first + uint64(i)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { randomFaults(t, seed) })
	}
}

func randomFaults(t *testing.T, seed uint64) {
	r := newRig(t, seed, 6, 6, 5)
	ids := []string{r.start(decommission(6))}
	down := cluster.NodeID(0)
	for range 900 {
		r.advance()
		if t.Failed() {
			r.dump()
			return
		}
		switch x := r.rng.IntN(200); {
		case x == 0 && down == 0:
			down = cluster.NodeID(1 + r.rng.IntN(6))
			if r.up(down) {
				r.kill(down)
			} else {
				down = 0
			}
		case x <= 3 && down != 0:
			if r.view().Nodes[down].Tombstone == nil {
				r.restart(down)
			}
			down = 0
		case x == 4 && len(ids) < 4:
			res := r.propose(metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{Spec: decommission(cluster.NodeID(1 + r.rng.IntN(6))), State: cluster.OpQueued}}})
			if res.Refusal == nil {
				ids = append(ids, res.Operation.ID)
			}
		case x == 5:
			r.propose(metastate.Command{RequestCancel: &metastate.RequestCancel{ID: ids[r.rng.IntN(len(ids))]}})
		}
	}
	if down != 0 && !r.up(down) && r.view().Nodes[down].Tombstone == nil {
		r.restart(down)
	}
	for _, id := range ids {
		r.until("operation "+id, 5*time.Minute, r.ended(id))
		if r.op(id).State == cluster.OpSucceeded {
			r.gone(id, r.op(id).Spec.Nodes...)
		}
	}
	r.rest(3 * time.Minute)
}

// BenchmarkStep is one step of a coordinator of three nodes and 64 ranges that
// has nothing to do: five of them a second is what an idle node pays.
func BenchmarkStep(b *testing.B) {
	r := newRig(b, 1, 3, 3, 64)
	r.rest(time.Minute)
	n := r.nodes[r.coordinator]
	in := Input{Now: r.now, Self: n.id, Term: n.ctl.term, View: r.view(), Liveness: r.liveness(), Reports: n.reports}
	b.ReportAllocs()
	for b.Loop() {
		in.Now = in.Now.Add(200 * time.Millisecond)
		for id, rep := range in.Reports {
			rep.At = in.Now
			in.Reports[id] = rep
		}
		n.ctl.Step(in)
	}
}
