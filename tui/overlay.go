package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Sizes of what is laid over a view.
const (
	dialogWidth  = 100
	paletteWidth = 84
	helpWidth    = 92
)

// withOperations adds the list of operations to topics.
func withOperations(topics []string) []string {
	if slices.Contains(topics, feed.Operations) {
		return topics
	}
	return append(slices.Clone(topics), feed.Operations)
}

// overlay lays what is open over the frame and returns its cursor.
func (d *Dashboard) overlay(b *cell.Block) *tea.Cursor {
	var top *cell.Block
	x, y := -1, -1
	most := d.h - 2
	switch {
	case d.dialog != nil:
		drawn := d.dialog.Draw(d.th, min(dialogWidth, d.w-4), most, d.cfg.now())
		top, x, y = drawn.Block, drawn.CursorX, drawn.CursorY
	case d.palette != nil:
		top = d.palette.draw(d.th, min(paletteWidth, d.w-4), most)
		x, y = 2+1+d.palette.input.Cursor(), 1
	case d.help:
		top = d.drawHelp(min(helpWidth, d.w-4), most)
	default:
		return nil
	}
	left, up := (d.w-top.Width)/2, max(1, (d.h-top.Height())/3)
	up = min(up, max(0, d.h-1-top.Height()))
	b.Over(top, left, up)
	if x < 0 {
		return nil
	}
	at := tea.NewCursor(left+x, up+y)
	at.Blink = false
	return at
}

// drawHelp is the help of the view that is shown.
func (d *Dashboard) drawHelp(width, height int) *cell.Block {
	th := d.th
	column := (width - 4 - 3) / 2
	left, right := cell.NewBlock(column), cell.NewBlock(column)
	list := func(b *cell.Block, keys ...*keymap.Key) {
		for _, k := range keys {
			b.Add(cell.NewLine(column).Space(1).Field(th.Key, k.Label, 8, false).Put(th.Plain, k.Does))
		}
	}
	left.Text(th.Title, "in "+d.page().Name())
	list(left, d.keys()...)
	right.Text(th.Title, "everywhere")
	list(right, &keymap.Views, &keymap.Next, &keymap.Filter, &keymap.Palette, &keymap.Copy, &keymap.Back, &keymap.Freeze, &keymap.Retry, &keymap.Theme, &keymap.Quit)
	shapes := cell.NewLine(width - 4)
	for _, s := range []struct {
		level theme.Level
		word  string
	}{{theme.Quiet, "as it should be"}, {theme.Moving, "on its way"}, {theme.Alarm, "look at it"}, {theme.Broken, "not served"}} {
		mark, style := th.Mark(s.level)
		shapes.Put(style, mark).Put(th.Dim, " "+s.word+"   ")
	}
	n := max(left.Height(), right.Height())
	b := cell.Beside(n, th.Rule, th.Sym.Vertical, left, right)
	b.Width = width - 4
	b.Blank().Add(shapes)
	if f, ok := d.page().(page.Filterer); ok {
		b.Wrap(th.Dim, "filter: words must all hold; text, field:word, figure>n, -not. Fields: "+join(f.Hints()), 0)
	}
	b.Wrap(th.Dim, "live: so many seconds ago it was so; a heartbeat comes each 5 s. Each key has a command that does the same: y copies it.", 0)
	if len(d.cfg.notes) > 0 {
		b.Blank()
		for _, line := range d.cfg.notes {
			b.Text(th.Plain, line)
		}
	}
	if b.Height() > height-2 {
		b.Resize(height - 2)
	}
	return b.Frame(th.Rule, th.Title, "help, any key closes", th.Sym.Frame)
}

func join(words []string) string {
	out := ""
	for i, w := range words {
		if i > 0 {
			out += " "
		}
		out += w
	}
	return out
}
