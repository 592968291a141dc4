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
	even := newRangeMap([]*adminpb.Range{rng(1, 2.1), rng(2, 2.8), rng(3, 3.5)}, everyPool)
	for _, load := range []float64{2.1, 2.8, 3.5} {
		if h := even.heat(load); h < 4 || h > 5 {
			t.Errorf("load %v of 2.1 to 3.5 has heat %d of 9", load, h)
		}
	}
	hot := newRangeMap([]*adminpb.Range{rng(1, 1), rng(2, 1), rng(3, 1), rng(4, 1), rng(5, 1), rng(6, 1), rng(7, 100)}, everyPool)
	if cold, h := hot.heat(1), hot.heat(100); cold > 2 || h < 8 {
		t.Errorf("a hot spot has heat %d, the others %d", h, cold)
	}
	if h := newRangeMap(nil, everyPool).heat(0); h != 0 {
		t.Errorf("nothing has heat %d", h)
	}
}

// TestADividedVShardShowsTheWorst: the ranges of one vshard share its cell, which
// shows the one in the worst state, or the hottest, or the selected one.
func TestADividedVShardShowsTheWorst(t *testing.T) {
	const row = "000500000000000000070001"
	calm := &adminpb.Range{Id: 2, Start: 0, End: 6, StartKey: "0000", EndKey: row + "aa00", State: "healthy", WritesPerSecond: 3}
	bad := &adminpb.Range{Id: 3, Start: 5, End: 6, StartKey: row + "aa00", EndKey: row + "bb00", State: "under", WritesPerSecond: 1}
	hot := &adminpb.Range{Id: 4, Start: 5, End: 9, StartKey: row + "bb00", EndKey: "0009", State: "healthy", WritesPerSecond: 9}
	other := &adminpb.Range{Id: 5, Start: 0, End: 1024, Pool: "gold", StartKey: "0000", EndKey: "0400", State: "no-quorum", WritesPerSecond: 99}
	m := newRangeMap([]*adminpb.Range{hot, other, bad, calm}, everyPool)
	for _, c := range []struct {
		look mapLook
		v    int
		want uint32
	}{
		{mapLook{metric: byState}, 4, 2}, {mapLook{metric: byState}, 5, 3}, {mapLook{metric: byState}, 6, 4},
		{mapLook{metric: byLoad}, 5, 4}, {mapLook{metric: byLoad, selected: calm}, 5, 2},
	} {
		if got := m.shown(c.v, &c.look); got.GetId() != c.want {
			t.Errorf("%+v: vshard %d shows r%d, want r%d", c.look, c.v, got.GetId(), c.want)
		}
	}
	if next := m.beside(calm, 1); next != bad || m.beside(bad, 1) != hot || m.beside(hot, 1) != nil || m.beside(calm, -1) != nil {
		t.Errorf("beside r2 is %v", next)
	}
	for want, r := range map[string]*adminpb.Range{"0-5*": calm, "5*": bad, "5*-8": hot} {
		if got := vshards(r); got != want {
			t.Errorf("r%d is said to own %s, want %s", r.Id, got, want)
		}
	}
	if gold := newRangeMap([]*adminpb.Range{hot, other}, "gold"); gold.owner(0) != other || gold.shown(5, &mapLook{}) != other {
		t.Errorf("the map of pool gold has %v", gold.owner(0))
	}
}
