package txn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/store"
)

func (m *model) commitOK(t *testing.T, mgr *Manager, muts ...kv.Mutation) hlc.Timestamp {
	t.Helper()
	ts, err := mgr.Begin(ReadCommitted, Info{}).Commit(t.Context(), muts, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func TestCommitOfOneRangeIsOneCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 4)
		i := m.apart(t, 1)[0]
		mgr := m.managers[1]
		ts := m.commitOK(t, mgr, put(i, "a"))
		m.want(t, mgr, ts, []int{i}, "a")
		if m.entries != 1 || m.left() != "" || len(mgr.List()) != 0 {
			t.Errorf("%d entries, left: %s, transactions %v", m.entries, m.left(), mgr.List())
		}
	})
}

func TestCommitOfSeveralRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 3)
		before := m.clock.Now()
		ts := m.commitOK(t, m.managers[1], put(is[0], "a"), put(is[1], "b"), put(is[2], "c"))
		m.want(t, m.managers[2], ts, is, "a", "b", "c")
		m.want(t, m.managers[2], before, is, "", "", "")
		synctest.Wait()
		pass(time.Second)
		if s := m.managers[1].Stats(); m.left() != "" || s.Committed != 1 || s.Open != 0 || s.Cleanups != 0 {
			t.Errorf("left: %s, stats %+v", m.left(), s)
		}
		// Its intents are gone, and it is forgotten.
		if all := m.managers[1].List(); len(all) != 0 {
			t.Errorf("transactions: %+v", all)
		}
	})
}

// TestConditions: a condition that fails leaves nothing anywhere, and says which it was.
func TestConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 4)
		is, mgr := m.apart(t, 3), m.managers[1]
		old := m.commitOK(t, mgr, put(is[2], "old"))
		muts := []kv.Mutation{put(is[0], "a"), put(is[1], "b"), put(is[2], "c")}
		muts[2].Expect = datastate.Absent
		_, err := mgr.Begin(ReadCommitted, Info{}).Commit(t.Context(), muts, 0)
		var failed *kv.ConditionError
		var conflict *ConflictError
		if !errors.As(err, &failed) || failed.Mutation != 2 || string(failed.Existing) != "old" || errors.As(err, &conflict) {
			t.Errorf("absent: %v", err)
		}
		muts[2].Expect, muts[2].ExpectTS = datastate.VersionIs, old-1
		_, err = mgr.Begin(ReadCommitted, Info{}).Commit(t.Context(), muts, 0)
		if !errors.As(err, &conflict) {
			t.Errorf("version: %v", err)
		}
		// A row that has changed says more than one that is there, in whatever order, if
		// both are asked for: the range with the most to write is asked last.
		muts[1].Value = []byte("the most to write")
		m.commitOK(t, mgr, put(is[0], "old"))
		muts[0].Expect = datastate.Absent
		for range 2 {
			_, err = mgr.Begin(ReadCommitted, Info{}).Commit(t.Context(), muts, 0)
			if !errors.As(err, &conflict) {
				t.Errorf("absent and version: %v", err)
			}
			muts[0], muts[2] = muts[2], muts[0]
		}
		pass(time.Second)
		m.want(t, mgr, m.clock.Now(), is, "old", "", "old")
		if m.left() != "" {
			t.Errorf("left: %s", m.left())
		}
	})
}

// at is the name of a request.
func at(c *kv.Call) string { return fmt.Sprintf("%T", c.Request)[len("*datastate."):] }

// TestReaderPushes: a reader that meets the intents of a commit under way goes on, and the
// commit comes after it.
func TestReaderPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 3)
		m.commitOK(t, m.managers[1], put(is[0], "0"), put(is[1], "0"), put(is[2], "0"))
		pass(time.Second)
		var read hlc.Timestamp
		m.hooked(func(c *kv.Call, after bool) error {
			if at(c) == "Commit" && !after {
				m.hooked(nil)
				read = m.clock.Now()
				m.want(t, m.managers[2], read, is, "0", "0", "0")
			}
			return nil
		})
		ts := m.commitOK(t, m.managers[1], put(is[0], "1"), put(is[1], "1"), put(is[2], "1"))
		if ts <= read {
			t.Errorf("committed at %s, after a read at %s", ts, read)
		}
		m.want(t, m.managers[2], read, is, "0", "0", "0")
		m.want(t, m.managers[2], ts, is, "1", "1", "1")
	})
}

func TestLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 3)
		m.commitOK(t, m.managers[1], put(is[0], "a"), put(is[1], "b"))
		pass(time.Second)
		t1, t2 := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
		rows, _, err := t1.Lock(t.Context(), lockRequest(is[0], is[2]))
		if err != nil || string(rows[0].Value) != "a" || rows[0].Version == 0 || rows[1].Value != nil {
			t.Fatalf("lock: %+v, %v", rows, err)
		}
		r := lockRequest(is...)
		r.Wait = evaluation.NoWait
		if _, _, err := t2.Lock(t.Context(), r); !errors.Is(err, ErrLockNotAvailable) || errors.Is(err, ErrLockTimeout) {
			t.Errorf("nowait: %v", err)
		}
		r.Wait = evaluation.SkipLocked
		rows, skipped, err := t2.Lock(t.Context(), r)
		if err != nil || !skipped[0] || skipped[1] || !skipped[2] || string(rows[1].Value) != "b" {
			t.Errorf("skip locked: %+v, %v, %v", rows, skipped, err)
		}
		r.Wait, r.Timeout = evaluation.Block, 1500*time.Millisecond
		begun := time.Now()
		if _, _, err := t2.Lock(t.Context(), r); !errors.Is(err, ErrLockTimeout) || time.Since(begun) != r.Timeout {
			t.Errorf("lock timeout: %v after %s", err, time.Since(begun))
		}
		if s := t1.status(0); s.LockedRows != 2 {
			t.Errorf("status %+v", s)
		}
		// Who waits gets the row as the one before has left it.
		done := make(chan error)
		go func() {
			rows, _, err := t2.Lock(context.Background(), lockRequest(is[0]))
			if err == nil && string(rows[0].Value) != "x" {
				err = fmt.Errorf("the row is %q", rows[0].Value)
			}
			done <- err
		}()
		pass(3 * time.Second)
		if w := m.managers[2].List()[0]; w.State != Open || len(w.WaitsFor) != 1 || w.WaitsFor[0] != t1.ID() || w.Waits == 0 {
			t.Errorf("the one that waits: %+v", w)
		}
		if _, err := t1.Commit(t.Context(), []kv.Mutation{put(is[0], "x")}, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		t2.Rollback()
		pass(time.Second)
		if m.left() != "" {
			t.Errorf("left: %s", m.left())
		}
	})
}

// TestDeadlocks: of those that wait for each other the youngest is the victim, and only
// that one.
func TestDeadlocks(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 3, 8)
				is := m.apart(t, n)
				txns, errs := make([]*Txn, n), make([]error, n)
				for i := range txns {
					txns[i] = m.managers[cluster.NodeID(i%3+1)].Begin(ReadCommitted, Info{})
					if _, _, err := txns[i].Lock(t.Context(), lockRequest(is[i])); err != nil {
						t.Fatal(err)
					}
				}
				var wg sync.WaitGroup
				for i := range txns {
					wg.Go(func() {
						if _, _, errs[i] = txns[i].Lock(context.Background(), lockRequest(is[(i+1)%n])); errs[i] != nil {
							txns[i].Rollback()
							return
						}
						_, errs[i] = txns[i].Commit(context.Background(), []kv.Mutation{put(is[i], "x"), put(is[(i+1)%n], "y")}, 0)
					})
				}
				wg.Wait()
				for i, err := range errs {
					var deadlock *DeadlockError
					if i == n-1 && (!errors.As(err, &deadlock) || len(deadlock.Cycle) != n || deadlock.Cycle[0] != txns[i].ID()) || i < n-1 && err != nil {
						t.Errorf("transaction %d: %v", i, err)
					}
				}
				pass(time.Second)
				if m.left() != "" {
					t.Errorf("left: %s", m.left())
				}
			})
		})
	}
}

// TestNoDeadlockOfThePast: a transaction whose request is under way says for whom it
// waited when it was told last. That it waits for one who is behind it by now is no
// deadlock, however often it is asked; that it is told so anew is one.
func TestNoDeadlockOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 1)
		older, younger := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
		defer older.Rollback()
		defer younger.Rollback()
		by := func(x *Txn) []datastate.Blocker {
			return []datastate.Blocker{{Txn: x.ID(), Record: x.recordAt(row(1)), Row: row(1)}}
		}
		first := &contention{m: m.managers[1], t: older, since: m.managers[1].cfg.Now()}
		second := &contention{m: m.managers[2], t: younger, since: m.managers[2].cfg.Now()}
		if err := first.blocked(t.Context(), by(younger)); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			pass(600 * time.Millisecond)
			if err := second.blocked(t.Context(), by(older)); err != nil {
				t.Fatalf("the other has not been told since: %v", err)
			}
		}
		var deadlock *DeadlockError
		for try := 0; !errors.As(second.blocked(t.Context(), by(older)), &deadlock); try++ {
			if try == 3 {
				t.Fatal("no deadlock is found")
			}
			if err := first.blocked(t.Context(), by(younger)); err != nil {
				t.Fatal(err)
			}
			pass(600 * time.Millisecond)
		}
	})
}

// TestUpgrade: two that share a row and both want to change it.
func TestUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 2)
		share := lockRequest(1)
		share.Strength = lock.Share
		t1, t2 := m.managers[1].Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
		for _, x := range []*Txn{t1, t2} {
			if _, _, err := x.Lock(t.Context(), share); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		go func() { _, _, err := t1.Lock(context.Background(), lockRequest(1)); done <- err }()
		_, _, err := t2.Lock(t.Context(), lockRequest(1))
		var deadlock *DeadlockError
		if !errors.As(err, &deadlock) {
			t.Fatalf("the younger: %v", err)
		}
		t2.Rollback()
		if err := <-done; err != nil {
			t.Fatalf("the older: %v", err)
		}
		t1.Rollback()
	})
}

// TestSplit: ranges change while a transaction locks and commits.
func TestSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 2)
		mgr := m.managers[1]
		var muts []kv.Mutation
		var is []int
		for i := range 40 {
			muts, is = append(muts, put(i, "v")), append(is, i)
		}
		splits := 0
		m.hooked(func(c *kv.Call, after bool) error {
			if !after && splits < 6 && (at(c) == "Prewrite" || at(c) == "Commit" || at(c) == "Resolve") {
				splits++
				m.mu.Lock()
				defer m.mu.Unlock()
				next := m.bounds[len(m.bounds)-1]
				m.bounds = append(m.bounds, next+(cluster.VShards-next)/2)
			}
			return nil
		})
		ts := m.commitOK(t, mgr, muts...)
		got := make([]string, len(is))
		for i := range got {
			got[i] = "v"
		}
		m.want(t, mgr, ts, is, got...)
		pass(5 * time.Second)
		if m.left() != "" || splits < 6 {
			t.Errorf("left: %s, %d splits", m.left(), splits)
		}
	})
}

// TestLarge: what one command does not hold is written in several, in one range too.
func TestLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 1)
		var muts []kv.Mutation
		for i := range 64 {
			muts = append(muts, put(i, string(make([]byte, 100<<10))))
		}
		var mu sync.Mutex
		most := 0
		m.hooked(func(c *kv.Call, _ bool) error {
			mu.Lock()
			defer mu.Unlock()
			most = max(most, c.Bytes)
			return nil
		})
		m.commitOK(t, m.managers[1], muts...)
		pass(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if m.left() != "" || most > chunkBytes {
			t.Errorf("left: %s, commands of %d bytes", m.left(), most)
		}
	})
}

// TestManyRows: what a large transaction has left is asked of the leaders in pieces that
// they can evaluate before whoever asks gives up.
func TestManyRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 3)
		var muts []kv.Mutation
		for i := range 20 * chunkRows {
			muts = append(muts, put(i, "v"))
		}
		var mu sync.Mutex
		under, most, rows, spans := 0, 0, 0, false
		m.hooked(func(c *kv.Call, after bool) error {
			mu.Lock()
			defer mu.Unlock()
			r, ok := c.Request.(*datastate.Resolve)
			switch {
			case ok && after:
				under--
			case ok:
				under, rows = under+1, max(rows, len(r.Rows))
				spans = spans || r.Span.To != ""
				most = max(most, under)
			}
			return nil
		})
		m.commitOK(t, m.managers[1], muts...)
		pass(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if m.left() != "" || rows > chunkRows || most > resolveCalls || rows != 0 || !spans {
			t.Errorf("left: %s; named %d rows in a call, %d calls at once", m.left(), rows, most)
		}
	})
}

// TestManyRowsAreTakenBack: what a large transaction has left that does not commit is asked of
// the leaders by span, but for what no span finds: what may be on its way there, and rows
// that were refused, whose locks a leader has in memory.
func TestManyRowsAreTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if found := takenBack(t, Planted{}); found != "" {
			t.Error(found)
		}
	})
}

// takenBack says what a large transaction has left behind that was refused.
func takenBack(t *testing.T, p Planted) string {
	t.Helper()
	m := newModel(t, 1, 3)
	m.managers[1].Close()
	mgr := m.start(1, 2, p)
	last := 20 * chunkRows
	m.commitOK(t, mgr, put(last, "old"))
	var muts []kv.Mutation
	for i := range last + 1 {
		muts = append(muts, put(i, "v"))
	}
	muts[last].Expect = datastate.Absent
	for _, lost := range []bool{false, true} {
		named, spans, unanswered, refused := map[string]bool{}, false, map[string]bool{}, 0
		m.hooked(func(c *kv.Call, after bool) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			switch r := c.Request.(type) {
			case *datastate.Resolve:
				for _, row := range r.Rows {
					named[string(row)] = true
				}
				spans = spans || r.Span.To != ""
			case *datastate.Prewrite:
				switch {
				case after && c.Result.Outcome == datastate.ConditionFailed:
					refused = len(r.Ops)
				case after && lost && len(unanswered) == 0:
					for i := range r.Ops {
						unanswered[string(r.Ops[i].Row)] = true
					}
					m.unseen = unanswered
					return &store.AmbiguousError{Cause: errors.New("no answer")}
				}
			}
			return nil
		})
		if _, err := mgr.Begin(ReadCommitted, Info{}).Commit(t.Context(), muts, 0); err == nil {
			t.Fatal("it has committed")
		}
		pass(10 * time.Second)
		left := m.left()
		m.mu.Lock()
		if left != "" || !spans || refused == 0 || len(named) != len(unanswered)+refused || lost != (len(unanswered) > 0) {
			left = fmt.Sprintf("lost %t: left: %s; named %d rows, %d had no answer and %d were refused, spans %t", lost, left, len(named), len(unanswered), refused, spans)
		}
		m.mu.Unlock()
		if left != "" {
			return left
		}
	}
	m.want(t, mgr, m.clock.Now(), []int{0, 1, last}, "", "", "old")
	return ""
}

func FuzzAnswer(f *testing.F) {
	f.Add(encodeAnswer(&Answer{State: Committed, TS: 7, Waits: []cluster.TxnID{{1}, {2}}, Told: 300}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAnswer(b); err == nil && string(encodeAnswer(&a)) != string(b) {
			t.Errorf("% x is read as %+v", b, a)
		}
	})
}
