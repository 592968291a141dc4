package kv

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

func meterRow(v cluster.VShard, n int) []byte {
	return keys.Row(cluster.DefaultPool, v, 7, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// TestMeterFindsTheMiddleOfTheLoad feeds loads of 300 rows per second and wants the
// boundary that halves them: between vshards where that is even enough, else at a
// row, and none if one row has it all.
func TestMeterFindsTheMiddleOfTheLoad(t *testing.T) {
	d := &cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(16).Key(), End: cluster.VShard(32).Key()}
	for name, c := range map[string]struct {
		row     func(rng *rand.Rand) []byte
		whole   bool // the boundary is between vshards
		v       cluster.VShard
		least   float64 // of the load before it
		most    float64
		nowhere bool
	}{
		"spread over vshards": {row: func(rng *rand.Rand) []byte { return meterRow(cluster.VShard(16+rng.IntN(16)), rng.IntN(100)) }, whole: true, v: 24, least: 0.25, most: 0.75},
		"one vshard has it": {row: func(rng *rand.Rand) []byte {
			if rng.IntN(20) == 0 {
				return meterRow(30, 1)
			}
			return meterRow(17, rng.IntN(1000))
		}, v: 17, least: 0.25, most: 0.75},
		"one row has it": {row: func(*rand.Rand) []byte { return meterRow(17, 5) }, nowhere: true},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		m := Meter{Random: rng.Uint64}
		now := time.Unix(1_800_000_000, 0)
		if got := m.Load(d, now); got != nil {
			t.Errorf("%s: an idle range has the load %+v", name, got)
		}
		for range 60 {
			now = now.Add(time.Second)
			for i := range 300 {
				if row := c.row(rng); i%2 == 0 {
					m.Wrote(d.ID, row)
				} else {
					m.read(d.ID, row)
				}
				m.Wrote(9, meterRow(40, i)) // of another range
			}
			m.Load(d, now)
		}
		got := m.Load(d, now)
		if got == nil || math.Abs(got.Rate-300) > 3 {
			t.Errorf("%s: load %+v, want 300 rows per second", name, got)
			continue
		}
		switch {
		case c.nowhere && got.Middle != "":
			t.Errorf("%s: the middle is %s, want none", name, got.Middle)
		case !c.nowhere && (!d.Inside(got.Middle) || got.Middle.Whole() != c.whole || got.Left < c.least || got.Left > c.most):
			t.Errorf("%s: the middle is %s with %.2f before it", name, got.Middle, got.Left)
		case c.v == 17 && got.Middle.VShard() != 17:
			t.Errorf("%s: the middle is %s, want a row of vshard 17", name, got.Middle)
		}
		left := &cluster.RangeDescriptor{ID: 2, Start: d.Start, End: cluster.VShard(17).Key()} // it was split just now
		if got := m.Load(left, now); got == nil || got.Middle != "" && !left.Inside(got.Middle) {
			t.Errorf("%s: after a split, the load is %+v", name, got)
		}
		for range 120 {
			now = now.Add(time.Second)
			m.Load(d, now)
		}
		if got := m.Load(d, now); got != nil {
			t.Errorf("%s: long after, the load is %+v", name, got)
		}
		if _, ok := m.ranges.Load(d.ID); ok {
			t.Errorf("%s: a range that nothing comes to is still counted", name)
		}
	}
}
