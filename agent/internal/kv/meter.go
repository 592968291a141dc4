package kv

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Meter counts what this node serves and applies, by vshard: rows that are read
// by key or written, and chunks of scans. Its load decides where busy ranges are
// split, and nothing else.
type Meter struct {
	counts [cluster.VShards]atomic.Uint64

	mu struct {
		sync.Mutex
		at    time.Time
		last  [cluster.VShards]uint64
		rates [cluster.VShards]float64 // per second, smoothed
	}
}

const (
	// sampleEvery is the least time between two samples.
	sampleEvery = time.Second
	// smoothing is over how long rates are smoothed.
	smoothing = 10 * time.Second
	// leastLoad is the rate under which a load says nothing about its middle.
	leastLoad = 1
)

// Wrote satisfies datastate.Meter.
func (m *Meter) Wrote(v cluster.VShard, n int) { m.add(v, n) }

func (m *Meter) read(v cluster.VShard, n int) {
	if m != nil {
		m.add(v, n)
	}
}

func (m *Meter) add(v cluster.VShard, n int) {
	if int(v) < len(m.counts) {
		m.counts[v].Add(uint64(n))
	}
}

// Load returns the load of the range d, which this node leads; nil if there is
// next to none.
func (m *Meter) Load(d *cluster.RangeDescriptor, now time.Time) *cluster.RangeLoad {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample(now)
	first, end := d.VShards()
	total := 0.0
	for v := first; v < end; v++ {
		total += m.mu.rates[v]
	}
	if total < leastLoad {
		return nil
	}
	out := &cluster.RangeLoad{Rate: total}
	left, off := 0.0, total
	for at := first + 1; at < end; at++ {
		left += m.mu.rates[at-1]
		if diff := max(2*left-total, total-2*left); diff < off {
			out.Middle, out.Left, off = at.Key(), left/total, diff
		}
	}
	return out
}

// sample takes in what was counted since the last sample. m.mu is held.
func (m *Meter) sample(now time.Time) {
	past := now.Sub(m.mu.at)
	if past < sampleEvery {
		return
	}
	first := m.mu.at.IsZero()
	m.mu.at = now
	weight := min(past.Seconds()/smoothing.Seconds(), 1)
	for v := range m.counts {
		n := m.counts[v].Load()
		if rate := float64(n-m.mu.last[v]) / past.Seconds(); !first {
			m.mu.rates[v] += weight * (rate - m.mu.rates[v])
		}
		m.mu.last[v] = n
	}
}
