package clusterview

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestClosedLagIsTheOldestOfAllReplicas leaves out nodes that did not answer, and knows
// none where a replica serves nothing.
func TestClosedLagIsTheOldestOfAllReplicas(t *testing.T) {
	now := time.UnixMilli(10_000)
	d := cluster.RangeDescriptor{ID: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1}, {Node: 2}, {Node: 3}}}
	node := func(closed int64) *cluster.NodeStatus {
		st := &cluster.RangeStatus{Descriptor: d}
		if closed > 0 {
			st.Closed = time.UnixMilli(closed)
		}
		return &cluster.NodeStatus{Ranges: []*cluster.RangeStatus{st}}
	}
	sight := &rangeSight{descriptor: &d}
	if got := sight.closedLag(map[cluster.NodeID]*cluster.NodeStatus{1: node(9_900), 2: node(8_000)}, now); got.Null || got.I != 2_000 {
		t.Errorf("lag %+v, want 2000", got)
	}
	if got := sight.closedLag(map[cluster.NodeID]*cluster.NodeStatus{1: node(9_900), 2: node(0)}, now); !got.Null {
		t.Errorf("a replica that serves nothing: %+v", got)
	}
}

// TestGCAge: how long the oldest of what is dead may have been so, if something is.
func TestGCAge(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	at := now.Add(-90 * time.Second)
	for want, r := range map[datum.Datum]*rangeSight{
		datum.MakeInt(datum.Int8, 90_000): {leader: &cluster.RangeStatus{DeadBytes: 1, Collected: at}},
		datum.MakeNull(datum.Int8):        {leader: &cluster.RangeStatus{Collected: at}},
	} {
		if got := r.gcAge(now); got != want {
			t.Errorf("gc age %+v, want %+v", got, want)
		}
	}
}
