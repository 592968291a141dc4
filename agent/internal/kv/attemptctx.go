package kv

import (
	"context"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// attempt is the context of one attempt at one node. It ends with the request's, at
// its time, and when the node is suspected. Most attempts at this node itself never
// wait for anything: the timer, the channel and who cancels it are made when somebody
// first asks for Done.
type attempt struct {
	context.Context //nolint:containedctx // it is one: the request's, with an end of its own

	db    *DB
	node  cluster.NodeID
	until time.Time // zero: as long as it takes

	mu     sync.Mutex // before the DB's
	done   chan struct{}
	err    error
	timer  *time.Timer
	unhook func() bool // from the request's
}

func (d *DB) attempt(ctx context.Context, node cluster.NodeID, patience time.Duration) *attempt {
	a := &attempt{Context: ctx, db: d, node: node}
	if patience > 0 {
		a.until = time.Now().Add(patience)
	}
	return a
}

// Deadline implements context.Context.
func (a *attempt) Deadline() (time.Time, bool) {
	if at, ok := a.Context.Deadline(); ok && (a.until.IsZero() || at.Before(a.until)) {
		return at, true
	}
	return a.until, !a.until.IsZero()
}

// Done implements context.Context.
func (a *attempt) Done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done != nil {
		return a.done
	}
	a.done = make(chan struct{})
	if a.err != nil {
		close(a.done)
		return a.done
	}
	if !a.until.IsZero() {
		a.timer = time.AfterFunc(time.Until(a.until), func() { a.end(errAttempt) })
	}
	a.unhook = context.AfterFunc(a.Context, func() { a.end(a.Context.Err()) })
	if a.node != a.db.cfg.Self && !a.db.watch(a) {
		a.err = errSuspected
		close(a.done)
	}
	return a.done
}

// Err implements context.Context.
func (a *attempt) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.err != nil:
	case a.Context.Err() != nil:
		return a.Context.Err()
	case !a.until.IsZero() && !time.Now().Before(a.until):
		return errAttempt
	}
	return a.err
}

// end ends the attempt, with the first error that it is given.
func (a *attempt) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return
	}
	a.err = err
	if a.done != nil {
		close(a.done)
	}
}

// finish lets go of everything, once the attempt is over.
func (a *attempt) finish() {
	a.end(context.Canceled)
	a.mu.Lock()
	timer, unhook := a.timer, a.unhook
	a.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	if unhook != nil {
		unhook()
		a.db.unwatch(a)
	}
}

// watch has an attempt end when its node is suspected, or the DB closed. It reports
// false if the DB is.
func (d *DB) watch(a *attempt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return false
	}
	p := d.peer(a.node)
	if p.attempts == nil {
		p.attempts = map[*attempt]struct{}{}
	}
	p.attempts[a] = struct{}{}
	return true
}

func (d *DB) unwatch(a *attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.peer(a.node).attempts, a)
}
