package admin

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// The cluster that is the goal, and the smaller one that costs are compared with.
const (
	goalNodes   = 1000
	goalRanges  = 100_000
	smallRanges = 1000
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
		if !d.IsMeta() {
			d.Start, d.End = cluster.Key(fmt.Sprintf("\x00%c%08d", int(id)%4, id)), cluster.Key(fmt.Sprintf("\x00%c%08d", int(id)%4, id+1))
		}
		for i := range 3 {
			n := cluster.NodeID((int(id)+i*7)%nodes) + 1
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: cluster.ReplicaID(i + 1), Role: cluster.Voter})
		}
		v.Ranges = v.Ranges.With(&d)
		for i, rep := range d.Replicas {
			st := cluster.RangeStatus{Descriptor: d, Replica: rep.Replica, Leader: d.Replicas[0].Node, Term: 7, Commit: 50, Applied: 50, Bytes: 4096, Counted: true}
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

// looker looks at a large cluster as the loop of a hub does, without it.
type looker struct {
	back *fakeBackend
	s    *service
	w    *watching
	snap *placement.Snapshot
	at   int
}

func newLooker(tb testing.TB, nodes, ranges int, topics ...string) *looker {
	tb.Helper()
	l := &looker{back: largeBackend(nodes, ranges)}
	l.s = newService(l.back, slog.New(slog.DiscardHandler))
	w, err := newWatching(&adminpb.WatchRequest{Topics: topics}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	l.w = w
	l.s.hub.mu.watches = append(l.s.hub.mu.watches, w) // no loop: the test looks
	o, err := l.back.Observe(tb.Context(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	l.snap = o.Snapshot
	l.snap.Shape = &placement.Shape{}
	return l
}

// busy has the leaders of some ranges say something new. As a Copy does, it makes
// the list of a node that tells something anew, and the head of every node.
func (l *looker) busy(count int) {
	for id, st := range l.back.statuses {
		next := *st
		for j := range st.Ranges {
			if r := st.Ranges[j]; r.IsLeader() && count > 0 {
				if &next.Ranges[0] == &st.Ranges[0] {
					next.Ranges = slices.Clone(st.Ranges)
				}
				news := *r
				news.Commit, news.Applied = r.Commit+1, r.Applied+1
				next.Ranges[j] = &news
				count--
			}
		}
		l.back.statuses[id] = &next
	}
}

// describe has the meta range know a newer descriptor of a range.
func (l *looker) describe(id cluster.RangeID) {
	v := *l.back.view
	d := v.Ranges.Get(id).Clone()
	d.Generation++
	v.Ranges = v.Ranges.With(d)
	v.Index++
	l.back.view = &v
}

// look is one look, and what the watch is told of it; fan-out and wire are not in it.
func (l *looker) look(tb testing.TB) *adminpb.WatchResponse {
	l.at++
	o := Observation{View: l.back.view, Statuses: maps.Clone(l.back.statuses), Liveness: map[cluster.NodeID]cluster.Liveness{}, Snapshot: l.snap, At: time.Unix(int64(1000+l.at), 0)}
	l.s.hub.see(tb.Context(), l.s.memory.see(&o, 1), l.w.topics)
	return l.s.hub.since(l.w)
}

// overviewTopics are those of the dashboard's first view.
var overviewTopics = []string{"status", "nodes", "ranges", "events"}

// BenchmarkHub is a look at the cluster that is the goal, for a dashboard.
func BenchmarkHub(b *testing.B) {
	l := newLooker(b, goalNodes, goalRanges, overviewTopics...)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			l.s = newService(l.back, slog.New(slog.DiscardHandler))
			l.s.hub.mu.watches = append(l.s.hub.mu.watches, l.w)
			l.w.seen = 0
			b.StartTimer()
			if got := len(l.look(b).GetRanges()); got != goalRanges {
				b.Fatalf("told of %d ranges", got)
			}
		}
	})
	for _, busy := range []int{0, goalRanges / 100} {
		b.Run(fmt.Sprintf("changed=%d", busy), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				l.busy(busy)
				b.StartTimer()
				if got := len(l.look(b).GetRanges()); got != busy {
					b.Fatalf("told of %d ranges, want %d", got, busy)
				}
			}
		})
	}
	b.Run("descriptor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			l.busy(0)
			l.describe(417)
			b.StartTimer()
			if got := len(l.look(b).GetRanges()); got != 1 {
				b.Fatalf("told of %d ranges, want 1", got)
			}
		}
	})
}

// BenchmarkHubMembers is a look for the view of members: who of a thousand nodes
// thinks what of whom.
func BenchmarkHubMembers(b *testing.B) {
	l := newLooker(b, goalNodes, smallRanges, "members")
	l.look(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		l.busy(0)
		b.StartTimer()
		if l.look(b).GetMembers() != nil {
			b.Fatal("told of members that are as they were")
		}
	}
}

// BenchmarkHubEncode is the encoding of what a watch is told.
func BenchmarkHubEncode(b *testing.B) {
	l := newLooker(b, goalNodes, goalRanges, overviewTopics...)
	whole := l.look(b)
	l.busy(goalRanges / 100)
	for _, c := range []struct {
		name string
		m    *adminpb.WatchResponse
	}{{"whole", whole}, {"changed=1000", l.look(b)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out, err := proto.Marshal(c.m)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(out)), "bytes")
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
