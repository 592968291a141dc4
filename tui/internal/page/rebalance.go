package page

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// rebalance shows how even the load is, what holds moves back, and what was done.
type rebalance struct {
	s *feed.Snapshot
}

func newRebalance() *rebalance { return &rebalance{} }

func (*rebalance) Name() string { return Rebalance }

func (*rebalance) Topics() []string { return []string{feed.Status, feed.Rebalance, feed.Nodes} }

func (p *rebalance) Load(s *feed.Snapshot) { p.s = s }

func (*rebalance) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Apply, &keymap.Enter, &keymap.Copy}
}

// Press implements Page.
func (p *rebalance) Press(key string) Effect {
	switch {
	case keymap.Apply.Is(key) || keymap.Plan.Is(key):
		return Act{action.Rebalance()}
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl rebalance status"}
	case keymap.Enter.Is(key) && p.s.Has(feed.Rebalance) && p.s.Rebalance.GetOperationId() != "":
		return Show{Page: Operations, Open: p.s.Rebalance.GetOperationId()}
	}
	return nil
}

// Ages implements Ager: the next sweep comes nearer.
func (p *rebalance) Ages(time.Time) time.Duration {
	if p.s.Rebalance.GetNextSweep() != nil {
		return time.Second
	}
	return 0
}

// Draw implements Page.
func (p *rebalance) Draw(th *theme.Theme, s Size) *cell.Block {
	if p.s.Lacks(feed.Rebalance) {
		return unserved(th, s)
	}
	if !p.s.Has(feed.Rebalance) {
		return loading(th, s, "asking how even the load is")
	}
	r := p.s.Rebalance
	b := cell.NewBlock(s.Width)
	p.head(th, b, r, s.Now)
	b.Blank().Add(section(th, s.Width, "load", "per node, lowest to highest"))
	p.dimensions(th, b, r)
	if id := r.GetOperationId(); id != "" {
		b.Blank().Add(section(th, s.Width, "at work", id))
		if o := p.s.Operation(id); o != nil {
			b.Add(operationLine(th, o, s.Width, s.Now))
			b.Text(th.Dim, progress.Amount(o))
		}
	}
	b.Blank().Add(section(th, s.Width, "gates", "what holds moves back"))
	for _, g := range r.GetGates() {
		level, word := theme.Quiet, "open"
		if !g.GetOpen() {
			level, word = theme.Alarm, "shut"
		}
		mark, style := th.Mark(level)
		l := cell.NewLine(s.Width).Space(1).Put(style, mark+" ").Field(th.Plain, g.GetName(), 15, false).Field(style, word, 6, false).Put(th.Dim, g.GetWhy())
		if len(g.GetNodes()) > 0 {
			l.Put(th.Dim, "  "+cell.Nodes(g.GetNodes(), " "))
		}
		b.Add(l)
	}
	b.Blank().Add(section(th, s.Width, "history", ""))
	p.history(th, b, r)
	return b.Resize(s.Height)
}

func (p *rebalance) head(th *theme.Theme, b *cell.Block, r *adminpb.GetRebalanceResponse, now time.Time) {
	level := theme.Quiet
	switch r.GetVerdict() {
	case "would-act":
		level = theme.Moving
	case "no-data", "blocked":
		level = theme.Alarm
	}
	mark, style := th.Mark(level)
	head := mark + " " + r.GetVerdict()
	for i, line := range cell.Wrap(r.GetWhy(), b.Width-cell.Width(head)-2) {
		l := cell.NewLine(b.Width)
		if i == 0 {
			l.Put(style, head)
		}
		b.Add(l.To(cell.Width(head)+2).Put(th.Plain, line))
	}
	l := cell.NewLine(b.Width).Put(th.Dim, "policy ").Put(th.Title, r.GetPolicy())
	if t := r.GetLastSweep(); t != nil {
		l.Put(th.Dim, "   last look ").Put(th.Plain, t.AsTime().Local().Format("15:04:05"))
	}
	if t := r.GetNextSweep(); t != nil {
		l.Put(th.Dim, "   next in ").Put(th.Plain, cell.Duration(t.AsTime().Sub(now)))
	}
	b.Add(l)
}

// widthOfWhy is the width from which the reasons stand beside the figures.
const widthOfWhy = 110

// dimensions draws each kind of load as a span: least, mean and most.
func (p *rebalance) dimensions(th *theme.Theme, b *cell.Block, r *adminpb.GetRebalanceResponse) {
	span, wide := max(10, min(40, b.Width-100)), b.Width >= widthOfWhy
	why := ""
	if wide {
		why = "WHY"
	}
	b.Add(cell.NewLine(b.Width).Space(1).Field(th.Head, "  WHAT", 12, false).Field(th.Head, "LEAST", 16, true).Field(th.Head, "MEAN", 11, true).Field(th.Head, "MOST", 16, true).
		Space(2).Field(th.Head, "MOST OVER MEAN", span+7, false).Put(th.Head, why))
	for _, d := range r.GetDimensions() {
		level := theme.Quiet
		if d.GetWouldAct() {
			level = theme.Moving
		}
		mark, style := th.Mark(level)
		l := cell.NewLine(b.Width).Space(1).Put(style, mark+" ").Field(th.Bold, d.GetName(), 10, false).
			Field(th.Plain, amount(d.GetName(), d.GetMin())+" "+cell.Node(d.GetMinNode()), 16, true).Field(th.Plain, amount(d.GetName(), d.GetMean()), 11, true).
			Field(th.Plain, amount(d.GetName(), d.GetMax())+" "+cell.Node(d.GetMaxNode()), 16, true).Space(2)
		excess := 0.0
		if d.GetMean() > 0 {
			excess = d.GetMax()/d.GetMean() - 1
		}
		progress.Bar(th, l, excess, span)
		l.Field(th.Plain, fmt.Sprintf("%+.0f%%", 100*excess), 6, true).Space(1)
		if wide {
			l.Put(th.Dim, d.GetWhy())
		}
		b.Add(l)
	}
}

func amount(dimension string, v float64) string {
	switch dimension {
	case "bytes":
		return cell.Bytes(uint64(max(v, 0)))
	case "cpu":
		return cell.Percent(v)
	}
	return cell.Rate(v)
}

func (p *rebalance) history(th *theme.Theme, b *cell.Block, r *adminpb.GetRebalanceResponse) {
	if len(r.GetHistory()) == 0 {
		b.Text(th.Dim, " nothing was moved yet")
	}
	for _, h := range r.GetHistory() {
		level := theme.Quiet
		if h.GetOutcome() == "blocked" {
			level = theme.Alarm
		}
		mark, style := th.Mark(level)
		l := cell.NewLine(b.Width).Space(1).Put(style, mark+" ").Put(th.Dim, h.GetAt().AsTime().Local().Format("15:04:05  ")).Field(th.Plain, h.GetOutcome(), 10, false).
			Put(th.Plain, cell.Plural(int(h.GetMoves()), "move")+", "+cell.Plural(int(h.GetTransfers()), "transfer"))
		if h.GetGainPredicted() != 0 || h.GetGainAchieved() != 0 {
			l.Put(th.Dim, fmt.Sprintf("  gain %.1f of %.1f points foreseen", h.GetGainAchieved(), h.GetGainPredicted()))
		}
		b.Add(l.Put(th.Dim, "  "+h.GetCause()+"  "+h.GetWhy()))
	}
}
