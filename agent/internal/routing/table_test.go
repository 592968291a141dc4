package routing

import (
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

type fakeView map[cluster.RangeID]*cluster.RangeDescriptor

func (v fakeView) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	d, ok := v[id]
	return d, ok
}

func (v fakeView) RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	for _, d := range v {
		if !d.IsMeta() && d.Contains(p, k) {
			return d, true
		}
	}
	return nil, false
}

func newTestTable() (*Table, fakeView) {
	v := fakeView{
		1: {ID: 1, Generation: 1},
		2: {ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(512).Key(), Generation: 3},
		3: {ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: 1},
	}
	return New(func() View { return v }), v
}

func TestLookup(t *testing.T) {
	table, view := newTestTable()
	for _, c := range []struct {
		vshard cluster.VShard
		want   cluster.RangeID
	}{{0, 2}, {511, 2}, {512, 3}, {1023, 3}} {
		if r, ok := table.Lookup(0, c.vshard.Key()); !ok || r.Descriptor.ID != c.want {
			t.Errorf("Lookup(%d) = %+v, want %s", c.vshard, r, c.want)
		}
	}
	if r, ok := table.Lookup(0, cluster.VShard(cluster.VShards).Key()); ok {
		t.Errorf("Lookup past the end = %+v, want none", r)
	}
	key := []byte("k")
	want, _ := view.RangeOf(0, keys.Bound(keys.Row(0, keys.VShardOf(7, key), 7, key)))
	if r, ok := table.Key(0, 7, key); !ok || r.Descriptor.ID != want.ID {
		t.Errorf("Key = %+v, want %s", r, want.ID)
	}
}

func TestLearn(t *testing.T) {
	table, view := newTestTable()
	table.Learn(cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(512).Key(), Generation: 2})
	if r, _ := table.Range(2); r.Descriptor.Generation != 3 {
		t.Errorf("learnt an older descriptor: generation %d, want 3", r.Descriptor.Generation)
	}
	// A split: r2 shrinks, r9 has the rest; the meta range shows neither yet.
	table.Learn(cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(100).Key(), Generation: 4})
	if r, ok := table.Lookup(0, cluster.VShard(200).Key()); !ok || r.Descriptor.ID != 2 {
		t.Errorf("Lookup(200) = %+v before the other half is known, want r2, which knows", r)
	}
	table.Learn(cluster.RangeDescriptor{ID: 9, Parent: 2, Start: cluster.VShard(100).Key(), End: cluster.VShard(512).Key(), Generation: 4})
	if r, ok := table.Lookup(0, cluster.VShard(200).Key()); !ok || r.Descriptor.ID != 9 {
		t.Errorf("Lookup(200) = %+v, want r9", r)
	}
	if r, ok := table.Range(9); !ok || r.Descriptor.Start != cluster.VShard(100).Key() {
		t.Errorf("Range(9) = %+v, want the learnt one", r)
	}
	// The right half alone is known: it is newer than the whole.
	half, _ := newTestTable()
	half.Learn(cluster.RangeDescriptor{ID: 9, Parent: 2, Start: cluster.VShard(100).Key(), End: cluster.VShard(512).Key(), Generation: 4})
	if r, ok := half.Lookup(0, cluster.VShard(200).Key()); !ok || r.Descriptor.ID != 9 {
		t.Errorf("Lookup(200) = %+v, want r9", r)
	}
	if r, ok := half.Lookup(0, cluster.VShard(50).Key()); !ok || r.Descriptor.ID != 2 {
		t.Errorf("Lookup(50) = %+v, want r2", r)
	}
	// The meta range overtakes.
	view[9] = &cluster.RangeDescriptor{ID: 9, Parent: 2, Start: cluster.VShard(100).Key(), End: cluster.VShard(512).Key(), Generation: 8}
	view[2] = &cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(100).Key(), Generation: 5}
	if r, ok := table.Lookup(0, cluster.VShard(200).Key()); !ok || r.Descriptor.Generation != 8 {
		t.Errorf("Lookup(200) = %+v, want the view's generation 8", r)
	}
	table.Learn(cluster.RangeDescriptor{ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: 2})
	if n := len(table.learnt.Load().descriptors); n != 1 {
		t.Errorf("%d learnt descriptors are kept, want only r3's", n)
	}
}

func TestHints(t *testing.T) {
	table, _ := newTestTable()
	changed := table.Changed()
	table.SetLeader(2, 7)
	table.SetLeader(3, 8)
	select {
	case <-changed:
	default:
		t.Error("Changed was not closed by a new hint")
	}
	table.DropLeader(2, 8)
	if got := table.Leader(2); got != 7 {
		t.Errorf("DropLeader of another node dropped the hint: %s, want n7", got)
	}
	table.Forget(7)
	if r, _ := table.Lookup(0, cluster.VShard(0).Key()); r.Leader != 0 {
		t.Errorf("hint %s after Forget(n7), want none", r.Leader)
	}
	table.DropLeader(3, 8)
	if got := table.Leader(3); got != 0 {
		t.Errorf("Leader(r3) = %s, want none", got)
	}
}

func TestWrongHintsAreCounted(t *testing.T) {
	table, _ := newTestTable()
	table.SetLeader(2, 1)
	table.SetLeader(2, 1)
	table.DropLeader(2, 3) // says nothing of the hint
	if got := table.Wrong(); got != 0 {
		t.Errorf("%d wrong hints, want none", got)
	}
	table.SetLeader(2, 3)
	table.DropLeader(2, 3)
	if got := table.Wrong(); got != 2 {
		t.Errorf("%d wrong hints, want 2: one replaced, one dropped", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	table, _ := newTestTable()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				table.SetLeader(2, cluster.NodeID(n%3+1))
				table.Learn(cluster.RangeDescriptor{ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: uint64(n + i)})
				table.Forget(cluster.NodeID(n%3 + 1))
				if r, ok := table.Lookup(0, cluster.VShard(600).Key()); !ok || !r.Descriptor.Contains(0, cluster.VShard(600).Key()) {
					t.Errorf("Lookup(600) = %+v", r)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkKey(b *testing.B) {
	table, _ := newTestTable()
	table.SetLeader(2, 1)
	key := []byte("some primary key")
	b.ReportAllocs()
	for b.Loop() {
		table.Key(0, 7, key)
	}
}

// TestAHintIsOneHint counts what one more leader hint makes, beside few and beside
// many: the same.
func TestAHintIsOneHint(t *testing.T) {
	for _, hints := range []int{1000, 100_000} {
		table := New(func() View { return fakeView{} })
		for i := range hints {
			table.SetLeader(cluster.RangeID(i+1), 1)
		}
		next := cluster.NodeID(1)
		if n := testing.AllocsPerRun(20, func() {
			next++
			table.SetLeader(77, next)
		}); n > 12 {
			t.Errorf("beside %d hints, one more makes %v objects", hints, n)
		}
	}
}
