package lock_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

func id(n int) (i lock.ID) { i[0], i[1] = byte(n>>8), byte(n); return i }

// TestStrengths is PostgreSQL's table of conflicts between row locks.
func TestStrengths(t *testing.T) {
	want := map[[2]lock.Strength]bool{
		{lock.KeyShare, lock.KeyShare}: false, {lock.KeyShare, lock.Share}: false, {lock.KeyShare, lock.NoKeyUpdate}: false, {lock.KeyShare, lock.Update}: true,
		{lock.Share, lock.Share}: false, {lock.Share, lock.NoKeyUpdate}: true, {lock.Share, lock.Update}: true,
		{lock.NoKeyUpdate, lock.NoKeyUpdate}: true, {lock.NoKeyUpdate, lock.Update}: true, {lock.Update, lock.Update}: true,
	}
	for pair, conflict := range want {
		if a, b := pair[0].Conflicts(pair[1]), pair[1].Conflicts(pair[0]); a != conflict || b != conflict {
			t.Errorf("%s and %s: %v, %v, want %v", pair[0], pair[1], a, b, conflict)
		}
	}
}

// blockers are the ids of Blockers.
func blockers(t *lock.Table, i lock.ID, row []byte, s lock.Strength, w *lock.Waiter) (ids []lock.ID) {
	for _, b := range t.Blockers(i, row, s, w) {
		ids = append(ids, b.ID)
	}
	return ids
}

// owners are whom Ready names.
func owners(t *lock.Table) (names []any) {
	for _, w := range t.Ready() {
		names = append(names, w.Owner)
	}
	return names
}

func TestLineIsFair(t *testing.T) {
	tb, row := lock.New(10), []byte("r")
	if !tb.Acquire(id(1), nil, row, lock.Update, nil) {
		t.Fatal("a free row is not given")
	}
	w2, _ := tb.Enqueue(id(2), nil, row, lock.Share, "2")
	w3, _ := tb.Enqueue(id(3), nil, row, lock.Update, "3")
	w4, _ := tb.Enqueue(id(4), nil, row, lock.Share, "4")
	if got := owners(tb); got != nil {
		t.Fatalf("ready behind a holder: %v", got)
	}
	if b := blockers(tb, id(4), row, lock.Share, w4); !slices.Equal(b, []lock.ID{id(1), id(3)}) {
		t.Errorf("4 is blocked by %v", b)
	}
	tb.Release(id(1))
	if got := owners(tb); !slices.Equal(got, []any{"2"}) {
		t.Fatalf("ready: %v", got) // 4 could share with 2, but came after 3
	}
	if tb.Acquire(id(5), nil, row, lock.KeyShare, nil) { // it conflicts with 3, which was first
		t.Error("one that came late overtook")
	}
	if !tb.Acquire(id(2), nil, row, lock.Share, w2) {
		t.Fatal("who is ready does not get it")
	}
	tb.Leave(w3)
	if got := owners(tb); !slices.Equal(got, []any{"4"}) {
		t.Fatalf("ready after 3 has left: %v", got)
	}
	if !tb.Acquire(id(4), nil, row, lock.Share, w4) {
		t.Error("two do not share")
	}
	tb.Release(id(2))
	tb.Release(id(4))
	if tb.Len() != 0 {
		t.Errorf("%d rows are left", tb.Len())
	}
}

// TestBehindAStatement: who stands behind a statement, which has no record, waits for those
// that it waits for, too; behind a transaction it does not: that says so itself.
func TestBehindAStatement(t *testing.T) {
	for _, record := range [][]byte{nil, []byte("2")} {
		tb, row := lock.New(10), []byte("r")
		tb.Acquire(id(1), []byte("1"), row, lock.KeyShare, nil)
		w2, _ := tb.Enqueue(id(2), record, row, lock.Update, "2")
		w3, _ := tb.Enqueue(id(3), []byte("3"), row, lock.KeyShare, "3")
		want := []lock.ID{id(2)}
		if record == nil {
			want = []lock.ID{id(1), id(2)}
		}
		for w, want := range map[*lock.Waiter][]lock.ID{w2: {id(1)}, w3: want} {
			var got []lock.ID
			for _, b := range tb.Behind(w) {
				got = append(got, b.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v waits for %v, want %v (record %q)", w.Owner, got, want, record)
			}
		}
	}
}

// TestHolderGoesFirst: who holds a share and wants more does not wait behind those
// that wait for its share.
func TestHolderGoesFirst(t *testing.T) {
	tb, row := lock.New(10), []byte("r")
	tb.Acquire(id(1), nil, row, lock.Share, nil)
	_, _ = tb.Enqueue(id(2), nil, row, lock.Update, "2")
	if !tb.Acquire(id(1), nil, row, lock.Update, nil) {
		t.Fatal("a holder waits behind one that waits for it")
	}
	if !tb.Acquire(id(1), nil, row, lock.KeyShare, nil) {
		t.Fatal("a holder waits for itself")
	}
	if all := tb.All(10); len(all) != 2 || all[0].Strength != lock.Update || all[1].Granted {
		t.Errorf("locks: %+v", all)
	}
	// Two that share and both want more wait for each other: that is a deadlock, which
	// whoever sees both has to end.
	tb = lock.New(10)
	tb.Acquire(id(1), nil, row, lock.Share, nil)
	tb.Acquire(id(2), nil, row, lock.Share, nil)
	if b := blockers(tb, id(1), row, lock.Update, nil); !slices.Equal(b, []lock.ID{id(2)}) {
		t.Errorf("1 is blocked by %v", b)
	}
	w1, _ := tb.Enqueue(id(1), nil, row, lock.Update, "1")
	if b := blockers(tb, id(2), row, lock.Update, nil); !slices.Contains(b, id(1)) {
		t.Errorf("2 is blocked by %v", b)
	}
	tb.Release(id(2))
	if got := owners(tb); !slices.Equal(got, []any{"1"}) || !tb.Acquire(id(1), nil, row, lock.Update, w1) {
		t.Errorf("after 2 has gone: %v", got)
	}
}

func TestFullAndSplit(t *testing.T) {
	tb := lock.New(1)
	for _, r := range []string{"a", "b"} {
		tb.Acquire(id(1), nil, []byte(r), lock.Update, nil)
		if _, err := tb.Enqueue(id(2), nil, []byte(r), lock.Update, r); err != nil {
			t.Fatal(err)
		}
		if _, err := tb.Enqueue(id(3), nil, []byte(r), lock.Update, r); err != lock.ErrFull {
			t.Fatalf("a full line takes one more: %v", err)
		}
	}
	waited := tb.Remove(func(row string) bool { return row >= "b" })
	if len(waited) != 1 || waited[0].Owner != "b" || !slices.Equal(tb.Held(id(1)), []string{"a"}) {
		t.Fatalf("waited %v, held %v", waited, tb.Held(id(1)))
	}
	tb.Leave(waited[0]) // nothing more to leave
	if waited := tb.Reset(); len(waited) != 1 || tb.Len() != 0 || tb.Ready() != nil {
		t.Fatalf("waited %v", waited)
	}
}

// TestRandom has transactions come, wait, get and go, and checks after each step that
// no two hold what excludes each other, and that nobody waits for nobody.
func TestRandom(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	tb := lock.New(100)
	type want struct {
		row string
		w   *lock.Waiter
	}
	waits, told := map[int]want{}, map[*lock.Waiter]bool{}
	strength := map[*lock.Waiter]lock.Strength{}
	for step := range 20_000 {
		n := rng.IntN(12)
		row, s := fmt.Sprint(rng.IntN(4)), lock.Strength(1+rng.IntN(4))
		x, waiting := waits[n]
		switch {
		case waiting && rng.IntN(3) == 0:
			tb.Leave(x.w)
			delete(waits, n)
		case waiting:
			free := len(tb.Blockers(id(n), []byte(x.row), strength[x.w], x.w)) == 0
			if got := tb.Acquire(id(n), nil, []byte(x.row), strength[x.w], x.w); got != free {
				t.Fatalf("step %d: acquired %v, free %v", step, got, free)
			} else if got {
				delete(waits, n)
			}
		case rng.IntN(4) == 0:
			tb.Release(id(n))
		case !tb.Acquire(id(n), nil, []byte(row), s, nil):
			w, err := tb.Enqueue(id(n), nil, []byte(row), s, n)
			if err != nil {
				t.Fatal(err)
			}
			waits[n], strength[w] = want{row, w}, s
		}
		for _, w := range tb.Ready() {
			told[w] = true
		}
		holders := map[string][]lock.Lock{}
		for _, l := range tb.All(1000) {
			if !l.Granted {
				continue
			}
			for _, o := range holders[string(l.Row)] {
				if o.ID != l.ID && o.Strength.Conflicts(l.Strength) {
					t.Fatalf("step %d: %v and %v hold %s", step, o, l, l.Row)
				}
			}
			holders[string(l.Row)] = append(holders[string(l.Row)], l)
		}
		for m, x := range waits {
			if len(tb.Blockers(id(m), []byte(x.row), strength[x.w], x.w)) > 0 {
				told[x.w] = false // and has to be told again
			} else if !told[x.w] {
				t.Fatalf("step %d: %d waits for nobody and was not told", step, m)
			}
		}
	}
	for n := range 12 {
		if x, ok := waits[n]; ok {
			tb.Leave(x.w)
		}
		tb.Release(id(n))
	}
	if tb.Len() != 0 {
		t.Errorf("%d rows are left", tb.Len())
	}
}

// TestTheRecordMoves: those that are blocked are told the record that was named last.
func TestTheRecordMoves(t *testing.T) {
	tb := lock.New(4)
	row := []byte("a")
	tb.Acquire(id(1), []byte("told"), row, lock.NoKeyUpdate, nil)
	if tb.Waited(row) {
		t.Error("nobody waits")
	}
	if _, err := tb.Enqueue(id(2), []byte("other"), row, lock.Update, nil); err != nil || !tb.Waited(row) {
		t.Errorf("one waits: %v, %v", tb.Waited(row), err)
	}
	tb.Acquire(id(1), []byte("moved"), row, lock.NoKeyUpdate, nil)
	if by := tb.Blockers(id(3), row, lock.Update, nil); len(by) != 2 || string(by[0].Record) != "moved" {
		t.Errorf("blocked by %q", by)
	}
}
