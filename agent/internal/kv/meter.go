package kv

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// Meter counts what this node serves and applies, by range: rows that are read by
// key or written, and chunks of scans; and it keeps a sample of these rows, newer
// ones sooner than older ones. Its load decides where busy ranges are split, and
// nothing else.
type Meter struct {
	// Random is what the sample is drawn by; nil: the process's own source.
	Random func() uint64

	ranges sync.Map // cluster.RangeID -> *rangeMeter

	mu struct {
		sync.Mutex
		at time.Time // of the last sample of the rates
	}
}

const (
	// sampleEvery is the least time between two samples of the rates.
	sampleEvery = time.Second
	// smoothing is over how long rates are smoothed.
	smoothing = 10 * time.Second
	// leastLoad is the rate under which a load says nothing about its middle.
	leastLoad = 1
	// idleLoad is the rate under which a range is forgotten that nothing came to.
	idleLoad = 0.01
	// sampledRows is how many rows of a range are kept: a share of them is within a
	// tenth of the share of the load nine times of ten.
	sampledRows = 64
	// sampledOf is of how many rows one is kept once there are enough: copying each
	// would cost the busiest ranges most.
	sampledOf = 16
	// evenEnough is the larger share up to which a boundary between vshards is taken
	// rather than a row, which divides one.
	evenEnough = 2.0 / 3
)

// rangeMeter counts one range.
type rangeMeter struct {
	count atomic.Uint64

	// Of Meter.mu.
	last uint64
	rate float64 // per second, smoothed

	sample struct {
		sync.Mutex
		rows [sampledRows][]byte
	}
}

// Wrote satisfies datastate.Meter.
func (m *Meter) Wrote(id cluster.RangeID, row []byte) { m.add(id, row) }

func (m *Meter) read(id cluster.RangeID, row []byte) {
	if m != nil {
		m.add(id, row)
	}
}

func (m *Meter) add(id cluster.RangeID, row []byte) {
	found, ok := m.ranges.Load(id)
	if !ok {
		found, _ = m.ranges.LoadOrStore(id, &rangeMeter{})
	}
	r := found.(*rangeMeter) //nolint:forcetypeassert // nothing else is in it
	slot := r.count.Add(1) - 1
	if slot >= sampledRows {
		x := m.random()
		if x%sampledOf != 0 {
			return
		}
		slot = x / sampledOf % sampledRows
	}
	r.sample.Lock()
	defer r.sample.Unlock()
	r.sample.rows[slot] = append(r.sample.rows[slot][:0], row...)
}

func (m *Meter) random() uint64 {
	if m.Random != nil {
		return m.Random()
	}
	return rand.Uint64()
}

// Load returns the load of the range d, which this node leads; nil if there is
// next to none.
func (m *Meter) Load(d *cluster.RangeDescriptor, now time.Time) *cluster.RangeLoad {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sampleRates(now)
	found, ok := m.ranges.Load(d.ID)
	if !ok {
		return nil
	}
	r := found.(*rangeMeter) //nolint:forcetypeassert // nothing else is in it
	if r.rate < leastLoad {
		return nil
	}
	out := &cluster.RangeLoad{Rate: r.rate}
	out.Middle, out.Left = middleOf(r.rows(d))
	return out
}

// rows returns the places of the sampled rows that d owns, in their order.
func (r *rangeMeter) rows(d *cluster.RangeDescriptor) []cluster.Key {
	r.sample.Lock()
	defer r.sample.Unlock()
	var out []cluster.Key
	for _, row := range r.sample.rows {
		if row != nil && keys.Owns(d, row) {
			out = append(out, keys.Bound(row))
		}
	}
	slices.Sort(out)
	return out
}

// middleOf returns the boundary that comes closest to halving the rows, and the
// share before it: the beginning of a vshard if that is even enough, else a row;
// nothing, if all rows are one.
func middleOf(rows []cluster.Key) (at cluster.Key, left float64) {
	type cut struct {
		at   cluster.Key
		left float64
	}
	uneven := func(c cut) float64 { return max(c.left, 1-c.left) }
	whole, row := cut{left: 1}, cut{left: 1}
	for i := 1; i < len(rows); i++ {
		share := float64(i) / float64(len(rows))
		if c := (cut{rows[i], share}); rows[i] != rows[i-1] && uneven(c) < uneven(row) {
			row = c
		}
		v := rows[i].VShard()
		if c := (cut{v.Key(), share}); v != rows[i-1].VShard() && uneven(c) < uneven(whole) {
			whole = c
		}
	}
	if row.at == "" {
		return "", 0
	}
	if whole.at != "" && (uneven(whole) <= evenEnough || uneven(whole) <= uneven(row)) {
		return whole.at, whole.left
	}
	return row.at, row.left
}

// sampleRates takes in what was counted since the last time. m.mu is held.
func (m *Meter) sampleRates(now time.Time) {
	past := now.Sub(m.mu.at)
	if past < sampleEvery {
		return
	}
	first := m.mu.at.IsZero()
	m.mu.at = now
	weight := min(past.Seconds()/smoothing.Seconds(), 1)
	m.ranges.Range(func(id, found any) bool {
		r := found.(*rangeMeter) //nolint:forcetypeassert // nothing else is in it
		n := r.count.Load()
		rate := float64(n-r.last) / past.Seconds()
		if !first {
			r.rate += weight * (rate - r.rate)
		}
		r.last = n
		if rate == 0 && r.rate < idleLoad && !first {
			m.ranges.Delete(id)
		}
		return true
	})
}
