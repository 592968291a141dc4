// Package sessions is the nouns "session" and "transaction": list the clients of SQL and
// their transactions, cancel their statements, end them.
package sessions

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// which are the sessions or transactions that are asked for.
type which struct{ node, user string }

func (w *which) bind(c *cobra.Command) {
	c.Flags().StringVar(&w.node, "node", "", "only those of this node")
	c.Flags().StringVar(&w.user, "user", "", "only this user's")
}

// nodes are the ids of the node that is asked for; nil: all.
func (w *which) nodes(ctx context.Context, e *ctl.Env) ([]uint32, error) {
	if w.node == "" {
		return nil, nil
	}
	nodes, err := e.ResolveNodes(ctx, []string{w.node})
	return ctl.NodeIDs(nodes), err
}

// New makes the command sessions.
func New(e *ctl.Env) *cobra.Command {
	var w which
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, w) })
	}
	c := &cobra.Command{Use: "sessions [ls]", Aliases: []string{"session"}, Short: "List SQL sessions, cancel their statements, end them", Args: cobra.NoArgs, RunE: run}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the SQL sessions of all nodes", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		w.bind(x)
	}
	c.AddCommand(ls, newCancel(e))
	return c
}

func list(ctx context.Context, e *ctl.Env, w which) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	nodes, err := w.nodes(ctx, e)
	if err != nil {
		return err
	}
	r, err := c.ListSessions(ctx, &adminpb.ListSessionsRequest{Nodes: nodes, User: w.user, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.Session]{
		Kind: "SessionList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(s view.Session) string { return fmt.Sprint(s.PID) },
		Empty: "no sessions",
	}
	for _, s := range r.GetSessions() {
		l.Items = append(l.Items, view.NewSession(s, r.GetAsOf().GetTime().AsTime()))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Session]{
	{Head: "PID", Key: "pid", Right: true, Cell: func(s view.Session) string { return fmt.Sprint(s.PID) }},
	{Head: "NODE", Key: "node", Cell: func(s view.Session) string { return render.Node(s.Node) }},
	{Head: "USER", Key: "user", Cell: func(s view.Session) string { return render.OneLine(s.User) }},
	{Head: "APPLICATION", Less: true, Key: "application", Cell: func(s view.Session) string { return render.Or(render.OneLine(s.Application)) }},
	{Head: "CLIENT", Wide: true, Key: "client", Cell: func(s view.Session) string { return render.Or(s.Client) }},
	{Head: "STATE", Key: "state", Cell: func(s view.Session) string { return s.State }, Style: func(s view.Session) term.Style { return stateStyle(s.State) }},
	{Head: "FOR", Key: "stateSeconds", Right: true, Cell: func(s view.Session) string { return render.Seconds(s.StateSecs) }},
	{Head: "TXN", Key: "transactionSeconds", Right: true, Cell: func(s view.Session) string {
		if s.TransactionSecs == nil {
			return render.None
		}
		return render.Seconds(*s.TransactionSecs)
	}},
	{Head: "BEGAN", Wide: true, Key: "began", Cell: func(s view.Session) string { return s.Began.Format("2006-01-02 15:04:05") }},
	{Head: "STATEMENT", Key: "statement", Cell: func(s view.Session) string { return statement(s.Statement, s.Hidden) }},
}

func statement(text string, hidden bool) string {
	if hidden {
		return "(hidden)"
	}
	return render.Or(render.OneLine(text))
}

func stateStyle(state string) term.Style {
	switch state {
	case "active":
		return term.Good
	case "idle":
		return term.Dim
	}
	return term.Warn
}

const cancelLong = `Cancel ends the statement that a session runs, as its client could: it gets 57014, and a
transaction that it is in has failed. With --terminate the session ends (57P01) and its
transaction is rolled back. PID is that of nodedbctl sessions and of pg_backend_pid();
it says which node the session is on.`

func newCancel(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var terminate bool
	c := &cobra.Command{
		Use: "cancel PID...", Short: "Cancel the statements of sessions, or end the sessions", Long: cancelLong, Args: cobra.MinimumNArgs(1), ValidArgsFunction: e.Live(live),
		RunE: func(cmd *cobra.Command, args []string) error {
			return cancel(cmd.Context(), e, args, &change, terminate)
		},
	}
	change.BindInstant(c.Flags())
	c.Flags().BoolVar(&terminate, "terminate", false, "end the session, not only its statement")
	return c
}

// live offers the sessions that do something first.
func live(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListSessions(ctx, &adminpb.ListSessionsRequest{NodeTimeout: 0.3})
	var busy, idle []string
	for _, s := range r.GetSessions() {
		word := fmt.Sprintf("%d\t%s on %s, %s", s.GetPid(), s.GetUser(), render.Node(s.GetNode()), s.GetState())
		if s.GetState() == "idle" {
			idle = append(idle, word)
		} else {
			busy = append(busy, word)
		}
	}
	return append(busy, idle...), err
}

func cancel(ctx context.Context, e *ctl.Env, args []string, change *ctl.Change, terminate bool) error {
	pids := make([]uint32, len(args))
	for i, a := range args {
		pid, err := strconv.ParseUint(a, 10, 32)
		if err != nil {
			return ctl.Usagef("%q is no process id of a session: nodedbctl sessions lists them", a)
		}
		pids[i] = uint32(pid)
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	plan, err := planOf(ctx, e, c, pids, terminate)
	if err != nil {
		return err
	}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	var names, lines []string
	for _, pid := range pids {
		call, stop := e.Call(ctx)
		r, err := c.CancelSession(call, &adminpb.CancelSessionRequest{Pid: pid, Terminate: terminate, Reason: change.Reason, NodeTimeout: e.NodeTimeout()})
		stop()
		if err != nil {
			for _, line := range lines {
				e.Term.Say("%s", line) // what was done before stays done
			}
			return err
		}
		names, lines = append(names, fmt.Sprint(pid)), append(lines, outcome(r, terminate))
	}
	return e.Done("sessions cancel", plan.Nodes, names, lines)
}

// planOf says what would be done, or which session there is not.
func planOf(ctx context.Context, e *ctl.Env, c *client.Client, pids []uint32, terminate bool) (ctl.Instant, error) {
	plan := ctl.Instant{Command: "sessions cancel"}
	call, stop := e.Call(ctx)
	defer stop()
	r, err := c.ListSessions(call, &adminpb.ListSessionsRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return plan, err
	}
	for _, pid := range pids {
		plan.Command += fmt.Sprintf(" %d", pid)
		i := slices.IndexFunc(r.GetSessions(), func(s *adminpb.Session) bool { return s.GetPid() == pid })
		if i < 0 {
			return plan, missing(pid, r.GetAsOf())
		}
		s := r.GetSessions()[i]
		what := fmt.Sprintf("session %d of %s on %s", pid, render.OneLine(s.GetUser()), render.Node(s.GetNode()))
		if terminate {
			plan.Effects = append(plan.Effects, "would end "+what+"; its transaction is rolled back")
		} else {
			plan.Effects = append(plan.Effects, "would cancel the statement of "+what)
		}
		if !slices.Contains(plan.Nodes, s.GetNode()) {
			plan.Nodes = append(plan.Nodes, s.GetNode())
		}
	}
	return plan, nil
}

// missing says that no node that answered has the session.
func missing(pid uint32, asOf *adminpb.AsOf) error {
	if away := asOf.GetMissing(); len(away) > 0 {
		return &ctl.Error{Code: ctl.Unavailable, Message: fmt.Sprintf("no node that answers has a session %d; no answer from %s", pid, render.Nodes(away, ", ")), Next: []string{"nodedbctl nodes"}}
	}
	return &ctl.Error{Code: ctl.NotFound, Message: fmt.Sprintf("there is no session %d", pid), Next: []string{"nodedbctl sessions"}}
}

// outcome says what came of one.
func outcome(r *adminpb.CancelSessionResponse, terminate bool) string {
	s := r.GetSession()
	what := fmt.Sprintf("session %d of %s on %s", s.GetPid(), s.GetUser(), render.Node(s.GetNode()))
	switch {
	case r.GetEnded() && terminate:
		return what + " is ended"
	case r.GetEnded():
		return "the statement of " + what + " is cancelled"
	case terminate:
		return what + " had ended by itself"
	}
	return what + " runs no statement (" + s.GetState() + "): nothing was done; --terminate ends it"
}
