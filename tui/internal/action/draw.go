package action

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Drawn is a dialog on the screen.
type Drawn struct {
	Block            *cell.Block
	CursorX, CursorY int // -1: no cursor
}

// Draw draws the dialog in at most width by height cells.
func (d *Dialog) Draw(th *theme.Theme, width, height int, now time.Time) Drawn {
	inner := width - 4
	body, foot := cell.NewBlock(inner), cell.NewBlock(inner)
	cursor := -1
	switch d.stage {
	case looking:
		body.Text(th.Busy, th.Sym.Busy+" asking the cluster for the plan")
		foot.Add(keys(th, inner, "esc", "closes"))
	case shown:
		d.drawVerdict(th, body)
		cursor = d.drawConfirm(th, foot)
	case doing:
		body.Text(th.Busy, th.Sym.Busy+" asking the cluster to "+d.Action.Title)
		foot.Add(keys(th, inner, "esc", "closes: what was asked for goes on"))
	case following:
		d.drawProgress(th, body, now)
		foot.Add(keys(th, inner, "enter", "opens the operation", "esc", "closes: it goes on", "y", "copies the command"))
	case finished:
		d.drawEnd(th, body)
		foot.Add(keys(th, inner, "esc", "closes", "y", "copies the command"))
	}
	return d.fit(th, body, foot, height, cursor)
}

// fit scrolls the body so that the foot, where one types, is always in sight.
func (d *Dialog) fit(th *theme.Theme, body, foot *cell.Block, height, cursor int) Drawn {
	room := max(1, height-2-foot.Height()-1)
	if over := body.Height() - room; over > 0 {
		d.scroll = min(d.scroll, over)
		rest := over - d.scroll
		body = body.Slice(d.scroll, d.scroll+room)
		if rest > 0 {
			body = body.Slice(0, room-1)
			body.Text(th.Dim, fmt.Sprintf("%s %d more lines: pgdown", th.Sym.Ellipsis, rest+1))
		}
	} else {
		d.scroll = 0
	}
	out := cell.NewBlock(body.Width).Append(body).Blank()
	y := out.Height() + 1
	out.Append(foot)
	drawn := Drawn{Block: out.Frame(th.Rule, th.Title, d.Action.Title, th.Sym.Frame), CursorX: -1, CursorY: -1}
	if cursor >= 0 {
		drawn.CursorX, drawn.CursorY = cursor+2, y
	}
	return drawn
}

func keys(th *theme.Theme, width int, pairs ...string) *cell.Line {
	l := cell.NewLine(width)
	for i := 0; i+1 < len(pairs); i += 2 {
		l.Put(th.Key, pairs[i]).Put(th.Dim, " "+pairs[i+1]+"   ")
	}
	return l
}

func (d *Dialog) drawConfirm(th *theme.Theme, foot *cell.Block) (cursor int) {
	w := foot.Width
	if !d.verdict.Allowed {
		foot.Add(keys(th, w, "esc", "closes", "y", "copies the command"))
		return -1
	}
	prompt := "type " + d.Action.Word + " to " + firstWord(d.Action.Title) + ": "
	l := cell.NewLine(w).Put(th.Bold, prompt).Put(th.Title, d.input.Text())
	if d.input.Text() == d.Action.Word {
		l.Put(th.OK, "   enter does it")
	} else if d.wrong {
		l.Put(th.Warn, "   "+th.Sym.Warn+" that is not "+d.Action.Word+": nothing was done")
	}
	foot.Add(l)
	foot.Add(keys(th, w, "esc", "closes, nothing is changed", "y", "copies the command"))
	return cell.Width(prompt) + d.input.Cursor()
}

func firstWord(s string) string {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i]
		}
	}
	return s
}

func (d *Dialog) drawVerdict(th *theme.Theme, b *cell.Block) {
	v := d.verdict
	if v.Plan != nil {
		drawPlan(th, b, v)
	}
	for _, t := range v.Text {
		b.Wrap(th.Plain, t, 0)
	}
	if v.Plan == nil || v.Allowed {
		b.Blank()
	}
	field(th, b, "command", th.Info, d.command())
	if d.Action.Undo != "" && v.Allowed {
		field(th, b, "undo", th.Info, d.Action.Undo)
	}
	if v.Plan == nil && v.AsOf != nil {
		field(th, b, "as of", th.Dim, fmt.Sprintf("meta@%d", v.AsOf.GetMetaIndex()))
	}
}

func field(th *theme.Theme, b *cell.Block, name string, s cell.Style, text string) {
	b.Add(cell.NewLine(b.Width).Field(th.Dim, name, 10, false).Put(s, text))
}

func drawPlan(th *theme.Theme, b *cell.Block, v *Verdict) {
	p := v.Plan
	if !p.GetFeasible() {
		b.Add(cell.NewLine(b.Width).Put(th.BadBar, " REFUSED ").Put(th.Title, "  it cannot be completed; nothing was changed")).Blank()
		findings(th, b, v)
		return
	}
	b.Add(cell.NewLine(b.Width).Put(th.Title, "plan "+p.GetId()).Put(th.Dim, fmt.Sprintf("  as of meta@%d, valid while the topology epoch is %d", v.AsOf.GetMetaIndex(), p.GetTopologyEpoch())))
	b.Blank()
	field(th, b, "moves", th.Plain, fmt.Sprintf("%s, %s, copies %s", cell.Plural(int(p.GetReplicas()), "replica"), cell.Plural(int(p.GetLeaders()), "leadership"), cell.Bytes(p.GetBytes())))
	took := "p50 " + cell.Seconds(p.GetSecondsP50()) + ", p90 " + cell.Seconds(p.GetSecondsP90())
	if p.GetModelError() != 0 {
		took += fmt.Sprintf(", the model was off by %.0f%% lately", 100*p.GetModelError())
	}
	field(th, b, "time", th.Plain, took)
	if p.GetSurvivesDuring() != "" {
		field(th, b, "survives", th.Plain, fmt.Sprintf("now %s %s meanwhile %s %s after %s", p.GetSurvivesBefore(), th.Sym.Arrow, p.GetSurvivesDuring(), th.Sym.Arrow, p.GetSurvivesAfter()))
	}
	b.Blank()
	effects(th, b, p)
	dimensions(th, b, p)
	moves(th, b, p)
	findings(th, b, v)
}

func effects(th *theme.Theme, b *cell.Block, p *adminpb.Plan) {
	if len(p.GetNodes()) == 0 {
		return
	}
	wide := b.Width >= 66
	head := cell.NewLine(b.Width).Field(th.Head, "NODE", 6, false).Field(th.Head, "REPLICAS", 14, false).Field(th.Head, "LEADERS", 14, false)
	if wide {
		head.Field(th.Head, "BYTES", 24, false)
	}
	b.Add(head.Put(th.Head, "DISK PEAK"))
	nodes := slices.Clone(p.GetNodes())
	leaving := func(n *adminpb.NodeChange) int {
		if slices.Contains(p.GetSpec().GetNodes(), n.GetNode()) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(nodes, func(a, c *adminpb.NodeChange) int { return leaving(a) - leaving(c) })
	for _, n := range nodes {
		l := cell.NewLine(b.Width).Field(th.Bold, cell.Node(n.GetNode()), 6, false)
		change(th, l, cell.Count(n.GetReplicasBefore()), cell.Count(n.GetReplicasAfter()), 14)
		change(th, l, cell.Count(n.GetLeadersBefore()), cell.Count(n.GetLeadersAfter()), 14)
		if wide {
			change(th, l, cell.Bytes(n.GetBytesBefore()), cell.Bytes(n.GetBytesAfter()), 24)
		}
		if n.GetDiskPeak() > 0 && n.GetReplicasAfter() >= n.GetReplicasBefore() {
			change(th, l, cell.Percent(n.GetDiskBefore()), cell.Percent(n.GetDiskPeak()), 14)
		} else {
			l.Put(th.Dim, cell.None)
		}
		b.Add(l)
	}
	b.Blank()
}

// change writes before and after; what stays is dim.
func change(th *theme.Theme, l *cell.Line, before, after string, width int) {
	at := l.Width()
	if before == after {
		l.Put(th.Dim, before)
	} else {
		l.Put(th.Dim, before+" "+th.Sym.Arrow+" ").Put(th.Title, after)
	}
	l.To(at + width)
}

// dimensions shows how even the load is, now and after a rebalance.
func dimensions(th *theme.Theme, b *cell.Block, p *adminpb.Plan) {
	if len(p.GetDimensions()) == 0 {
		return
	}
	b.Add(cell.NewLine(b.Width).Field(th.Head, "LOAD", 12, false).Put(th.Head, "HIGHEST OVER MEAN"))
	for i, x := range p.GetDimensions() {
		l := cell.NewLine(b.Width).Field(th.Plain, x.GetName(), 12, false)
		after := x
		if i < len(p.GetDimensionsAfter()) {
			after = p.GetDimensionsAfter()[i]
		}
		change(th, l, over(x), over(after), 20)
		b.Add(l)
	}
	b.Blank()
}

func over(x *adminpb.Dimension) string {
	if x.GetMean() <= 0 {
		return cell.None
	}
	return fmt.Sprintf("%+.0f%%", 100*(x.GetMax()/x.GetMean()-1))
}

const movesShown = 12

func moves(th *theme.Theme, b *cell.Block, p *adminpb.Plan) {
	if p.GetSpec().GetKind() == "decommission" || p.GetSpec().GetKind() == "drain" {
		return // one line per node says it better
	}
	for i, m := range p.GetMoves() {
		if i == movesShown {
			b.Text(th.Dim, fmt.Sprintf("and %d more moves", len(p.GetMoves())-i))
			break
		}
		l := cell.NewLine(b.Width).Field(th.Bold, cell.Range(m.GetRange()), 6, false)
		l.Put(th.Bad, "- "+cell.Node(m.GetFrom())+" ").Put(th.OK, "+ "+cell.Node(m.GetTo())+"  ").Put(th.Dim, m.GetKind())
		if m.GetBytes() > 0 {
			l.Put(th.Dim, "  "+cell.Bytes(m.GetBytes()))
		}
		b.Add(l)
	}
	if len(p.GetMoves()) > 0 {
		b.Blank()
	}
}

func findings(th *theme.Theme, b *cell.Block, v *Verdict) {
	if v.Allowed && v.Plan.GetChecksOk() > 0 {
		b.Add(cell.NewLine(b.Width).Field(th.Dim, "checks", 10, false).Put(th.OK, fmt.Sprintf("%s %d ok", th.Sym.OK, v.Plan.GetChecksOk())))
	}
	for _, f := range v.Findings {
		mark, style := th.Mark(theme.Severity(f.GetSeverity()))
		b.Add(cell.NewLine(b.Width).Put(style, mark+" "+f.GetCode()))
		b.Wrap(th.Plain, f.GetText(), 2)
	}
	if len(v.Fixes) > 0 {
		b.Blank().Text(th.Dim, "ways out")
	}
	for _, f := range v.Fixes {
		b.Add(cell.NewLine(b.Width).Space(2).Put(th.Plain, f.GetText()+"  ").Put(th.Info, f.GetCommand()))
	}
	if !v.Allowed {
		b.Blank()
	}
}

func (d *Dialog) drawProgress(th *theme.Theme, b *cell.Block, now time.Time) {
	if d.outcome.Text != "" {
		b.Text(th.Plain, d.outcome.Text)
	}
	if d.last == nil {
		b.Text(th.Busy, th.Sym.Busy+" "+d.outcome.Operation+" has begun")
		return
	}
	b.Append(progress.Draw(th, d.last, b.Width, now))
}

func (d *Dialog) drawEnd(th *theme.Theme, b *cell.Block) {
	if d.err == nil {
		b.Add(cell.NewLine(b.Width).Put(th.OK, th.Sym.Check+" ").Put(th.Plain, d.outcome.Text))
		return
	}
	e := d.err
	word := " REFUSED "
	switch e.Kind {
	case client.Unavailable, client.Timeout, client.Internal:
		word = " NO ANSWER "
	case client.StalePlan:
		word = " STALE "
	}
	b.Add(cell.NewLine(b.Width).Put(th.BadBar, word)).Blank()
	b.Wrap(th.Plain, e.Message, 0)
	for _, f := range e.Findings {
		mark, style := th.Mark(theme.Severity(f.GetSeverity()))
		b.Add(cell.NewLine(b.Width).Put(style, mark+" "+f.GetCode()))
		b.Wrap(th.Plain, f.GetText(), 2)
	}
	for _, f := range e.Fixes {
		b.Add(cell.NewLine(b.Width).Space(2).Put(th.Dim, "fix  "+f.GetText()+"  ").Put(th.Info, f.GetCommand()))
	}
	if e.Operation != "" {
		b.Add(cell.NewLine(b.Width).Put(th.Dim, "see  ").Put(th.Info, "nodedbctl ops show "+e.Operation))
	}
	if e.MaybeApplied() {
		b.Wrap(th.Warn, "it may have been done all the same: look at the operations", 0)
	} else {
		b.Text(th.Dim, "nothing was changed")
	}
}
