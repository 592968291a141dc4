package store

import (
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestAReplicaThatLostItsLogTakesPartNoMore has a leader remember an
// acknowledgement of what is not in the log.
func TestAReplicaThatLostItsLogTakesPartNoMore(t *testing.T) {
	f := newCoreFixture(t)
	m := replica.EncodeMessage(nil, 2, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(9)), To: new(uint64(1)), Term: new(uint64(9)), Commit: new(uint64(1000))})
	f.must(f.c.HandleRaft(9, batchOf(hlc.New(f.now), m)))
	f.run()
	check := func(when string) {
		t.Helper()
		st, ok := f.c.RangeStatus(2)
		if !ok || !strings.Contains(st.Failed, "lost entries that it had acknowledged") || !strings.Contains(st.Failed, "1000") {
			t.Errorf("%s: got %+v %v, want a stop that says why", when, st, ok)
		}
		if st.Leader != 0 {
			t.Errorf("%s: it takes part", when)
		}
	}
	check("at once")
	f.must(f.e.Close())
	f.open()
	f.run()
	check("after a restart")
	f.c.DestroyReplica(2, 2, f.must)
	f.run()
	f.c.PrepareReplica(descriptor(2, 32, 48), 2, f.must)
	f.run()
	f.must(f.e.Close())
	f.open()
	f.run()
	if st, ok := f.c.RangeStatus(2); !ok || st.Failed != "" || st.Replica != 2 {
		t.Errorf("made anew: got %+v %v, want replica 2, well", st, ok)
	}
}
