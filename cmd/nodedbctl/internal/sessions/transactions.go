package sessions

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

const transactionsLong = `Transactions lists those that are open, the oldest first: how many rows each has locked,
how many ranges it has touched, whose locks it waits for and how many wait for it. A
transaction is ended with its session: nodedbctl sessions cancel PID --terminate.`

// NewTransactions makes the command transactions.
func NewTransactions(e *ctl.Env) *cobra.Command {
	var w which
	var blocked bool
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return listTransactions(ctx, e, w, blocked) })
	}
	c := &cobra.Command{
		Use: "transactions [ls]", Aliases: []string{"transaction", "txns", "txn"}, Short: "List open transactions, and who waits for whom", Long: transactionsLong, Args: cobra.NoArgs, RunE: run,
	}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List open transactions, and who waits for whom", Long: transactionsLong, Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		w.bind(x)
		x.Flags().BoolVar(&blocked, "blocked", false, "only those that wait for others, and those that others wait for")
	}
	c.AddCommand(ls)
	return c
}

func listTransactions(ctx context.Context, e *ctl.Env, w which, blocked bool) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	nodes, err := w.nodes(ctx, e)
	if err != nil {
		return err
	}
	r, err := c.ListTransactions(ctx, &adminpb.ListTransactionsRequest{Blocked: blocked, Nodes: nodes, User: w.user, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.Transaction]{
		Kind: "TransactionList", Meta: e.Meta(r.GetAsOf()), Columns: transactionColumns, Name: transactionName, Empty: "no transactions",
	}
	if blocked {
		l.Empty = "no transaction waits for another"
	}
	for _, t := range r.GetTransactions() {
		l.Items = append(l.Items, view.NewTransaction(t, r.GetAsOf().GetTime().AsTime()))
	}
	return l.Print(e.Term, e.Flags.Output)
}

// transactionName is the session that ends it, if there is one.
func transactionName(t view.Transaction) string {
	if t.PID == nil {
		return t.ID
	}
	return fmt.Sprint(*t.PID)
}

func pid(p *uint32) string {
	if p == nil {
		return render.None
	}
	return fmt.Sprint(*p)
}

var transactionColumns = []render.Column[view.Transaction]{
	{Head: "PID", Key: "pid", Right: true, Cell: func(t view.Transaction) string { return pid(t.PID) }},
	{Head: "NODE", Key: "node", Cell: func(t view.Transaction) string { return render.Node(t.Node) }},
	{Head: "USER", Key: "user", Cell: func(t view.Transaction) string { return render.Or(render.OneLine(t.User)) }},
	{Head: "APPLICATION", Less: true, Key: "application", Cell: func(t view.Transaction) string { return render.Or(render.OneLine(t.Application)) }},
	{Head: "AGE", Key: "ageSeconds", Right: true, Cell: func(t view.Transaction) string { return render.Seconds(t.AgeSecs) }},
	{Head: "STATE", Key: "state", Cell: func(t view.Transaction) string { return t.State }, Style: func(t view.Transaction) term.Style {
		if t.State == "waiting" || t.State == "failed" {
			return term.Warn
		}
		return ""
	}},
	{Head: "ISOLATION", Wide: true, Key: "isolation", Cell: func(t view.Transaction) string { return render.Or(t.Isolation) }},
	{Head: "LOCKS", Key: "locks", Right: true, Cell: func(t view.Transaction) string { return fmt.Sprint(t.Locks) }},
	{Head: "RANGES", Less: true, Key: "ranges", Right: true, Cell: func(t view.Transaction) string { return fmt.Sprint(t.Ranges) }},
	{Head: "RANGE IDS", Wide: true, Cell: rangesTouched},
	{Head: "WAITS", Key: "waitSeconds", Right: true, Cell: func(t view.Transaction) string {
		if t.WaitSecs == nil {
			return render.None
		}
		return render.Seconds(*t.WaitSecs)
	}},
	{Head: "BLOCKED BY", Cell: func(t view.Transaction) string { return refs(t.WaitsFor) }},
	{Head: "BLOCKS", Cell: func(t view.Transaction) string { return refs(t.Blocks) }, Style: func(t view.Transaction) term.Style {
		if len(t.Blocks) > 0 {
			return term.Bad
		}
		return ""
	}},
	{Head: "ID", Wide: true, Key: "id", Cell: func(t view.Transaction) string { return render.Or(t.ID) }},
	{Head: "STATEMENT", Wide: true, Key: "statement", Cell: func(t view.Transaction) string { return statement(t.Statement, t.Hidden) }},
}

// rangeIDsShown bounds the ranges that a cell names.
const rangeIDsShown = 8

// rangesTouched names the first ranges that a transaction has touched.
func rangesTouched(t view.Transaction) string {
	if len(t.RangeIDs) == 0 {
		return render.None
	}
	var out []string
	for _, id := range t.RangeIDs[:min(len(t.RangeIDs), rangeIDsShown)] {
		out = append(out, render.Range(id))
	}
	text := strings.Join(out, ",")
	if more := int(t.Ranges) - len(out); more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// refsShown bounds the transactions that a cell names.
const refsShown = 3

// refs names transactions by their sessions, or by their nodes where those are not known.
func refs(ts []view.TransactionRef) string {
	if len(ts) == 0 {
		return render.None
	}
	var out []string
	for _, r := range ts[:min(len(ts), refsShown)] {
		if r.PID == nil {
			out = append(out, "on "+render.Node(r.Node))
		} else {
			out = append(out, fmt.Sprint(*r.PID))
		}
	}
	text := strings.Join(out, ",")
	if more := len(ts) - refsShown; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}
