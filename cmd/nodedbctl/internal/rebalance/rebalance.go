// Package rebalance is the verb "rebalance": how even the load is, plans that are
// stored and applied, the policy.
package rebalance

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command rebalance.
func New(e *ctl.Env) *cobra.Command {
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return status(ctx, e) })
	}
	c := &cobra.Command{
		Use: "rebalance [status]", Short: "Even out bytes, leaders and load: see, plan, apply", Args: cobra.NoArgs, RunE: run,
		Long: "The rebalancer looks every 30 s, and at once when the membership changes. With the policy auto it does what it\n" +
			"would do; with observe it only says so; with off it does not look. A plan that you make yourself is kept for\n" +
			"an hour: apply makes exactly its steps, and says of each that cannot be made any more why.",
	}
	c.AddCommand(
		&cobra.Command{Use: "status", Short: "How even the load is, per dimension, and what would be done", Args: cobra.NoArgs, RunE: run},
		newPlan(e), newPlans(e), newShow(e), newApply(e), newPolicy(e), newHistory(e),
	)
	return c
}

func status(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetRebalance(ctx, &adminpb.GetRebalanceRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	one := render.One[view.Rebalance]{
		Kind: "Rebalance", Meta: e.Meta(r.GetAsOf()), Item: view.NewRebalance(r), Name: r.GetVerdict(),
		Text: func(w io.Writer) error { return writeStatus(w, e, r) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func verdictStyle(verdict string) term.Style {
	if verdict == "balanced" {
		return term.Good
	}
	return term.Warn
}

func writeStatus(w io.Writer, e *ctl.Env, r *adminpb.GetRebalanceResponse) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s · policy %s%s · as of meta@%d\n", e.Term.Paint(verdictStyle(r.GetVerdict()), r.GetVerdict()), r.GetPolicy(),
		sweeps(r, e.Now()), r.GetAsOf().GetMetaIndex())
	fmt.Fprintf(&b, "would act  %s, because %s\n", yesNo(r.GetVerdict() == "would-act"), r.GetWhy())
	if r.GetOperationId() != "" {
		fmt.Fprintf(&b, "running    %s; nodedbctl ops watch %s\n", r.GetOperationId(), r.GetOperationId())
	}
	for _, g := range r.GetGates() {
		if !g.GetOpen() {
			fmt.Fprintf(&b, "held back  %s: %s\n", g.GetName(), g.GetWhy())
		}
	}
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	dims := render.List[*adminpb.Dimension]{Columns: dimensionColumns, Items: r.GetDimensions()}
	if err := dims.Print(e.Term, render.Options{}); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	nodes := render.List[*adminpb.NodeLoad]{Columns: nodeColumns, Items: r.GetNodes()}
	return nodes.Print(e.Term, render.Options{})
}

func sweeps(r *adminpb.GetRebalanceResponse, now time.Time) string {
	var text string
	if t := r.GetLastSweep(); t != nil {
		text += " · looked " + render.Duration(now.Sub(t.AsTime())) + " ago"
	}
	if t := r.GetNextSweep(); t != nil && t.AsTime().After(now) {
		text += ", looks again in " + render.Duration(t.AsTime().Sub(now))
	}
	return text
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

var dimensionColumns = []render.Column[*adminpb.Dimension]{
	{Head: "LOAD", Cell: func(d *adminpb.Dimension) string { return d.GetName() }},
	{Head: "MIN", Right: true, Cell: func(d *adminpb.Dimension) string { return ops.Amount(d.GetName(), d.GetMin()) }},
	{Head: "MEAN", Right: true, Cell: func(d *adminpb.Dimension) string { return ops.Amount(d.GetName(), d.GetMean()) }},
	{Head: "MAX", Right: true, Cell: func(d *adminpb.Dimension) string { return ops.Amount(d.GetName(), d.GetMax()) }},
	{Head: "WORST", Cell: func(d *adminpb.Dimension) string { return render.Node(d.GetMaxNode()) }},
	{
		Head: "WOULD ACT", Cell: func(d *adminpb.Dimension) string { return yesNo(d.GetWouldAct()) },
		Style: func(d *adminpb.Dimension) term.Style {
			if d.GetWouldAct() {
				return term.Warn
			}
			return term.Good
		},
	},
	{Head: "BECAUSE", Cell: func(d *adminpb.Dimension) string { return d.GetWhy() }},
}

var nodeColumns = []render.Column[*adminpb.NodeLoad]{
	{Head: "NODE", Cell: func(n *adminpb.NodeLoad) string { return render.Node(n.GetNode()) }},
	{Head: "REPLICAS", Right: true, Cell: func(n *adminpb.NodeLoad) string { return fmt.Sprint(n.GetReplicas()) }},
	{Head: "LEADERS", Right: true, Cell: func(n *adminpb.NodeLoad) string { return fmt.Sprint(n.GetLeaders()) }},
	{Head: "BYTES", Right: true, Cell: func(n *adminpb.NodeLoad) string { return render.Bytes(n.GetBytes()) }},
	{Head: "READS/S", Right: true, Cell: func(n *adminpb.NodeLoad) string { return render.Number(n.GetReadsPerSecond()) }},
	{Head: "WRITES/S", Right: true, Cell: func(n *adminpb.NodeLoad) string { return render.Number(n.GetWritesPerSecond()) }},
	{Head: "CPU", Right: true, Cell: func(n *adminpb.NodeLoad) string { return render.Percent(n.GetCpu()) }},
	{Head: "DISK", Right: true, Cell: disk},
	{Head: "NOTE", Cell: func(n *adminpb.NodeLoad) string { return render.Or(n.GetWhy()) }},
}

func disk(n *adminpb.NodeLoad) string {
	if n.GetDiskTotal() == 0 {
		return render.None
	}
	return render.Percent(float64(n.GetDiskUsed()) / float64(n.GetDiskTotal()))
}
