package feed

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/client/adminpb"
)

// TestSumsAreThoseOfTheRanges: the load that is kept as ranges come, change and go is
// that of the ranges there are.
func TestSumsAreThoseOfTheRanges(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	var st state
	for step := range 400 {
		r := &adminpb.WatchResponse{Reset_: step%50 == 0}
		for range rng.IntN(5) {
			r.Ranges = append(r.Ranges, &adminpb.Range{Id: uint32(rng.IntN(40) + 1), Leader: uint32(rng.IntN(4)), ReadsPerSecond: rng.Float64() * 9, WritesPerSecond: rng.Float64()})
		}
		for range rng.IntN(2) {
			r.RangesGone = append(r.RangesGone, uint32(rng.IntN(40)+1))
		}
		st.apply(r, []string{Ranges}, time.Unix(int64(step), 0))
		var want sums
		for _, x := range st.snap.Ranges {
			want.swap(nil, x)
		}
		if want.reads != st.sums.reads || want.writes != st.sums.writes || len(want.nodes)+len(st.sums.nodes) > 0 && !reflect.DeepEqual(want.nodes, st.sums.nodes) {
			t.Fatalf("seed %d, step %d: the sums are %+v, want %+v", seed, step, st.sums, want)
		}
		if !slices.IsSortedFunc(st.snap.Ranges, func(a, b *adminpb.Range) int { return int(a.GetId()) - int(b.GetId()) }) {
			t.Fatalf("seed %d, step %d: the ranges are out of order", seed, step)
		}
	}
}

// TestOneChangeIsOneSearch: to put one of 100,000 ranges in takes a look at those on
// the way to it.
func TestOneChangeIsOneSearch(t *testing.T) {
	for _, n := range []int{1000, 100_000} {
		old, looked, swapped := largeResponse(9, n).GetRanges(), 0, 0
		id := func(r *adminpb.Range) uint32 { looked++; return r.GetId() }
		merge(old, []*adminpb.Range{{Id: 417}}, nil, id, func(_, _ *adminpb.Range) { swapped++ })
		if looked > 50 || swapped != 1 {
			t.Errorf("of %d ranges %d were looked at and %d swapped for one that changed", n, looked, swapped)
		}
	}
}
