package txn

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// TestCommitWaitsAsLongAsItIsTold: lock_timeout and the end of the statement end the wait
// of a commit for a row that another holds, in one range and in several, and nothing is
// written.
func TestCommitWaitsAsLongAsItIsTold(t *testing.T) {
	gone := errors.New("the client has gone")
	for _, n := range []int{1, 3} {
		for _, x := range []struct {
			lock, statement time.Duration
			want            error
		}{{1500 * time.Millisecond, 0, ErrLockTimeout}, {0, 1500 * time.Millisecond, gone}} {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 2, 4)
				is := m.apart(t, n)
				holder, waits := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
				if _, _, err := holder.Lock(t.Context(), lockRequest(is[n-1])); err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if x.statement > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, x.statement, gone)
					defer cancel()
				}
				waits.SetLockTimeout(x.lock)
				var muts []kv.Mutation
				for _, i := range is {
					muts = append(muts, put(i, "x"))
				}
				begun := time.Now()
				_, err := waits.Commit(ctx, muts, 0)
				// A leader says once a second for whom a request waits.
				if took := time.Since(begun); !errors.Is(err, x.want) || took > 2500*time.Millisecond {
					t.Errorf("%d ranges: %v after %s, want %v", n, err, took, x.want)
				}
				holder.Rollback()
				pass(time.Second)
				m.want(t, m.managers[1], m.clock.Now(), is, make([]string, n)...)
				if m.left() != "" {
					t.Errorf("left: %s", m.left())
				}
			})
		}
	}
}

// TestLocksAreNeverAmbiguous: nobody knows whether a lock was taken, or a reader's push
// done: nothing that was written rests on it.
func TestLocksAreNeverAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 1)
		m.hooked(func(c *kv.Call, _ bool) error {
			if at(c) == "Lock" || at(c) == "Push" {
				return &store.AmbiguousError{Cause: errors.New("no answer")}
			}
			return nil
		})
		x := m.managers[1].Begin(ReadCommitted, Info{})
		_, _, err := x.Lock(t.Context(), lockRequest(1))
		var unavailable *kv.UnavailableError
		if !errors.As(err, &unavailable) || store.MaybeApplied(err) {
			t.Errorf("lock: %v", err)
		}
		if _, err := m.managers[1].push(t.Context(), x.ID(), x.record, false, hlc.Max-1); !errors.As(err, &unavailable) || store.MaybeApplied(err) {
			t.Errorf("push: %v", err)
		}
		m.hooked(nil)
		x.Rollback()
	})
}

// TestLockOfOneThatHasEnded: who does not wait gets a row whose lock is still to go, from
// its own gateway and from another's; not that of one who is there.
func TestLockOfOneThatHasEnded(t *testing.T) {
	for _, wait := range []evaluation.Wait{evaluation.NoWait, evaluation.SkipLocked} {
		for _, node := range []cluster.NodeID{1, 2} {
			for _, durable := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d from %d, durable %v", wait, node, durable), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := newModel(t, 2, 4)
						is := m.apart(t, 3)
						var cleanups atomic.Int64
						m.hooked(func(c *kv.Call, after bool) error {
							if at(c) == "Resolve" && !after {
								if cleanups.Add(1) == 1 {
									return &kv.UnavailableError{Cause: errors.New("not yet")}
								}
							}
							return nil
						})
						open, ends, next := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[1].Begin(ReadCommitted, Info{}), m.managers[node].Begin(ReadCommitted, Info{})
						for i, x := range []*Txn{open, ends} {
							r := lockRequest(is[i])
							r.Durable = durable
							if _, _, err := x.Lock(t.Context(), r); err != nil {
								t.Fatal(err)
							}
						}
						ends.Rollback()
						pass(10 * time.Millisecond)
						if n := cleanups.Load(); n != 1 {
							t.Fatalf("%d cleanups", n)
						}
						r := lockRequest(is[1], is[2])
						r.Wait = wait
						if _, skipped, err := next.Lock(t.Context(), r); err != nil || skipped[0] || skipped[1] {
							t.Errorf("the lock of one that has ended: %v, %v", skipped, err)
						}
						r.Keys = lockRequest(is[0]).Keys
						if _, skipped, err := next.Lock(t.Context(), r); wait == evaluation.NoWait && !errors.Is(err, ErrLockNotAvailable) || wait == evaluation.SkipLocked && (err != nil || !skipped[0]) {
							t.Errorf("the lock of one that is there: %v, %v", skipped, err)
						}
						open.Rollback()
						next.Rollback()
						pass(time.Second)
						if m.left() != "" {
							t.Errorf("left: %s", m.left())
						}
					})
				})
			}
		}
	}
}
