package admin

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// largeBackend is a cluster of many nodes and ranges of three replicas each.
func largeBackend(nodes, ranges int) *fakeBackend {
	b := newFakeBackend(nil)
	v := b.view
	v.Nodes, v.Ranges = map[cluster.NodeID]*cluster.Node{}, metastate.RangeMap{}
	b.statuses = map[cluster.NodeID]*cluster.NodeStatus{}
	for id := cluster.NodeID(1); int(id) <= nodes; id++ {
		v.Nodes[id] = &cluster.Node{ID: id, Name: id.String(), Membership: cluster.Active}
		b.statuses[id] = &cluster.NodeStatus{Node: id, Service: cluster.Ready, Peers: map[cluster.NodeID]cluster.PeerStatus{}}
		for peer := cluster.NodeID(1); int(peer) <= nodes; peer++ {
			b.statuses[id].Peers[peer] = cluster.PeerStatus{Liveness: cluster.Alive}
		}
	}
	for id := cluster.RangeID(1); int(id) <= ranges; id++ {
		d := cluster.RangeDescriptor{ID: id, Generation: 4, NextReplica: 4}
		for i := range 3 {
			n := cluster.NodeID((int(id)+i*7)%nodes) + 1
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: cluster.ReplicaID(i + 1), Role: cluster.Voter})
		}
		v.Ranges = v.Ranges.With(&d)
		for i, rep := range d.Replicas {
			st := cluster.RangeStatus{Descriptor: d, Replica: rep.Replica, Leader: d.Replicas[0].Node, Term: 7, Commit: 50, Applied: 50, Bytes: 4096}
			if i == 0 {
				for _, to := range d.Replicas {
					st.Progress = append(st.Progress, cluster.ReplicaProgress{Node: to.Node, Match: 50, Active: true})
				}
			}
			b.statuses[rep.Node].Ranges = append(b.statuses[rep.Node].Ranges, &st)
		}
	}
	return b
}

// BenchmarkHub is a look at 200 nodes and 10,000 ranges, of which some are busy,
// and what one watch is told of it; fan-out and wire are not in it.
func BenchmarkHub(b *testing.B) {
	all := []string{"nodes", "ranges", "operations", "members"}
	for _, busy := range []int{0, 100, 10000} {
		b.Run(fmt.Sprintf("busy=%d", busy), func(b *testing.B) {
			back := largeBackend(200, 10000)
			s := newService(back, slog.New(slog.DiscardHandler))
			w, err := newWatching(&adminpb.WatchRequest{Topics: all}, 0)
			if err != nil {
				b.Fatal(err)
			}
			s.hub.mu.watches = append(s.hub.mu.watches, w) // no loop: the benchmark looks
			o := Observation{View: back.view, Statuses: back.statuses, Liveness: map[cluster.NodeID]cluster.Liveness{}, Snapshot: &placement.Snapshot{}}
			look := func(i int) *adminpb.WatchResponse {
				o.At = time.Unix(int64(1000+i), 0)
				s.hub.see(b.Context(), newSight(&o, 1), w.topics)
				return s.hub.since(w)
			}
			look(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				left := busy
				for _, st := range back.statuses {
					for j := range st.Ranges {
						if r := st.Ranges[j]; r.IsLeader() && left > 0 {
							next := *r
							next.Commit, next.Applied = r.Commit+1, r.Applied+1
							st.Ranges[j] = &next
							left--
						}
					}
				}
				b.StartTimer()
				m := look(i + 1)
				if got := len(m.GetRanges()); got != busy {
					b.Fatalf("told of %d ranges, want %d", got, busy)
				}
			}
		})
	}
}

// BenchmarkSince is what a watch costs that is told of few changes among many ranges.
func BenchmarkSince(b *testing.B) {
	l := newLedger[uint32](func(a, c *adminpb.Range) bool { return a == c })
	now := map[uint32]*adminpb.Range{}
	for id := range uint32(10000) {
		now[id] = &adminpb.Range{Id: id}
	}
	l.apply(l.compare(now), 1)
	few := edit[uint32, *adminpb.Range]{put: map[uint32]*adminpb.Range{}}
	for id := range uint32(100) {
		few.put[id*7] = &adminpb.Range{Id: id * 7}
	}
	l.apply(few, 2)
	for b.Loop() {
		if changed, _ := l.since(1); len(changed) != len(few.put) {
			b.Fatal(len(changed))
		}
	}
}
