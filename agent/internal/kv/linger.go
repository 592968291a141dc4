package kv

import (
	"context"
	"time"
)

// lingerFor is for how long the answer to a write is waited for after the request has
// ended: a leader that has it wait for a lock says so every third of a second, and one whose
// caller's time is over takes it back. So who cancels a statement, or has set a
// statement_timeout, is told that nothing was written, and within a second.
const lingerFor = 800 * time.Millisecond

// lingering ends lingerFor after the context that it was made of, whose deadline it tells.
type lingering struct {
	context.Context //nolint:containedctx // it is one: without the end of the request's
	of              context.Context
}

// Deadline implements context.Context: the leader is to take back what it has not begun by
// then.
func (l lingering) Deadline() (time.Time, bool) { return l.of.Deadline() }

func linger(ctx context.Context) (_ context.Context, end func()) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lingerFor, func() { cancel(context.Cause(ctx)) })
	})
	return lingering{out, ctx}, func() { stop(); cancel(nil) }
}
