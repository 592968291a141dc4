package operation

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// createPool asks for a pool whose ranges begin on the nodes, as a Service does
// after its checks.
func (r *rig) createPool(name string, spec cluster.PoolSpec, on ...cluster.NodeID) string {
	res := r.must(metastate.Command{By: "test", Batch: []metastate.Command{
		{CreatePool: &metastate.CreatePool{Name: name, Spec: spec, Nodes: on}},
		{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
			Spec: cluster.OperationSpec{Kind: cluster.OpPoolCreate, Pool: name, Wanted: &spec, Ranges: len(on)}, State: cluster.OpQueued, Phases: poolPhases(cluster.OpPoolCreate),
		}}},
	}})
	return res.Batch[1].Operation.ID
}

func (r *rig) dropPool(name string) string {
	pool, _ := r.view().Pool(name)
	res := r.must(metastate.Command{By: "test", Batch: []metastate.Command{
		{DropPool: &metastate.DropPool{Name: name}},
		{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
			Spec: cluster.OperationSpec{Kind: cluster.OpPoolDrop, Pool: name}, State: cluster.OpQueued, PoolID: pool.ID, Phases: poolPhases(cluster.OpPoolDrop),
		}}},
	}})
	return res.Batch[1].Operation.ID
}

// left lists the replicas that nodes hold of ranges that were removed.
func (r *rig) left() []replicaAt {
	var out []replicaAt
	for _, n := range sorted(r.nodes) {
		for _, id := range sorted(r.nodes[n].held) {
			if r.view().Removed[id] != nil {
				out = append(out, replicaAt{n, id})
			}
		}
	}
	return out
}

// nothingLeft waits until no node holds anything of a dropped pool, and no record
// says that one may.
func (r *rig) nothingLeft() {
	r.t.Helper()
	r.until("nothing is left of removed ranges", time.Minute, func() bool { return len(r.left()) == 0 && len(r.view().RemovedIDs()) == 0 })
}

// harried lets time pass until done while the coordinator is killed after each few
// actions, and started again 10 s later.
func (r *rig) harried(what string, every int, done func() bool) {
	r.t.Helper()
	base, next, killed := r.actions, every, cluster.NodeID(0)
	r.until(what, 5*time.Minute, func() bool {
		switch {
		case killed == 0 && r.actions-base >= next && r.coordinator != 0 && r.up(r.coordinator):
			killed, next = r.coordinator, r.actions-base+every
			r.kill(killed)
		case killed != 0 && r.now.Sub(r.nodes[killed].downAt) > 10*time.Second:
			r.restart(killed)
			killed = 0
		}
		return done()
	})
	if killed != 0 {
		r.restart(killed)
	}
}

// TestPoolsOutliveTheirCoordinators kills the coordinator again and again while a
// pool is created, and while it is dropped.
func TestPoolsOutliveTheirCoordinators(t *testing.T) {
	for seed := range uint64(10) {
		r := zoned(t, seed, 6, 6, 4)
		id := r.createPool("hot", wanted(t, 3, "-zone=c", "zone=b"), 1, 2, 4, 5)
		r.harried("create", 2+int(seed), r.ended(id))
		pool, ok := r.view().Pool("hot")
		if op := r.op(id); op.State != cluster.OpSucceeded || !ok || pool.State != cluster.PoolReady {
			t.Fatalf("seed %d: %s (%s), pool %+v", seed, op.State, op.Why, pool)
		}
		r.holdsExactly("hot")
		id = r.dropPool("hot")
		r.harried("drop", 2+int(seed), r.ended(id))
		if op := r.op(id); op.State != cluster.OpSucceeded {
			t.Fatalf("seed %d: %s (%s)", seed, op.State, op.Why)
		}
		r.nothingLeft()
		r.rest(2 * time.Minute)
	}
}

// phaseNow is the phase in which the coordinator has an operation: the record may
// be some steps behind.
func (r *rig) phaseNow(id string) string {
	if n := r.nodes[r.coordinator]; n != nil && n.ctl.runs[id] != nil {
		return n.ctl.runs[id].op.Phase
	}
	return ""
}

// TestCancelCreatePool in each phase: nothing is left of the pool, or it was ready
// before the cancellation came.
func TestCancelCreatePool(t *testing.T) {
	for _, phase := range []string{PhaseSeed, PhaseMove, PhaseLeaders, PhaseVerify} {
		t.Run(phase, func(t *testing.T) {
			for seed := range uint64(4) {
				r := zoned(t, seed, 6, 6, 4)
				id := r.createPool("hot", wanted(t, 3, "", "zone=b"), 1, 3, 4)
				r.until(phase, 2*time.Minute, func() bool { return r.phaseNow(id) == phase })
				r.must(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: id}})
				r.until("ended", time.Minute, r.ended(id))
				pool, ok := r.view().Pool("hot")
				switch op := r.op(id); {
				case op.State == cluster.OpCancelled && !ok:
					r.nothingLeft()
				case op.State == cluster.OpSucceeded && phase == PhaseVerify && ok && pool.State == cluster.PoolReady:
					r.holdsExactly("hot")
				default:
					t.Errorf("seed %d: %s (%s), the pool is there: %v", seed, op.State, op.Why, ok)
				}
				r.rest(2 * time.Minute)
			}
		})
	}
}

// TestDropPoolWithNodesAway ends without them, and they clear up when they are back.
func TestDropPoolWithNodesAway(t *testing.T) {
	for seed := range uint64(4) {
		r := zoned(t, seed, 6, 6, 4)
		r.until("created", 3*time.Minute, r.ended(r.createPool("hot", wanted(t, 5, "", ""), 1, 2, 3)))
		r.kill(5)
		r.until("n5 is dead", time.Minute, func() bool { return r.liveness()[5] == cluster.Dead })
		id := r.dropPool("hot")
		r.until("dropped", time.Minute, r.ended(id))
		if op := r.op(id); op.State != cluster.OpSucceeded || !strings.Contains(op.Why, "n5 will remove its replicas when it is back") {
			t.Errorf("seed %d: %s (%s)", seed, op.State, op.Why)
		}
		for _, x := range r.left() {
			if x.node != 5 {
				t.Errorf("seed %d: %s still holds %s", seed, x.node, x.id)
			}
		}
		if len(r.left()) == 0 {
			t.Fatalf("seed %d: n5 held nothing: the test is of no use", seed)
		}
		r.restart(5)
		r.nothingLeft()
	}
}

// TestTheNodeOfANewRangeIsLost before it makes the range, and just after, when
// nobody has heard of it: the range is made elsewhere under another id, and what the
// lost node made is removed when it is back.
func TestTheNodeOfANewRangeIsLost(t *testing.T) {
	for _, made := range []bool{false, true} {
		for seed := range uint64(4) {
			r := zoned(t, seed, 6, 6, 4)
			r.refuse = func(a Action) error {
				if a.Kind == ActCreate && a.To == 6 && !made {
					return errors.New("the call was lost")
				}
				return nil
			}
			id := r.createPool("hot", wanted(t, 3, "", ""), 6, 2)
			pool, _ := r.view().Pool("hot")
			lost := pool.Seeds[0].Range
			r.until("the call", time.Minute, func() bool { return r.ranges[lost] != nil || !made && r.phaseNow(id) == PhaseSeed })
			if made {
				r.ranges[lost].sayAfter = r.now.Add(time.Hour) // and is not heard
			}
			r.kill(6)
			r.until("blocked", time.Minute, func() bool { return r.op(id).State == cluster.OpBlocked })
			if why := r.op(id).Why; !strings.Contains(why, lost.String()+" on n6 is to be made and the node is not alive: start it; when it has been dead for 5m0s the range is made elsewhere") {
				t.Errorf("it says %q", why)
			}
			r.until("created", 8*time.Minute, r.ended(id))
			if op := r.op(id); op.State != cluster.OpSucceeded || r.view().Removed[lost] == nil {
				t.Fatalf("seed %d: %s (%s), removed %+v", seed, op.State, op.Why, r.view().Removed)
			}
			r.holdsExactly("hot")
			if made {
				r.ranges[lost].sayAfter = r.now // it says so when its node is back
			}
			r.refuse = nil
			r.restart(6)
			r.nothingLeft()
			if made && r.ranges[lost].unsaid {
				t.Error("it was never said: the test is of no use")
			}
			r.rest(2 * time.Minute)
			r.holdsExactly("hot")
		}
	}
}

// TestTheNodeOfANewRangeIsDecommissioned before it makes the range.
func TestTheNodeOfANewRangeIsDecommissioned(t *testing.T) {
	r := zoned(t, 1, 6, 6, 4)
	r.refuse = func(a Action) error {
		if a.Kind == ActCreate && a.To == 6 {
			return errors.New("the call was lost")
		}
		return nil
	}
	id := r.createPool("hot", wanted(t, 3, "", ""), 6)
	r.until("decommissioned", 5*time.Minute, r.ended(r.start(cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{6}})))
	r.until("created", 2*time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpSucceeded {
		t.Fatalf("%s (%s)", op.State, op.Why)
	}
	r.holdsExactly("hot")
}

// TestDropPoolDuringAMove: a move that somebody asked for ends with the range, on
// its way or when all that is missing is the proof.
func TestDropPoolDuringAMove(t *testing.T) {
	for _, phase := range []string{PhaseMove, PhaseVerify} {
		t.Run(phase, func(t *testing.T) { dropDuring(t, phase) })
	}
}

// TestCancelAMoveOfADroppedPool while a call of it is under way.
func TestCancelAMoveOfADroppedPool(t *testing.T) {
	for _, spec := range []cluster.OperationSpec{{Kind: cluster.OpMove}, {Kind: cluster.OpDecommission}} {
		for wait := range 12 {
			r := zoned(t, uint64(wait), 6, 6, 4)
			r.until("created", 3*time.Minute, r.ended(r.createPool("hot", wanted(t, 3, "", ""), 1, 2, 3)))
			pool, _ := r.view().Pool("hot")
			x := r.ranges[r.view().RangesIn(pool.ID)[0]]
			to := cluster.NodeID(1)
			for _, named := x.desc.On(to); named; _, named = x.desc.On(to) {
				to++
			}
			spec.Nodes = []cluster.NodeID{x.leader}
			if spec.Kind == cluster.OpMove {
				spec.Nodes, spec.Range, spec.From, spec.To = []cluster.NodeID{x.leader, to}, x.desc.ID, x.leader, to
			}
			move := r.start(spec)
			for range wait {
				r.advance()
			}
			if r.op(move).State.Final() {
				continue
			}
			drop := r.dropPool("hot")
			if res := r.propose(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: move}}); res.Refusal != nil {
				continue
			}
			r.until("cancelled", time.Minute, r.ended(move))
			r.until("dropped", time.Minute, r.ended(drop))
			r.nothingLeft()
		}
	}
}

func dropDuring(t *testing.T, phase string) {
	r := zoned(t, 1, 6, 6, 4)
	r.refuse = func(a Action) error {
		if a.Kind == ActProof && phase == PhaseVerify && r.view().Pools[1] != nil && r.view().Pools[1].State == cluster.PoolReady {
			return errors.New("the answer was lost")
		}
		return nil
	}
	r.until("created", 3*time.Minute, r.ended(r.createPool("hot", wanted(t, 3, "", ""), 1)))
	pool, _ := r.view().Pool("hot")
	x := r.ranges[r.view().RangesIn(pool.ID)[0]]
	to := cluster.NodeID(1)
	for _, named := x.desc.On(to); named; _, named = x.desc.On(to) {
		to++
	}
	r.nodes[to].slow = phase == PhaseMove
	move := r.start(cluster.OperationSpec{Kind: cluster.OpMove, Nodes: []cluster.NodeID{x.leader, to}, Range: x.desc.ID, From: x.leader, To: to})
	r.until(phase, time.Minute, func() bool {
		_, named := x.desc.On(to)
		return named && r.phaseNow(move) == phase
	})
	r.until("dropped", time.Minute, r.ended(r.dropPool("hot")))
	r.until("the move has ended", time.Minute, r.ended(move))
	r.nothingLeft()
}
