package nodes

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// NewOKToStop makes the command ok-to-stop.
func NewOKToStop(e *ctl.Env) *cobra.Command {
	return newSafe(e, "stop", "ok-to-stop NODE...", "May these processes stop together? Exit 0 or 5")
}

// NewOKToRemove makes the command ok-to-remove.
func NewOKToRemove(e *ctl.Env) *cobra.Command {
	return newSafe(e, "remove", "ok-to-remove NODE...", "May these nodes be decommissioned together? Exit 0 or 5")
}

func newSafe(e *ctl.Env, question, use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return safe(ctx, e, question, args) })
		},
	}
}

func safe(ctx context.Context, e *ctl.Env, question string, args []string) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	nodes, err := e.ResolveNodes(ctx, args)
	if err != nil {
		return err
	}
	ids := ctl.NodeIDs(nodes)
	r, err := c.CheckSafe(ctx, &adminpb.CheckSafeRequest{Question: question, Nodes: ids, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	one := render.One[view.Verdict]{
		Kind: "Verdict", Meta: e.Meta(r.GetAsOf()), Name: map[bool]string{true: "yes", false: "no"}[r.GetSafe()],
		Item: view.Verdict{
			Question: question, Nodes: ids, OK: r.GetSafe(), NotYet: r.GetNotYet(), Findings: view.NewFindings(r.GetFindings()), Fixes: view.NewFixes(r.GetFixes()),
			LargestSafe: r.GetLargestSafe(), Ranges: r.GetRanges(),
		},
		Text: func(w io.Writer) error { return writeSafe(w, question, ids, r) },
	}
	if one.Item.LargestSafe == nil {
		one.Item.LargestSafe = []uint32{}
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if r.GetSafe() {
		return nil
	}
	if e.Flags.Output.Text() {
		ctl.WriteFixes(e.Term, codeWidth(r), r.GetFixes())
	}
	return ctl.Silent(ctl.Unsafe)
}

// codeWidth is how wide the codes of the findings are.
func codeWidth(r *adminpb.CheckSafeResponse) int {
	width := len("fix")
	for _, f := range r.GetFindings() {
		width = max(width, len(f.GetCode()))
	}
	return width
}

func writeSafe(w io.Writer, question string, ids []uint32, r *adminpb.CheckSafeResponse) error {
	what := map[string]string{"stop": "stop", "remove": "be decommissioned"}[question]
	if r.GetSafe() {
		_, err := fmt.Fprintf(w, "yes: %s may %s; %s looked at as of meta@%d\n", render.Nodes(ids, " "), what,
			render.Plural(int(r.GetRanges()), "range"), r.GetAsOf().GetMetaIndex())
		return err
	}
	var b strings.Builder
	answer := "no: %s may not %s; %s looked at as of meta@%d\n"
	if r.GetNotYet() {
		answer = "not yet: %s may not %s until replicas have caught up; %s looked at as of meta@%d\n"
	}
	fmt.Fprintf(&b, answer, render.Nodes(ids, " "), what,
		render.Plural(int(r.GetRanges()), "range"), r.GetAsOf().GetMetaIndex())
	width := codeWidth(r)
	for _, f := range r.GetFindings() {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, f.GetCode(), f.GetText())
	}
	if len(ids) > 1 && len(r.GetLargestSafe()) > 0 {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, "at most", render.Nodes(r.GetLargestSafe(), " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// NewSurvive makes the command survive.
func NewSurvive(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "survive", Short: "Which losses of nodes does the cluster outlive? Exit 0 if any one, else 5", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return survive(ctx, e) })
		},
	}
}

// loses tells the nodes apart where some hold copies only, as the second of two
// does.
func loses(r *adminpb.CheckSafeResponse) string {
	one := r.GetSurvivesOne()
	if len(one.GetCopies()) == 0 || one.GetFailing() != 1 {
		return ""
	}
	text := fmt.Sprintf("loses %s:    no, it has the only vote of %s\n", render.Nodes(one.GetWorst(), ","), render.Plural(int(one.GetWorstRanges()), "range"))
	for _, n := range one.GetCopies() {
		text += fmt.Sprintf("loses %s:    yes, %s holds copies only\n", render.Node(n), render.Node(n))
	}
	return text
}

func survive(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.CheckSafe(ctx, &adminpb.CheckSafeRequest{Question: "survive", NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	any1, any2 := view.NewSurvival(r.GetSurvivesOne()), view.NewSurvival(r.GetSurvivesTwo())
	one := render.One[view.Verdict]{
		Kind: "Verdict", Meta: e.Meta(r.GetAsOf()), Name: map[bool]string{true: "yes", false: "no"}[r.GetSafe()],
		Item: view.Verdict{
			Question: "survive", Nodes: []uint32{}, OK: r.GetSafe(), Findings: []view.Finding{}, Fixes: []view.Fix{},
			LargestSafe: []uint32{}, Ranges: r.GetRanges(), AnyOne: &any1, AnyTwo: &any2,
			AnyPlace: view.NewTierLosses(r.GetLocalities()), Localities: view.NewLocalityLosses(r.GetLocalities()),
		},
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "any 1 node:  %s\n%sany 2 nodes: %s\n%s%s%s looked at as of meta@%d\n", render.Survival(r.GetSurvivesOne(), "nodes"), loses(r),
				render.Survival(r.GetSurvivesTwo(), "pairs"), render.Tiers(r.GetLocalities(), "any 1 %s: %s\n"), render.Localities(r.GetLocalities()), render.Plural(int(r.GetRanges()), "range"), r.GetAsOf().GetMetaIndex())
			return err
		},
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if !r.GetSafe() {
		return ctl.Silent(ctl.Unsafe)
	}
	return nil
}
