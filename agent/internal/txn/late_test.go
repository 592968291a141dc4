package txn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// die has the coordinator never hear of its calls again, from one step on.
func (m *model) die(node cluster.NodeID, step string, after bool) (dead chan struct{}) {
	dead = make(chan struct{})
	var died atomic.Bool
	m.hooked(func(c *kv.Call, isAfter bool) error {
		if at(c) != step || isAfter != after || died.Swap(true) {
			return nil
		}
		m.silence(node, true)
		m.managers[node].close(ErrClosed)
		close(dead)
		return errors.New("dead")
	})
	return dead
}

// TestAbandoned: a coordinator dies between any two steps of the protocol. Whoever meets
// what it has left finds either all of it or nothing, and is not held up for long.
func TestAbandoned(t *testing.T) {
	for _, tt := range []struct {
		step      string
		after     bool
		committed bool
	}{
		{"Prewrite", false, false}, {"Prewrite", true, false}, {"Commit", false, false},
		{"Commit", true, true}, {"Resolve", false, true}, {"Resolve", true, true}, {"Forget", false, true},
	} {
		t.Run(fmt.Sprintf("%s/%v", tt.step, tt.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 2, 4)
				is := m.apart(t, 3)
				m.commitOK(t, m.managers[2], put(is[0], "0"), put(is[1], "0"), put(is[2], "0"))
				pass(time.Second)
				dead := m.die(1, tt.step, tt.after)
				var gone sync.WaitGroup
				gone.Go(func() {
					_, _ = m.managers[1].Begin(ReadCommitted, Info{}).Commit(context.Background(), []kv.Mutation{put(is[0], "1"), put(is[1], "1"), put(is[2], "1")}, 0)
				})
				defer gone.Wait()
				<-dead
				begun, want := time.Now(), "0"
				if tt.committed {
					want = "1"
				}
				m.want(t, m.managers[2], m.clock.Now(), is, want, want, want)
				m.commitOK(t, m.managers[2], put(is[0], "2"), put(is[1], "2"), put(is[2], "2"))
				m.want(t, m.managers[2], m.clock.Now(), is, "2", "2", "2")
				if took := time.Since(begun); took > silence+3*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestLateCommit: a commit of who was taken for dead finds that it was aborted.
func TestLateCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 2)
		m.hooked(func(c *kv.Call, after bool) error {
			if at(c) == "Commit" && !after {
				m.hooked(nil)
				m.silence(1, true)
				m.commitOK(t, m.managers[2], put(is[0], "2"), put(is[1], "2"))
				m.silence(1, false)
			}
			return nil
		})
		_, err := m.managers[1].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "1"), put(is[1], "1")}, 0)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			t.Fatalf("commit: %v", err)
		}
		m.want(t, m.managers[2], m.clock.Now(), is, "2", "2")
	})
}

// TestAnotherStart: what an earlier start of a node has left is aborted at once.
func TestAnotherStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 2)
		if _, _, err := m.managers[1].Begin(ReadCommitted, Info{}).Lock(t.Context(), lockRequest(is...)); err != nil {
			t.Fatal(err)
		}
		m.managers[1].Close()
		m.start(1, 2, Planted{})
		begun := time.Now()
		m.commitOK(t, m.managers[2], put(is[0], "2"), put(is[1], "2"))
		// Twice for each range a leader says, after a second, who is in the way.
		if took := time.Since(begun); took > silence {
			t.Errorf("it took %s", took)
		}
	})
}

// TestCommitWithoutAnswer: the record says what became of it.
func TestCommitWithoutAnswer(t *testing.T) {
	lost := &store.AmbiguousError{Cause: errors.New("no answer")}
	for _, tt := range []struct {
		name         string
		after, never bool
	}{{"done", true, false}, {"not done", false, false}, {"nobody knows", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 2, 4)
				is, lostOnce := m.apart(t, 2), false
				m.hooked(func(c *kv.Call, after bool) error {
					switch {
					case at(c) == "Commit" && after == tt.after && !lostOnce:
						lostOnce = true
						return lost
					case at(c) == "Push" && tt.never && !after:
						return &kv.UnavailableError{Cause: errors.New("nobody")}
					}
					return nil
				})
				_, err := m.managers[1].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "1"), put(is[1], "1")}, 0)
				var conflict *ConflictError
				var ambiguous *store.AmbiguousError
				if ok := map[string]bool{"done": err == nil, "not done": errors.As(err, &conflict), "nobody knows": errors.As(err, &ambiguous)}[tt.name]; !ok {
					t.Fatalf("commit: %v", err)
				}
				m.hooked(nil)
				want := map[bool]string{true: "1"}[tt.after]
				m.want(t, m.managers[2], m.clock.Now(), is, want, want)
			})
		})
	}
}

// TestCommitArrivesLate: a commit that was taken back finds the record that says so, for
// as long as a range would take it.
func TestCommitArrivesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 2)
		var late *kv.Call
		m.hooked(func(c *kv.Call, after bool) error {
			if at(c) != "Commit" || after || late != nil {
				return nil
			}
			late = &kv.Call{Range: c.Range, Request: c.Request}
			return &store.AmbiguousError{Cause: errors.New("no answer")}
		})
		_, err := m.managers[1].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "1"), put(is[1], "1")}, 0)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			t.Fatalf("commit: %v", err)
		}
		pass(store.IDAge)
		m.mu.Lock()
		res := m.evaluate(late)
		m.mu.Unlock()
		if res.Outcome != datastate.Aborted {
			t.Errorf("the late commit: outcome %d", res.Outcome)
		}
		m.want(t, m.managers[2], m.clock.Now(), is, "", "")
		pass(lateAge)
		if m.left() != "" {
			t.Errorf("left: %s", m.left())
		}
	})
}
