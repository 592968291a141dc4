package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

type row struct{ id, load int }

var look = theme.New(theme.Want{Name: theme.Mono, Profile: colorprofile.ASCII, Ascii: true})

func newTable() *Table[row] {
	return New(func(r row) uint64 { return uint64(r.id) },
		Column[row]{Title: "ID", Width: 5, Cell: func(th *theme.Theme, r row) (string, cell.Style) { return fmt.Sprint(r.id), th.Plain }},
		Column[row]{Title: "LOAD", Width: 6, Right: true, Cell: func(th *theme.Theme, r row) (string, cell.Style) { return fmt.Sprint(r.load), th.Plain },
			Compare: func(a, b row) int { return cmp.Compare(a.load, b.load) }},
		Column[row]{Title: "REST", Width: 4, Grow: true, From: 40, Cell: func(th *theme.Theme, _ row) (string, cell.Style) { return "x", th.Plain }},
	)
}

func some(n int) []row {
	out := make([]row, n)
	for i := range out {
		out[i] = row{id: i + 1, load: (i * 37) % 101}
	}
	return out
}

// at is the screen line of the row under the cursor.
func at(t *testing.T, tb *Table[row], height int) int {
	t.Helper()
	for y, l := range strings.Split(tb.Draw(look, 30, height).String(), "\n") {
		if strings.Contains(ansi.Strip(l), look.Sym.Cursor) && y > 0 {
			return y
		}
	}
	t.Fatalf("no cursor in\n%s", tb.Draw(look, 30, height))
	return 0
}

func TestSelectionFollowsItsRow(t *testing.T) {
	tb := newTable()
	tb.Set(some(100))
	tb.Draw(look, 30, 11)
	tb.Go(50)
	before := at(t, tb, 11)
	rows := some(100)
	for i := range 7 { // new rows above
		rows = append([]row{{id: 1000 + i}}, rows...)
	}
	tb.Set(rows)
	if r, _ := tb.Selected(); r.id != 51 {
		t.Errorf("the cursor is on row %d, want 51", r.id)
	}
	if after := at(t, tb, 11); after != before {
		t.Errorf("the row jumped from line %d to %d", before, after)
	}
	tb.Set(slices.DeleteFunc(rows, func(r row) bool { return r.id == 51 }))
	if _, ok := tb.Selected(); !ok {
		t.Error("nothing is selected after its row went")
	}
}

func TestSortAndMatch(t *testing.T) {
	tb := newTable()
	tb.Set(some(50))
	tb.NextSort()
	if tb.Sort != 1 {
		t.Fatalf("sorted by column %d, want 1: column 0 cannot be", tb.Sort)
	}
	for i := range tb.Len() - 1 {
		if tb.Row(i).load > tb.Row(i+1).load {
			t.Fatalf("row %d is out of order", i)
		}
	}
	tb.Flip()
	if tb.Row(0).load < tb.Row(1).load {
		t.Error("not reversed")
	}
	tb.Match(func(r row) bool { return r.load > 90 })
	for i := range tb.Len() {
		if tb.Row(i).load <= 90 {
			t.Errorf("row %+v does not match", tb.Row(i))
		}
	}
	if tb.Len() == 0 || tb.Total() != 50 {
		t.Errorf("%d of %d shown", tb.Len(), tb.Total())
	}
	tb.NextSort()
	if tb.Sort != -1 {
		t.Errorf("after the last column: %d, want the rows' own order", tb.Sort)
	}
}

func TestDrawFits(t *testing.T) {
	tb := newTable()
	for _, n := range []int{0, 1, 5, 1000} {
		tb.Set(some(n))
		for w := 8; w < 90; w += 3 {
			for h := 1; h < 20; h++ {
				tb.Go(n - 1)
				lines := strings.Split(tb.Draw(look, w, h).String(), "\n")
				if len(lines) != h {
					t.Fatalf("%d rows in %dx%d: %d lines", n, w, h, len(lines))
				}
				for _, l := range lines {
					if ansi.StringWidth(l) > w {
						t.Fatalf("%d rows in %dx%d: %q is too wide", n, w, h, ansi.Strip(l))
					}
				}
			}
		}
	}
}

func BenchmarkSetAndDraw(b *testing.B) {
	tb := newTable()
	rows := some(10_000)
	tb.NextSort()
	for b.Loop() {
		tb.Set(rows)
		tb.Draw(look, 160, 44)
	}
}
