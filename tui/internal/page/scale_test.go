package page

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/client/adminpb"
)

// manyRanges own vshards by turns: of many ranges a vshard has several.
func manyRanges(n int) []*adminpb.Range {
	out := make([]*adminpb.Range, n)
	for i := range out {
		v := uint32(i % vshardCount)
		out[i] = &adminpb.Range{Id: uint32(i + 1), Start: v, End: v + 1, StartKey: fmt.Sprintf("%04x%08x", v, i), State: "healthy", Leader: uint32(i%9 + 1), ReadsPerSecond: float64(i % 7)}
	}
	return out
}

// TestAMapIsWhatAFreshOneIs: a map that follows snapshots shows what one would that
// is made of the last, while loads, states and bounds change and ranges come and go.
func TestAMapIsWhatAFreshOneIs(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	rows := manyRanges(3000)
	m := newRangeMap(rows, everyPool)
	for step := range 300 {
		rows = slices.Clone(rows)
		for range rng.IntN(6) {
			i := rng.IntN(len(rows))
			r := &adminpb.Range{Id: rows[i].Id, Start: rows[i].Start, End: rows[i].End, StartKey: rows[i].StartKey, ReadsPerSecond: float64(rng.IntN(9)),
				State: [...]string{"healthy", "healthy", "moving", "under", "no-quorum"}[rng.IntN(5)]}
			if rng.IntN(20) == 0 {
				r.End, r.Pool = min(r.End+3, vshardCount), [...]string{"", "gold"}[rng.IntN(2)]
			}
			rows[i] = r
		}
		switch rng.IntN(10) {
		case 0:
			v := uint32(rng.IntN(vshardCount))
			rows = append(rows, &adminpb.Range{Id: rows[len(rows)-1].Id + 1, Start: v, End: v + 1, StartKey: fmt.Sprintf("%04xff", v), State: "moving"})
		case 1:
			rows = slices.Delete(rows, 7, 8)
		}
		m.set(rows)
		fresh := newRangeMap(rows, everyPool)
		if m.mean() != fresh.mean() {
			t.Fatalf("seed %d, step %d: the mean is %v, want %v", seed, step, m.mean(), fresh.mean())
		}
		for v := range vshardCount {
			for _, look := range []mapLook{{metric: byState}, {metric: byLoad}, {metric: byLeader, selected: rows[5]}} {
				if got, want := m.shown(v, &look), fresh.shown(v, &look); got != want || m.owner(v) != fresh.owner(v) {
					t.Fatalf("seed %d, step %d: vshard %d by %s shows %v, want %v", seed, step, v, look.metric, got, want)
				}
			}
		}
	}
}

// TestOneRangeIsOneCell: of 100,000 ranges one that changes has one cell looked at.
func TestOneRangeIsOneCell(t *testing.T) {
	for _, n := range []int{1000, 100_000} {
		rows := manyRanges(n)
		m := newRangeMap(rows, everyPool)
		next := slices.Clone(rows)
		old := rows[417]
		next[417] = &adminpb.Range{Id: old.Id, Start: old.Start, End: old.End, StartKey: old.StartKey, State: "moving", ReadsPerSecond: 100}
		m.set(next)
		if m.made != 1 || m.shown(417, &mapLook{metric: byLoad}) != next[417] {
			t.Errorf("of %d ranges one that changed had %d cells looked at", n, m.made)
		}
	}
}
