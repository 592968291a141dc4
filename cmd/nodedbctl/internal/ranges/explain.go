package ranges

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

func newExplain(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "explain RANGE", Short: "For every node: may a replica be there, why, and what would change that", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return explain(ctx, e, args[0]) })
		},
	}
}

func explain(ctx context.Context, e *ctl.Env, arg string) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ExplainRange(ctx, &adminpb.ExplainRangeRequest{Range: id, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewRangeExplanation(r)
	one := render.One[view.RangeExplanation]{
		Kind: "RangeExplanation", Meta: e.Meta(r.GetAsOf()), Item: v, Name: render.Range(id),
		Text: func(w io.Writer) error { return writeExplain(w, e, v) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writeExplain(w io.Writer, e *ctl.Env, v view.RangeExplanation) error {
	if _, err := fmt.Fprintf(w, "range %s  vshards %s  leader %s  voters %s  %s\nnow        %s\n\n", v.Name, vshards(v.Range), leader(v.Leader),
		render.Nodes(v.Voters, ","), e.Term.Paint(stateStyle(v.State), v.State), v.Why); err != nil {
		return err
	}
	l := render.List[view.PlacementVerdict]{Columns: verdictColumns, Items: v.Nodes}
	return l.Print(e.Term, render.Options{})
}

var verdictColumns = []render.Column[view.PlacementVerdict]{
	{Head: "NODE", Cell: func(n view.PlacementVerdict) string { return render.Node(n.Node) }},
	{Head: "HOLDS", Cell: func(n view.PlacementVerdict) string { return yesNo(n.Holds) }},
	{
		Head: "MAY", Cell: func(n view.PlacementVerdict) string { return yesNo(n.May) },
		Style: func(n view.PlacementVerdict) term.Style {
			if n.May {
				return term.Good
			}
			return term.Warn
		},
	},
	{Head: "GAIN", Right: true, Cell: func(n view.PlacementVerdict) string {
		if n.Gain == 0 {
			return render.None
		}
		return fmt.Sprintf("%.1f", n.Gain)
	}},
	{Head: "BECAUSE", Cell: func(n view.PlacementVerdict) string { return strings.TrimSpace(n.Code + " " + n.Why) }},
	{Head: "WOULD CHANGE IT", Cell: func(n view.PlacementVerdict) string { return render.Or(n.WouldChange) }},
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
