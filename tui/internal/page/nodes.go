package page

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

type nodes struct {
	s *feed.Snapshot
	filtered[*adminpb.Node]
	now time.Time
	one *nodePage // the node that is shown in full; nil: none
}

var nodeFields = match.Fields[*adminpb.Node]{
	Text: func(b []byte, n *adminpb.Node) []byte {
		return fmt.Append(b, cell.Node(n.GetId()), " ", n.GetName(), " ", n.GetStatus(), " ", n.GetLocality(), " ", n.GetAddresses().GetSql())
	},
	Words: map[string]func(*adminpb.Node) string{
		"status": (*adminpb.Node).GetStatus, "membership": (*adminpb.Node).GetMembership, "liveness": (*adminpb.Node).GetLiveness,
		"service": (*adminpb.Node).GetService, "locality": (*adminpb.Node).GetLocality, "version": (*adminpb.Node).GetVersion,
	},
	Whole: map[string]func(*adminpb.Node, string) bool{
		"node": func(n *adminpb.Node, v string) bool {
			return cell.Node(n.GetId()) == v || strings.EqualFold(n.GetName(), v)
		},
	},
	Numbers: map[string]func(*adminpb.Node) float64{
		"cpu": func(n *adminpb.Node) float64 { return 100 * n.GetCpu() }, "disk": func(n *adminpb.Node) float64 { return 100 * diskShare(n) },
		"leaders": func(n *adminpb.Node) float64 { return float64(n.GetLeaders()) }, "replicas": func(n *adminpb.Node) float64 { return float64(n.GetReplicas()) },
		"sessions": func(n *adminpb.Node) float64 { return float64(n.GetSessions()) },
	},
}

func newNodes() *nodes {
	p := &nodes{filtered: filtered[*adminpb.Node]{fields: &nodeFields, noun: "node"}}
	type N = *adminpb.Node
	text := func(f func(N) string) func(*theme.Theme, N) (string, cell.Style) {
		return func(th *theme.Theme, n N) (string, cell.Style) { return f(n), th.Plain }
	}
	reported := func(f func(*theme.Theme, N) (string, cell.Style)) func(*theme.Theme, N) (string, cell.Style) {
		return func(th *theme.Theme, n N) (string, cell.Style) {
			if !n.GetReported() {
				return cell.None, th.Dim
			}
			return f(th, n)
		}
	}
	p.t = table.New(func(n N) uint64 { return uint64(n.GetId()) },
		table.Column[N]{Title: "  NODE", Width: 7, Cell: func(th *theme.Theme, n N) (string, cell.Style) {
			mark, style := th.Mark(theme.NodeStatus(n.GetStatus()))
			return mark + " " + cell.Node(n.GetId()), style
		}, Compare: func(a, b N) int { return cmp.Compare(a.GetId(), b.GetId()) }},
		table.Column[N]{Title: "STATUS", Width: 15, Cell: func(th *theme.Theme, n N) (string, cell.Style) {
			return n.GetStatus(), th.Word(theme.NodeStatus(n.GetStatus()))
		}, Compare: func(a, b N) int {
			return cmp.Or(cmp.Compare(theme.NodeStatus(b.GetStatus()), theme.NodeStatus(a.GetStatus())), cmp.Compare(a.GetStatus(), b.GetStatus()))
		}},
		table.Column[N]{Title: "LEADERS", Width: 8, Right: true, Cell: text(func(n N) string { return cell.Count(n.GetLeaders()) }),
			Compare: func(a, b N) int { return cmp.Compare(a.GetLeaders(), b.GetLeaders()) }},
		table.Column[N]{Title: "REPLICAS", Width: 9, Right: true, Cell: text(func(n N) string { return cell.Count(n.GetReplicas()) }),
			Compare: func(a, b N) int { return cmp.Compare(a.GetReplicas(), b.GetReplicas()) }},
		table.Column[N]{Title: "LOAD/S", Width: 7, Right: true, Cell: func(th *theme.Theme, n N) (string, cell.Style) {
			l := p.s.Load.Of(n.GetId())
			return cell.Rate(l.Reads + l.Writes), th.Plain
		}, Compare: func(a, b N) int { return cmp.Compare(p.load(a), p.load(b)) }},
		table.Column[N]{Title: "SQL P99", Width: 7, Right: true, From: 88, Cell: reported(func(th *theme.Theme, n N) (string, cell.Style) {
			if n.GetLatencyP99() == 0 {
				return cell.None, th.Dim
			}
			return cell.Latency(n.GetLatencyP99()), th.Plain
		}), Compare: func(a, b N) int { return cmp.Compare(a.GetLatencyP99(), b.GetLatencyP99()) }},
		table.Column[N]{Title: "CPU", Width: 5, Right: true, Cell: reported(func(th *theme.Theme, n N) (string, cell.Style) { return percent(th, n.GetCpu()) }),
			Compare: func(a, b N) int { return cmp.Compare(a.GetCpu(), b.GetCpu()) }},
		table.Column[N]{Title: "DISK", Width: 6, Right: true, Cell: reported(func(th *theme.Theme, n N) (string, cell.Style) { return percent(th, diskShare(n)) }),
			Compare: func(a, b N) int { return cmp.Compare(diskShare(a), diskShare(b)) }},
		table.Column[N]{Title: "SESSIONS", Width: 8, Right: true, Cell: reported(text(func(n N) string { return cell.Count(n.GetSessions()) })),
			Compare: func(a, b N) int { return cmp.Compare(a.GetSessions(), b.GetSessions()) }},
		table.Column[N]{Title: "BYTES", Width: 10, Right: true, From: 104, Cell: text(func(n N) string { return cell.Bytes(n.GetBytes()) }),
			Compare: func(a, b N) int { return cmp.Compare(a.GetBytes(), b.GetBytes()) }},
		table.Column[N]{Title: "UP", Width: 7, Right: true, From: 96, Cell: reported(func(th *theme.Theme, n N) (string, cell.Style) {
			return cell.Minutes(p.now.Sub(n.GetStartedAt().AsTime())), th.Dim
		})},
		table.Column[N]{Title: "SQL ADDRESS", Width: 16, From: 128, Cell: text(func(n N) string { return n.GetAddresses().GetSql() })},
		table.Column[N]{Title: "LOAD 1 min", Width: 14, From: 146, Cell: func(th *theme.Theme, n N) (string, cell.Style) {
			return cell.Spark(th.Glyphs, p.s.Load.Of(n.GetId()).Both, 14), th.Info
		}},
		table.Column[N]{Title: "LOCALITY", Width: 8, Grow: true, From: 160, Cell: text((*adminpb.Node).GetLocality)},
	)
	p.t.Sort, p.t.ByKey = 1, true
	return p
}

func (p *nodes) load(n *adminpb.Node) float64 {
	l := p.s.Load.Of(n.GetId())
	return l.Reads + l.Writes
}

func (*nodes) Name() string { return Nodes }

func (*nodes) Topics() []string { return []string{feed.Status, feed.Nodes, feed.Ranges, feed.Events} }

func (p *nodes) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Nodes)
}

// Open implements Opener: id is a node's, such as n3.
func (p *nodes) Open(id string) Effect {
	if v, err := nodeID(p.s, id); err == nil {
		p.t.Select(uint64(v))
	}
	return Done{}
}

func (p *nodes) Keys() []*keymap.Key {
	return []*keymap.Key{
		&keymap.Move, &keymap.Enter, &keymap.RangesOf, &keymap.SessionsOf, &keymap.Drain, &keymap.Undrain, &keymap.Cordon, &keymap.Decommission, &keymap.Recommission,
		&keymap.Filter, &keymap.Sort, &keymap.Flip, &keymap.Copy,
	}
}

// Leave implements Leaver.
func (p *nodes) Leave() bool {
	open := p.one != nil
	p.one = nil
	return open
}

// Again implements Asker.
func (p *nodes) Again(now time.Time) Effect {
	if p.one == nil {
		return nil
	}
	return p.one.again(now)
}

// Receive implements Receiver.
func (p *nodes) Receive(r Result) {
	if p.one != nil {
		p.one.receive(r)
	}
}

// Press implements Page.
func (p *nodes) Press(key string) Effect {
	if p.t.Press(key) {
		if n, ok := p.t.Selected(); ok && p.one != nil && p.one.id != n.GetId() {
			p.one = &nodePage{id: n.GetId()}
			return p.one.again(p.now)
		}
		return Done{}
	}
	n, ok := p.t.Selected()
	if !ok {
		return nil
	}
	id := n.GetId()
	switch {
	case keymap.Enter.Is(key) && p.one == nil:
		p.one = &nodePage{id: id}
		return p.one.again(p.now)
	case keymap.Enter.Is(key), keymap.RangesOf.Is(key):
		return Show{Page: Ranges, Filter: "on:" + cell.Node(id)}
	case keymap.SessionsOf.Is(key):
		return Show{Page: Sessions, Filter: "node:" + cell.Node(id)}
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl nodes show " + cell.Node(id)}
	case keymap.Drain.Is(key):
		return Act{action.Drain(id)}
	case keymap.Undrain.Is(key):
		return Act{action.Undrain(id)}
	case keymap.Cordon.Is(key):
		return Act{action.Cordon(id, !n.GetCordoned())}
	case keymap.Decommission.Is(key):
		return Act{action.Decommission(id)}
	case keymap.Recommission.Is(key):
		return Act{action.Recommission(id)}
	}
	return nil
}

// Click implements Pointed.
func (p *nodes) Click(_, y int) { p.t.Click(y) }

// Wheel implements Pointed.
func (p *nodes) Wheel(by int) { p.t.Move(by) }

// Ages implements Ager: uptimes are in minutes.
func (p *nodes) Ages(time.Time) time.Duration { return time.Minute }

const nodeDetail = 6

// Draw implements Page.
func (p *nodes) Draw(th *theme.Theme, s Size) *cell.Block {
	p.now = s.Now
	if !p.s.Has(feed.Nodes) {
		return loading(th, s, "asking for the nodes")
	}
	if p.one != nil {
		return p.one.draw(th, s, p.s)
	}
	detail := nodeDetail
	if s.Height > 30 {
		detail = min(16, s.Height/3)
	}
	if p.t.Len() == 0 {
		return p.noMatch(th, s)
	}
	rows := min(p.t.Len()+2, s.Height-detail) // few nodes leave more for the detail
	detail = s.Height - rows
	b := p.t.Draw(th, s.Width, rows)
	n, ok := p.t.Selected()
	if !ok {
		return b.Resize(s.Height)
	}
	d := cell.NewBlock(s.Width)
	d.Add(section(th, s.Width, cell.Node(n.GetId()), n.GetName()))
	p.detail(th, d, n, &s, detail)
	return b.Append(d.Resize(detail))
}

func (p *nodes) detail(th *theme.Theme, b *cell.Block, n *adminpb.Node, s *Size, height int) {
	a := n.GetAddresses()
	pair := func(l *cell.Line, name, word string, level theme.Level) {
		l.Put(th.Dim, name+" ").Put(th.Word(level), cell.Or(word)+"   ")
	}
	l := cell.NewLine(b.Width)
	member := theme.Quiet
	if n.GetMembership() != "active" {
		member = theme.Moving
	}
	service := theme.Quiet
	if n.GetService() != "ready" {
		service = theme.Alarm
	}
	pair(l, "membership", n.GetMembership(), member)
	pair(l, "liveness", n.GetLiveness(), theme.Liveness(n.GetLiveness()))
	pair(l, "service", n.GetService(), service)
	l.Put(th.Dim, "version ").Put(th.Plain, cell.Or(n.GetVersion()))
	b.Add(l)
	b.Add(cell.NewLine(b.Width).Put(th.Dim, "sql ").Put(th.Plain, a.GetSql()).Put(th.Dim, "  admin ").Put(th.Plain, a.GetAdmin()).
		Fit(th.Plain, "  rpc "+a.GetRpc()).Fit(th.Plain, "  gossip "+a.GetGossip()))
	text, command := advice(n)
	if text != "" {
		b.Add(cell.NewLine(b.Width).Put(th.Plain, text))
	}
	if command != "" {
		b.Add(cell.NewLine(b.Width).Put(th.Dim, th.Sym.Arrow+" ").Put(th.Info, s.command(command)))
	}
	if id := n.GetOperationId(); id != "" {
		if o := p.s.Operation(id); o != nil {
			b.Add(operationLine(th, o, b.Width, p.now))
		} else {
			b.Add(cell.NewLine(b.Width).Put(th.Dim, "operation ").Put(th.Info, id))
		}
	}
	if room := height - b.Height() - 2; room > 0 {
		eventsOf(th, b, p.s, n.GetId(), room)
	}
}

// advice says what a node's status means, and what to do.
func advice(n *adminpb.Node) (text, command string) {
	id := cell.Node(n.GetId())
	switch n.GetStatus() {
	case "ready":
		return "serves clients", ""
	case "suspect":
		return "it does not answer probes: it may be slow, cut off, or gone", "nodedbctl members why " + id
	case "dead", "left":
		return "it is gone; start it again, or give its replicas to others for good", "nodedbctl decommission " + id
	case "cordoned":
		return "nothing new is placed here", "nodedbctl uncordon " + id
	case "draining":
		return "it hands its leaderships and sessions over", "nodedbctl undrain " + id
	case "drained":
		return "safe to stop; takes no sessions until a restart or undrain", "nodedbctl undrain " + id
	case "decommissioning":
		return "its replicas are moving away", "nodedbctl recommission " + id
	case "decommissioned":
		t := n.GetTombstone()
		return fmt.Sprintf("its membership ended %s by %s: %s", t.GetAt().AsTime().Local().Format("2006-01-02 15:04"), cell.Or(t.GetBy()), cell.Or(t.GetReason())), ""
	}
	return "", ""
}
