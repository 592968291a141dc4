package metastate

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/routing"
)

// TestMoreRangesThanVShards splits 3,000 times, mostly at rows, past one range per
// vshard: the records say it, before and after a reload, and every row is routed to
// its range, by a gateway that has all records and by one that lacks the last ones
// and has heard of them.
func TestMoreRangesThanVShards(t *testing.T) {
	const splits, step, lacks = 3000, 100, 300
	for seed := range uint64(1) {
		rng := rand.New(rand.NewPCG(seed, 6))
		m := newTester()
		m.command(t, initCommand())
		truth := dataRanges(m.View().Ranges)
		var old *View
		var news, late []cluster.RangeDescriptor
		for next := cluster.RangeID(10); next < 10+splits; {
			at := keys.Bound(anyRow(rng))
			if rng.IntN(4) == 0 {
				at = at.VShard().Key()
			}
			i := owner(truth, at)
			if !truth[i].Inside(at) {
				continue
			}
			left, right := truth[i].Clone(), truth[i].Clone()
			left.End, left.Generation = at, left.Generation+1
			right.ID, right.Parent, right.Start, right.Generation = next, left.ID, at, left.Generation
			truth[i] = left
			truth = slices.Insert(truth, i+1, right)
			news = append(news, *left, *right)
			if next++; len(news) < 2*step {
				continue
			}
			if old == nil && int(next)-10 > splits-lacks {
				old = m.View()
			}
			if old != nil {
				late = append(late, news...)
			}
			if r := m.command(t, Command{UpdateRanges: &UpdateRanges{Descriptors: news}}); r.Refusal != nil {
				t.Fatalf("seed %d: refused: %s", seed, r.Refusal.Message)
			}
			news = nil
		}
		if v := m.View(); v.Ranges.Len() != len(truth)+1 || len(truth) < splits {
			t.Fatalf("seed %d: %d ranges are recorded, want %d and the meta range", seed, v.Ranges.Len(), len(truth))
		}
		checkSpans(t, m.View())
		reloaded := m.store.reload(t).View()
		tables := map[string]*routing.Table{
			"all records":  routing.New(func() routing.View { return m.View() }),
			"old records":  routing.New(func() routing.View { return old }),
			"after reload": routing.New(func() routing.View { return reloaded }),
		}
		for _, d := range late {
			tables["old records"].Learn(d)
		}
		rows := make([][]byte, 0, 3*splits)
		for _, d := range truth[1:] {
			if !d.Start.Whole() {
				rows = append(rows, append([]byte{4, byte(d.Pool)}, d.Start...))
			}
		}
		for range splits {
			rows = append(rows, anyRow(rng))
		}
		for name, table := range tables {
			for _, row := range rows {
				want := truth[owner(truth, keys.Bound(row))]
				if r, ok := table.Row(row); !ok || r.Descriptor.ID != want.ID || !keys.Owns(r.Descriptor, row) {
					t.Fatalf("seed %d, %s: row %x is routed to %+v, want %s %s", seed, name, row, r.Descriptor, want.ID, want.Span())
				}
			}
		}
	}
}

// anyRow draws a row of a collection.
func anyRow(rng *rand.Rand) []byte {
	return keys.Row(cluster.DefaultPool, cluster.VShard(rng.IntN(cluster.VShards)), 7, binary.BigEndian.AppendUint32(nil, rng.Uint32()))
}

// owner returns which of the ranges, in the order of their keys, contains a key.
func owner(ranges []*cluster.RangeDescriptor, at cluster.Key) int {
	i, found := slices.BinarySearchFunc(ranges, at, func(d *cluster.RangeDescriptor, k cluster.Key) int {
		switch {
		case d.Start < k:
			return -1
		case d.Start > k:
			return 1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}

// TestSpanNamesThePool: people know pools by their names.
func TestSpanNamesThePool(t *testing.T) {
	v := &View{Pools: map[cluster.PoolID]*cluster.Pool{0: {Name: cluster.DefaultPoolName}, 3: {ID: 3, Name: "crit"}}}
	first, last := cluster.VShard(0).Key(), cluster.VShard(5).Key()
	for d, want := range map[*cluster.RangeDescriptor]string{
		{ID: cluster.MetaRangeID}:                  "no keys",
		{ID: 2, Start: first, End: last}:           "[0,5)",
		{ID: 9, Pool: 3, Start: first, End: last}:  "[0,5) of pool crit",
		{ID: 10, Pool: 4, Start: first, End: last}: "[0,5) of pool #4", // it is gone
	} {
		if got := v.Span(d); got != want {
			t.Errorf("%s: %s, want %s", d.ID, got, want)
		}
	}
}
