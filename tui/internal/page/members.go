package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// members shows how the nodes see each other: by gossip, by pings, by breakers.
type members struct {
	s      *feed.Snapshot
	t      *table.Table[*adminpb.Member]
	why    map[uint32]*adminpb.ExplainMemberResponse
	err    error
	asked  uint32
	matrix bool
}

// matrixMost is how many nodes the matrix asks about and shows.
const matrixMost = 32

func newMembers() *members {
	type M = *adminpb.Member
	p := &members{why: map[uint32]*adminpb.ExplainMemberResponse{}}
	p.t = table.New(func(m M) uint64 { return uint64(m.GetNode()) },
		table.Column[M]{Title: "  NODE", Width: 8, Cell: func(th *theme.Theme, m M) (string, cell.Style) {
			mark, style := th.Mark(memberLevel(m))
			return mark + " " + cell.Node(m.GetNode()), style
		}, Compare: func(a, b M) int { return cmp.Compare(a.GetNode(), b.GetNode()) }},
		table.Column[M]{Title: "LIVENESS", Width: 9, Cell: func(th *theme.Theme, m M) (string, cell.Style) {
			return m.GetLiveness(), th.Word(theme.Liveness(m.GetLiveness()))
		}, Compare: func(a, b M) int { return cmp.Compare(memberLevel(b), memberLevel(a)) }},
		table.Column[M]{Title: "GOSSIP ADDRESS", Width: 21, Cell: func(th *theme.Theme, m M) (string, cell.Style) { return m.GetGossipAddress(), th.Plain }},
		table.Column[M]{Title: "SEEN BY THE OTHERS", Width: 20, Grow: true, Cell: func(th *theme.Theme, m M) (string, cell.Style) {
			return seen(m), th.Word(memberLevel(m))
		}},
	)
	p.t.Sort = 1
	return p
}

// memberLevel is the worst that anybody thinks of a node.
func memberLevel(m *adminpb.Member) theme.Level {
	level := theme.Liveness(m.GetLiveness())
	for _, o := range m.GetSeenBy() {
		if l := theme.Liveness(o.GetLiveness()); l != theme.Quiet {
			level = max(level, theme.Alarm)
		}
	}
	return level
}

// seen says who sees a node how: the doubters by name.
func seen(m *adminpb.Member) string {
	by := map[string][]uint32{}
	for _, o := range m.GetSeenBy() {
		by[o.GetLiveness()] = append(by[o.GetLiveness()], o.GetNode())
	}
	var parts []string
	for _, word := range []string{"dead", "left", "suspect"} {
		if ids := by[word]; len(ids) > 0 {
			parts = append(parts, word+" to "+cell.Nodes(ids, ","))
		}
	}
	if n := len(by["alive"]); n > 0 {
		parts = append(parts, fmt.Sprintf("alive to %d", n))
	}
	return cell.Or(strings.Join(parts, "; "))
}

func (*members) Name() string { return Members }

func (*members) Topics() []string { return []string{feed.Status, feed.Members, feed.Nodes} }

func (p *members) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Members.GetMembers())
}

func (p *members) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Enter, &keymap.Matrix, &keymap.Copy}
}

// Open implements Opener.
func (p *members) Open(id string) Effect {
	v, err := nodeID(p.s, id)
	if err != nil {
		return nil
	}
	p.t.Select(uint64(v))
	return p.ask(v)
}

// Leave implements Leaver.
func (p *members) Leave() bool {
	open := p.matrix || p.asked != 0
	p.matrix, p.asked, p.err = false, 0, nil
	return open
}

// Press implements Page.
func (p *members) Press(key string) Effect {
	if p.t.Press(key) {
		if m, ok := p.t.Selected(); ok && p.asked != 0 {
			return p.ask(m.GetNode())
		}
		return Done{}
	}
	m, ok := p.t.Selected()
	switch {
	case !ok:
	case keymap.Enter.Is(key):
		return p.ask(m.GetNode())
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl members why " + cell.Node(m.GetNode())}
	case keymap.Matrix.Is(key):
		p.matrix = !p.matrix
		if p.matrix {
			return p.askAll()
		}
		return Done{}
	}
	return nil
}

func explain(id uint32) Call {
	return Call{Name: "why " + strconv.FormatUint(uint64(id), 10), Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
		return c.ExplainMember(ctx, &adminpb.ExplainMemberRequest{Node: id, NodeTimeout: 2})
	}}
}

func (p *members) ask(id uint32) Effect {
	p.asked = id
	return explain(id)
}

func (p *members) askAll() Effect {
	var cs calls
	for _, m := range p.s.Members.GetMembers() {
		if len(cs) < matrixMost {
			cs = append(cs, explain(m.GetNode()))
		}
	}
	return cs
}

// Receive implements Receiver.
func (p *members) Receive(r Result) {
	v, ok := r.Value.(*adminpb.ExplainMemberResponse)
	if r.Err != nil || !ok {
		p.err = r.Err
		return
	}
	if len(p.why) > matrixMost {
		clear(p.why)
	}
	p.err = nil
	p.why[v.GetMember().GetNode()] = v
}

// Click implements Pointed.
func (p *members) Click(_, y int) { p.t.Click(y) }

// Wheel implements Pointed.
func (p *members) Wheel(by int) { p.t.Move(by) }

// Draw implements Page.
func (p *members) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case p.s.Lacks(feed.Members):
		return unserved(th, s)
	case !p.s.Has(feed.Members):
		return loading(th, s, "asking how the nodes see each other")
	case p.matrix:
		return p.drawMatrix(th, s)
	}
	rows := min(p.t.Len()+1, max(4, s.Height/2))
	b := p.t.Draw(th, s.Width, rows).Blank()
	if s.Height > 30 {
		p.views(th, b)
	}
	if p.asked == 0 {
		b.Add(cell.NewLine(s.Width).Space(1).Put(th.Key, "enter").Put(th.Dim, " says why a node is thought so    ").Put(th.Key, "m").Put(th.Dim, " round trips of all"))
		return b.Resize(s.Height)
	}
	p.doubts(th, b)
	return b.Resize(s.Height)
}

// views is who sees whom how: a line per node, a column per observer.
func (p *members) views(th *theme.Theme, b *cell.Block) {
	ms := p.s.Members.GetMembers()
	if len(ms) > (b.Width-10)/5 {
		return // the table says it in words
	}
	b.Add(section(th, b.Width, "who sees whom", "a line per node, a column per observer"))
	l := cell.NewLine(b.Width).Space(9)
	for _, m := range ms {
		l.Field(th.Head, cell.Node(m.GetNode()), 5, false)
	}
	b.Add(l)
	for _, m := range ms {
		l := cell.NewLine(b.Width).Space(1).Field(th.Bold, cell.Node(m.GetNode()), 8, false)
		for _, by := range ms {
			i := slices.IndexFunc(m.GetSeenBy(), func(o *adminpb.Observation) bool { return o.GetNode() == by.GetNode() })
			switch {
			case by.GetNode() == m.GetNode():
				l.Field(th.Faint, th.Sym.Dot, 5, false)
			case i < 0:
				l.Field(th.Dim, th.Sym.Unknown, 5, false)
			default:
				mark, style := th.Mark(theme.Liveness(m.GetSeenBy()[i].GetLiveness()))
				l.Field(style, mark, 5, false)
			}
		}
		b.Add(l)
	}
	b.Blank()
}

// doubts is why one node is thought alive, suspect or dead.
func (p *members) doubts(th *theme.Theme, b *cell.Block) {
	w := p.why[p.asked]
	note := ""
	if w != nil {
		note = fmt.Sprintf("came back %d times within the hour", w.GetFlaps())
	}
	b.Add(section(th, b.Width, "why "+cell.Node(p.asked), note))
	switch {
	case p.err != nil:
		b.Text(th.Dim, " "+refusal(p.err))
		return
	case w == nil:
		b.Text(th.Busy, " "+th.Sym.Ellipsis+" asking the nodes")
		return
	}
	b.Add(cell.NewLine(b.Width).Space(1).Field(th.Head, "  SEEN BY", 10, false).Field(th.Head, "AS", 9, false).Field(th.Head, "SINCE", 10, false).Field(th.Head, "PING", 9, true).
		Field(th.Head, "CLOCK", 9, true).Space(2).Field(th.Head, "BREAKER", 10, false).Put(th.Head, "CAUSE"))
	for _, d := range w.GetDoubts() {
		level := theme.Liveness(d.GetLiveness())
		if d.GetBreaker() != "closed" && d.GetBreaker() != "" {
			level = max(level, theme.Alarm)
		}
		mark, style := th.Mark(level)
		since := cell.None
		if d.GetSince() != nil {
			since = d.GetSince().AsTime().Local().Format("15:04:05")
		}
		l := cell.NewLine(b.Width).Space(1).Put(style, mark+" ").Field(th.Bold, cell.Node(d.GetObserver()), 8, false).Field(style, d.GetLiveness(), 9, false).
			Field(th.Dim, since, 10, false).Field(th.Plain, millis(d.GetRtt()), 9, true).Field(th.Plain, millis(d.GetClockOffset()), 9, true).Space(2)
		l.Field(th.Plain, cell.Or(d.GetBreaker()), 10, false).Put(th.Plain, d.GetCause())
		if d.GetLastError() != "" {
			l.Put(th.Warn, "  "+d.GetLastError())
		}
		b.Add(l)
	}
	support(th, b, w.GetSupport())
	for _, e := range w.GetTransitions() {
		b.Add(eventLine(th, e, b.Width))
	}
}

// support is what nodes promise each other, which leases rest on.
func support(th *theme.Theme, b *cell.Block, list []*adminpb.Support) {
	if len(list) == 0 {
		return
	}
	b.Blank().Add(section(th, b.Width, "support", "who promises to follow nobody else; leases rest on it"))
	b.Add(cell.NewLine(b.Width).Space(1).Field(th.Head, "  FROM", 8, false).Field(th.Head, "TO", 6, false).Field(th.Head, "SINCE", 10, false).Field(th.Head, "EPOCH", 7, true).
		Field(th.Head, "LEFT", 8, true).Field(th.Head, "WITHDRAWN", 11, true).Space(2).Put(th.Head, "LAST CAUSE"))
	for _, s := range list {
		level, left, since := theme.Quiet, fmt.Sprintf("%.2f s", s.GetLeft()), cell.None
		if !s.GetLive() {
			level, left = theme.Alarm, cell.None
		}
		if s.GetSince() != nil {
			since = s.GetSince().AsTime().Local().Format("15:04:05")
		}
		cause := map[string]string{
			"silent": cell.Node(s.GetTo()) + " did not ask in time", "restarted": cell.Node(s.GetTo()) + " started again", "stalled": cell.Node(s.GetFrom()) + " stood still itself",
		}[s.GetCause()]
		mark, style := th.Mark(level)
		b.Add(cell.NewLine(b.Width).Space(1).Put(style, mark+" ").Field(th.Bold, cell.Node(s.GetFrom()), 6, false).Field(th.Bold, cell.Node(s.GetTo()), 6, false).
			Field(th.Dim, since, 10, false).Field(th.Plain, s.GetEpoch(), 7, true).Field(style, left, 8, true).
			Field(th.Plain, strconv.FormatUint(s.GetEnded(), 10), 11, true).Space(2).Put(th.Plain, cell.Or(cause)))
	}
	b.Blank()
}

func millis(seconds float64) string {
	if seconds == 0 {
		return cell.None
	}
	return fmt.Sprintf("%.1f ms", seconds*1000)
}

// drawMatrix is the round trips of health pings, a line per observer.
func (p *members) drawMatrix(th *theme.Theme, s Size) *cell.Block {
	b := cell.NewBlock(s.Width)
	b.Add(section(th, s.Width, "round trips", "milliseconds of health pings; a line per observer, a column per node"))
	if p.err != nil {
		return b.Text(th.Dim, " "+refusal(p.err)).Resize(s.Height)
	}
	ms := p.s.Members.GetMembers()
	if len(ms) > matrixMost {
		ms = ms[:matrixMost]
	}
	l := cell.NewLine(s.Width).Space(8)
	for _, m := range ms {
		l.Field(th.Head, cell.Node(m.GetNode()), 8, true)
	}
	b.Add(l)
	for _, from := range ms {
		l := cell.NewLine(s.Width).Space(1).Field(th.Bold, cell.Node(from.GetNode()), 7, false)
		for _, to := range ms {
			text, style := p.trip(th, from.GetNode(), to.GetNode())
			l.Field(style, text, 8, true)
		}
		b.Add(l)
	}
	b.Blank().Add(cell.NewLine(s.Width).Space(1).Put(th.Bad, th.Sym.Bad).Put(th.Dim, " breaker open, nothing is sent   ").Put(th.Warn, th.Sym.Warn).Put(th.Dim, " half-open, being tried   "+cell.None+" no ping came back"))
	return b.Resize(s.Height)
}

func (p *members) trip(th *theme.Theme, from, to uint32) (string, cell.Style) {
	if from == to {
		return th.Sym.Dot, th.Faint
	}
	w := p.why[to]
	if w == nil {
		return th.Sym.Ellipsis, th.Dim
	}
	for _, d := range w.GetDoubts() {
		if d.GetObserver() != from {
			continue
		}
		switch d.GetBreaker() {
		case "open":
			return th.Sym.Bad, th.Bad
		case "half-open":
			return th.Sym.Warn, th.Warn
		}
		if d.GetRtt() == 0 {
			return cell.None, th.Dim
		}
		return fmt.Sprintf("%.1f", d.GetRtt()*1000), th.Plain
	}
	return th.Sym.Unknown, th.Dim
}
