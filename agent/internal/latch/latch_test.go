package latch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

func rows(names ...string) [][]byte {
	var out [][]byte
	for _, n := range names {
		out = append(out, []byte(n))
	}
	return out
}

func acquire(t *testing.T, table *Table, owner string, names ...string) *Latch {
	t.Helper()
	l, err := table.Acquire(rows(names...), owner)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func granted(t *testing.T, table *Table, want ...string) {
	t.Helper()
	var got []string
	for _, l := range table.Granted() {
		owner, _ := l.Owner.(string)
		got = append(got, owner)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("granted %v, want %v", got, want)
	}
}

func TestALine(t *testing.T) {
	table := New(3)
	a := acquire(t, table, "a", "x", "y", "x")
	b := acquire(t, table, "b", "y", "z")
	c := acquire(t, table, "c", "z")
	granted(t, table, "a")
	a.Pass()
	granted(t, table, "b")
	b.Pass()
	a.Release()
	a.Release()
	b.Release()
	granted(t, table, "c")
	c.Release()
	if len(table.lines) != 0 {
		t.Errorf("lines are left: %v", table.lines)
	}
}

// TestWhoLeavesTheMiddle has one that waits be cancelled: those behind it move up,
// and are not granted before those ahead of it have passed.
func TestWhoLeavesTheMiddle(t *testing.T) {
	table := New(3)
	a, b := acquire(t, table, "a", "x"), acquire(t, table, "b", "x")
	acquire(t, table, "c", "x")
	if _, err := table.Acquire(rows("x"), "d"); !errors.Is(err, ErrFull) {
		t.Errorf("a fourth in a line of three: %v", err)
	}
	b.Release()
	granted(t, table, "a")
	acquire(t, table, "d", "x")
	a.Release()
	granted(t, table, "c")
	table.Reset()
	granted(t, table)
	if len(table.lines) != 0 {
		t.Error("a reset leaves nothing")
	}
}

// TestWhoTakesOver: a latch that is held goes to another owner ahead of those who wait,
// who get the rows that it does not need. One that is not held any more does not.
func TestWhoTakesOver(t *testing.T) {
	table := New(3)
	a := acquire(t, table, "a", "x", "y")
	granted(t, table, "a")
	acquire(t, table, "b", "y")
	c := acquire(t, table, "c", "x")
	if a.HandOver(rows("x", "z"), "other") || !a.Holding() {
		t.Error("handed over on a row that it does not hold")
	}
	if !a.HandOver(rows("x", "x"), "heir") {
		t.Fatal("not handed over")
	}
	granted(t, table, "b", "heir")
	a.Pass()
	granted(t, table, "c")
	if a.Holding() || a.HandOver(rows("x"), "late") {
		t.Error("handed over after the next was granted")
	}
	a.Release()
	c.Release()
	if c.HandOver(rows("x"), "later") || len(table.lines) != 1 {
		t.Errorf("handed over after its release, or lines are left: %v", table.lines)
	}
}

// TestModel drives random requests, and holds every grant to the rule: nobody who
// came before and shares a row may be undecided, and everybody's turn comes.
func TestModel(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	type request struct {
		l       *Latch
		rows    [][]byte
		granted bool
		passed  bool
	}
	for range 200 {
		table := New(64)
		var open []*request // in the order of arrival
		turns := func() {
			for _, l := range table.Granted() {
				i := slices.IndexFunc(open, func(r *request) bool { return r.l == l })
				if i < 0 || open[i].granted {
					t.Fatal("granted what is not open, or twice")
				}
				open[i].granted = true
			}
			for i, r := range open {
				free := !slices.ContainsFunc(open[:i], func(o *request) bool {
					return !o.passed && slices.ContainsFunc(o.rows, func(row []byte) bool {
						return slices.ContainsFunc(r.rows, func(x []byte) bool { return string(x) == string(row) })
					})
				})
				if free != r.granted {
					t.Fatalf("request %d of %d: free %v, granted %v", i, len(open), free, r.granted)
				}
			}
		}
		for step := range 300 {
			switch n := rng.IntN(10); {
			case n < 4 && step < 250:
				r := &request{}
				for range 1 + rng.IntN(3) {
					r.rows = append(r.rows, []byte(fmt.Sprint(rng.IntN(5))))
				}
				var err error
				if r.l, err = table.Acquire(r.rows, nil); err != nil {
					continue
				}
				open = append(open, r)
			case n == 4 && len(open) > 0:
				r := open[rng.IntN(len(open))]
				rows := r.rows[:1+rng.IntN(len(r.rows))]
				if ok := r.l.HandOver(rows, nil); ok != (r.granted && !r.passed) {
					t.Fatalf("handed over %v: granted %v, passed %v", ok, r.granted, r.passed)
				} else if ok {
					r.rows, r.granted = rows, false
				}
			case n < 7 && len(open) > 0:
				if r := open[rng.IntN(len(open))]; r.granted && !r.passed {
					r.l.Pass()
					r.passed = true
				}
			case len(open) > 0:
				i := rng.IntN(len(open))
				open[i].l.Release()
				open = slices.Delete(open, i, i+1)
			}
			turns()
		}
		for len(open) > 0 {
			i := slices.IndexFunc(open, func(r *request) bool { return r.granted })
			if i < 0 {
				t.Fatal("nobody's turn: a deadlock")
			}
			open[i].l.Release()
			open = slices.Delete(open, i, i+1)
			turns()
		}
		if len(table.lines) != 0 {
			t.Fatalf("%d lines are left", len(table.lines))
		}
	}
}
