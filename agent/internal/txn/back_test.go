package txn

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestBackTo: the locks since a mark end at once, those of rows that were locked before it
// stay, in memory and durable.
func TestBackTo(t *testing.T) {
	for _, durable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, 2, 4)
			is := m.apart(t, 3)
			x, other := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
			locks := func(is ...int) {
				t.Helper()
				r := lockRequest(is...)
				r.Durable = durable
				if _, _, err := x.Lock(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			locks(is[0])
			mark := x.Mark()
			for range 2 {
				locks(is...)
				if err := x.BackTo(t.Context(), mark); err != nil || x.Mark() != mark {
					t.Fatalf("back to: %v, %d and not %d", err, x.Mark(), mark)
				}
				r := lockRequest(is...)
				r.Wait = evaluation.SkipLocked
				if _, skipped, err := other.Lock(t.Context(), r); err != nil || !slices.Equal(skipped, []bool{true, false, false}) {
					t.Errorf("durable %v: skipped are %v, %v", durable, skipped, err)
				}
				if err := other.BackTo(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
			other.Rollback()
			x.Rollback()
			pass(time.Second)
			if m.left() != "" {
				t.Errorf("left: %s", m.left())
			}
		})
	}
}

// TestBackToWithoutAnAnswer: a lock of which nobody knows whether it has ended stays until
// the transaction ends, and is not to be had again: what ends it may come late.
func TestBackToWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 1)
		x := m.managers[1].Begin(ReadCommitted, Info{})
		r := lockRequest(1)
		r.Durable = true
		if _, _, err := x.Lock(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		m.hooked(func(c *kv.Call, _ bool) error {
			if at(c) == "Resolve" {
				return &kv.UnavailableError{Cause: errors.New("no answer")}
			}
			return nil
		})
		if err := x.BackTo(t.Context(), 0); err == nil {
			t.Error("the lock has ended")
		}
		var conflict *ConflictError
		if _, _, err := x.Lock(t.Context(), r); !errors.As(err, &conflict) {
			t.Errorf("the lock again: %v", err)
		}
		if _, _, err := x.Lock(t.Context(), lockRequest(1)); err != nil { // COMMIT would find out
			t.Errorf("a lock that may be lost: %v", err)
		}
		m.hooked(nil)
		if err := x.BackTo(t.Context(), 0); err != nil {
			t.Error(err)
		}
		if _, _, err := x.Lock(t.Context(), r); err != nil {
			t.Errorf("the lock, once it has ended: %v", err)
		}
		x.Rollback()
		pass(time.Second)
		if m.left() != "" {
			t.Errorf("left: %s", m.left())
		}
	})
}

// TestDeadlocksOfSessions: who waits for a lock of a session waits for whatever the
// session waits for, in another of its transactions.
func TestDeadlocksOfSessions(t *testing.T) {
	for _, n := range []int{2, 3} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, 2, 8)
			is := m.apart(t, n)
			begin := func(i int, g *Group) *Txn {
				return m.managers[[]cluster.NodeID{1, 2}[i%2]].Begin(ReadCommitted, Info{Group: g})
			}
			var holders []*Txn
			done := make(chan error)
			waiters := make([]*Txn, n)
			for i := range n {
				g := &Group{}
				holds := begin(i, g)
				if _, _, err := holds.Lock(t.Context(), lockRequest(is[i])); err != nil {
					t.Fatal(err)
				}
				waiters[i] = begin(i, g)
				holders = append(holders, holds)
			}
			for i := range n {
				go func() {
					_, _, err := waiters[i].Lock(context.Background(), lockRequest(is[(i+1)%n]))
					waiters[i].Rollback()
					holders[i].Rollback()
					done <- err
				}()
			}
			var deadlock *DeadlockError
			if err := <-done; !errors.As(err, &deadlock) || len(deadlock.Cycle) != n || deadlock.Cycle[0] != waiters[n-1].ID() {
				t.Errorf("the youngest: %v", err)
			}
			if err := <-done; err != nil { // who waited for that one
				t.Errorf("the other one: %v", err)
			}
			for range n - 2 {
				<-done
			}
			pass(time.Second)
			if m.left() != "" {
				t.Errorf("left: %s", m.left())
			}
		})
	}
}
