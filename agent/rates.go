package agent

import (
	"math"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// How rates are made of counters.
const (
	rateGap    = time.Second      // samples nearer than this give no new rate
	rateWindow = 10 * time.Second // over which rates are smoothed
	// rateLeast is the least rate that is told, per second: below it a smoothed rate
	// only fades, and each step would be a change to tell the cluster.
	rateLeast = 0.05
)

// rangeBoard is what this node tells of its replicas: what the store publishes,
// with the load of those that lead and with rates per second, smoothed: the
// rebalancer must not chase a burst.
type rangeBoard struct {
	board *statusboard.Board[cluster.RangeID, cluster.RangeStatus]
	store *statusboard.Board[cluster.RangeID, cluster.RangeStatus] // what it publishes
	// load is what a range that is led here serves; nil: next to nothing.
	load func(d *cluster.RangeDescriptor, now time.Time) *cluster.RangeLoad

	mu struct {
		sync.Mutex
		seen          uint64 // generation of the store's board
		at            time.Time
		samples       map[cluster.RangeID]rateSample
		reads, writes float64 // sums of the rates
	}
}

func newRangeBoard(store *statusboard.Board[cluster.RangeID, cluster.RangeStatus], load func(d *cluster.RangeDescriptor, now time.Time) *cluster.RangeLoad) *rangeBoard {
	b := &rangeBoard{board: statusboard.New[cluster.RangeID](statusboard.Ranges()), store: store, load: load}
	b.mu.samples = map[cluster.RangeID]rateSample{}
	return b
}

type rateSample struct {
	replica       cluster.ReplicaID
	reads, writes uint64
	readRate      float64
	writeRate     float64
}

// refresh brings the board up to date: with what the store has published since
// the last call, and once a second with new rates. It returns the sums of the rates.
func (b *rangeBoard) refresh(now time.Time) (reads, writes float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.store.Since(b.mu.seen, false)
	for _, id := range c.Gone {
		b.drop(id)
	}
	if gap := now.Sub(b.mu.at); gap >= rateGap {
		b.sample(b.store.Since(0, false), gap)
		b.mu.at = now
		return b.mu.reads, b.mu.writes
	}
	for _, x := range c.Changed {
		b.put(x.Value, now)
	}
	b.mu.seen = c.To
	return b.mu.reads, b.mu.writes
}

func (b *rangeBoard) drop(id cluster.RangeID) {
	b.board.Drop(id)
	delete(b.mu.samples, id)
}

// sample makes new rates of all counters.
func (b *rangeBoard) sample(all statusboard.Changes[cluster.RangeID, cluster.RangeStatus], gap time.Duration) {
	now := b.mu.at.Add(gap)
	next := make(map[cluster.RangeID]rateSample, len(all.Changed))
	reads, writes := 0.0, 0.0
	for _, x := range all.Changed {
		s := b.mu.samples[x.Key].next(x.Value, gap)
		next[x.Key] = s
		reads, writes = reads+told(s.readRate), writes+told(s.writeRate)
	}
	for id := range b.mu.samples {
		if _, ok := next[id]; !ok {
			b.board.Drop(id)
		}
	}
	b.mu.samples, b.mu.seen, b.mu.reads, b.mu.writes = next, all.To, reads, writes
	for _, x := range all.Changed {
		b.put(x.Value, now)
	}
}

// put tells a status, with its rates and load.
func (b *rangeBoard) put(st *cluster.RangeStatus, now time.Time) {
	x := *st
	s := b.mu.samples[x.Descriptor.ID]
	x.ReadsPerSecond, x.WritesPerSecond = told(s.readRate), told(s.writeRate)
	if x.IsLeader() && !x.Descriptor.IsMeta() {
		if x.Load = b.load(&x.Descriptor, now); x.Load != nil {
			x.Load.Rate = told(x.Load.Rate)
		}
	}
	b.board.Put(x.Descriptor.ID, &x)
}

// told is a rate as it is told: to three digits, so that one that hardly moves is
// no news.
func told(rate float64) float64 {
	if rate < rateLeast {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Round(rate/unit) * unit
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
