package operation

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// stop has the replica of a range on a node stop with an error.
func (r *rig) stop(node cluster.NodeID, id cluster.RangeID) cluster.ReplicaID {
	r.t.Helper()
	x := r.ranges[id]
	rep, ok := x.desc.On(node)
	if !ok {
		r.t.Fatalf("%s holds no replica of %s", node, id)
	}
	r.nodes[node].stopped[id] = rep.Replica
	if x.leader == node {
		x.leader, x.lostAt = 0, r.now
	}
	r.note("the replica of %s on %s stops", id, node)
	return rep.Replica
}

func (r *rig) mended(node cluster.NodeID, id cluster.RangeID, old cluster.ReplicaID) bool {
	rep, ok := r.ranges[id].desc.On(node)
	return ok && rep.Role == cluster.Voter && rep.Replica > old && r.nodes[node].held[id] == rep.Replica
}

// TestAStoppedReplicaIsMadeAnewInItsPlace has no other node to go to: the meta
// range's and a data range's are destroyed and added again under a fresh id.
func TestAStoppedReplicaIsMadeAnewInItsPlace(t *testing.T) {
	for seed := range uint64(5) {
		r := newRig(t, seed, 3, 3, 4)
		r.rest(time.Minute)
		old := map[cluster.RangeID]cluster.ReplicaID{}
		for _, id := range []cluster.RangeID{cluster.MetaRangeID, 2, 3} {
			old[id] = r.stop(3, id)
		}
		r.until("they are made anew", 2*time.Minute, func() bool {
			for id, replica := range old {
				if !r.quorum(&r.ranges[id].desc) {
					t.Fatalf("seed %d: %s has no quorum: %v", seed, id, r.ranges[id].desc.Replicas)
				}
				if !r.mended(3, id, replica) {
					return false
				}
			}
			return true
		})
		r.rest(time.Minute)
		told := map[cluster.RangeID]int{}
		for _, e := range r.view().Events {
			if e.Kind == cluster.EventReplicaFailed && e.Node == 3 {
				told[e.Range]++
			}
		}
		for id := range old {
			if told[id] != 1 {
				t.Errorf("seed %d: %d events tell of %s, want one", seed, told[id], id)
			}
		}
	}
}

func TestAStoppedReplicaMovesIfItCan(t *testing.T) {
	r := newRig(t, 1, 4, 3, 2)
	r.rest(time.Minute)
	r.stop(3, 2)
	r.until("another node holds it", time.Minute, func() bool {
		_, there := r.ranges[2].desc.On(3)
		_, moved := r.ranges[2].desc.On(4)
		return !there && moved
	})
}

// TestALearnerThatStoppedIsMadeAnew is about the copy of the meta range on a node
// that does not vote.
func TestALearnerThatStoppedIsMadeAnew(t *testing.T) {
	r := newRig(t, 1, 4, 4, 2)
	r.rest(time.Minute)
	learners := r.ranges[cluster.MetaRangeID].desc.Learners()
	if len(learners) != 1 {
		t.Fatalf("learners %v, want one", learners)
	}
	old := r.stop(learners[0], cluster.MetaRangeID)
	r.until("it is made anew", time.Minute, func() bool {
		rep, ok := r.ranges[cluster.MetaRangeID].desc.On(learners[0])
		return ok && rep.Replica > old
	})
	r.rest(time.Minute)
}

// TestAStoppedReplicaStaysWhileItsRangeHasNoQuorum: it counts for nothing, but to
// remove it would need the two that are left to agree.
func TestAStoppedReplicaStaysWhileItsRangeHasNoQuorum(t *testing.T) {
	r := newRig(t, 1, 3, 3, 2)
	r.rest(time.Minute)
	r.kill(2)
	old := r.stop(3, 2)
	for range 300 {
		r.advance()
	}
	if rep, ok := r.ranges[2].desc.On(3); !ok || rep.Replica != old || len(r.ranges[2].desc.Voters()) != 3 {
		t.Errorf("without a quorum: got %v, want it as it was", r.ranges[2].desc.Replicas)
	}
	r.restart(2)
	r.until("it is made anew", time.Minute, func() bool { return r.mended(3, 2, old) })
}
