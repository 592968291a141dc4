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
}

// Fresh returns a timestamp at or after every commit that any node acknowledged
// before the call: it asks the other nodes' clocks, once for all callers that
// wait. Nodes that do not answer, or are in doubt, are left out; what
// such a node alone acknowledged in its last moments, up to the offset between
// the clocks, may be later than the timestamp.
func (d *DB) Fresh(ctx context.Context) (hlc.Timestamp, error) {
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
		return round.ts, nil
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
		d.askClocks(d.ctx)
		round.ts = d.cfg.Clock.Now()
		close(round.done)
	}
}

// askClocks makes the local clock run at least at those of the other nodes.
func (d *DB) askClocks(ctx context.Context) {
	var wg sync.WaitGroup
	for _, node := range d.cfg.Peers() {
		if node != d.cfg.Self && !d.doubtful(node) {
			wg.Go(func() { d.askClock(ctx, node) })
		}
	}
	wg.Wait()
}

func (d *DB) askClock(ctx context.Context, node cluster.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.FreshTimeout)
	defer cancel()
	stop := context.AfterFunc(d.life(node), cancel)
	defer stop()
	b, err := d.cfg.Caller.Call(ctx, node, MethodClock, beginMessage(0, d.cfg.Clock.Last()).b)
	if err != nil {
		return
	}
	if r, clock := openMessage(b); r.end() == nil {
		d.heard(clock)
	}
}
