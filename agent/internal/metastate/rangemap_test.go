package metastate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestRangeMap follows a map through random changes; older ones stay as they were,
// and what differs between two is found.
func TestRangeMap(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	type version struct {
		m    RangeMap
		want map[cluster.RangeID]*cluster.RangeDescriptor
	}
	all := []version{{want: map[cluster.RangeID]*cluster.RangeDescriptor{}}}
	for range 3000 {
		last := all[len(all)-1]
		next := version{m: last.m, want: maps.Clone(last.want)}
		id := cluster.RangeID(rng.Uint64N(1 << rng.IntN(17)))
		if rng.IntN(3) == 0 {
			next.m = next.m.Without(id)
			delete(next.want, id)
		} else {
			d := &cluster.RangeDescriptor{ID: id}
			next.m, next.want[id] = next.m.With(d), d
		}
		if all = append(all, next); len(all) > 20 {
			all = all[1:]
		}
		some := all[rng.IntN(len(all))]
		if got := maps.Collect(some.m.All()); !maps.Equal(got, some.want) || some.m.Len() != len(some.want) {
			t.Fatalf("%d ranges of length %d, want %d", len(got), some.m.Len(), len(some.want))
		}
		if d := some.m.Get(id); d != some.want[id] {
			t.Fatalf("%s is %v, want %v", id, d, some.want[id])
		}
		var ids []cluster.RangeID
		for id := range some.m.All() {
			ids = append(ids, id)
		}
		if !slices.IsSorted(ids) {
			t.Fatalf("not in order: %v", ids)
		}
		got := maps.Clone(some.want)
		next.m.since(some.m, func(id cluster.RangeID, d *cluster.RangeDescriptor) {
			if d == nil {
				delete(got, id)
			} else {
				got[id] = d
			}
		})
		if !maps.Equal(got, next.want) {
			t.Fatalf("what changed leads from %v to %v, want %v", some.want, got, next.want)
		}
	}
}

// TestOneDescriptorIsCheap counts what the publication of one descriptor makes anew,
// among 1,000 ranges and among 100,000.
func TestOneDescriptorIsCheap(t *testing.T) {
	for _, ranges := range []int{1000, 100_000} {
		t.Run(fmt.Sprint(ranges), func(t *testing.T) {
			var m RangeMap
			for i := range ranges {
				m = m.With(&cluster.RangeDescriptor{ID: cluster.RangeID(i + 1)})
			}
			d := &cluster.RangeDescriptor{ID: 77, Generation: 2}
			if n := testing.AllocsPerRun(20, func() { _ = m.With(d) }); n > 8 {
				t.Errorf("one descriptor makes %v nodes anew", n)
			}
			told := 0
			m.With(d).since(m, func(cluster.RangeID, *cluster.RangeDescriptor) { told++ })
			if told != 1 {
				t.Errorf("one descriptor changed, and %d are told", told)
			}
		})
	}
}
