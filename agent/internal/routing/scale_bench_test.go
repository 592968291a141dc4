package routing

import (
	"fmt"
	"sort"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// largeView is the goal's 100,000 ranges, one after another.
type largeView []*cluster.RangeDescriptor

func newLargeView(n int) largeView {
	v := make(largeView, n)
	key := func(i int) cluster.Key {
		at := uint64(i) * uint64(cluster.VShards) << 16 / uint64(n)
		return cluster.Key([]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)})
	}
	for i := range v {
		v[i] = &cluster.RangeDescriptor{ID: cluster.RangeID(i + 2), Start: key(i), End: key(i + 1), Generation: 4}
	}
	return v
}

func (v largeView) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	i := int(id) - 2
	if i < 0 || i >= len(v) {
		return nil, false
	}
	return v[i], true
}

func (v largeView) RangeOf(_ cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	i := sort.Search(len(v), func(i int) bool { return v[i].End > k })
	return v[min(i, len(v)-1)], i < len(v)
}

// BenchmarkScaleTable is the routing table of 100,000 ranges whose leaders are known:
// look a key up, learn of another leader, of a newer descriptor.
func BenchmarkScaleTable(b *testing.B) {
	v := newLargeView(100_000)
	t := New(func() View { return v })
	for _, d := range v {
		t.SetLeader(d.ID, cluster.NodeID(d.ID%1000+1))
	}
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if r, ok := t.Lookup(0, v[i*7919%len(v)].Start); !ok || r.Leader == 0 {
				b.Fatal("no route")
			}
		}
	})
	b.Run("leader", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			t.SetLeader(v[i*7919%len(v)].ID, cluster.NodeID(i%1000+1))
		}
	})
	for _, learnt := range []int{0, 100} {
		b.Run(fmt.Sprintf("learn/beside=%d", learnt), func(b *testing.B) {
			for i := range learnt {
				d := *v[i*97]
				d.Generation++
				t.Learn(d)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d := *v[417]
				d.Generation = uint64(10 + i)
				t.Learn(d)
			}
		})
	}
}
