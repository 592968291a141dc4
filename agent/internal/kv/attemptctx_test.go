package kv

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestAttempts: an attempt ends with its request, at its time, when its node is
// suspected, and with the DB; whoever looks at it before, during or after.
func TestAttempts(t *testing.T) {
	errGone := errors.New("the client is gone")
	for name, x := range map[string]struct {
		node  cluster.NodeID
		event func(d *DB, cancel context.CancelCauseFunc)
		want  error // Err, after the event
		cause error
	}{
		"its time":              {2, func(*DB, context.CancelCauseFunc) { <-time.After(time.Second) }, context.DeadlineExceeded, errAttempt},
		"its time, at home":     {1, func(*DB, context.CancelCauseFunc) { <-time.After(time.Second) }, context.DeadlineExceeded, errAttempt},
		"the request":           {2, func(_ *DB, cancel context.CancelCauseFunc) { cancel(errGone) }, context.Canceled, errGone},
		"suspicion":             {2, func(d *DB, _ context.CancelCauseFunc) { d.Suspected(2) }, context.Canceled, errSuspected},
		"the DB":                {2, func(d *DB, _ context.CancelCauseFunc) { _ = d.Close() }, context.Canceled, errSuspected},
		"suspicion of another":  {2, func(d *DB, _ context.CancelCauseFunc) { d.Suspected(3) }, nil, nil},
		"suspicion of oneself":  {1, func(d *DB, _ context.CancelCauseFunc) { d.Suspected(1) }, nil, nil},
		"nothing, and not late": {2, func(*DB, context.CancelCauseFunc) { <-time.After(999 * time.Millisecond) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &DB{cfg: Config{Self: 1}}
				d.ctx, d.close = context.WithCancel(context.Background())
				d.mu.peers = map[cluster.NodeID]*peer{}
				d.cfg.Table = newFakeCluster(t, 1, 1).nodes[1].db.cfg.Table
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				a := d.attempt(ctx, x.node, time.Second)
				defer a.finish()
				if at, ok := a.Deadline(); !ok || time.Until(at) != time.Second || a.Err() != nil {
					t.Fatalf("deadline %v, %t; %v", at, ok, a.Err())
				}
				done := a.Done()
				x.event(d, cancel)
				synctest.Wait()
				ended := false
				select {
				case <-done:
					ended = true
				default:
				}
				if err := a.Err(); ended != (x.want != nil) || !errors.Is(err, x.want) || !errors.Is(context.Cause(a), x.cause) {
					t.Errorf("ended: %t; %v, for %v", ended, err, context.Cause(a))
				}
			})
		})
	}
}

// TestAnAttemptNobodyWaitsFor knows the time and its request all the same.
func TestAnAttemptNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &DB{cfg: Config{Self: 1}}
		ctx, cancel := context.WithCancel(context.Background())
		a := d.attempt(ctx, 1, time.Second)
		if a.Err() != nil {
			t.Error(a.Err())
		}
		<-time.After(time.Second)
		if !errors.Is(a.Err(), context.DeadlineExceeded) {
			t.Errorf("late: %v", a.Err())
		}
		a.finish()
		b := d.attempt(ctx, 1, time.Second)
		cancel()
		if !errors.Is(b.Err(), context.Canceled) {
			t.Errorf("cancelled: %v", b.Err())
		}
		b.finish()
		<-b.Done() // of an attempt that is over
	})
}
