package operation

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestANodeWhoseDiskHangsIsDrainedAsDead: it hears of nothing, so the coordinator ends
// its process, if the ranges can spare it.
func TestANodeWhoseDiskHangsIsDrainedAsDead(t *testing.T) {
	r := newRig(t, 9, 3, 3, 4)
	r.rest(10 * time.Second)
	r.hang(2)
	id := r.start(cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{2}})
	r.until("the drain without a shutdown ends", 10*time.Second, r.ended(id))
	if op := r.op(id); op.State != cluster.OpFailed || !strings.Contains(op.Why, "--shutdown") {
		t.Errorf("%s: %s", op.State, op.Why)
	}
	id = r.start(cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{2}, Shutdown: true})
	r.until("the drain ends", 10*time.Second, r.ended(id))
	if op := r.op(id); op.State != cluster.OpSucceeded || r.nodes[2].up {
		t.Errorf("%s: %s; the process runs: %t", op.State, op.Why, r.nodes[2].up)
	}
}

// TestAHungDiskCountsAsDead: two of three are needed, and one of the two is hung.
func TestAHungDiskCountsAsDead(t *testing.T) {
	r := newRig(t, 9, 3, 3, 4)
	r.rest(10 * time.Second)
	r.hang(2)
	id := r.start(cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{3}, Shutdown: true})
	r.until("the drain is refused", time.Minute, r.ended(id))
	if op := r.op(id); op.State != cluster.OpFailed || len(op.Refusals) == 0 || !r.nodes[3].up {
		t.Errorf("%s: %s; want it refused: no range would keep a quorum", op.State, op.Why)
	}
}

// hang makes the disk of a node hang, and has the ranges that it led led elsewhere.
func (r *rig) hang(id cluster.NodeID) {
	r.nodes[id].disk = cluster.DiskHung
	for _, x := range r.ranges {
		if x.leader == id {
			x.leader, x.term = id%3+1, x.term+1
		}
	}
	for range 20 {
		r.advance()
	}
}
