package nodes

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// pollEvery is how often wait looks.
const pollEvery = 300 * time.Millisecond

// ofNode are the conditions that hold of each node by itself.
var ofNode = map[string]func(*adminpb.Node) bool{
	"ready": func(n *adminpb.Node) bool {
		return n.GetMembership() == "active" && n.GetLiveness() == "alive" && n.GetService() == "ready"
	},
	"drained": func(n *adminpb.Node) bool {
		return n.GetService() == "drained" || n.GetService() == "stopping" || n.GetLiveness() == "left"
	},
	"decommissioned": func(n *adminpb.Node) bool { return n.GetMembership() == "decommissioned" },
	"dead":           func(n *adminpb.Node) bool { return n.GetLiveness() == "dead" || n.GetLiveness() == "left" },
}

// ofCluster are the conditions that are of no node. Each says what is missing,
// nothing if it holds.
var ofCluster = map[string]func(context.Context, *client.Client) (string, error){
	"healthy": func(ctx context.Context, c *client.Client) (string, error) {
		r, err := c.GetStatus(ctx, &adminpb.GetStatusRequest{})
		if err != nil || r.GetHealth() == "healthy" {
			return "", err
		}
		missing := "it is " + r.GetHealth()
		if ps := r.GetProblems(); len(ps) > 0 {
			missing += ": " + ps[0].GetText()
		}
		return missing, nil
	},
	"balanced": func(ctx context.Context, c *client.Client) (string, error) {
		r, err := c.GetRebalance(ctx, &adminpb.GetRebalanceRequest{})
		switch {
		case err != nil:
			return "", err
		case r.GetOperationId() != "":
			return r.GetOperationId() + " is at work", nil
		case r.GetVerdict() == "balanced":
			return "", nil
		}
		return r.GetVerdict() + ": " + r.GetWhy(), nil
	},
}

const safeToStop = "safe-to-stop"

// waitConditions lists what --for takes.
func waitConditions() []string {
	return []string{"ready", "drained", "decommissioned", "dead", safeToStop, "healthy", "balanced"}
}

type waitOptions struct {
	condition string
	all       bool
}

// NewWait makes the command wait.
func NewWait(e *ctl.Env) *cobra.Command {
	var o waitOptions
	c := &cobra.Command{
		Use: "wait NODE...|--all --for CONDITION", Short: "Wait until something is true of nodes, or of the cluster", ValidArgsFunction: Complete(e),
		Long: "Wait until something is true of every node that is named, or of every node that is not decommissioned (--all):\n" +
			"ready, drained, decommissioned, dead. safe-to-stop: the processes may stop, all that are named together, as\n" +
			"ok-to-stop says; with --all, each one by itself. A node may be named that does not exist yet. healthy and\n" +
			"balanced are of the cluster and take no node. --timeout ends the wait with exit 6.",
		RunE: func(cmd *cobra.Command, args []string) error { return wait(cmd.Context(), e, args, o) },
	}
	c.Flags().StringVar(&o.condition, "for", "", strings.Join(waitConditions(), "|"))
	c.Flags().BoolVar(&o.all, "all", false, "every node that is not decommissioned")
	return c
}

func wait(ctx context.Context, e *ctl.Env, args []string, o waitOptions) error {
	w, err := newWaiting(e, args, o)
	if err != nil {
		return err
	}
	limited, cancel := e.Wait(ctx)
	defer cancel()
	progress := e.Term.NewProgress(e.Now)
	defer progress.Clear()
	away := e.NewAway(true)
	defer away.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	said := "no node has answered yet"
	for {
		missing, err := w.look(limited)
		var gone *goneError
		text := ""
		switch {
		case errors.As(err, &gone) && limited.Err() != nil: // the time is over, and ended the call: what was seen before holds
			missing = said
		case errors.As(err, &gone):
			away.Lost(gone.err)
			missing, text = away.What(), away.Text()
		case err != nil:
			return err
		default:
			away.Back()
		}
		if missing == "" {
			progress.Clear()
			return w.done(e)
		}
		said, text = missing, "waiting for "+w.subject()+" to be "+o.condition+": "+cmp.Or(text, missing)
		progress.Show([]string{text}, text, false)
		select {
		case <-tick.C:
			continue
		case <-limited.Done(): // ctx ends it too
		}
		if ctx.Err() != nil {
			return ctl.Silent(ctl.Interrupted)
		}
		return &ctl.Error{Code: ctl.Timeout, Message: w.subject() + w.is() + " not " + o.condition + ": " + missing, Next: []string{w.next()}}
	}
}

// goneError is of a cluster that does not answer now: it is waited for.
type goneError struct{ err error }

func (g *goneError) Error() string { return g.err.Error() }

// waiting is what is waited for.
type waiting struct {
	e     *ctl.Env
	args  []string
	o     waitOptions
	nodes []*adminpb.Node // those that are meant, as they were seen last
}

func newWaiting(e *ctl.Env, args []string, o waitOptions) (*waiting, error) {
	known := slices.Contains(waitConditions(), o.condition)
	_, cluster := ofCluster[o.condition]
	switch {
	case !known && o.condition == "":
		return nil, ctl.Usagef("what is waited for? --for %s", strings.Join(waitConditions(), "|"))
	case !known:
		return nil, ctl.Usagef("--for must be one of %s, not %q", strings.Join(waitConditions(), ", "), o.condition)
	case cluster && (len(args) > 0 || o.all):
		return nil, ctl.Usagef("%s is of the cluster: name no node", o.condition)
	case !cluster && (len(args) == 0) == !o.all:
		return nil, ctl.Usagef("name nodes, or --all")
	}
	return &waiting{e: e, args: args, o: o}, nil
}

func (w *waiting) subject() string {
	switch {
	case w.o.all:
		return "every node"
	case len(w.args) == 0:
		return "the cluster"
	}
	return strings.Join(w.args, " ")
}

func (w *waiting) is() string {
	if len(w.args) > 1 {
		return " are"
	}
	return " is"
}

// next is the command that shows more.
func (w *waiting) next() string {
	switch {
	case w.o.condition == safeToStop && !w.o.all:
		return "nodedbctl ok-to-stop " + w.subject()
	case w.o.condition == "balanced":
		return "nodedbctl rebalance status"
	case len(w.args) == 1:
		return "nodedbctl nodes show " + w.subject()
	case w.o.condition == "healthy":
		return "nodedbctl status"
	}
	return "nodedbctl nodes --all"
}

// look says what is missing, nothing if the condition holds. Nodes that the
// cluster does not know yet are waited for; a cluster that does not answer is a
// *goneError.
func (w *waiting) look(ctx context.Context) (string, error) {
	c, err := w.e.Client()
	if err != nil {
		return "", err
	}
	missing, err := w.ask(ctx, c)
	var failed *client.Error
	if errors.As(err, &failed) && (failed.Retryable() || failed.Kind == client.Cancelled) {
		return "", &goneError{failed}
	}
	return missing, err
}

// oneCall bounds a call: each may wait for the figures of a node that is silent.
func (w *waiting) oneCall(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.e.Flags.NodeTimeout+2*time.Second)
}

func (w *waiting) ask(ctx context.Context, c *client.Client) (string, error) {
	call, cancel := w.oneCall(ctx)
	defer cancel()
	if of := ofCluster[w.o.condition]; of != nil {
		return of(call, c)
	}
	r, err := c.ListNodes(call, &adminpb.ListNodesRequest{All: true, NodeTimeout: w.e.NodeTimeout()})
	if err != nil {
		return "", err
	}
	if missing, err := w.find(r.GetNodes()); missing != "" || err != nil {
		return missing, err
	}
	if w.o.condition == safeToStop {
		return w.stoppable(ctx, c)
	}
	holds := ofNode[w.o.condition]
	for _, n := range w.nodes {
		if !holds(n) {
			return w.how(n), nil
		}
	}
	return "", nil
}

// find resolves the nodes that are meant.
func (w *waiting) find(nodes []*adminpb.Node) (missing string, err error) {
	w.nodes = nil
	if w.o.all {
		w.nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *adminpb.Node) bool { return n.GetMembership() == "decommissioned" })
		return "", nil
	}
	for _, arg := range w.args {
		n, err := ctl.FindNode(nodes, arg)
		var own *ctl.Error
		switch {
		case errors.As(err, &own) && own.Code == ctl.NotFound:
			return w.named(arg, "not known to the cluster yet"), nil
		case err != nil:
			return "", err
		}
		w.nodes = append(w.nodes, n)
	}
	return "", nil
}

// named puts the node's name before what is said of it, if there are several.
func (w *waiting) named(name, text string) string {
	if len(w.args) == 1 {
		return text
	}
	return name + " is " + strings.TrimPrefix(text, "it is ")
}

func (w *waiting) how(n *adminpb.Node) string {
	if n.GetMembership() == "joining" && n.GetLiveness() != "alive" {
		return w.named(render.Node(n.GetId()), "it is not heard of yet: it has joined and was not started")
	}
	return w.named(render.Node(n.GetId()), "it is "+n.GetStatus()+" ("+n.GetMembership()+", "+n.GetLiveness()+", "+render.Or(n.GetService())+")")
}

// stoppable asks whether the nodes may stop: together, or with --all each one.
func (w *waiting) stoppable(ctx context.Context, c *client.Client) (string, error) {
	groups := [][]uint32{ctl.NodeIDs(w.nodes)}
	if w.o.all {
		groups = nil
		for _, id := range ctl.NodeIDs(w.nodes) {
			groups = append(groups, []uint32{id})
		}
	}
	for _, ids := range groups {
		if missing, err := w.mayStop(ctx, c, ids); missing != "" || err != nil {
			return missing, err
		}
	}
	return "", nil
}

// mayStop asks whether nodes may stop together. The node need not look again by
// itself at what passes: this verb does.
func (w *waiting) mayStop(ctx context.Context, c *client.Client, ids []uint32) (string, error) {
	call, cancel := w.oneCall(ctx)
	defer cancel()
	r, err := c.CheckSafe(call, &adminpb.CheckSafeRequest{Question: "stop", Nodes: ids, NodeTimeout: w.e.NodeTimeout(), Wait: noWait})
	if err != nil || r.GetSafe() {
		return "", err
	}
	text := render.Nodes(ids, " ") + " may not stop"
	for _, f := range r.GetFindings() {
		text += "; " + f.GetCode() + " " + f.GetText()
	}
	return text, nil
}

// noWait is next to nothing: 0 is the node's default.
const noWait = 0.001

// done says that it is so: to people on stderr, to programs as a verdict.
func (w *waiting) done(e *ctl.Env) error {
	names := []string{w.subject()}
	if len(w.nodes) > 0 {
		names = nil
		for _, id := range ctl.NodeIDs(w.nodes) {
			names = append(names, render.Node(id))
		}
	}
	ids := ctl.NodeIDs(w.nodes)
	one := render.One[view.Verdict]{
		Kind: "Verdict", Name: strings.Join(names, "\n"), Meta: e.Local(),
		Item: view.Verdict{Question: w.o.condition, Nodes: ids, OK: true, Findings: []view.Finding{}, Fixes: []view.Fix{}, LargestSafe: []uint32{}},
		Text: func(io.Writer) error {
			e.Term.Say("%s%s %s", w.subject(), w.is(), w.o.condition)
			return nil
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}
