package rebalance

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

type planOptions struct {
	goal     string
	maxMoves uint32
	exitCode bool
	dryRun   bool
}

func newPlan(e *ctl.Env) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use: "plan", Short: "Plan, and keep the plan for an hour; nothing is moved", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return plan(cmd.Context(), e, &o) },
	}
	f := c.Flags()
	f.StringVar(&o.goal, "goal", "", "what to even out: bytes, load or leaders (default all of them)")
	f.Uint32Var(&o.maxMoves, "max-moves", 0, "moves and transfers at most (default 10)")
	f.BoolVar(&o.exitCode, "exit-code", false, "exit 10 if the plan is not empty")
	f.BoolVar(&o.dryRun, "dry-run", false, "do not keep the plan: a viewer may do that")
	return c
}

func plan(ctx context.Context, e *ctl.Env, o *planOptions) error {
	switch o.goal {
	case "", "all", "bytes", "load", "leaders":
	default:
		return ctl.Usagef("unknown goal %q: bytes, load or leaders", o.goal)
	}
	spec := &adminpb.OperationSpec{Kind: "rebalance", Goal: o.goal, MaxMoves: o.maxMoves}
	if !o.dryRun {
		if err := e.Changing(); err != nil {
			return err
		}
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	stored, asOf, err := makePlan(call, e, c, spec, o.dryRun)
	if err != nil {
		return err
	}
	if err := printPlan(e, asOf, stored, o.dryRun); err != nil {
		return err
	}
	if o.exitCode && len(stored.GetPlan().GetMoves()) > 0 {
		return ctl.Silent(ctl.Changes)
	}
	return nil
}

func makePlan(ctx context.Context, e *ctl.Env, c *client.Client, spec *adminpb.OperationSpec, dry bool) (*adminpb.StoredPlan, *adminpb.AsOf, error) {
	if !dry {
		r, err := c.CreatePlan(ctx, &adminpb.CreatePlanRequest{Spec: spec, NodeTimeout: e.NodeTimeout()})
		return r.GetStored(), r.GetAsOf(), err
	}
	r, err := c.PlanOperation(ctx, &adminpb.PlanOperationRequest{Spec: spec, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return nil, nil, err
	}
	p := r.GetPlan()
	if !p.GetFeasible() {
		ctl.Refusal(e.Term, ctl.Unsafe, "cannot be planned", p.GetFindings(), p.GetFixes())
		return nil, nil, ctl.Silent(ctl.Unsafe)
	}
	return &adminpb.StoredPlan{Plan: p, State: "not kept"}, r.GetAsOf(), nil
}

func printPlan(e *ctl.Env, asOf *adminpb.AsOf, s *adminpb.StoredPlan, dry bool) error {
	one := render.One[view.Plan]{
		Kind: "Plan", Meta: e.Meta(asOf), Item: view.NewStoredPlan(s), Name: s.GetPlan().GetId(),
		Text: func(w io.Writer) error { return writePlan(w, e, asOf, s, dry) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writePlan(w io.Writer, e *ctl.Env, asOf *adminpb.AsOf, s *adminpb.StoredPlan, dry bool) error {
	p := s.GetPlan()
	var b strings.Builder
	if len(p.GetMoves()) == 0 {
		fmt.Fprintf(&b, "nothing to do: no step would make it more even, as of meta@%d\n", asOf.GetMetaIndex())
		ops.WriteDimensions(&b, p)
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "Plan %s  %s  as of meta@%d · %s\n", p.GetId(), title(p.GetSpec()), asOf.GetMetaIndex(), planState(s, e.Now()))
	fmt.Fprintf(&b, "  replicas %d · leaders %d · copy %s · p50 %s  p90 %s\n", p.GetReplicas(), p.GetLeaders(), render.Bytes(p.GetBytes()),
		render.Seconds(p.GetSecondsP50()), render.Seconds(p.GetSecondsP90()))
	fmt.Fprintf(&b, "  survives  before: %s   during: %s   after: %s\n\n", p.GetSurvivesBefore(), p.GetSurvivesDuring(), p.GetSurvivesAfter())
	ops.WriteDimensions(&b, p)
	ops.WriteSteps(&b, p)
	for _, f := range p.GetFindings() {
		fmt.Fprintf(&b, "  %s %s  %s\n", f.GetSeverity(), f.GetCode(), f.GetText())
	}
	if !dry && s.GetState() == "valid" {
		fmt.Fprintf(&b, "run it    nodedbctl rebalance apply %s\n", p.GetId())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// title is what a plan is for.
func title(s *adminpb.OperationSpec) string {
	switch s.GetKind() {
	case "rebalance":
		if s.GetGoal() != "" {
			return "rebalance " + s.GetGoal()
		}
		return "rebalance"
	case "move":
		return fmt.Sprintf("move %s %s->%s", render.Range(s.GetRange()), render.Node(s.GetFrom()), render.Node(s.GetTo()))
	case "transfer":
		return fmt.Sprintf("transfer %s to %s", render.Range(s.GetRange()), render.Node(s.GetTo()))
	}
	return s.GetKind() + " " + render.Nodes(s.GetNodes(), " ")
}

func planState(s *adminpb.StoredPlan, now time.Time) string {
	switch s.GetState() {
	case "applied":
		return "applied by " + s.GetOperationId()
	case "valid", "stale":
		return s.GetState() + ", kept for " + render.Duration(s.GetExpiresAt().AsTime().Sub(now))
	}
	return s.GetState()
}

func newPlans(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "plans", Short: "List the plans that are kept, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return plans(ctx, e) })
		},
	}
}

func plans(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListPlans(ctx, &adminpb.ListPlansRequest{})
	if err != nil {
		return err
	}
	l := render.List[view.Plan]{
		Kind: "PlanList", Meta: e.Meta(r.GetAsOf()), Columns: planColumns(e.Now()), Name: func(p view.Plan) string { return p.ID },
		Empty: "no plan is kept; nodedbctl rebalance plan makes one",
	}
	for _, s := range r.GetPlans() {
		l.Items = append(l.Items, view.NewStoredPlan(s))
	}
	return l.Print(e.Term, e.Flags.Output)
}

func planColumns(now time.Time) []render.Column[view.Plan] {
	return []render.Column[view.Plan]{
		{Head: "PLAN", Key: "id", Cell: func(p view.Plan) string { return p.ID }},
		{Head: "KIND", Key: "operationKind", Cell: func(p view.Plan) string { return p.Operation }},
		{Head: "STATE", Key: "state", Cell: func(p view.Plan) string { return p.State }},
		{Head: "MOVES", Key: "replicas", Right: true, Cell: func(p view.Plan) string { return fmt.Sprint(p.Replicas) }},
		{Head: "TRANSFERS", Key: "leaders", Right: true, Cell: func(p view.Plan) string { return fmt.Sprint(p.Leaders) }},
		{Head: "BYTES", Key: "bytes", Right: true, Cell: func(p view.Plan) string { return render.Bytes(p.Bytes) }},
		{Head: "GAIN", Key: "gain", Right: true, Cell: func(p view.Plan) string { return fmt.Sprintf("%.1f", p.Gain) }},
		{Head: "AGE", Key: "createdAt", Cell: func(p view.Plan) string { return since(p.CreatedAt, now) }},
		{Head: "BY", Key: "createdBy", Cell: func(p view.Plan) string { return render.Or(p.CreatedBy) }},
	}
}

func since(t *time.Time, now time.Time) string {
	if t == nil {
		return render.None
	}
	return render.Duration(now.Sub(*t))
}

func newShow(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "show PLAN", Short: "Show a plan that is kept, and what of it is stale", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, args[0]) })
		},
	}
}

func show(ctx context.Context, e *ctl.Env, id string) error {
	s, asOf, err := find(ctx, e, id)
	if err != nil {
		return err
	}
	return printPlan(e, asOf, s, false)
}

func find(ctx context.Context, e *ctl.Env, id string) (*adminpb.StoredPlan, *adminpb.AsOf, error) {
	c, err := e.Client()
	if err != nil {
		return nil, nil, err
	}
	r, err := c.ListPlans(ctx, &adminpb.ListPlansRequest{Id: id})
	if err != nil {
		return nil, nil, err
	}
	if len(r.GetPlans()) == 0 {
		return nil, nil, &ctl.Error{Code: ctl.NotFound, Message: fmt.Sprintf("there is no plan %q", id), Next: []string{"nodedbctl rebalance plans"}}
	}
	return r.GetPlans()[0], r.GetAsOf(), nil
}

func newApply(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	strict := false
	c := &cobra.Command{
		Use: "apply PLAN", Short: "Make exactly the steps of a plan that is kept", Args: cobra.ExactArgs(1),
		Long: "Apply makes exactly the steps of the plan. A step that cannot be made any more is dropped, and it is said why;\n" +
			"with --strict the whole plan is refused then (exit 8). Applied again, nothing is done.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return apply(cmd.Context(), e, args[0], strict, &change)
		},
	}
	change.Bind(c.Flags())
	c.Flags().BoolVar(&strict, "strict", false, "refuse the plan if a part of it is stale")
	return c
}

func apply(ctx context.Context, e *ctl.Env, id string, strict bool, change *ctl.Change) error {
	call, cancel := e.Call(ctx)
	defer cancel()
	s, _, err := find(call, e, id)
	if err != nil {
		return err
	}
	spec := &adminpb.OperationSpec{Kind: "rebalance", Plan: id, Strict: strict, Deadline: change.Deadline.Seconds()}
	if kind := s.GetPlan().GetSpec().GetKind(); kind == "decommission" || kind == "drain" {
		// Its steps follow from the nodes: it is the same operation with that consent.
		spec = s.GetPlan().GetSpec()
	}
	ch := *change
	if ch.Confirm == "" && !ch.DryRun {
		ch.Confirm = id // to name the plan is to consent to it
	}
	return ops.Start(ctx, e, ops.Request{Change: ch, Command: "rebalance apply " + id, Spec: spec})
}
