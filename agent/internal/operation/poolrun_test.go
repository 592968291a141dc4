package operation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// create makes the first replica of a range of a new pool, as a store does.
func (r *rig) create(n *fakeNode, a Action) Completion {
	d := a.Descriptor
	switch {
	case n.held[d.ID] == 1:
		return Completion{}
	case n.held[d.ID] != 0 || n.buried[d.ID] > 1:
		return Completion{Err: fmt.Errorf("replica 1 of %s was here", d.ID)}
	case r.ranges[d.ID] != nil:
		r.t.Errorf("%s is made a second time, on %s", d.ID, n.id)
	}
	n.held[d.ID] = 1
	r.ranges[d.ID] = &fakeRange{
		desc: *d.Clone(), leader: n.id, term: 5, commit: 1, match: map[cluster.NodeID]uint64{n.id: 1},
		unsaid: true, sayAfter: r.now.Add(time.Duration(r.rng.IntN(10)) * tick),
	}
	return Completion{}
}

// alter changes what a pool wants, as a Service does after its checks.
func (r *rig) alter(name string, to cluster.PoolSpec) string {
	pool, ok := r.view().Pool(name)
	if !ok {
		r.t.Fatalf("there is no pool %s", name)
	}
	before := pool.PoolSpec
	res := r.must(metastate.Command{By: "test", Batch: []metastate.Command{
		{AlterPool: &metastate.AlterPool{Name: name, To: to, Version: pool.Version}},
		{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
			Spec: cluster.OperationSpec{Kind: cluster.OpPoolAlter, Pool: name, Wanted: &to}, State: cluster.OpQueued, PoolID: pool.ID, PoolBefore: &before,
		}}},
	}})
	return res.Batch[1].Operation.ID
}

func wanted(t testing.TB, replicas int, constraints, prefer string) cluster.PoolSpec {
	t.Helper()
	cs, err := cluster.ParseConstraints(constraints)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cluster.ParsePreference(prefer)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.PoolSpec{Replicas: replicas, Constraints: cs, PreferLeader: p}
}

// zoned starts a cluster whose nodes are in zone a, b and c by turns.
func zoned(t testing.TB, seed uint64, n, on, ranges int) *rig {
	t.Helper()
	return newRigAt(t, seed, n, on, ranges, func(id cluster.NodeID) string { return fmt.Sprintf("zone=%c", 'a'+(id-1)%3) })
}

// holdsExactly checks that every range of the pool has exactly the voters that it
// wants where it may have them, and no node anything else of it.
func (r *rig) holdsExactly(name string) {
	r.t.Helper()
	pool, _ := r.view().Pool(name)
	for _, id := range sorted(r.ranges) {
		x := r.ranges[id]
		if x.desc.IsMeta() || x.desc.Pool != pool.ID || r.view().Removed[id] != nil {
			continue
		}
		if len(x.desc.Replicas) != pool.Replicas || len(x.desc.Voters()) != pool.Replicas {
			r.t.Errorf("%s has %v, pool %s wants %d voters", id, x.desc.Replicas, name, pool.Replicas)
		}
		for _, n := range x.desc.Voters() {
			l, _ := cluster.ParseLocality(r.view().Nodes[n].Locality)
			if !pool.Constraints.Admit(l) {
				r.t.Errorf("%s is on %s at %s, pool %s wants %s", id, n, l, name, pool.Constraints)
			}
		}
	}
}

func TestAlterPool(t *testing.T) {
	for seed := range uint64(6) {
		r := zoned(t, seed, 6, 6, 6)
		for _, to := range []cluster.PoolSpec{wanted(t, 5, "", ""), wanted(t, 3, "-zone=c", "zone=b"), wanted(t, 1, "+zone=c", "zone=c"), wanted(t, 3, "", "")} {
			id := r.alter("default", to)
			r.until("alter to "+to.Text(), 3*time.Minute, r.ended(id))
			op := r.op(id)
			if op.State != cluster.OpSucceeded || op.Proof == nil || op.Proof.Leaders != 6 || op.Done.Replicas != op.Total.Replicas {
				t.Fatalf("seed %d, %s: %s (%s), proof %+v, done %+v of %+v", seed, to.Text(), op.State, op.Why, op.Proof, op.Done, op.Total)
			}
			if want := eachHas(6, to.Replicas); !strings.Contains(op.Why, want) {
				t.Errorf("it says %q, want %q", op.Why, want)
			}
			r.holdsExactly("default")
			if len(to.PreferLeader) > 0 {
				for _, x := range r.ranges {
					l, _ := cluster.ParseLocality(r.view().Nodes[x.leader].Locality)
					if !x.desc.IsMeta() && !to.PreferLeader.Likes(l) {
						t.Errorf("seed %d: %s is led by %s at %s", seed, x.desc.ID, x.leader, l)
					}
				}
			}
			if t.Failed() {
				r.dump()
				return
			}
		}
	}
}

// TestAlterPoolOutlivesItsCoordinator kills the coordinator again and again.
func TestAlterPoolOutlivesItsCoordinator(t *testing.T) {
	for seed := range uint64(8) {
		r := zoned(t, seed, 6, 6, 6)
		id := r.alter("default", wanted(t, 5, "", ""))
		base, next := r.actions, 3+int(seed)
		killed := cluster.NodeID(0)
		r.until("alter", 5*time.Minute, func() bool {
			switch {
			case killed == 0 && r.actions-base >= next && r.coordinator != 0:
				killed, next = r.coordinator, next+9
				r.kill(killed)
			case killed != 0 && r.now.Sub(r.nodes[killed].downAt) > 10*time.Second:
				r.restart(killed)
				killed = 0
			}
			return r.op(id).State.Final()
		})
		if op := r.op(id); op.State != cluster.OpSucceeded {
			t.Fatalf("seed %d: %s (%s)", seed, op.State, op.Why)
		}
		r.holdsExactly("default")
	}
}

// TestCancelAlterPool gives the pool back what it wanted, and its ranges too.
func TestCancelAlterPool(t *testing.T) {
	for seed := range uint64(6) {
		r := zoned(t, seed, 6, 6, 6)
		r.copyRate = 1 << 20
		id := r.alter("default", wanted(t, 5, "", ""))
		r.until("something to be added", time.Minute, func() bool { return len(r.begun) > int(seed) })
		r.must(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: id}})
		r.until("cancelled", time.Minute, r.ended(id))
		if op := r.op(id); op.State != cluster.OpCancelled || !strings.Contains(op.Why, "wants again what it did: replicas 3") {
			t.Fatalf("seed %d: %s (%s)", seed, op.State, op.Why)
		}
		r.until("three replicas again", 2*time.Minute, func() bool {
			for _, x := range r.ranges {
				if !x.desc.IsMeta() && len(x.desc.Replicas) != 3 {
					return false
				}
			}
			return true
		})
	}
}

// TestAlterPoolIsBlocked says what is missing, and goes on when it is there.
func TestAlterPoolIsBlocked(t *testing.T) {
	r := zoned(t, 3, 5, 5, 4)
	r.kill(4)
	r.until("n4 is dead", time.Minute, func() bool { return r.liveness()[4] == cluster.Dead })
	id := r.alter("default", wanted(t, 5, "", ""))
	r.until("blocked", time.Minute, func() bool { return r.op(id).State == cluster.OpBlocked })
	if op := r.op(id); !strings.Contains(op.Why, "pool default needs 5 nodes, there are 4; n4 is dead") || len(op.Refusals) == 0 {
		t.Errorf("it says %q, %+v", op.Why, op.Refusals)
	}
	r.restart(4)
	r.until("goes on", 3*time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpSucceeded {
		t.Errorf("%s (%s)", op.State, op.Why)
	}
	r.holdsExactly("default")
}

// TestReplicasOfADroppedPoolGoWhereverTheyAre: a node holds a replica of a range that
// was removed, and no record names the node: the replica was added just before.
func TestReplicasOfADroppedPoolGoWhereverTheyAre(t *testing.T) {
	r := newRig(t, 1, 4, 4, 2)
	pool := r.must(metastate.Command{By: "test", CreatePool: &metastate.CreatePool{Name: "hot", Spec: wanted(t, 3, "", ""), Nodes: []cluster.NodeID{1}}}).Pool
	id := pool.Seeds[0].Range
	d := cluster.RangeDescriptor{
		ID: id, Pool: pool.ID, Start: pool.Seeds[0].Start.Key(), End: pool.Seeds[0].End.Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
	}
	r.create(r.nodes[1], Action{Descriptor: d})
	r.must(metastate.Command{UpdateRanges: &metastate.UpdateRanges{Descriptors: []cluster.RangeDescriptor{d}}})
	r.must(metastate.Command{By: "test", DropPool: &metastate.DropPool{Name: "hot"}})
	r.until("the record is cleared", time.Minute, func() bool { return len(r.view().Removed[id].Nodes) == 0 })
	r.nodes[4].held[id] = 2
	r.until("n4 has no replica", time.Minute, func() bool { _, held := r.nodes[4].held[id]; return !held })
}
