package page

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// events shows what happened, the newest at the bottom, following it.
type events struct {
	s *feed.Snapshot
	filtered[*adminpb.Event]
	follow bool
}

var eventFields = match.Fields[*adminpb.Event]{
	Text: func(b []byte, e *adminpb.Event) []byte {
		return fmt.Append(b, e.GetKind(), " ", e.GetText(), " ", e.GetOperationId())
	},
	Words: map[string]func(*adminpb.Event) string{
		"kind": (*adminpb.Event).GetKind, "severity": (*adminpb.Event).GetSeverity, "by": (*adminpb.Event).GetBy, "op": (*adminpb.Event).GetOperationId,
	},
	Whole: map[string]func(*adminpb.Event, string) bool{
		"node":  func(e *adminpb.Event, v string) bool { return cell.Node(e.GetNode()) == v },
		"range": func(e *adminpb.Event, v string) bool { return e.GetRange() != 0 && cell.Range(e.GetRange()) == v },
	},
}

func newEvents() *events {
	type E = *adminpb.Event
	t := table.New(E.GetSequence,
		table.Column[E]{Title: "TIME", Width: 8, Cell: func(th *theme.Theme, e E) (string, cell.Style) {
			return e.GetTime().AsTime().Local().Format("15:04:05"), th.Dim
		}},
		table.Column[E]{Title: "", Width: 7, Cell: func(th *theme.Theme, e E) (string, cell.Style) {
			level := theme.Severity(e.GetSeverity())
			if level == theme.Quiet {
				return th.Sym.Info + " " + e.GetSeverity(), th.Dim
			}
			mark, style := th.Mark(level)
			return mark + " " + e.GetSeverity(), style
		}},
		table.Column[E]{Title: "KIND", Width: 20, Cell: func(th *theme.Theme, e E) (string, cell.Style) { return e.GetKind(), th.Info }},
		table.Column[E]{Title: "NODE", Width: 5, From: 100, Cell: func(th *theme.Theme, e E) (string, cell.Style) { return cell.Node(e.GetNode()), th.Plain }},
		table.Column[E]{Title: "OPERATION", Width: 10, From: 120, Cell: func(th *theme.Theme, e E) (string, cell.Style) { return cell.Or(e.GetOperationId()), th.Dim }},
		table.Column[E]{Title: "BY", Width: 10, From: 130, Cell: func(th *theme.Theme, e E) (string, cell.Style) { return cell.Or(e.GetBy()), th.Dim }},
		table.Column[E]{Title: "WHAT", Width: 10, Grow: true, Cell: func(th *theme.Theme, e E) (string, cell.Style) {
			return e.GetText(), th.Word(theme.Severity(e.GetSeverity()))
		}},
	)
	return &events{filtered: filtered[E]{t: t, fields: &eventFields, noun: "event"}, follow: true}
}

func (*events) Name() string { return Events }

func (*events) Topics() []string { return []string{feed.Status, feed.Events} }

func (p *events) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Events)
	if p.follow {
		p.t.Go(p.t.Len() - 1)
	}
}

// Filter implements Filterer: the newest of what it leaves is followed.
func (p *events) Filter(query string) error {
	err := p.filtered.Filter(query)
	if err == nil && p.follow {
		p.t.Go(p.t.Len() - 1)
	}
	return err
}

func (p *events) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Follow, &keymap.Filter, &keymap.Enter, &keymap.Copy}
}

// Press implements Page.
func (p *events) Press(key string) Effect {
	switch {
	case key == "s" || key == "S":
		return nil // events have one order
	case keymap.Follow.Is(key):
		p.follow = !p.follow
		if p.follow {
			p.t.Go(p.t.Len() - 1)
		}
		return Done{}
	case p.t.Press(key):
		p.follow = p.t.Cursor() == p.t.Len()-1
		return Done{}
	}
	e, ok := p.t.Selected()
	switch {
	case !ok:
		return nil
	case keymap.Copy.Is(key):
		return Copy{strings.TrimSpace("nodedbctl events --since 1h" + kindFlag(e))}
	case keymap.Enter.Is(key) && e.GetOperationId() != "":
		return Show{Page: Operations, Open: e.GetOperationId()}
	case keymap.Enter.Is(key) && e.GetRange() != 0:
		return Show{Page: Ranges, Open: strconv.FormatUint(uint64(e.GetRange()), 10)}
	case keymap.Enter.Is(key) && e.GetNode() != 0:
		return Show{Page: Nodes, Open: cell.Node(e.GetNode())}
	}
	return nil
}

func kindFlag(e *adminpb.Event) string {
	if e.GetKind() == "" {
		return ""
	}
	return " --kind " + e.GetKind()
}

// Click implements Pointed.
func (p *events) Click(_, y int) {
	if p.t.Click(y - 1) {
		p.follow = p.t.Cursor() == p.t.Len()-1
	}
}

// Wheel implements Pointed.
func (p *events) Wheel(by int) {
	p.t.Move(by)
	p.follow = p.t.Cursor() == p.t.Len()-1
}

// Draw implements Page.
func (p *events) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case !p.s.Has(feed.Events):
		return loading(th, s, "asking for the events")
	case p.t.Total() == 0:
		return blank(th, s, "nothing has happened yet", "events are kept by the cluster; new ones appear here by themselves")
	case p.t.Len() == 0:
		return p.noMatch(th, s)
	}
	note := fmt.Sprintf("%d of %d", p.t.Len(), p.t.Total())
	b := cell.NewBlock(s.Width)
	l := cell.NewLine(s.Width).Space(1).Put(th.Dim, note+"  ")
	if p.follow {
		l.Put(th.OK, th.Sym.OK+" following the newest")
	} else {
		l.Put(th.Warn, th.Sym.Warn+" not following").Put(th.Dim, "  f follows again")
	}
	return b.Add(l).Append(p.t.Draw(th, s.Width, s.Height-1))
}
