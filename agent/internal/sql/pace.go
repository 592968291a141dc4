package sql

import (
	"math/bits"
	"sync"
	"time"
)

// Pace is how many statements a node runs and how long they take, lately.
type Pace struct {
	PerSecond float64
	P50, P99  time.Duration // 0: no statement ran
}

const (
	// paceWindow is over how long a pace is taken; the last whole window and what
	// there is of the next are shown.
	paceWindow = 5 * time.Second
	// paceBuckets are four for each doubling of the time.
	paceBuckets = 160
	paceLeast   = 4 // microseconds; what is shorter counts as this
)

// pace counts statements by how long they took. A statement of which a client
// reads the rows slowly counts as long as it reads.
type pace struct {
	mu struct {
		sync.Mutex
		began       time.Time // of now
		now, before paceCounts
	}
}

type paceCounts struct {
	span    time.Duration
	total   uint64
	buckets [paceBuckets]uint64
}

// bucketOf is the bucket of a duration: its number of doublings, and a quarter.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), paceLeast))
	doublings := bits.Len64(us) - 1
	quarter := int(us >> (doublings - 2) & 3)
	return min((doublings-2)*4+quarter, paceBuckets-1)
}

// topOf is the longest duration of a bucket.
func topOf(bucket int) time.Duration {
	doublings, quarter := bucket/4+2, bucket%4
	return time.Duration((uint64(1)<<doublings)*uint64(5+quarter)/4) * time.Microsecond
}

// note counts a statement that took d and ended at now.
func (p *pace) note(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	p.mu.now.total++
	p.mu.now.buckets[bucketOf(d)]++
}

// turnLocked begins a new window if the last is over.
func (p *pace) turnLocked(now time.Time) {
	gap := now.Sub(p.mu.began)
	if gap < paceWindow {
		return
	}
	p.mu.before, p.mu.now = p.mu.now, paceCounts{}
	p.mu.before.span = gap
	if p.mu.began.IsZero() || gap > 2*paceWindow {
		p.mu.before = paceCounts{} // nothing ran for long
	}
	p.mu.began = now
}

// read returns the pace at now.
func (p *pace) read(now time.Time) Pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turnLocked(now)
	total := p.mu.before.total + p.mu.now.total
	span := p.mu.before.span + now.Sub(p.mu.began)
	if total == 0 || span <= 0 {
		return Pace{}
	}
	return Pace{PerSecond: float64(total) / max(span, time.Second).Seconds(), P50: p.quantileLocked(total, 0.50), P99: p.quantileLocked(total, 0.99)}
}

// quantileLocked is a duration that a share of all statements did not pass.
func (p *pace) quantileLocked(total uint64, share float64) time.Duration {
	want, seen := uint64(share*float64(total)+0.5), uint64(0)
	for i := range paceBuckets {
		seen += p.mu.before.buckets[i] + p.mu.now.buckets[i]
		if seen >= max(want, 1) {
			return topOf(i)
		}
	}
	return topOf(paceBuckets - 1)
}

// Pace is how many statements run here, and how long they take.
func (s *Server) Pace() Pace { return s.pace.read(time.Now()) }
