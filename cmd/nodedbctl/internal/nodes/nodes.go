// Package nodes is the noun "node": list and show nodes, and the verbs that act
// on them: drain, cordon, decommission, and their opposites.
package nodes

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command nodes.
func New(e *ctl.Env) *cobra.Command {
	all := false
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, all) })
	}
	c := &cobra.Command{Use: "nodes [ls]", Aliases: []string{"node"}, Short: "List and show nodes", Args: cobra.NoArgs, RunE: run}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List nodes", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		x.Flags().BoolVar(&all, "all", false, "also nodes that were decommissioned")
	}
	c.AddCommand(ls, &cobra.Command{
		Use: "show NODE", Short: "Show a node", Args: cobra.ExactArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, args[0]) })
		},
	})
	return c
}

func fetch(ctx context.Context, e *ctl.Env, all bool) (*adminpb.ListNodesResponse, error) {
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	return c.ListNodes(ctx, &adminpb.ListNodesRequest{All: all, NodeTimeout: e.NodeTimeout()})
}

func list(ctx context.Context, e *ctl.Env, all bool) error {
	r, err := fetch(ctx, e, all)
	if err != nil {
		return err
	}
	l := render.List[view.Node]{
		Kind: "NodeList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(n view.Node) string { return render.Node(n.ID) },
	}
	for _, n := range r.GetNodes() {
		l.Items = append(l.Items, view.NewNode(n))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Node]{
	{Head: "NODE", Key: "id", Cell: func(n view.Node) string { return render.Node(n.ID) }},
	{Head: "NAME", Less: true, Key: "name", Cell: func(n view.Node) string { return render.Or(n.Name) }},
	{Head: "STATUS", Key: "status", Cell: func(n view.Node) string { return n.Status }, Style: func(n view.Node) term.Style { return statusStyle(n.Status) }},
	{Head: "MEMBERSHIP", Key: "membership", Wide: true, Cell: func(n view.Node) string { return n.Membership }},
	{Head: "LIVENESS", Key: "liveness", Wide: true, Cell: func(n view.Node) string { return n.Liveness }},
	{Head: "SERVICE", Key: "service", Wide: true, Cell: func(n view.Node) string { return render.Or(n.Service) }},
	{Head: "REPLICAS", Key: "replicas", Right: true, Cell: func(n view.Node) string { return fmt.Sprint(n.Replicas) }},
	{Head: "LEADERS", Key: "leaders", Right: true, Cell: func(n view.Node) string { return fmt.Sprint(n.Leaders) }},
	{Head: "BYTES", Less: true, Key: "bytes", Right: true, Cell: func(n view.Node) string { return known(n, render.Bytes(n.Bytes)) }},
	{Head: "LIVE", Wide: true, Key: "liveBytes", Right: true, Cell: func(n view.Node) string { return counted(n.LiveBytes) }},
	{Head: "DEAD", Wide: true, Key: "deadBytes", Right: true, Cell: func(n view.Node) string { return counted(n.DeadBytes) }},
	{Head: "DISK", Key: "diskUsedPct", Right: true, Cell: func(n view.Node) string { return known(n, fmt.Sprintf("%.0f%%", n.DiskUsedPct)) }},
	{Head: "CPU", Less: true, Key: "cpuPct", Right: true, Cell: func(n view.Node) string { return known(n, fmt.Sprintf("%.0f%%", n.CPUPct)) }},
	{Head: "SESSIONS", Less: true, Key: "sessions", Right: true, Cell: func(n view.Node) string { return known(n, fmt.Sprint(n.Sessions)) }},
	{Head: "VERSION", Less: true, Key: "version", Cell: func(n view.Node) string { return render.Or(n.Version) }},
	{Head: "SQL", Less: true, Cell: func(n view.Node) string { return render.Or(n.Address.SQL) }},
	{Head: "ADMIN", Wide: true, Cell: func(n view.Node) string { return render.Or(n.Address.Admin) }},
	{Head: "RPC", Wide: true, Cell: func(n view.Node) string { return render.Or(n.Address.RPC) }},
	{Head: "LOCALITY", Key: "locality", Wide: true, Cell: func(n view.Node) string { return render.Or(n.Locality) }},
	{Head: "UUID", Key: "uuid", Wide: true, Cell: func(n view.Node) string { return n.UUID }},
	{Head: "OPERATION", Key: "operation", Cell: func(n view.Node) string { return operation(n) }},
}

// counted writes what replicas hold, unless some of them are being counted.
func counted(bytes *uint64) string {
	if bytes == nil {
		return render.None
	}
	return render.Bytes(*bytes)
}

// known hides figures that the node did not report.
func known(n view.Node, text string) string {
	if !n.Reported {
		return render.None
	}
	return text
}

func operation(n view.Node) string {
	if n.Operation == nil {
		return render.None
	}
	return *n.Operation
}

func statusStyle(status string) term.Style {
	switch status {
	case "ready":
		return term.Good
	case "dead", "left":
		return term.Bad
	case "decommissioned":
		return term.Dim
	}
	return term.Warn
}

func show(ctx context.Context, e *ctl.Env, arg string) error {
	r, err := fetch(ctx, e, true)
	if err != nil {
		return err
	}
	n, err := ctl.FindNode(r.GetNodes(), arg)
	if err != nil {
		return err
	}
	v := view.NewNode(n)
	one := render.One[view.Node]{
		Kind: "Node", Meta: e.Meta(r.GetAsOf()), Item: v, Name: render.Node(v.ID),
		Text: func(w io.Writer) error { return writeShow(w, e, v) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writeShow(w io.Writer, e *ctl.Env, n view.Node) error {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{head}, args...)...)
	}
	line("node", "%s  %s  %s", render.Node(n.ID), n.Name, e.Term.Paint(statusStyle(n.Status), n.Status))
	line("uuid", "%s", n.UUID)
	line("membership", "%s", n.Membership)
	line("liveness", "%s", n.Liveness)
	line("service", "%s", render.Or(n.Service))
	if n.Cordoned {
		line("cordoned", "yes: nothing is placed there")
	}
	line("addresses", "sql %s · rpc %s · gossip %s · admin %s", n.Address.SQL, n.Address.RPC, n.Address.Gossip, n.Address.Admin)
	line("locality", "%s", render.Or(n.Locality))
	line("version", "%s", render.Or(n.Version))
	line("replicas", "%d, leads %d", n.Replicas, n.Leaders)
	if n.Reported {
		line("data", "%s on disk; rows: %s live, %s dead", render.Bytes(n.Bytes), counted(n.LiveBytes), counted(n.DeadBytes))
		line("disk", "%s of %s (%.0f%%)", render.Bytes(n.DiskUsed), render.Bytes(n.DiskTotal), n.DiskUsedPct)
		line("cpu", "%.0f%%", n.CPUPct)
		line("sessions", "%d", n.Sessions)
		transactions(line, n.Transactions)
		statements(line, n)
		memory(line, n)
		line("metadata", "applied up to meta@%d", n.MetaIndex)
	} else {
		line("figures", "none: the node did not answer within %s", e.Flags.NodeTimeout)
	}
	if n.JoinedAt != nil {
		line("joined", "%s ago", render.Duration(e.Now().Sub(*n.JoinedAt)))
	}
	if n.StartedAt != nil && n.Reported {
		line("started", "%s ago", render.Duration(e.Now().Sub(*n.StartedAt)))
	}
	if n.Operation != nil {
		line("operation", "%s    -> nodedbctl ops watch %s", *n.Operation, *n.Operation)
	}
	if t := n.Tombstone; t != nil {
		line("tombstone", "%s by %s, %s %s", t.At.Format("2006-01-02T15:04:05Z"), t.By, t.Operation, t.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// transactions writes a line about those of the node's sessions.
func transactions(line func(head, format string, args ...any), t *view.NodeTransactions) {
	if t == nil {
		return
	}
	text := fmt.Sprintf("%d open, %d wait for locks", t.Open, t.Waiting)
	if t.LongestWait != nil {
		text += ", longest " + render.Seconds(*t.LongestWait)
		if t.LongestPID != nil {
			text += fmt.Sprintf(" (session %d)", *t.LongestPID)
		}
		text += "    -> nodedbctl transactions --blocked"
	}
	line("transactions", "%s", text)
}

// statements writes a line for each kind of statement.
func statements(line func(head, format string, args ...any), n view.Node) {
	head := "statements"
	for _, q := range n.StatementQueues {
		text := fmt.Sprintf("%-6s %d of %d run, %d of %d wait", q.Name, q.Running, q.Limit, q.Waiting, q.Room)
		if q.Oldest > 0 {
			text += ", longest " + render.Duration(time.Duration(q.Oldest*float64(time.Second)))
		}
		if q.RefusedAgo != nil {
			text += fmt.Sprintf(", refused %d times, last %s ago", q.Refused, render.Duration(time.Duration(*q.RefusedAgo*float64(time.Second))))
		}
		line(head, "%s", text)
		head = ""
	}
}

// memory writes a line for each part of the node's memory.
func memory(line func(head, format string, args ...any), n view.Node) {
	head := "memory"
	for _, m := range n.Memory {
		text := fmt.Sprintf("%s%-*s %s of %s", strings.Repeat("  ", int(m.Depth)), 15-2*int(m.Depth), m.Name, render.Bytes(m.Used), render.Bytes(m.Limit))
		if m.Peak > 0 {
			text += ", at most " + render.Bytes(m.Peak)
		}
		if m.RefusedAgo != nil {
			text += fmt.Sprintf(", refused %d times, last %s ago", m.Refused, render.Duration(time.Duration(*m.RefusedAgo*float64(time.Second))))
		}
		line(head, "%s", text)
		head = ""
	}
}

// Complete offers the ids of live nodes.
func Complete(e *ctl.Env) cobra.CompletionFunc { return e.Live(ctl.LiveNodes) }
