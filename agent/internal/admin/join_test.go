package admin

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// world is a small cluster of which anything may change.
type world struct {
	rng      *rand.Rand
	back     *fakeBackend
	liveness map[cluster.NodeID]cluster.Liveness
	away     map[cluster.NodeID]*cluster.NodeStatus // of nodes that do not answer
	at       time.Time
}

const worldNodes = 5

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), back: largeBackend(worldNodes, 12), liveness: map[cluster.NodeID]cluster.Liveness{}, away: map[cluster.NodeID]*cluster.NodeStatus{}, at: time.Unix(5000, 0)}
	for id := range w.back.view.Nodes {
		w.liveness[id] = cluster.Alive
	}
	return w
}

func (w *world) node() cluster.NodeID { return cluster.NodeID(w.rng.IntN(worldNodes) + 1) }

// report changes what a node says of one of its replicas.
func (w *world) report(id cluster.NodeID, change func(*cluster.RangeStatus)) {
	st := w.back.statuses[id]
	if st == nil || len(st.Ranges) == 0 {
		return
	}
	next := *st
	next.Ranges = slices.Clone(st.Ranges)
	i := w.rng.IntN(len(next.Ranges))
	r := *next.Ranges[i]
	change(&r)
	next.Ranges[i] = &r
	w.back.statuses[id] = &next
}

// describe changes, adds or takes away a range of the meta range.
func (w *world) describe() {
	v := *w.back.view
	v.Index++
	ids := v.RangeIDs()
	id := ids[w.rng.IntN(len(ids))]
	switch {
	case w.rng.IntN(4) == 0 && !v.Ranges.Get(id).IsMeta():
		v.Ranges = v.Ranges.Without(id)
	case w.rng.IntN(4) == 0:
		d := v.Ranges.Get(id).Clone()
		d.ID = slices.Max(ids) + 1
		v.Ranges = v.Ranges.With(d)
	default:
		d := v.Ranges.Get(id).Clone()
		d.Generation++
		d.Replicas[w.rng.IntN(len(d.Replicas))].Node = w.node()
		v.Ranges = v.Ranges.With(d)
	}
	w.back.view = &v
}

func (w *world) pools() {
	v := *w.back.view
	v.Index++
	v.Pools = maps.Clone(v.Pools)
	if v.Pools == nil {
		v.Pools = map[cluster.PoolID]*cluster.Pool{}
	}
	v.Pools[0] = &cluster.Pool{Name: fmt.Sprint("p", w.rng.IntN(3)), PoolSpec: cluster.PoolSpec{Replicas: 1 + 2*w.rng.IntN(3)}}
	w.back.view = &v
}

func (w *world) peers() {
	st := w.back.statuses[w.node()]
	if st == nil {
		return
	}
	next := *st
	next.Peers = maps.Clone(st.Peers)
	next.Peers[w.node()] = cluster.PeerStatus{Liveness: [...]cluster.Liveness{cluster.Alive, cluster.Suspect}[w.rng.IntN(2)], Breaker: [...]string{"", "open"}[w.rng.IntN(2)]}
	w.back.statuses[st.Node] = &next
}

func (w *world) change() {
	switch id := w.node(); w.rng.IntN(10) {
	case 0, 1:
		w.report(id, func(r *cluster.RangeStatus) { r.Bytes, r.DeadBytes = r.Bytes+uint64(w.rng.IntN(100)), r.DeadBytes+1 })
	case 2:
		w.report(id, func(r *cluster.RangeStatus) { r.Term, r.Leader = r.Term+1, w.node() })
	case 3:
		w.report(id, func(r *cluster.RangeStatus) {
			r.Failed, r.Counted = [...]string{"", "broken"}[w.rng.IntN(2)], w.rng.IntN(2) == 0
		})
	case 4:
		w.report(id, func(r *cluster.RangeStatus) {
			r.Descriptor = *r.Descriptor.Clone()
			r.Descriptor.Generation += uint64(w.rng.IntN(3))
		})
	case 5:
		if st := w.away[id]; st != nil {
			w.back.statuses[id] = st
			delete(w.away, id)
		} else {
			w.away[id] = w.back.statuses[id]
			delete(w.back.statuses, id)
		}
	case 6:
		w.liveness[id] = [...]cluster.Liveness{cluster.Alive, cluster.Suspect, cluster.Dead}[w.rng.IntN(3)]
	case 7:
		w.describe()
	case 8:
		w.pools()
	default:
		w.peers()
	}
}

func (w *world) observe(tb testing.TB) *Observation {
	tb.Helper()
	o, err := w.back.Observe(tb.Context(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	w.at = w.at.Add(time.Second)
	o.At, o.Statuses, o.Liveness = w.at, maps.Clone(o.Statuses), maps.Clone(w.liveness)
	o.Snapshot.Shape = &placement.Shape{}
	return &o
}

// differ says in what two sights differ; "": in nothing.
func differ(got, want *sight) string {
	if len(got.ranges) != len(want.ranges) {
		return fmt.Sprintf("%d ranges, want %d", len(got.ranges), len(want.ranges))
	}
	for i, f := range got.ranges {
		if o := want.ranges[i]; !proto.Equal(f.show(), o.show()) || !reflect.DeepEqual(f.reports, o.reports) || f.notable() != o.notable() {
			return fmt.Sprintf("r%d is %v, want %v", f.descriptor.ID, f.show(), o.show())
		}
	}
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"states", some(got.states), some(want.states)}, {"replicas", some(got.replicas), some(want.replicas)}, {"leaders", some(got.leaders), some(want.leaders)},
		{"replicas of data", some(got.data), some(want.data)}, {"stored", some(got.stored), some(want.stored)}, {"bytes", got.bytes, want.bytes},
		{"unsized", got.unsized, want.unsized}, {"notable", sortedKeys(got.notable), sortedKeys(want.notable)},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			return fmt.Sprintf("%s are %v, want %v", x.what, x.got, x.want)
		}
	}
	a, b := &adminpb.ListMembersResponse{Members: got.memberList()}, &adminpb.ListMembersResponse{Members: want.memberList()}
	if !proto.Equal(a, b) {
		return fmt.Sprintf("members are %v, want %v", a, b)
	}
	c, d := &adminpb.CheckResponse{Rules: got.check(1)}, &adminpb.CheckResponse{Rules: want.check(1)}
	if !proto.Equal(c, d) {
		return fmt.Sprintf("rules say %v, want %v", c, d)
	}
	return ""
}

// some leaves out what counts nothing.
func some[K, V comparable](m map[K]V) map[K]V {
	var none V
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(_ K, v V) bool { return v == none })
	return out
}

// TestASightIsWhatAFreshOneIs: a sight that is made of the one before shows what one
// would that is made from nothing, through random changes of all sources.
func TestASightIsWhatAFreshOneIs(t *testing.T) {
	first := seed.Of(t)
	for seed := first; seed < first+40; seed++ {
		w := newWorld(seed)
		var kept memory
		for step := range 150 {
			for range w.rng.IntN(3) {
				w.change()
			}
			o := w.observe(t)
			var fresh *sight
			if d := differ(kept.see(o, 1), fresh.next(o, 1)); d != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, d)
			}
		}
	}
}

// objects counts what fn allocates.
func objects(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// TestOneChangeIsOneRange: of a hundred times as many ranges, one change has as many
// joined anew and told, and makes as few objects.
func TestOneChangeIsOneRange(t *testing.T) {
	const nodes = 30
	cost := map[int]uint64{}
	for _, ranges := range []int{smallRanges, goalRanges} {
		l := newLooker(t, nodes, ranges, overviewTopics...)
		l.look(t)
		for _, c := range []struct {
			what   string
			change func()
			want   int
		}{
			{"nothing", func() { l.busy(0) }, 0}, {"one report", func() { l.busy(1) }, 1}, {"one descriptor", func() { l.describe(417) }, 1},
		} {
			c.change()
			var m *adminpb.WatchResponse
			made := objects(func() { m = l.look(t) })
			cost[ranges] += made
			if got := l.s.memory.mu.last.joined; got != c.want || len(m.GetRanges()) != c.want {
				t.Errorf("%d ranges: %s has %d ranges joined anew and %d told, want %d", ranges, c.what, got, len(m.GetRanges()), c.want)
			}
		}
	}
	t.Logf("objects of three looks: %v", cost)
	if cost[goalRanges] > cost[smallRanges]+cost[smallRanges]/10+100 {
		t.Errorf("looks at %d ranges make %d objects, at %d ranges %d", goalRanges, cost[goalRanges], smallRanges, cost[smallRanges])
	}
}
