package kv

import (
	"math"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func TestMeterFindsTheMiddleOfTheLoad(t *testing.T) {
	var m Meter
	d := &cluster.RangeDescriptor{Start: cluster.VShard(16).Key(), End: cluster.VShard(32).Key()}
	now := time.Unix(1_800_000_000, 0)
	if got := m.Load(d, now); got != nil {
		t.Errorf("an idle range has the load %+v", got)
	}
	for range 60 { // 300 rows per second: two thirds in vshard 17, the rest spread
		now = now.Add(time.Second)
		m.Wrote(17, 200)
		for v := cluster.VShard(20); v < 30; v++ {
			m.read(v, 10)
		}
		m.Wrote(40, 5000) // of another range
		m.Load(d, now)
	}
	got := m.Load(d, now)
	if got == nil || math.Abs(got.Rate-300) > 3 || got.Middle != cluster.VShard(18).Key() || math.Abs(got.Left-2.0/3) > 0.01 {
		t.Errorf("load %+v, want 300 rows per second, two thirds of them before vshard 18", got)
	}
	if one := m.Load(&cluster.RangeDescriptor{Start: cluster.VShard(17).Key(), End: cluster.VShard(18).Key()}, now); one == nil || one.Middle != "" {
		t.Errorf("a single vshard has the load %+v, want no middle", one)
	}
	for range 120 {
		now = now.Add(time.Second)
		m.Load(d, now)
	}
	if got := m.Load(d, now); got != nil {
		t.Errorf("long after, the load is %+v", got)
	}
}
