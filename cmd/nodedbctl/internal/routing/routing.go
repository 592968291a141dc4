// Package routing is the noun "routing": which range holds a key and who leads it.
package routing

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

type showOptions struct{ node, pool string }

// New makes the command routing.
func New(e *ctl.Env) *cobra.Command {
	var o showOptions
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, &o) })
	}
	c := &cobra.Command{Use: "routing [show]", Short: "Show the routing table, look a key up", Args: cobra.NoArgs, RunE: run}
	sub := &cobra.Command{Use: "show", Aliases: []string{"ls"}, Short: "Show the routing table", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, sub} {
		x.Flags().StringVar(&o.node, "node", "", "only ranges with a replica on this node")
		x.Flags().StringVar(&o.pool, "pool", "", "only ranges of this pool")
	}
	c.AddCommand(sub, newDiff(e),
		&cobra.Command{
			Use: "lookup COLLECTION KEY...", Short: "Which range holds the row with this primary key, and who leads it", Args: cobra.MinimumNArgs(2),
			Long: "Lookup takes the value of each column of the primary key, in order.",
			RunE: func(cmd *cobra.Command, args []string) error {
				return e.Repeat(cmd.Context(), func(ctx context.Context) error { return lookup(ctx, e, args[0], args[1:]) })
			},
		})
	return c
}

func show(ctx context.Context, e *ctl.Env, o *showOptions) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetRouting(ctx, &adminpb.GetRoutingRequest{Pool: o.pool, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.Route]{
		Kind: "RoutingTable", Line: "Route", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(r view.Route) string { return render.Range(r.Range) },
	}
	on := uint32(0)
	if o.node != "" {
		nodes, err := e.ResolveNodes(ctx, []string{o.node})
		if err != nil {
			return err
		}
		on = nodes[0].GetId()
	}
	for _, x := range r.GetRoutes() {
		if on == 0 || slices.Contains(x.GetReplicas(), on) {
			l.Items = append(l.Items, view.NewRoute(x))
		}
	}
	l.Columns = render.Show(columns, "POOL", slices.ContainsFunc(l.Items, func(r view.Route) bool { return r.Pool != "" && r.Pool != view.DefaultPool }))
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Route]{
	{Head: "VSHARDS", Key: "start", Cell: func(r view.Route) string { return render.VShards(r.Start, r.End, r.StartKey, r.EndKey) }},
	{Head: "RANGE", Key: "range", Cell: func(r view.Route) string { return render.Range(r.Range) }},
	{Head: "LEADER", Key: "leader", Cell: leader},
	{Head: "ADDRESS", Key: "leaderAddress", Cell: func(r view.Route) string { return render.Or(r.LeaderAddress) }},
	{Head: "REPLICAS", Key: "replicas", Cell: func(r view.Route) string { return render.Nodes(r.Replicas, ",") }},
	{Head: "GEN", Key: "generation", Right: true, Cell: func(r view.Route) string { return fmt.Sprint(r.Generation) }},
	{Head: "POOL", Key: "pool", Wide: true, Cell: func(r view.Route) string { return render.Or(r.Pool) }},
}

// ofPool names a pool where it is not the one that everything is in.
func ofPool(name string) string {
	if name == "" || name == view.DefaultPool {
		return ""
	}
	return " of pool " + name
}

func leader(r view.Route) string {
	if r.Leader == nil {
		return render.None
	}
	return render.Node(*r.Leader)
}

func lookup(ctx context.Context, e *ctl.Env, collection string, key []string) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.LookupRoute(ctx, &adminpb.LookupRouteRequest{Collection: collection, Key: key})
	if err != nil {
		return err
	}
	v := view.RouteLookup{Collection: collection, Key: key, VShard: r.GetVshard(), RowKey: r.GetRowKey(), Route: view.NewRoute(r.GetRoute())}
	one := render.One[view.RouteLookup]{
		Kind: "RouteLookup", Meta: e.Meta(r.GetAsOf()), Item: v, Name: render.Range(v.Range),
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "vshard %d  key 0x%s  range %s%s [%s,%s)  leader %s %s  replicas %s  gen %d\n", v.VShard, v.RowKey, render.Range(v.Range), ofPool(v.Pool),
				render.Key(v.Start, v.StartKey), render.Key(v.End, v.EndKey), leader(v.Route), render.Or(v.LeaderAddress), render.Nodes(v.Replicas, " "), v.Generation)
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}
