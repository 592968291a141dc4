package routing

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

func newDiff(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "diff", Short: "Compare each node's routing table with the meta range", Args: cobra.NoArgs,
		Long: "Diff asks every node for the table that it sends requests by. A stale or wrong entry costs its user one retry, and\n" +
			"mends itself; a node that stays behind cannot reach the meta range.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return diff(ctx, e) })
		},
	}
}

func diff(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.DiffRouting(ctx, &adminpb.DiffRoutingRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.RoutingDiff]{
		Kind: "RoutingDiffList", Meta: e.Meta(r.GetAsOf()), Columns: diffColumns, Name: func(d view.RoutingDiff) string { return render.Node(d.Node) },
	}
	for _, d := range r.GetNodes() {
		l.Items = append(l.Items, view.NewRoutingDiff(d))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var diffColumns = []render.Column[view.RoutingDiff]{
	{Head: "NODE", Key: "node", Cell: func(d view.RoutingDiff) string { return render.Node(d.Node) }},
	{Head: "META", Key: "metaIndex", Right: true, Cell: func(d view.RoutingDiff) string { return fmt.Sprint(d.MetaIndex) }},
	{Head: "BEHIND", Key: "behindSeconds", Right: true, Cell: func(d view.RoutingDiff) string { return render.Seconds(d.BehindSeconds) }},
	{Head: "STALE", Key: "stale", Cell: func(d view.RoutingDiff) string { return someRanges(d.Stale) }, Style: doubt(func(d view.RoutingDiff) int { return len(d.Stale) })},
	{Head: "WRONG LEADER", Key: "wrongLeader", Cell: func(d view.RoutingDiff) string { return someRanges(d.WrongLeader) }, Style: doubt(func(d view.RoutingDiff) int { return len(d.WrongLeader) })},
	{Head: "WRONG/S", Key: "wrongLeaderPerSec", Right: true, Cell: func(d view.RoutingDiff) string { return render.Number(d.WrongLeaderPerSec) }},
}

func doubt(count func(view.RoutingDiff) int) func(view.RoutingDiff) term.Style {
	return func(d view.RoutingDiff) term.Style {
		if count(d) > 0 {
			return term.Warn
		}
		return term.Plain
	}
}

// rangesShown is how many ranges a cell names.
const rangesShown = 4

func someRanges(ids []uint32) string {
	if len(ids) == 0 {
		return render.None
	}
	text := ""
	for i, id := range ids[:min(len(ids), rangesShown)] {
		if i > 0 {
			text += ","
		}
		text += render.Range(id)
	}
	if n := len(ids) - rangesShown; n > 0 {
		text += fmt.Sprintf(" +%d", n)
	}
	return text
}
