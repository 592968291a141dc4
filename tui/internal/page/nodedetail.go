package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// nodePage is one node in full: what it holds and does, who is connected to it, and
// what happened to it. Its sessions are asked for.
type nodePage struct {
	id       uint32
	sessions []*sessionRow // those that do something first
	have     bool
	err      error
	asked    time.Time
	open     bool // a question has not been answered
}

func (d *nodePage) call() string { return "node" + cell.Node(d.id) }

// again asks for the sessions once the answer has come and has aged.
func (d *nodePage) again(now time.Time) Effect {
	if d.open || now.Sub(d.asked) < askEvery {
		return nil
	}
	d.asked, d.open = now, true
	id := d.id
	return Call{Name: d.call(), Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
		return askForSessions(ctx, c, id)
	}}
}

func (d *nodePage) receive(r Result) {
	if r.Name != d.call() {
		return
	}
	d.open, d.err = false, r.Err
	if v, ok := r.Value.(SessionsAnswer); ok && r.Err == nil {
		d.have, d.sessions = true, join(v, v.Sessions.GetAsOf().GetTime().AsTime())
		slices.SortStableFunc(d.sessions, func(a, b *sessionRow) int {
			return cmp.Or(cmp.Compare(b.age(), a.age()), cmp.Compare(b.level(), a.level()))
		})
	}
}

func (d *nodePage) draw(th *theme.Theme, s Size, snap *feed.Snapshot) *cell.Block {
	i := slices.IndexFunc(snap.Nodes, func(n *adminpb.Node) bool { return n.GetId() == d.id })
	if i < 0 {
		return blank(th, s, cell.Node(d.id)+" is not known", "esc goes back")
	}
	n := snap.Nodes[i]
	b := cell.NewBlock(s.Width)
	mark, style := th.Mark(theme.NodeStatus(n.GetStatus()))
	b.Add(cell.NewLine(s.Width).Put(th.Title, "node "+cell.Node(n.GetId())).Put(th.Dim, "  "+n.GetName()+"  ").Put(style, mark+" "+n.GetStatus()).
		Put(th.Dim, "  version ").Put(th.Plain, cell.Or(n.GetVersion())).Put(th.Dim, "  locality ").Put(th.Plain, cell.Or(n.GetLocality())))
	a := n.GetAddresses()
	b.Add(cell.NewLine(b.Width).Put(th.Dim, "sql ").Put(th.Plain, a.GetSql()).Put(th.Dim, "  admin ").Put(th.Plain, a.GetAdmin()).
		Fit(th.Plain, "  rpc "+a.GetRpc()).Fit(th.Plain, "  gossip "+a.GetGossip()))
	if text, command := advice(n); command != "" {
		b.Add(cell.NewLine(b.Width).Put(th.Plain, text+"  ").Put(th.Dim, th.Sym.Arrow+" ").Put(th.Info, s.command(command)))
	}
	if o := snap.Operation(n.GetOperationId()); o != nil {
		b.Add(operationLine(th, o, b.Width, s.Now))
	}
	b.Blank()
	d.figures(th, b, n, snap.Load.Of(n.GetId()), s.Now)
	b.Blank().Add(section(th, b.Width, "sessions", cell.Count(n.GetSessions())))
	room := max(3, (s.Height-b.Height()-3)/2)
	d.listSessions(th, b, room)
	if room := s.Height - b.Height() - 2; room > 0 {
		eventsOf(th, b, snap, n.GetId(), room)
	}
	return b.Resize(s.Height)
}

// figures are what the node holds and does.
func (d *nodePage) figures(th *theme.Theme, b *cell.Block, n *adminpb.Node, load feed.NodeLoad, now time.Time) {
	row := func(style cell.Style, name, value string) {
		b.Add(cell.NewLine(b.Width).Space(1).Field(th.Dim, name, 13, false).Put(style, value))
	}
	row(th.Plain, "replicas", fmt.Sprintf("%d, leads %d", n.GetReplicas(), n.GetLeaders()))
	if !n.GetReported() {
		row(th.Warn, "figures", "none: it did not answer")
		return
	}
	rows := "being counted"
	if n.GetReplicasUncounted() == 0 {
		rows = fmt.Sprintf("%s live, %s dead", cell.Bytes(n.GetLiveBytes()), cell.Bytes(n.GetDeadBytes()))
	}
	row(th.Plain, "data", cell.Bytes(n.GetBytes())+" on disk; rows: "+rows)
	text, style := percent(th, diskShare(n))
	row(style, "disk", fmt.Sprintf("%s of %s, %s", cell.Bytes(n.GetDiskUsed()), cell.Bytes(n.GetDiskTotal()), text))
	text, style = percent(th, n.GetCpu())
	row(style, "cpu", text)
	l := cell.NewLine(b.Width).Space(1).Field(th.Dim, "load", 13, false).Put(th.Plain, fmt.Sprintf("%s reads/s, %s writes/s, %s statements/s, p99 %s  ",
		cell.Rate(load.Reads), cell.Rate(load.Writes), cell.Rate(n.GetStatementsPerSecond()), cell.Latency(n.GetLatencyP99())))
	b.Add(l.Put(th.Info, cell.Spark(th.Glyphs, load.Both, max(0, min(40, l.Left())))))
	if t := n.GetTransactions(); t != nil {
		style, text := th.Plain, fmt.Sprintf("%d open, %d wait for locks", t.GetOpen(), t.GetWaiting())
		if t.GetWaiting() > 0 {
			style, text = th.Warn, text+", longest "+cell.Seconds(t.GetLongest())
		}
		row(style, "transactions", text)
	}
	for i, q := range n.GetStatementQueues() {
		style := th.Plain
		if q.GetWaiting() > 0 || q.GetRefusedAgo() > 0 {
			style = th.Warn
		}
		text := fmt.Sprintf("%-6s %d of %d run, %d of %d wait", q.GetName(), q.GetRunning(), q.GetLimit(), q.GetWaiting(), q.GetRoom())
		if q.GetRefusedAgo() > 0 {
			text += fmt.Sprintf(", %d refused, the last %s ago", q.GetRefused(), cell.Seconds(q.GetRefusedAgo()))
		}
		row(style, map[bool]string{true: "statements"}[i == 0], text)
	}
	if parts := n.GetMemory(); len(parts) > 0 {
		row(th.Plain, "memory", memoryText(parts))
	}
	if at := n.GetStartedAt(); at != nil {
		row(th.Dim, "started", cell.Duration(now.Sub(at.AsTime()))+" ago")
	}
}

// memoryText is the whole, then the parts that are right below it.
func memoryText(parts []*adminpb.MemoryPart) string {
	out := []string{fmt.Sprintf("%s of %s", cell.Bytes(parts[0].GetUsed()), cell.Bytes(parts[0].GetLimit()))}
	for _, m := range parts[1:] {
		if m.GetDepth() == parts[0].GetDepth()+1 && m.GetUsed() > 0 {
			out = append(out, m.GetName()+" "+cell.Bytes(m.GetUsed()))
		}
	}
	return strings.Join(out, ", ")
}

// listSessions lists those that do something.
func (d *nodePage) listSessions(th *theme.Theme, b *cell.Block, room int) {
	switch {
	case !d.have && d.err != nil:
		b.Text(th.Warn, th.Sym.Warn+" not known: "+refusal(d.err))
		return
	case !d.have:
		b.Text(th.Dim, th.Sym.Ellipsis+" asking")
		return
	}
	shown := 0
	for _, c := range d.sessions {
		if c.age() < 0 && c.s.GetState() == "idle" {
			continue
		}
		if shown++; shown > room {
			continue
		}
		mark, style := th.Mark(c.level())
		age := ""
		if c.age() >= 0 {
			age = "  in a transaction for " + cell.Seconds(c.age())
		}
		b.Add(cell.NewLine(b.Width).Space(1).Put(style, mark+" ").Put(th.Plain, fmt.Sprintf("%s  %s %s  %s for %s%s  ", pidOr(c.s.GetPid()), cell.OneLine(c.s.GetUser()),
			cell.OneLine(c.s.GetApplication()), c.state(), cell.Seconds(c.since()), age)).Put(th.Dim, statementOf(c)))
	}
	switch {
	case shown == 0:
		b.Text(th.Dim, " all are idle")
	case shown > room:
		b.Text(th.Dim, fmt.Sprintf(" %s %d more; w shows all", th.Sym.Ellipsis, shown-room))
	}
}

// eventsOf lists the newest events of a node.
func eventsOf(th *theme.Theme, b *cell.Block, s *feed.Snapshot, node uint32, room int) {
	var lines []*cell.Line
	for i := len(s.Events) - 1; i >= 0 && len(lines) < room; i-- {
		if e := s.Events[i]; e.GetNode() == node {
			lines = append(lines, eventLine(th, e, b.Width))
		}
	}
	if len(lines) == 0 {
		return
	}
	b.Blank().Text(th.Dim, "events of "+cell.Node(node))
	for _, l := range lines {
		b.Add(l)
	}
}
