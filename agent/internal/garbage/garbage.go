// Package garbage decides from when on everything that was there must stay readable.
//
// Old versions of rows are kept for gc_ttl, and for as long as a reader needs them who
// began in time: each gateway says what its oldest open snapshot is when a node asks that
// has something to collect. What it says protects a snapshot for a bounded time, so that
// a reader who is forgotten does not keep garbage for ever.
//
// Nothing rests on that but whether a reader is refused: which reads a range refuses is
// in its replicated state (package datastate, ADR 0034).
//
// # Concurrency
//
// Snapshots and Keeper are safe for use by several goroutines.
//
// # Invariants
//
//  1. Keep is never above now less gc_ttl, nor above a snapshot that is open, was told
//     and is not older than the bound.
//  2. A node from which no gateway was asked lately collects nothing.
package garbage

import (
	"cmp"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Snapshots are those that readers of this node have open.
type Snapshots struct {
	mu   sync.Mutex
	open map[*hold]struct{} // guarded by mu; nil: none yet
}

type hold struct{ ts hlc.Timestamp }

// Hold keeps what can be read at ts until release is called; more calls do nothing.
func (s *Snapshots) Hold(ts hlc.Timestamp) (release func()) {
	if s == nil || ts == 0 {
		return func() {}
	}
	h := &hold{ts}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*hold]struct{}{}
	}
	s.open[h] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, h)
	}
}

// Oldest is the earliest that is open of those not before since; 0: none.
func (s *Snapshots) Oldest(since hlc.Timestamp) (oldest hlc.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.open {
		if h.ts >= since && (oldest == 0 || h.ts < oldest) {
			oldest = h.ts
		}
	}
	return oldest
}

// Rules are the cluster's settings.
type Rules struct {
	TTL    time.Duration // how long old versions are kept
	MaxAge time.Duration // how long an open snapshot is protected
}

// Since is the time from which on open snapshots are protected.
func (r Rules) Since(now hlc.Timestamp) hlc.Timestamp { return back(now, max(r.MaxAge, r.TTL)) }

// Keep is from when on everything must stay readable, beside snapshots of which oldest
// is the earliest (0: none).
func (r Rules) Keep(now, oldest hlc.Timestamp, p Planted) hlc.Timestamp {
	keep := back(now, r.TTL)
	if oldest != 0 && !p.ignoresReaders() {
		keep = min(keep, oldest)
	}
	return keep
}

// back is d before ts, or the begin of time.
func back(ts hlc.Timestamp, d time.Duration) hlc.Timestamp {
	if at := ts.Add(-d); at < ts {
		return at
	}
	return 0
}

const (
	// answersLast is how long what gateways have said counts. A snapshot that is begun
	// meanwhile is newer than this, and so than now less the least gc_ttl.
	answersLast = 5 * time.Second
	// silenceLasts is how long what a gateway has said counts that does not answer any
	// more: it may be cut off from this node alone. Longer, and a node that is gone would
	// keep garbage.
	silenceLasts = time.Minute
)

// Keeper is what a node knows of the snapshots of all gateways.
type Keeper struct {
	self  *Snapshots
	clock func() time.Time
	want  chan struct{}

	mu sync.Mutex
	// told is what other gateways said last, and when. asked is when all were. Guarded
	// by mu.
	told  map[cluster.NodeID]answer
	asked time.Time
}

type answer struct {
	oldest hlc.Timestamp
	at     time.Time
}

// NewKeeper returns one that has asked nobody; clock never steps.
func NewKeeper(self *Snapshots, clock func() time.Time) *Keeper {
	return &Keeper{self: self, clock: clock, want: make(chan struct{}, 1), told: map[cluster.NodeID]answer{}}
}

// Keep is from when on everything must stay readable by the rules. known is false if
// gateways have not been asked lately: then Want has them asked.
func (k *Keeper) Keep(r Rules, now hlc.Timestamp) (keep hlc.Timestamp, known bool) {
	oldest, _ := k.oldest(r, now)
	k.mu.Lock()
	defer k.mu.Unlock()
	return r.Keep(now, oldest, Planted{}), !k.asked.IsZero() && k.clock().Sub(k.asked) < answersLast
}

// oldest is the earliest snapshot that is protected, as far as it was told, and the
// gateway that has it; 0: this node.
func (k *Keeper) oldest(r Rules, now hlc.Timestamp) (oldest hlc.Timestamp, holder cluster.NodeID) {
	since := r.Since(now)
	oldest = k.self.Oldest(since)
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.clock()
	for id, a := range k.told {
		if a.oldest >= since && a.oldest != 0 && at.Sub(a.at) < silenceLasts && (oldest == 0 || a.oldest < oldest) {
			oldest, holder = a.oldest, id
		}
	}
	return oldest, holder
}

// Holder tells which snapshot keeps versions for longer than the time to live, as this
// node, whose name is self, has heard: its time, and the gateway that has it; 0: none.
func (k *Keeper) Holder(self cluster.NodeID, r Rules, now hlc.Timestamp) (hlc.Timestamp, cluster.NodeID) {
	oldest, holder := k.oldest(r, now)
	if oldest == 0 || oldest >= back(now, r.TTL) {
		return 0, 0
	}
	return oldest, cmp.Or(holder, self)
}

// Want has the gateways asked, by whoever waits for Wanted. It does not block.
func (k *Keeper) Want() {
	select {
	case k.want <- struct{}{}:
	default:
	}
}

// Wanted is sent to when the gateways are to be asked.
func (k *Keeper) Wanted() <-chan struct{} { return k.want }

// Told takes the answers of the gateways that were asked, begun at a time: who did not
// answer is absent. nodes are the members of the cluster: others are forgotten.
func (k *Keeper) Told(begun time.Time, nodes []cluster.NodeID, answers map[cluster.NodeID]hlc.Timestamp) {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := map[cluster.NodeID]answer{}
	for _, id := range nodes {
		if oldest, ok := answers[id]; ok {
			told[id] = answer{oldest, begun}
		} else if a, ok := k.told[id]; ok {
			told[id] = a
		}
	}
	k.told, k.asked = told, begun
}
