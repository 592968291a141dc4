package kv

import (
	"context"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// freshness shares rounds over all nodes' clocks between concurrent callers.
type freshness struct {
	mu      sync.Mutex
	running bool
	// next is the round that begins when the running one has ended; it serves
	// all who asked since the running one began.
	next *freshRound
}

type freshRound struct {
	done chan struct{}
	ts   hlc.Timestamp
	err  error
}

// Hold keeps what can be read at ts from being collected, until release is called or
// the snapshot is older than the setting snapshot_max_age says.
func (d *DB) Hold(ts hlc.Timestamp) (release func()) { return d.cfg.Snapshots.Hold(ts) }

// Fresh returns a timestamp at or after every commit that any node acknowledged
// before the call: it asks the other nodes' clocks, once for all callers that
// wait. Nodes that do not answer, or are in doubt, are left out; what
// such a node alone acknowledged in its last moments, up to the offset between
// the clocks, may be later than the timestamp. A node whose own clock is behind
// those of most others gets a *ClockError: what it read would be old.
func (d *DB) Fresh(ctx context.Context) (hlc.Timestamp, error) {
	if err := d.awake(ctx, d.cfg.Policy.Budget); err != nil {
		return 0, err
	}
	if len(d.cfg.Peers()) == 0 {
		return d.cfg.Clock.Now(), nil
	}
	f := &d.fresh
	f.mu.Lock()
	round := f.next
	if round == nil {
		round = &freshRound{done: make(chan struct{})}
		f.next = round
	}
	if !f.running {
		f.running = true
		d.wg.Go(d.freshRounds)
	}
	f.mu.Unlock()
	select {
	case <-round.done:
		return round.ts, round.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

// freshRounds runs rounds until nobody waits for one.
func (d *DB) freshRounds() {
	f := &d.fresh
	for {
		f.mu.Lock()
		round := f.next
		f.next = nil
		if round == nil || d.ctx.Err() != nil {
			f.running = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		round.err = d.askClocks(d.ctx)
		round.ts = d.cfg.Clock.Now()
		close(round.done)
	}
}

// askClocks makes the local clock run at least at those of the other nodes. One
// that is too far ahead is left out: its own node refuses to serve. If most are,
// it is this one that is behind.
func (d *DB) askClocks(ctx context.Context) error {
	peers := d.cfg.Peers()
	clocks := make([]hlc.Timestamp, len(peers))
	var wg sync.WaitGroup
	for i, node := range peers {
		if node != d.cfg.Self && !d.doubtful(node) {
			wg.Go(func() { clocks[i] = d.askClock(ctx, node) })
		}
	}
	wg.Wait()
	var answered, refused int
	var last error
	for i, ts := range clocks {
		if ts == 0 {
			continue
		}
		answered++
		if err := d.cfg.Clock.Update(ts); err != nil {
			refused++
			last = clockError(err, d.cfg.Self, peers[i])
		}
	}
	if 2*refused > answered {
		return last
	}
	return nil
}

// askClock returns the clock of a node, 0 if it does not answer.
func (d *DB) askClock(ctx context.Context, node cluster.NodeID) hlc.Timestamp {
	a := d.attempt(ctx, node, d.cfg.FreshTimeout)
	defer a.finish()
	b, err := d.cfg.Caller.Call(a, node, MethodClock, beginMessage(0, d.cfg.Clock.Last()).b)
	if err != nil {
		return 0
	}
	r, clock := openMessage(b)
	if r.End() != nil {
		return 0
	}
	return clock
}
