package agent

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

func TestRates(t *testing.T) {
	store := statusboard.New[cluster.RangeID](statusboard.Ranges())
	b := newRangeBoard(store, func(*cluster.RangeDescriptor, time.Time) *cluster.RangeLoad { return nil })
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	count := func(replica cluster.ReplicaID, reads, writes uint64) *cluster.NodeStatus {
		store.Put(2, &cluster.RangeStatus{Descriptor: cluster.RangeDescriptor{ID: 2}, Replica: replica, Reads: reads, Writes: writes})
		st := &cluster.NodeStatus{}
		st.ReadsPerSecond, st.WritesPerSecond = b.refresh(now)
		st.Ranges = b.board.All()
		return st
	}
	if st := count(1, 1000, 500); st.ReadsPerSecond != 0 || st.WritesPerSecond != 0 {
		t.Errorf("a first sample gave %v reads/s, %v writes/s", st.ReadsPerSecond, st.WritesPerSecond)
	}
	reads, writes := uint64(1000), uint64(500)
	var st *cluster.NodeStatus
	for range 60 { // a minute at 100 reads/s and 20 writes/s
		now = now.Add(time.Second)
		reads, writes = reads+100, writes+20
		st = count(1, reads, writes)
	}
	if got := st.Ranges[0]; got.ReadsPerSecond < 99 || got.ReadsPerSecond > 101 || got.WritesPerSecond < 19 || got.WritesPerSecond > 21 {
		t.Errorf("at 100 reads/s and 20 writes/s it says %v and %v", got.ReadsPerSecond, got.WritesPerSecond)
	}
	if st.ReadsPerSecond != st.Ranges[0].ReadsPerSecond {
		t.Errorf("the node's %v reads/s are not the sum of its ranges'", st.ReadsPerSecond)
	}
	// Asked again at once, by somebody else: the same rates.
	again := count(1, reads+1, writes)
	if again.ReadsPerSecond != st.ReadsPerSecond {
		t.Errorf("asked twice within the gap: %v, then %v", st.ReadsPerSecond, again.ReadsPerSecond)
	}
	// Another replica of the range counts from zero.
	now = now.Add(time.Second)
	if st = count(2, 5, 5); st.ReadsPerSecond != 0 {
		t.Errorf("a new replica has %v reads/s at once", st.ReadsPerSecond)
	}
}
