package table

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// asked counts what a table asks of rows.
type asked struct{ keys, matches, compares int }

func countingTable(a *asked) *Table[*row] {
	t := New(func(r *row) uint64 { a.keys++; return uint64(r.id) },
		Column[*row]{Title: "LOAD", Width: 6, Cell: func(th *theme.Theme, _ *row) (string, cell.Style) { return "x", th.Plain },
			Compare: func(x, y *row) int { a.compares++; return cmp.Compare(x.load, y.load) }})
	t.ByKey = true
	return t
}

func pointers(n int) []*row {
	out := make([]*row, n)
	for i, r := range some(n) {
		out[i] = &r
	}
	return out
}

// TestATableIsWhatAFreshOneIs: rows that change, and rows that are new, come to where
// a table has them that is arranged from nothing, with and without order and filter.
func TestATableIsWhatAFreshOneIs(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	var a asked
	tb, rows := countingTable(&a), pointers(200)
	tb.Set(rows)
	for step := range 500 {
		rows = slices.Clone(rows)
		for range rng.IntN(4) {
			i := rng.IntN(len(rows))
			rows[i] = &row{id: rows[i].id, load: rng.IntN(20)}
		}
		switch rng.IntN(12) {
		case 0:
			rows = append(rows, &row{id: rows[len(rows)-1].id + 1, load: rng.IntN(20)})
		case 1:
			rows = slices.Delete(rows, 3, 4)
		case 2:
			tb.NextSort()
		case 3:
			tb.Flip()
		case 4:
			least := rng.IntN(15)
			tb.Match(func(r *row) bool { return r.load >= least })
		case 5:
			tb.Go(rng.IntN(tb.Len() + 1))
		}
		before, had := tb.Selected()
		tb.Set(rows)
		fresh := countingTable(&asked{})
		fresh.Sort, fresh.Reverse, fresh.match = tb.Sort, tb.Reverse, tb.match
		fresh.Set(rows)
		if !slices.Equal(tb.shown, fresh.shown) {
			t.Fatalf("seed %d, step %d: shown are %v, want %v", seed, step, tb.shown, fresh.shown)
		}
		if after, ok := tb.Selected(); had && tb.has && ok && fresh.find(uint64(before.id)) >= 0 && uint64(before.id) == tb.selected && after.id != before.id {
			t.Fatalf("seed %d, step %d: the cursor went from %d to %d", seed, step, before.id, after.id)
		}
	}
}

// TestOneRowIsOneRow: one row that changes is asked for as much among 100,000 as the
// depth of a search among them, whatever the order and the filter.
func TestOneRowIsOneRow(t *testing.T) {
	for _, order := range []int{-1, 0} {
		for _, n := range []int{1000, 100_000} {
			var a asked
			tb, rows := countingTable(&a), pointers(n)
			tb.Sort = order
			tb.Match(func(*row) bool { a.matches++; return true })
			tb.Set(rows)
			tb.Go(n / 2)
			rows = slices.Clone(rows)
			rows[n/3] = &row{id: n/3 + 1, load: 50}
			a = asked{}
			tb.Set(rows)
			if a.matches != 1 || a.keys > 5 || a.compares > 20 {
				t.Errorf("order %d: of %d rows one that changed was asked for %+v", order, n, a)
			}
		}
	}
}
