// Package progress draws operations: how far they are, what they wait for, and
// the proof at the end. Bytes come first, ranges second, percent last.
package progress

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Title is what an operation does: decommission n5.
func Title(o *adminpb.Operation) string {
	s := o.GetSpec()
	switch s.GetKind() {
	case "move":
		return fmt.Sprintf("move %s %s to %s", cell.Range(s.GetRange()), cell.Node(s.GetFrom()), cell.Node(s.GetTo()))
	case "transfer":
		return fmt.Sprintf("transfer %s to %s", cell.Range(s.GetRange()), cell.Node(s.GetTo()))
	case "split":
		return "split " + cell.Range(s.GetRange())
	case "rebalance":
		return "rebalance"
	}
	if what := cmp.Or(s.GetPool(), s.GetTable()); what != "" {
		return s.GetKind() + " " + what
	}
	return s.GetKind() + " " + cell.Nodes(s.GetNodes(), " ")
}

// Bar draws how far an operation is.
func Bar(th *theme.Theme, l *cell.Line, share float64, width int) {
	full, empty := cell.Bar(th.Glyphs, share, width)
	l.Put(th.Fill, full).Put(th.Track, empty)
}

// Left is how long it will take: 10m (8m to 13m).
func Left(o *adminpb.Operation) string {
	if client.Final(o.GetState()) || o.GetEtaSeconds() <= 0 {
		return ""
	}
	s := cell.Seconds(o.GetEtaSeconds()) + " left"
	if o.GetEtaHigh() > o.GetEtaLow() {
		s += fmt.Sprintf(" (%s to %s)", cell.Seconds(o.GetEtaLow()), cell.Seconds(o.GetEtaHigh()))
	}
	return s
}

// Amount is what was done of what is to do.
func Amount(o *adminpb.Operation) string {
	t, d := o.GetTotal(), o.GetDone()
	var parts []string
	if t.GetBytes() > 0 {
		parts = append(parts, cell.Bytes(d.GetBytes())+" of "+cell.Bytes(t.GetBytes()))
	}
	if t.GetRanges() > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d ranges", d.GetRanges(), t.GetRanges()))
	} else if t.GetReplicas() > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d replicas", d.GetReplicas(), t.GetReplicas()))
	}
	if t.GetLeaders() > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d leaders", d.GetLeaders(), t.GetLeaders()))
	}
	if t.GetSessions() > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d sessions", d.GetSessions(), t.GetSessions()))
	}
	return strings.Join(parts, "  ")
}

// Elapsed is how long it has been at work, or was.
func Elapsed(o *adminpb.Operation, now time.Time) string {
	began := o.GetStartedAt()
	if began == nil {
		began = o.GetCreatedAt()
	}
	if began == nil {
		return ""
	}
	if o.GetEndedAt() != nil {
		now = o.GetEndedAt().AsTime()
	}
	return cell.Duration(now.Sub(began.AsTime()))
}

// Draw draws an operation in full.
func Draw(th *theme.Theme, o *adminpb.Operation, width int, now time.Time) *cell.Block {
	b := cell.NewBlock(width)
	head(th, b, o, now)
	b.Blank()
	for _, p := range o.GetPhases() {
		phase(th, b, o, p, now)
	}
	if len(o.GetPhases()) == 0 {
		work(th, b, o, now, 0)
	}
	items(th, b, o)
	blockers(th, b, o)
	for _, f := range o.GetFindings() {
		mark, style := th.Mark(theme.Severity(f.GetSeverity()))
		b.Add(cell.NewLine(width).Put(style, mark+" "+f.GetCode()+"  ").Put(th.Plain, f.GetText()))
	}
	end(th, b, o)
	for _, f := range o.GetNext() {
		b.Add(cell.NewLine(width).Put(th.Dim, "next  "+f.GetText()+"  ").Put(th.Info, f.GetCommand()))
	}
	return b
}

func head(th *theme.Theme, b *cell.Block, o *adminpb.Operation, now time.Time) {
	mark, style := th.OperationMark(o.GetState())
	l := cell.NewLine(b.Width).Put(style, mark+" "+o.GetState()).Space(2).Put(th.Title, Title(o)).Space(2).Put(th.Dim, o.GetId())
	if s := Elapsed(o, now); s != "" {
		l.Put(th.Dim, "  "+s)
	}
	b.Add(l)
	l = cell.NewLine(b.Width).Put(th.Dim, "asked for by "+cell.Or(o.GetRequestedBy()))
	if o.GetReason() != "" {
		l.Put(th.Dim, ": "+o.GetReason())
	}
	b.Add(l)
	if o.GetWhy() != "" {
		b.Wrap(th.Word(theme.Operation(o.GetState())), "because "+o.GetWhy(), 0)
	}
}

const phaseWidth = 14

func phase(th *theme.Theme, b *cell.Block, o *adminpb.Operation, p *adminpb.Phase, now time.Time) {
	l := cell.NewLine(b.Width)
	switch p.GetState() {
	case "done":
		l.Put(th.OK, th.Sym.Check+" ").Field(th.Plain, p.GetName(), phaseWidth, false).Put(th.Dim, note(o, p))
		if p.GetBegan() != nil && p.GetEnded() != nil {
			if d := p.GetEnded().AsTime().Sub(p.GetBegan().AsTime()); d >= time.Second {
				l.To(min(b.Width-8, 46)).Put(th.Faint, cell.Duration(d))
			}
		}
		b.Add(l)
	case "skipped":
		b.Add(l.Put(th.Dim, "  ").Field(th.Dim, p.GetName(), phaseWidth, false).Put(th.Dim, "skipped "+p.GetNote()))
	case "cancelled", "failed":
		b.Add(l.Put(th.Dim, th.Sym.Off+" ").Field(th.Plain, p.GetName(), phaseWidth, false).Put(th.Dim, p.GetState()+" here"))
	case "running":
		b.Add(l.Put(th.Busy, th.Sym.Busy+" ").Field(th.Title, p.GetName(), phaseWidth, false).Put(th.Plain, note(o, p)))
		work(th, b, o, now, phaseWidth+2)
	default:
		b.Add(l.Put(th.Faint, th.Sym.Dot+" ").Put(th.Dim, p.GetName()))
	}
}

func note(o *adminpb.Operation, p *adminpb.Phase) string {
	if p.GetName() == "leaders" && o.GetTotal().GetLeaders() > 0 {
		return fmt.Sprintf("%d/%d", o.GetDone().GetLeaders(), o.GetTotal().GetLeaders())
	}
	return p.GetNote()
}

// work is the bar and the figures of an operation that runs.
func work(th *theme.Theme, b *cell.Block, o *adminpb.Operation, now time.Time, indent int) {
	if client.Final(o.GetState()) {
		return
	}
	share := client.Share(o)
	l := cell.NewLine(b.Width).Space(indent)
	Bar(th, l, share, max(8, min(40, b.Width-indent-6)))
	b.Add(l.Put(th.Plain, fmt.Sprintf(" %4s", cell.Percent(share))))
	if s := Amount(o); s != "" {
		b.Add(cell.NewLine(b.Width).Space(indent).Put(th.Plain, s))
	}
	var parts []string
	if o.GetRate() > 0 {
		parts = append(parts, cell.Bytes(o.GetRate())+"/s")
	}
	if l := o.GetLimit(); l > 0 {
		s := "limit " + cell.Bytes(l) + "/s"
		if of := o.GetLimitOf(); of != "" {
			s += " of " + of
		}
		parts = append(parts, s)
	}
	if s := Elapsed(o, now); s != "" {
		parts = append(parts, "at work "+s)
	}
	if s := Left(o); s != "" {
		parts = append(parts, s)
	}
	if late, ok := client.Late(o, now); ok {
		s := "planned " + cell.Seconds(o.GetPlannedSeconds())
		if late {
			s = "late: " + s
		}
		parts = append(parts, s)
	}
	b.Add(cell.NewLine(b.Width).Space(indent).Put(th.Dim, strings.Join(parts, "  ")))
	if o.GetStalled() {
		b.Add(cell.NewLine(b.Width).Space(indent).Put(th.Warn, th.Sym.Warn+" no progress for long"))
	}
}

const itemsShown = 6

func items(th *theme.Theme, b *cell.Block, o *adminpb.Operation) {
	if client.Final(o.GetState()) {
		return // its items are over, whatever they waited for
	}
	var moving, stuck []*adminpb.Item
	for _, it := range o.GetItems() {
		switch {
		case client.Blocked(it):
			stuck = append(stuck, it)
		case client.InFlight(it):
			moving = append(moving, it)
		}
	}
	list(th, b, "in flight", th.Busy, th.Dim, moving)
	list(th, b, "blocked", th.Warn, th.Warn, stuck)
}

func list(th *theme.Theme, b *cell.Block, title string, style, why cell.Style, its []*adminpb.Item) {
	if len(its) == 0 {
		return
	}
	b.Blank()
	b.Add(cell.NewLine(b.Width).Put(style, title).Put(th.Dim, fmt.Sprintf("  %d", len(its))))
	for i, it := range its {
		if i == itemsShown {
			b.Text(th.Dim, fmt.Sprintf("  and %d more", len(its)-i))
			return
		}
		l := cell.NewLine(b.Width).Space(2).Field(th.Plain, cell.Range(it.GetRange()), 6, false).
			Put(th.Plain, fmt.Sprintf("%s %s %s  ", cell.Node(it.GetFrom()), th.Sym.Arrow, cell.Node(it.GetTo()))).Put(th.Info, it.GetStep())
		if share, ok := client.ItemShare(it); ok {
			l.Put(th.Plain, "  "+cell.Percent(share))
		}
		if it.GetAttempts() > 1 {
			l.Put(th.Dim, fmt.Sprintf("  attempt %d", it.GetAttempts()))
		}
		if it.GetWhy() != "" {
			l.Put(why, "  "+it.GetWhy())
		}
		if it.GetNeeds() != "" {
			l.Put(th.Dim, "  needs "+it.GetNeeds())
		}
		if it.GetError() != "" {
			l.Put(th.Dim, "  last error: "+it.GetError())
		}
		b.Add(l)
	}
}

func blockers(th *theme.Theme, b *cell.Block, o *adminpb.Operation) {
	if len(o.GetBlockers()) == 0 {
		return
	}
	b.Blank().Add(cell.NewLine(b.Width).Put(th.Warn, "waits for sessions").Put(th.Dim, fmt.Sprintf("  %d", len(o.GetBlockers()))))
	for _, x := range o.GetBlockers() {
		b.Add(cell.NewLine(b.Width).Space(2).Put(th.Plain, fmt.Sprintf("%s pid %d  %s %s  %s  ", cell.Node(x.GetNode()), x.GetPid(), cell.OneLine(x.GetUser()), cell.OneLine(x.GetApplication()),
			cell.Seconds(x.GetSeconds()))).Put(th.Dim, cell.OneLine(x.GetStatement())))
	}
}

// end is what is said of an operation that has ended.
func end(th *theme.Theme, b *cell.Block, o *adminpb.Operation) {
	if o.GetState() != "succeeded" {
		return
	}
	b.Blank()
	if p := o.GetProof(); p != nil {
		text := fmt.Sprintf("%d references in %d descriptors at meta@%d, %d leaders applied", p.GetReferences(), p.GetDescriptors(), p.GetMetaIndex(), p.GetLeaders())
		if t := p.GetTombstone(); t != "" {
			text += ", tombstone " + t[:min(8, len(t))]
		}
		b.Add(cell.NewLine(b.Width).Put(th.OK, th.Sym.Check+" proof    ").Put(th.Plain, text))
	}
	if o.GetPlannedSeconds() > 0 && o.GetSpec().GetKind() != "drain" && o.GetEndedAt() != nil && o.GetStartedAt() != nil {
		took := o.GetEndedAt().AsTime().Sub(o.GetStartedAt().AsTime())
		b.Add(cell.NewLine(b.Width).Put(th.Dim, "  took     ").Put(th.Plain, fmt.Sprintf("%s, planned %s", cell.Duration(took), cell.Seconds(o.GetPlannedSeconds()))))
	}
	switch o.GetSpec().GetKind() {
	case "decommission":
		b.Add(cell.NewLine(b.Width).Put(th.OK, th.Sym.Check+" safe to  ").Put(th.Plain, "power off, delete the volume, reuse the address"))
	case "drain":
		if o.GetWhy() != "" {
			return // its process is not the one that was drained
		}
		b.Add(cell.NewLine(b.Width).Put(th.OK, th.Sym.Check+" safe to  ").Put(th.Plain, "stop or restart the process: the data is kept"))
	}
}
