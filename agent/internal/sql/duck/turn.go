package duck

import (
	"context"
	"sync"
	"time"
)

// waitsAfter is how long a Source may take for a batch before the statement is taken
// to wait, not to compute.
const waitsAfter = 10 * time.Millisecond

// turn is a statement's right to compute: a place in the engine's gate. It is given
// back while the client takes rows or a source waits for them (a range without a
// leader, a slow node), so that waiting statements hold up nobody.
type turn struct {
	engine *Engine

	mu   sync.Mutex
	held bool
	away int // reasons to be without the place
}

// take waits for the first place.
func (e *Engine) take(ctx context.Context) (*turn, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	return &turn{engine: e, held: true}, nil
}

// yield gives the place back until resume.
func (t *turn) yield() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away++; t.away > 0 { // resume may have overtaken a timer's yield
		t.dropLocked()
	}
}

// resume ends one yield, and waits for a place if there is no other.
func (t *turn) resume(ctx context.Context) error {
	t.mu.Lock()
	t.away--
	back := t.away == 0 && !t.held
	t.mu.Unlock()
	if !back {
		return nil
	}
	if err := t.engine.enter(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held || t.away > 0 { // meanwhile another came back, or left
		t.engine.leave()
		return nil
	}
	t.held = true
	return nil
}

// end gives the place back for good.
func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away++
	t.dropLocked()
}

func (t *turn) dropLocked() {
	if t.held {
		t.held = false
		t.engine.leave()
	}
}

// during runs fn, which may wait; it is given the place back if it does.
func (t *turn) during(ctx context.Context, fn func() error) error {
	timer := time.AfterFunc(waitsAfter, t.yield)
	err := fn()
	if timer.Stop() {
		return err
	}
	if back := t.resume(ctx); err == nil {
		err = back
	}
	return err
}
