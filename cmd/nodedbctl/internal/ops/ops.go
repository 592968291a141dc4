// Package ops is the noun "operation": list, show, watch, wait for and cancel
// them, and what verbs that start one share.
package ops

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command.
func New(e *ctl.Env) *cobra.Command {
	var o listOptions
	run := func(cmd *cobra.Command, _ []string) error {
		for _, s := range o.states {
			if !slices.Contains(states, s) {
				return ctl.Usagef("--state is one of %s, not %q", strings.Join(states, ", "), s)
			}
		}
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, &o) })
	}
	c := &cobra.Command{Use: "ops [ls]", Aliases: []string{"op", "operations"}, Short: "List, show, watch, pause, limit and cancel operations", Args: cobra.NoArgs, RunE: run}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List operations, the newest first", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		x.Flags().BoolVar(&o.all, "all", false, "also those that have ended")
		x.Flags().StringSliceVar(&o.states, "state", nil, "only those in one of these states: "+strings.Join(states, "|"))
		x.Flags().IntVar(&o.limit, "limit", 0, "the newest so many (0: all)")
	}
	c.AddCommand(ls, newShow(e), newWatch(e), newWait(e), newCancel(e), newPause(e), newResume(e), newLimit(e))
	return c
}

// states are those of operations.
var states = []string{"queued", "running", "paused", "blocked", "cancelling", "succeeded", "failed", "cancelled"}

type listOptions struct {
	all    bool
	states []string
	limit  int
}

func list(ctx context.Context, e *ctl.Env, o *listOptions) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListOperations(ctx, &adminpb.ListOperationsRequest{All: o.all || len(o.states) > 0})
	if err != nil {
		return err
	}
	l := render.List[view.Operation]{
		Kind: "OperationList", Meta: e.Meta(r.GetAsOf()), Columns: columns(e.Now()),
		Name: func(o view.Operation) string { return o.ID }, Empty: "no operation is running; --all lists those that have ended",
	}
	for _, x := range r.GetOperations() {
		if len(o.states) > 0 && !slices.Contains(o.states, x.GetState()) {
			continue
		}
		if l.Items = append(l.Items, view.NewOperation(x)); len(l.Items) == o.limit {
			break
		}
	}
	return l.Print(e.Term, e.Flags.Output)
}

// PrintList writes the operations that a verb ended.
func PrintList(e *ctl.Env, os []*adminpb.Operation) error {
	l := render.List[view.Operation]{
		Kind: "OperationList", Columns: columns(e.Now()), Name: func(o view.Operation) string { return o.ID },
		Meta: render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}},
	}
	for _, o := range os {
		l.Items = append(l.Items, view.NewOperation(o))
		l.Meta.AsOf.MetaIndex = o.GetMetaIndex()
	}
	return l.Print(e.Term, e.Flags.Output)
}

func columns(now time.Time) []render.Column[view.Operation] {
	type op = view.Operation
	return []render.Column[op]{
		{Head: "OPERATION", Key: "id", Cell: func(o op) string { return o.ID }},
		{Head: "KIND", Key: "operationKind", Cell: func(o op) string { return o.Kind }},
		{Head: "OF", Key: "nodes", Cell: about},
		{Head: "STATE", Key: "state", Cell: func(o op) string { return o.State }, Style: func(o op) term.Style { return stateStyle(o.State) }},
		{Head: "PHASE", Key: "phase", Cell: func(o op) string { return render.Or(o.Phase) }},
		{Head: "DONE", Key: "pct", Right: true, Cell: func(o op) string { return fmt.Sprintf("%.0f%%", o.Pct) }},
		{Head: "RANGES", Wide: true, Right: true, Cell: func(o op) string { return fmt.Sprintf("%d/%d", o.Done.Ranges, o.Total.Ranges) }},
		{Head: "BYTES", Wide: true, Right: true, Cell: func(o op) string { return render.Bytes(o.Done.Bytes) + "/" + render.Bytes(o.Total.Bytes) }},
		{Head: "AGE", Key: "createdAt", Cell: func(o op) string { return age(o, now) }},
		{Head: "BY", Key: "requestedBy", Cell: func(o op) string { return render.Or(o.RequestedBy) }},
		{Head: "WHY", Key: "why", Cell: func(o op) string { return render.Or(o.Why) }},
	}
}

// about is what an operation works on: nodes, a pool or a range.
func about(o view.Operation) string {
	switch {
	case o.Pool != "":
		return "pool " + o.Pool
	case len(o.Nodes) == 0 && o.Range != nil:
		return render.Range(*o.Range)
	}
	return render.Nodes(o.Nodes, ",")
}

func stateStyle(state string) term.Style {
	switch state {
	case "succeeded":
		return term.Good
	case "failed":
		return term.Bad
	case "blocked", "paused", "cancelling", "cancelled":
		return term.Warn
	}
	return term.Plain
}

func age(o view.Operation, now time.Time) string {
	if o.CreatedAt == nil {
		return render.None
	}
	return render.Duration(now.Sub(*o.CreatedAt))
}

func newShow(e *ctl.Env) *cobra.Command {
	blocked := false
	c := &cobra.Command{
		Use: "show OPERATION", Short: "Show an operation: phases, items with their reasons, proof", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return Show(ctx, e, args[0], blocked) })
		},
	}
	c.Flags().BoolVar(&blocked, "blocked", false, "only the items that cannot go on, with what they need")
	return c
}

// Show shows an operation, or only its items that cannot go on.
func Show(ctx context.Context, e *ctl.Env, id string, blocked bool) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetOperation(ctx, &adminpb.GetOperationRequest{Id: id})
	if err != nil {
		return err
	}
	o := r.GetOperation()
	if blocked {
		items := o.GetItems()
		o.Items = nil
		for _, it := range items {
			if client.Blocked(it) {
				o.Items = append(o.Items, it)
			}
		}
		o.ItemsTotal = uint32(len(o.Items))
	}
	one := render.One[view.Operation]{
		Kind: "Operation", Meta: e.Meta(r.GetAsOf()), Item: view.NewOperation(o), Name: o.GetId(),
		Text: func(w io.Writer) error { return writeShow(w, o, e.Now()) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

// asked says who asked for an operation, when and why.
func asked(o *adminpb.Operation, now time.Time) string {
	s := "by " + render.Or(o.GetRequestedBy())
	if o.GetCreatedAt() != nil {
		s += ", " + render.Duration(now.Sub(o.GetCreatedAt().AsTime())) + " ago"
	}
	if o.GetReason() != "" {
		s += fmt.Sprintf(", because %q", o.GetReason())
	}
	return s
}

func writeShow(w io.Writer, o *adminpb.Operation, now time.Time) error {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{head}, args...)...)
	}
	line("operation", "%s  %s", o.GetId(), title(o))
	state := o.GetState()
	if o.GetWhy() != "" {
		state += ": " + o.GetWhy()
	}
	line("state", "%s", state)
	line("requested", "%s", asked(o, now))
	if d, ok := view.Took(o); ok {
		line("took", "%s%s", render.Duration(d), planned(o, d))
	}
	t, d := o.GetTotal(), o.GetDone()
	line("done", "%s · %d/%d ranges · %d/%d replicas · %d/%d leaders · %s/%s", render.Percent(client.Share(o)), d.GetRanges(), t.GetRanges(), d.GetReplicas(), t.GetReplicas(),
		d.GetLeaders(), t.GetLeaders(), render.Bytes(d.GetBytes()), render.Bytes(t.GetBytes()))
	if l := limit(o); l > 0 {
		whose := ""
		if of := o.GetLimitOf(); of != "" {
			whose = ": that of " + of + ", the least of all holds"
		}
		line("limit", "%s/s that each node sends, and receives%s", render.Bytes(l), whose)
	}
	if o.GetRate() > 0 || left(o) != "" {
		how := ""
		if late, ok := client.Late(o, now); ok {
			how = fmt.Sprintf(" (planned %s, %s)", render.Seconds(o.GetPlannedSeconds()), map[bool]string{true: "late", false: "on track"}[late])
		}
		line("pace", "%s/s, left %s%s", render.Bytes(o.GetRate()), render.Or(left(o)), how)
	}
	if o.GetStalled() {
		line("stalled", "%s", o.GetWhy())
	}
	for i, p := range o.GetPhases() {
		head := ""
		if i == 0 {
			head = "phases"
		}
		line(head, "%s", strings.TrimRight(fmt.Sprintf("%s %-13s %-8s %s", mark(p), p.GetName(), p.GetState(), p.GetNote()), " "))
	}
	for i, it := range o.GetItems() {
		head := ""
		if i == 0 {
			head = "items"
		}
		line(head, "%s", itemText(it))
	}
	if n := int(o.GetItemsTotal()) - len(o.GetItems()); n > 0 && len(o.GetItems()) > 0 {
		line("", "and %d more", n)
	}
	for i, x := range o.GetBlockers() {
		line(map[bool]string{true: "blockers"}[i == 0], "%s", blockerText(x))
	}
	for _, f := range o.GetFindings() {
		line("refused", "%s  %s", f.GetCode(), f.GetText())
	}
	if p := o.GetProof(); p != nil {
		line("proof", "%s", proofText(o))
	}
	if next := nextCommands(o); next != "" {
		line("next", "%s", next)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func nextCommands(o *adminpb.Operation) string {
	var commands []string
	for _, f := range o.GetNext() {
		if f.GetCommand() != "" {
			commands = append(commands, f.GetCommand())
		}
	}
	return strings.Join(commands, " · ")
}

func newWatch(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "watch OPERATION", Short: "Follow an operation until it has ended", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return Follow(cmd.Context(), e, args[0], FollowOptions{})
		},
	}
}

func newWait(e *ctl.Env) *cobra.Command {
	o := FollowOptions{Still: true}
	c := &cobra.Command{
		Use: "wait OPERATION", Short: "Wait until an operation has ended; its outcome is the exit code", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Follow(cmd.Context(), e, args[0], o) },
	}
	c.Flags().BoolVar(&o.FailOnBlocked, "fail-on-blocked", false, "exit 5 as soon as nothing can progress")
	return c
}

func newCancel(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "cancel OPERATION", Short: "Cancel an operation; what it moved stays where it is", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return cancel(cmd.Context(), e, args[0], change) },
	}
	change.BindInstant(c.Flags())
	change.BindDetach(c.Flags())
	return c
}

func cancel(ctx context.Context, e *ctl.Env, id string, change ctl.Change) error {
	if err := change.Allow(e, e.Again("ops cancel "+id, "--dry-run")); err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, done := e.Call(ctx)
	defer done()
	now, err := c.GetOperation(call, &adminpb.GetOperationRequest{Id: id})
	if err != nil {
		return err
	}
	plan := ctl.Instant{Command: "ops cancel " + id, Nodes: now.GetOperation().GetSpec().GetNodes(), Effects: []string{"would cancel " + id + "  " + title(now.GetOperation())}}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	call, done = e.Call(ctx) // a person may have thought for long
	defer done()
	r, err := c.CancelOperation(call, &adminpb.CancelOperationRequest{Id: id, Reason: change.Reason})
	if err != nil {
		return err
	}
	if change.Detach || final(r.GetOperation()) {
		return ended(e, r.GetOperation(), true)
	}
	return Follow(ctx, e, id, FollowOptions{Still: true, Cancelling: true})
}
