package admission

import (
	"context"
	"sync"
	"time"
)

// waitsAfter is for how long a statement may wait for its client until it counts as
// waiting, not as running. Shorter, and the queue turns over for every packet; much
// longer, and clients that read slowly keep all places.
const waitsAfter = 10 * time.Millisecond

// Place is a statement's right to run. A nil Place is that of a statement that
// nothing bounds.
type Place struct {
	queue *Queue
	ctx   context.Context //nolint:containedctx // the statement's: a Place lives no longer

	mu   sync.Mutex
	held bool
	away int // reasons to be without the place
}

// Take waits for a place; see Queue for begun. End gives it back.
func (q *Queue) Take(ctx context.Context, begun bool) (*Place, error) {
	if q == nil {
		return nil, nil //nolint:nilnil // a nil Place can be used
	}
	if err := q.enter(ctx, begun); err != nil {
		return nil, err
	}
	return &Place{queue: q, ctx: ctx, held: true}, nil
}

// Yield gives the place back until Resume.
func (p *Place) Yield() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away++; p.away > 0 { // Resume may have overtaken a timer's Yield
		p.dropLocked()
	}
}

// Resume ends one Yield, and waits for a place if there is no other.
func (p *Place) Resume() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	p.away--
	back := p.away == 0 && !p.held
	p.mu.Unlock()
	if !back {
		return nil
	}
	if err := p.queue.enter(p.ctx, true); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held || p.away > 0 { // meanwhile it left again
		p.queue.leave()
		return nil
	}
	p.held = true
	return nil
}

// During runs fn, which may wait; the place is given back if it does.
func (p *Place) During(fn func() error) error {
	if p == nil {
		return fn()
	}
	timer := time.AfterFunc(waitsAfter, p.Yield)
	err := fn()
	if timer.Stop() || err != nil { // a statement that fails needs no place
		return err
	}
	return p.Resume()
}

// End gives the place back for good.
func (p *Place) End() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away++
	p.dropLocked()
}

func (p *Place) dropLocked() {
	if p.held {
		p.held = false
		p.queue.leave()
	}
}
