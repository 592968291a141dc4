package admin

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// twoPools gives r3 to the pool hot, which has two ranges still to be made.
func twoPools(v *metastate.View) {
	v.Pools = map[cluster.PoolID]*cluster.Pool{
		0: {Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: 3}, State: cluster.PoolReady},
		1: {ID: 1, Name: "hot", PoolSpec: cluster.PoolSpec{Replicas: 3}, State: cluster.PoolCreating, Seeds: make([]cluster.PoolSeed, 2)},
	}
	d := *v.Ranges.Get(3)
	d.Pool, d.Generation = 1, d.Generation+1
	v.Ranges = v.Ranges.With(&d)
}

// TestPoolQueue: each pool has what is to be done in it and is not done: operations of
// it, those with moves in it, and those that wait for their turn on nodes that it is on;
// what has ended, and what is done, waits for nothing.
func TestPoolQueue(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	r.backend.change(twoPools)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r.backend.change(func(v *metastate.View) {
		for _, op := range []*cluster.Operation{
			{ID: "op-c", Spec: cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{3}}, State: cluster.OpQueued, Why: "waits for op-b", CreatedAt: at.Add(2 * time.Second)},
			{ID: "op-b", Spec: cluster.OperationSpec{Kind: cluster.OpPoolCreate, Pool: "hot"}, State: cluster.OpRunning, CreatedAt: at},
			{ID: "op-a", Spec: cluster.OperationSpec{Kind: cluster.OpRebalance}, State: cluster.OpRunning, CreatedAt: at.Add(time.Second), Items: []cluster.Item{
				{Range: 2, From: 1, To: 3, Step: "done"}, {Range: 3, From: 1, To: 3, Step: "blocked", Why: "n3 is suspect", Needs: "n3 alive"}, {Range: 4, From: 2, Step: "pending", Leadership: true},
			}},
			{ID: "op-d", Spec: cluster.OperationSpec{Kind: cluster.OpPoolAlter, Pool: "hot"}, State: cluster.OpSucceeded},
		} {
			v.Operations[op.ID] = op
		}
	})
	plain, err := c.ListPools(t.Context(), &adminpb.ListPoolsRequest{})
	if err != nil || plain.GetPools()[1].GetQueueTotal() != 0 || plain.GetPools()[1].GetOperation() != "op-b" {
		t.Fatalf("pools: got %v %v, want no queue that was not asked for", plain, err)
	}
	pools, err := c.ListPools(t.Context(), &adminpb.ListPoolsRequest{Queue: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"default": {"operation op-a running  0 1", "operation op-c queued waits for op-b 0 0", "transfer op-a pending  4 0"},
		"hot": {
			"operation op-b running  0 0", "operation op-a running  0 1", "operation op-c queued waits for op-b 0 0",
			"move op-a blocked n3 is suspect; needs n3 alive 3 0", "range op-b  still to be made 0 2",
		},
	}
	for _, p := range pools.GetPools() {
		var got []string
		for _, w := range p.GetQueue() {
			got = append(got, fmt.Sprintf("%s %s %s %s %d %d", w.GetWhat(), w.GetOperation(), w.GetState(), w.GetWhy(), w.GetRange(), w.GetCount()))
		}
		if !slices.Equal(got, want[p.GetName()]) || int(p.GetQueueTotal()) != len(got) {
			t.Errorf("%s: got %d\n%q, want\n%q", p.GetName(), p.GetQueueTotal(), got, want[p.GetName()])
		}
	}
}

// TestWatchOfPools: a watch is told of a pool when it changes, and when it is gone.
func TestWatchOfPools(t *testing.T) {
	r := newRig(t)
	r.backend.change(twoPools)
	s := r.watch("viewer", &adminpb.WatchRequest{Topics: []string{"pools"}})
	if first := until(t, s, isReset); len(first.GetPools()) != 2 || first.GetPools()[1].GetRanges() != 1 || first.GetPools()[1].GetRangesMissing() != 2 {
		t.Errorf("first response: got %v, want both pools", first)
	}
	r.backend.change(func(v *metastate.View) {
		hot := *v.Pools[1]
		hot.State, hot.Seeds = cluster.PoolReady, nil
		v.Pools = map[cluster.PoolID]*cluster.Pool{0: v.Pools[0], 1: &hot}
	})
	if m := until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetPools()) > 0 }); m.GetReset_() || len(m.GetPools()) != 1 || m.GetPools()[0].GetState() != "ready" {
		t.Errorf("after hot is ready: got %v, want it alone", m)
	}
	r.backend.change(func(v *metastate.View) {
		d := *v.Ranges.Get(3)
		d.Pool, d.Generation = 0, d.Generation+1
		v.Ranges, v.Pools = v.Ranges.With(&d), map[cluster.PoolID]*cluster.Pool{0: v.Pools[0]}
	})
	if m := until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetPoolsGone()) > 0 }); !slices.Equal(m.GetPoolsGone(), []uint32{1}) {
		t.Errorf("after hot is gone: got %v", m)
	}
}
