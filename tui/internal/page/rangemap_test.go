package page

import (
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TestHeatOfAnEvenCluster: loads that are nearly the same look nearly the same,
// and in the middle; a hot spot stands out.
func TestHeatOfAnEvenCluster(t *testing.T) {
	rng := func(id uint32, load float64) *adminpb.Range {
		return &adminpb.Range{Id: id, Start: id * 16, End: id*16 + 16, WritesPerSecond: load}
	}
	even := newRangeMap([]*adminpb.Range{rng(1, 2.1), rng(2, 2.8), rng(3, 3.5)})
	for _, load := range []float64{2.1, 2.8, 3.5} {
		if h := even.heat(load); h < 4 || h > 5 {
			t.Errorf("load %v of 2.1 to 3.5 has heat %d of 9", load, h)
		}
	}
	hot := newRangeMap([]*adminpb.Range{rng(1, 1), rng(2, 1), rng(3, 1), rng(4, 1), rng(5, 1), rng(6, 1), rng(7, 100)})
	if cold, h := hot.heat(1), hot.heat(100); cold > 2 || h < 8 {
		t.Errorf("a hot spot has heat %d, the others %d", h, cold)
	}
	if h := newRangeMap(nil).heat(0); h != 0 {
		t.Errorf("nothing has heat %d", h)
	}
}
