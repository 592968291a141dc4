package rebalance

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

var policies = []string{"off", "observe", "auto"}

func newPolicy(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "policy [off|observe|auto]", Short: "Show or set what the rebalancer does by itself", Args: cobra.MaximumNArgs(1), ValidArgs: policies,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return e.Repeat(cmd.Context(), func(ctx context.Context) error { return showPolicy(ctx, e) })
			}
			return setPolicy(cmd.Context(), e, args[0], &change)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

type policyView = view.RebalancePolicy

func showPolicy(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetRebalance(ctx, &adminpb.GetRebalanceRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	return printPolicy(e, policyView{Policy: r.GetPolicy()}, e.Meta(r.GetAsOf()))
}

func printPolicy(e *ctl.Env, p policyView, meta render.Meta) error {
	one := render.One[policyView]{
		Kind: "RebalancePolicy", Meta: meta, Item: p, Name: p.Policy,
		Text: func(w io.Writer) error { _, err := fmt.Fprintln(w, p.Policy); return err },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func setPolicy(ctx context.Context, e *ctl.Env, policy string, change *ctl.Change) error {
	switch policy {
	case "off", "observe", "auto":
	default:
		return ctl.Usagef("unknown policy %q: off, observe or auto", policy)
	}
	plan := ctl.Instant{Command: "rebalance policy " + policy, Effects: []string{"the policy would be " + policy}}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.SetRebalancePolicy(call, &adminpb.SetRebalancePolicyRequest{Policy: policy, Reason: change.Reason})
	if err != nil {
		return err
	}
	if r.GetBefore() == r.GetPolicy() {
		e.Term.Say("the policy was %s already", r.GetPolicy())
	} else {
		e.Term.Say("the policy is %s; it was %s", r.GetPolicy(), r.GetBefore())
	}
	meta := render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}}
	return printPolicy(e, policyView{Policy: r.GetPolicy(), Before: r.GetBefore()}, meta)
}

func newHistory(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "What the rebalancer did, or would have done: predicted and achieved gain", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return history(ctx, e) })
		},
	}
}

func history(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetRebalance(ctx, &adminpb.GetRebalanceRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	now := e.Now()
	l := render.List[view.Sweep]{
		Kind: "SweepList", Meta: e.Meta(r.GetAsOf()), Items: view.NewSweeps(r.GetHistory()), Empty: "the rebalancer has had nothing to do",
		Name: func(s view.Sweep) string {
			if s.Operation != nil {
				return *s.Operation
			}
			return s.Outcome
		},
		Columns: []render.Column[view.Sweep]{
			{Head: "AGE", Key: "at", Cell: func(s view.Sweep) string { return since(s.At, now) }},
			{Head: "CAUSE", Key: "cause", Cell: func(s view.Sweep) string { return s.Cause }},
			{Head: "OUTCOME", Key: "outcome", Cell: func(s view.Sweep) string { return s.Outcome }},
			{Head: "MOVES", Key: "moves", Right: true, Cell: func(s view.Sweep) string { return fmt.Sprint(s.Moves) }},
			{Head: "TRANSFERS", Key: "transfers", Right: true, Cell: func(s view.Sweep) string { return fmt.Sprint(s.Transfers) }},
			{Head: "PREDICTED", Key: "gainPredicted", Right: true, Cell: func(s view.Sweep) string { return fmt.Sprintf("%.1f", s.GainPredicted) }},
			{Head: "ACHIEVED", Key: "gainAchieved", Right: true, Cell: achieved},
			{Head: "OPERATION", Key: "operation", Cell: func(s view.Sweep) string {
				if s.Operation == nil {
					return render.None
				}
				return *s.Operation
			}},
			{Head: "WHY", Key: "why", Cell: func(s view.Sweep) string { return render.Or(s.Why) }},
		},
	}
	return l.Print(e.Term, e.Flags.Output)
}

func achieved(s view.Sweep) string {
	if s.Outcome != "applied" {
		return render.None
	}
	return fmt.Sprintf("%.1f", s.GainAchieved)
}
