package metastate

import (
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestAHalfOfADroppedPool: a range of a pool was split while the pool was dropped.
// The new half, of which nobody had heard, is removed like the rest of it.
func TestAHalfOfADroppedPool(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	do := func(cmd Command) Result {
		t.Helper()
		r := m.command(t, cmd)
		if r.Refusal != nil {
			t.Fatalf("%+v: %s", cmd, r.Refusal.Message)
		}
		return r
	}
	pool := do(Command{CreatePool: &CreatePool{Name: "hot", Spec: cluster.PoolSpec{Replicas: 3}, Nodes: []cluster.NodeID{1}}}).Pool
	whole := cluster.RangeDescriptor{
		ID: pool.Seeds[0].Range, Pool: pool.ID, Start: firstBound, End: lastBound, Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
	}
	say := func(ds ...cluster.RangeDescriptor) Command {
		return Command{UpdateRanges: &UpdateRanges{Descriptors: ds}}
	}
	do(say(whole))
	do(Command{ReadyPool: &ReadyPool{Pool: pool.ID}})
	do(Command{DropPool: &DropPool{Name: "hot"}})
	left, half := whole, whole
	half.ID, half.Parent, half.Start, half.Generation = whole.ID+1, whole.ID, cluster.VShard(512).Key(), 2
	left.End, left.Generation = half.Start, 2
	do(say(half, left))
	v := m.View()
	if ids := v.RangesIn(pool.ID); len(ids) > 0 {
		t.Errorf("ranges of a pool that is gone: %v", ids)
	}
	for _, id := range []cluster.RangeID{whole.ID, half.ID} {
		if r := v.Removed[id]; r == nil || r.Pool != pool.ID || !slices.Equal(r.Nodes, []cluster.NodeID{1}) {
			t.Errorf("%s is to be removed: %+v", id, r)
		}
	}
	if r := do(say(half, left)); !r.Existed {
		t.Errorf("said again: %+v", r)
	}
	do(Command{ClearRemoved: &ClearRemoved{Node: 1, Ranges: []cluster.RangeID{half.ID}}})
	unknown := whole
	unknown.ID, unknown.Pool = 77, 9
	if r := m.command(t, say(unknown)); r.Refusal == nil {
		t.Errorf("a range of a pool that never was: %+v", r)
	}
}
