package page

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// pools shows what pools want and how their ranges stand.
type pools struct {
	s *feed.Snapshot
	t *table.Table[*adminpb.Pool]
}

func newPools() *pools {
	type P = *adminpb.Pool
	count := func(f func(P) uint32) func(*theme.Theme, P) (string, cell.Style) {
		return func(th *theme.Theme, p P) (string, cell.Style) { return cell.Count(f(p)), th.Plain }
	}
	p := &pools{}
	p.t = table.New(func(p P) uint64 { return uint64(p.GetId()) },
		table.Column[P]{Title: "  POOL", Width: 13, Cell: func(th *theme.Theme, p P) (string, cell.Style) {
			mark, style := th.Mark(poolLevel(p))
			return mark + " " + p.GetName(), style
		}, Compare: func(a, b P) int { return strings.Compare(a.GetName(), b.GetName()) }},
		table.Column[P]{Title: "STATE", Width: 8, Cell: func(th *theme.Theme, p P) (string, cell.Style) {
			if p.GetState() != "ready" {
				return p.GetState(), th.Busy
			}
			return p.GetState(), th.Plain
		}},
		table.Column[P]{Title: "REPL", Width: 4, Right: true, Cell: count(P.GetReplicas), Compare: func(a, b P) int { return cmp.Compare(a.GetReplicas(), b.GetReplicas()) }},
		table.Column[P]{Title: "CONSTRAINTS", Width: 12, Grow: true, Cell: func(th *theme.Theme, p P) (string, cell.Style) { return cell.Or(p.GetConstraints()), th.Plain }},
		table.Column[P]{Title: "LEADERS", Width: 8, Cell: func(th *theme.Theme, p P) (string, cell.Style) { return cell.Or(p.GetPreferLeader()), th.Dim }},
		table.Column[P]{Title: "RANGES", Width: 6, Right: true, Cell: count(P.GetRanges), Compare: func(a, b P) int { return cmp.Compare(a.GetRanges(), b.GetRanges()) }},
		table.Column[P]{Title: "MISFIT", Width: 6, Right: true, Cell: func(th *theme.Theme, p P) (string, cell.Style) {
			return cell.Count(p.GetRangesMisfit() + p.GetRangesMissing()), th.Word(poolLevel(p))
		}, Compare: func(a, b P) int { return cmp.Compare(a.GetRangesMisfit(), b.GetRangesMisfit()) }},
		table.Column[P]{Title: "BYTES", Width: 9, Right: true, Cell: func(th *theme.Theme, p P) (string, cell.Style) { return cell.Bytes(p.GetBytes()), th.Plain },
			Compare: func(a, b P) int { return cmp.Compare(a.GetBytes(), b.GetBytes()) }},
		table.Column[P]{Title: "COLLECTIONS", Width: 11, Right: true, From: 100, Cell: func(th *theme.Theme, p P) (string, cell.Style) {
			return fmt.Sprint(len(p.GetCollections())), th.Plain
		}},
		table.Column[P]{Title: "OPERATION", Width: 10, From: 100, Cell: func(th *theme.Theme, p P) (string, cell.Style) { return cell.Or(p.GetOperation()), th.Busy }},
	)
	return p
}

// poolLevel is how a pool is: on its way while an operation changes it.
func poolLevel(p *adminpb.Pool) theme.Level {
	switch {
	case p.GetOperation() != "":
		return theme.Moving
	case p.GetState() != "ready" || p.GetRangesMisfit()+p.GetRangesMissing() > 0:
		return theme.Alarm
	}
	return theme.Quiet
}

func (*pools) Name() string { return Pools }

func (*pools) Topics() []string { return []string{feed.Status, feed.Operations, feed.Pools} }

func (p *pools) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Pools)
}

func (p *pools) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Enter, &keymap.Alter, &keymap.Drop, &keymap.Sort, &keymap.Copy}
}

// Press implements Page.
func (p *pools) Press(key string) Effect {
	if p.t.Press(key) {
		return Done{}
	}
	pool, ok := p.t.Selected()
	switch {
	case !ok:
	case keymap.Enter.Is(key):
		return Show{Page: Ranges, Filter: "pool:" + pool.GetName()}
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl pools show " + pool.GetName()}
	case keymap.Alter.Is(key):
		name := pool.GetName()
		return Ask{Prompt: "alter pool " + name + ": ", Then: func(text string) Effect {
			a, err := action.AlterPool(name, text)
			if err != nil {
				return Say{Level: theme.Alarm, Text: err.Error()}
			}
			return Act{a}
		}}
	case keymap.Drop.Is(key) && pool.GetId() == 0:
		return Say{Level: theme.Alarm, Text: "pool " + pool.GetName() + " is everybody's: it is never dropped"}
	case keymap.Drop.Is(key):
		return Act{action.DropPool(pool.GetName())}
	}
	return nil
}

// Click implements Pointed.
func (p *pools) Click(_, y int) { p.t.Click(y) }

// Wheel implements Pointed.
func (p *pools) Wheel(by int) { p.t.Move(by) }

// Draw implements Page.
func (p *pools) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case p.s.Lacks(feed.Pools):
		return unserved(th, s)
	case !p.s.Has(feed.Pools):
		return loading(th, s, "asking for the pools")
	}
	b := p.t.Draw(th, s.Width, min(p.t.Len()+1, max(4, s.Height/2)))
	if pool, ok := p.t.Selected(); ok {
		b.Blank()
		p.one(th, b, pool, &s)
	}
	return b.Resize(s.Height)
}

// one is the selected pool in full.
func (p *pools) one(th *theme.Theme, b *cell.Block, pool *adminpb.Pool, s *Size) {
	b.Add(section(th, b.Width, "pool "+pool.GetName(), fmt.Sprintf("version %d", pool.GetVersion())))
	row := func(style cell.Style, name, value string) {
		b.Add(cell.NewLine(b.Width).Space(1).Field(th.Dim, name, 13, false).Put(style, value))
	}
	row(th.Plain, "nodes", cell.Or(cell.Nodes(pool.GetNodes(), " ")))
	row(th.Plain, "collections", cell.Or(strings.Join(pool.GetCollections(), ", ")))
	leaders := "anywhere"
	if at := pool.GetPreferLeader(); at != "" {
		leaders = fmt.Sprintf("preferred at %s, %s led elsewhere", at, cell.Plural(int(pool.GetLeadersElsewhere()), "range"))
	}
	row(th.Plain, "leaders", leaders)
	if n := pool.GetRangesMissing(); n > 0 {
		row(th.Busy, "to be made", cell.Plural(int(n), "range"))
	}
	for i, m := range pool.GetMisfits() {
		row(th.Warn, map[bool]string{true: "misfits"}[i == 0], m)
	}
	if more := int(pool.GetRangesMisfit()) - len(pool.GetMisfits()); more > 0 {
		row(th.Dim, "", s.command(fmt.Sprintf("%s %d more: nodedbctl pools show %s", th.Sym.Ellipsis, more, pool.GetName())))
	}
	if id := pool.GetOperation(); id != "" {
		b.Blank().Add(section(th, b.Width, "at work", id))
		if o := p.s.Operation(id); o != nil {
			b.Add(operationLine(th, o, b.Width, s.Now))
			b.Text(th.Dim, progress.Amount(o))
		}
	}
}
