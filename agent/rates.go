package agent

import (
	"math"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// How rates are made of counters.
const (
	rateGap    = time.Second      // samples nearer than this give no new rate
	rateWindow = 10 * time.Second // over which rates are smoothed
)

// rates turns the counters of this node's replicas into rates per second,
// smoothed: the rebalancer must not chase a burst.
type rates struct {
	mu struct {
		sync.Mutex
		at      time.Time
		samples map[cluster.RangeID]rateSample
	}
}

type rateSample struct {
	replica       cluster.ReplicaID
	reads, writes uint64
	readRate      float64
	writeRate     float64
}

// fill sets the rates in st, from the counters in it.
func (r *rates) fill(st *cluster.NodeStatus, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gap := now.Sub(r.mu.at)
	if r.mu.samples == nil || gap >= rateGap {
		next := make(map[cluster.RangeID]rateSample, len(st.Ranges))
		for i := range st.Ranges {
			x := &st.Ranges[i]
			next[x.Descriptor.ID] = r.mu.samples[x.Descriptor.ID].next(x, gap)
		}
		r.mu.samples, r.mu.at = next, now
	}
	for i := range st.Ranges {
		x := &st.Ranges[i]
		s := r.mu.samples[x.Descriptor.ID]
		x.ReadsPerSecond, x.WritesPerSecond = s.readRate, s.writeRate
		st.ReadsPerSecond += s.readRate
		st.WritesPerSecond += s.writeRate
	}
}

// next is the sample after s. A replica that is new, or counts anew, has no rate
// until its second sample.
func (s rateSample) next(x *cluster.RangeStatus, gap time.Duration) rateSample {
	out := rateSample{replica: x.Replica, reads: x.Reads, writes: x.Writes}
	if s.replica != x.Replica || x.Reads < s.reads || x.Writes < s.writes {
		return out
	}
	share := 1 - math.Exp(-gap.Seconds()/rateWindow.Seconds())
	out.readRate = s.readRate + share*(float64(x.Reads-s.reads)/gap.Seconds()-s.readRate)
	out.writeRate = s.writeRate + share*(float64(x.Writes-s.writes)/gap.Seconds()-s.writeRate)
	return out
}
