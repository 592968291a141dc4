// Package table draws tables of any length: what it costs to draw depends on the
// rows in sight only, and the selection stays on its row when rows move.
//
// # Invariants
//
//  1. The row under the cursor never changes by itself while it exists, and
//     keeps its place on the screen (TestSelectionFollowsItsRow).
//  2. Rows are shared and never changed: another state is another row.
//  3. Of rows that are as they were nothing is asked when others change: neither
//     Key, Match nor Compare (TestOneRowIsOneRow). Only their places are copied.
package table

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Column describes one column of rows T.
type Column[T comparable] struct {
	Title string
	Width int  // cells; of Grow the least
	Grow  bool // takes what is left
	Right bool
	From  int // hidden where the table is narrower than this
	// Cell is called for rows in sight only.
	Cell func(*theme.Theme, T) (string, cell.Style)
	// Compare sorts by the column; nil: it cannot be sorted by.
	Compare func(a, b T) int
}

// Table shows rows T, each known by its Key.
type Table[T comparable] struct {
	Columns []Column[T]
	Key     func(T) uint64
	Sort    int // column; -1: as the rows come
	Reverse bool
	ByKey   bool // the rows come ascending by Key

	rows     []T
	shown    []int32 // places in rows
	spare    []int32 // what shown was before
	match    func(T) bool
	cursor   int
	top      int
	height   int // of the rows in sight, from the last Draw
	selected uint64
	has      bool
	line     cell.Line
	widths   []int
}

// New returns an empty table in the rows' own order.
func New[T comparable](key func(T) uint64, columns ...Column[T]) *Table[T] {
	return &Table[T]{Columns: columns, Key: key, Sort: -1}
}

// Set replaces the rows, which stay shared.
func (t *Table[T]) Set(rows []T) {
	changed, ok := t.changes(rows)
	t.rows = rows
	if !ok {
		t.arrange()
		return
	}
	if len(changed) > 0 {
		t.rearrange(changed)
	}
}

// changes lists, ascending, the places where rows has something else than there is;
// not ok: rows moved, or so many differ that all are better arranged anew.
func (t *Table[T]) changes(rows []T) (changed []int32, ok bool) {
	if len(rows) < len(t.rows) || len(t.rows) == 0 {
		return nil, false
	}
	for i, was := range t.rows {
		if is := rows[i]; is != was {
			if t.Key(is) != t.Key(was) || len(changed) > len(t.rows)/8 {
				return nil, false
			}
			changed = append(changed, int32(i))
		}
	}
	for i := len(t.rows); i < len(rows); i++ {
		changed = append(changed, int32(i))
	}
	return changed, len(changed) <= len(rows)/8+1
}

// rearrange puts the rows at some places where they belong now; the others keep
// their order.
func (t *Table[T]) rearrange(changed []int32) {
	under := int32(-1) // the place of the row under the cursor
	if _, ok := t.Selected(); ok && t.has {
		under = t.shown[t.cursor]
	}
	dirty := make(map[int32]bool, len(changed))
	var in []int32
	for _, i := range changed {
		if dirty[i] = true; t.match == nil || t.match(t.rows[i]) {
			in = append(in, i)
		}
	}
	order := t.order()
	slices.SortFunc(in, order)
	rest := slices.DeleteFunc(t.shown, func(i int32) bool { return dirty[i] })
	out := slices.Grow(t.spare[:0], len(rest)+len(in))
	for _, i := range in {
		at, _ := slices.BinarySearchFunc(rest, i, order)
		out = append(append(out, rest[:at]...), i)
		rest = rest[at:]
	}
	out = append(out, rest...)
	t.shown, t.spare = out, t.shown[:0]
	if under >= 0 && t.Key(t.rows[under]) == t.selected {
		t.follow(slices.Index(t.shown, under))
	} else if t.has {
		t.follow(t.find(t.selected))
	}
	t.clamp()
}

// order is how two places of rows are shown: by the column that is sorted by, then
// as the rows come.
func (t *Table[T]) order() func(a, b int32) int {
	if t.Sort < 0 || t.Sort >= len(t.Columns) || t.Columns[t.Sort].Compare == nil {
		return cmp.Compare[int32]
	}
	compare, sign := t.Columns[t.Sort].Compare, 1
	if t.Reverse {
		sign = -1
	}
	return func(a, b int32) int {
		if c := compare(t.rows[a], t.rows[b]); c != 0 {
			return sign * c
		}
		return cmp.Compare(a, b)
	}
}

// find returns where the row with a key is shown; -1: nowhere.
func (t *Table[T]) find(key uint64) int {
	if !t.ByKey {
		return slices.IndexFunc(t.shown, func(i int32) bool { return t.Key(t.rows[i]) == key })
	}
	at, ok := slices.BinarySearchFunc(t.rows, key, func(r T, key uint64) int { return cmp.Compare(t.Key(r), key) })
	if !ok {
		return -1
	}
	return slices.Index(t.shown, int32(at))
}

// follow moves the cursor to where its row is shown now, on the same line.
func (t *Table[T]) follow(i int) {
	if i >= 0 {
		t.top += i - t.cursor
		t.cursor = i
	}
}

// Match shows only rows for which match holds; nil: all.
func (t *Table[T]) Match(match func(T) bool) {
	t.match = match
	t.arrange()
}

// Len is how many rows are shown, Total how many there are.
func (t *Table[T]) Len() int { return len(t.shown) }

// Total is how many rows there are.
func (t *Table[T]) Total() int { return len(t.rows) }

// Row returns shown row i.
func (t *Table[T]) Row(i int) T { return t.rows[t.shown[i]] }

// Cursor is the shown row under the cursor.
func (t *Table[T]) Cursor() int { return t.cursor }

// Selected returns the row under the cursor.
func (t *Table[T]) Selected() (row T, ok bool) {
	if t.cursor < 0 || t.cursor >= len(t.shown) {
		return row, false
	}
	return t.Row(t.cursor), true
}

func (t *Table[T]) arrange() {
	t.shown = slices.Grow(t.shown[:0], len(t.rows))
	for i, r := range t.rows {
		if t.match == nil || t.match(r) {
			t.shown = append(t.shown, int32(i))
		}
	}
	if t.Sort >= 0 {
		slices.SortFunc(t.shown, t.order())
	}
	if t.has {
		t.follow(t.find(t.selected))
	}
	t.clamp()
}

func (t *Table[T]) clamp() {
	t.cursor = max(0, min(t.cursor, len(t.shown)-1))
	if t.height <= 0 {
		return
	}
	t.top = min(t.top, t.cursor)
	t.top = max(t.top, t.cursor-t.height+1)
	t.top = max(0, min(t.top, len(t.shown)-t.height))
}

// Move moves the cursor by some rows.
func (t *Table[T]) Move(by int) { t.Go(t.cursor + by) }

// Go moves the cursor to a shown row.
func (t *Table[T]) Go(to int) {
	t.cursor = to
	t.clamp()
	if r, ok := t.Selected(); ok {
		t.selected, t.has = t.Key(r), true
	}
}

// Select moves the cursor to the row with a key, if it is shown.
func (t *Table[T]) Select(key uint64) bool {
	if i := t.find(key); i >= 0 {
		t.Go(i)
		return true
	}
	t.selected, t.has = key, true // it may come yet
	return false
}

// Reveal scrolls up as far as the row under the cursor stays in sight.
func (t *Table[T]) Reveal() {
	t.top = 0
	t.clamp()
}

// Page is how many rows a page moves by.
func (t *Table[T]) Page() int { return max(1, t.height-1) }

// NextSort sorts by the next column that can be sorted by, at last by none.
func (t *Table[T]) NextSort() {
	for t.Sort++; t.Sort < len(t.Columns); t.Sort++ {
		if t.Columns[t.Sort].Compare != nil {
			t.arrange()
			return
		}
	}
	t.Sort = -1
	t.arrange()
}

// Flip reverses the order.
func (t *Table[T]) Flip() {
	t.Reverse = !t.Reverse
	t.arrange()
}

// Press does what a key means in a table and reports whether it means anything.
func (t *Table[T]) Press(key string) bool {
	switch key {
	case "up", "k":
		t.Move(-1)
	case "down", "j":
		t.Move(1)
	case "pgup", "ctrl+b":
		t.Move(-t.Page())
	case "pgdown", "ctrl+f":
		t.Move(t.Page())
	case "home", "g":
		t.Go(0)
	case "end", "G":
		t.Go(len(t.shown) - 1)
	case "s":
		t.NextSort()
	case "S":
		t.Flip()
	default:
		return false
	}
	return true
}

// Click moves the cursor to the row at line y of the drawn table.
func (t *Table[T]) Click(y int) bool {
	at := t.top + y - 1
	if y < 1 || y > t.height || at >= len(t.shown) {
		return false
	}
	t.Go(at)
	return true
}

// Draw draws the head and as many rows as fit, width by height cells.
func (t *Table[T]) Draw(th *theme.Theme, width, height int) *cell.Block {
	t.height = max(0, height-1)
	t.clamp()
	t.layout(width - 2)
	out := cell.NewBlock(width)
	out.Add(t.head(th, width))
	bar := t.thumb()
	for y := range min(t.height, len(t.shown)-t.top) {
		out.Add(t.row(th, y, width, bar))
	}
	return out.Resize(max(0, height))
}

// layout shares the width out: fixed columns first, the rest to those that grow.
func (t *Table[T]) layout(width int) {
	t.widths = slices.Grow(t.widths[:0], len(t.Columns))[:len(t.Columns)]
	rest, grow := width-1, 0
	for i := range t.Columns {
		c := &t.Columns[i]
		t.widths[i] = c.Width
		if c.From > width+2 {
			t.widths[i] = 0
			continue
		}
		rest -= c.Width + 1
		if c.Grow {
			grow++
		}
	}
	for i := range t.Columns {
		if t.Columns[i].Grow && t.widths[i] > 0 && rest > 0 {
			share := rest / grow
			t.widths[i] += share
			rest, grow = rest-share, grow-1
		}
	}
}

func (t *Table[T]) head(th *theme.Theme, width int) *cell.Line {
	l := &t.line
	l.Reset(width)
	l.Space(1)
	for i := range t.Columns {
		c := &t.Columns[i]
		if t.widths[i] == 0 {
			continue
		}
		title, style := c.Title, th.Head
		if i == t.Sort {
			arrow := th.Sym.Up
			if t.Reverse {
				arrow = th.Sym.Down
			}
			title, style = title+arrow, th.Title
		}
		l.Field(style, title, t.widths[i], c.Right).Space(1)
	}
	return l
}

func (t *Table[T]) row(th *theme.Theme, y, width int, bar [2]int) *cell.Line {
	r, on := t.Row(t.top+y), t.top+y == t.cursor
	l := &t.line
	l.Reset(width)
	if on {
		l.Open(th.Select)
	}
	if on && !th.Color {
		l.Put(cell.Style{}, th.Sym.Cursor)
	} else {
		l.Space(1)
	}
	for i := range t.Columns {
		if t.widths[i] == 0 {
			continue
		}
		text, style := t.Columns[i].Cell(th, r)
		if on {
			style = cell.Style{} // one style for the whole row: nested ones would end it
		}
		l.Field(style, text, t.widths[i], t.Columns[i].Right).Space(1)
	}
	l.To(width - 1)
	if on {
		l.Close(th.Select)
	}
	if len(t.shown) > t.height {
		if y >= bar[0] && y < bar[1] {
			l.Put(th.Dim, th.Sym.Thumb)
		} else {
			l.Put(th.Rule, th.Sym.Vertical)
		}
	}
	return l
}

// thumb is the part of the scroll bar that is in sight.
func (t *Table[T]) thumb() [2]int {
	if len(t.shown) <= t.height || t.height == 0 {
		return [2]int{}
	}
	from := t.top * t.height / len(t.shown)
	return [2]int{from, max(from+1, (t.top+t.height)*t.height/len(t.shown))}
}
