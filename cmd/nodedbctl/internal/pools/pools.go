// Package pools is the noun "pool": list, show, create, alter, rename and drop placement groups.
package pools

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

const queueHelp = "what is to be done in each pool and is not done yet: operations, their moves, ranges still to be made, ranges that nobody moves yet"

// New makes the command pools.
func New(e *ctl.Env) *cobra.Command {
	var queue bool
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error {
			if queue {
				return listQueue(ctx, e)
			}
			return list(ctx, e)
		})
	}
	c := &cobra.Command{Use: "pools [ls]", Aliases: []string{"pool"}, Short: "List, show, create, alter, rename and drop pools", Args: cobra.NoArgs, RunE: run}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List pools", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		x.Flags().BoolVar(&queue, "queue", false, queueHelp)
	}
	c.AddCommand(ls, &cobra.Command{
		Use: "show POOL", Short: "Show a pool, where its replicas may be, and what is not as it wants", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, args[0]) })
		},
	}, newCreate(e), newAlter(e), newRename(e), newDrop(e))
	return c
}

func ask(ctx context.Context, e *ctl.Env, name string) (*adminpb.ListPoolsResponse, error) {
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	return c.ListPools(ctx, &adminpb.ListPoolsRequest{Name: name, NodeTimeout: e.NodeTimeout()})
}

func list(ctx context.Context, e *ctl.Env) error {
	r, err := ask(ctx, e, "")
	if err != nil {
		return err
	}
	l := render.List[view.Pool]{Kind: "PoolList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(p view.Pool) string { return p.Name }}
	for _, p := range r.GetPools() {
		l.Items = append(l.Items, view.NewPool(p))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Pool]{
	{Head: "POOL", Key: "name", Cell: func(p view.Pool) string { return p.Name }},
	{Head: "STATE", Key: "state", Cell: func(p view.Pool) string { return p.State }, Style: func(p view.Pool) term.Style { return style(p.State == "ready") }},
	{Head: "REPLICAS", Key: "replicas", Right: true, Cell: func(p view.Pool) string { return fmt.Sprint(p.Replicas) }},
	{Head: "CONSTRAINTS", Key: "constraints", Cell: func(p view.Pool) string { return render.Or(p.Constraints) }},
	{Head: "LEADERS", Key: "preferLeader", Cell: func(p view.Pool) string { return render.Or(p.PreferLeader) }},
	{Head: "RANGES", Key: "ranges", Right: true, Cell: func(p view.Pool) string { return fmt.Sprint(p.Ranges) }},
	{
		Head: "MISFIT", Key: "rangesMisfit", Right: true, Cell: func(p view.Pool) string { return fmt.Sprint(p.Misfit + p.Missing) },
		Style: func(p view.Pool) term.Style { return style(p.Misfit+p.Missing == 0) },
	},
	{Head: "BYTES", Key: "bytes", Right: true, Cell: func(p view.Pool) string { return render.Bytes(p.Bytes) }},
	{Head: "COLLECTIONS", Key: "collections", Right: true, Cell: func(p view.Pool) string { return fmt.Sprint(len(p.Collections)) }},
	{Head: "NODES", Key: "nodes", Wide: true, Cell: func(p view.Pool) string { return render.Nodes(p.Nodes, ",") }},
	{Head: "OPERATION", Key: "operation", Wide: true, Cell: func(p view.Pool) string { return render.Or(p.Operation) }},
}

func style(good bool) term.Style {
	if good {
		return term.Good
	}
	return term.Warn
}

func show(ctx context.Context, e *ctl.Env, name string) error {
	r, err := ask(ctx, e, name)
	if err != nil {
		return err
	}
	p := view.NewPool(r.GetPools()[0])
	one := render.One[view.Pool]{
		Kind: "Pool", Meta: e.Meta(r.GetAsOf()), Item: p, Name: p.Name,
		Text: func(w io.Writer) error { return write(w, e, p) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func write(w io.Writer, e *ctl.Env, p view.Pool) error {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", head, fmt.Sprintf(format, args...))
	}
	line("pool", "%s  %s  version %d", p.Name, e.Term.Paint(style(p.State == "ready"), p.State), p.Version)
	line("replicas", "%d", p.Replicas)
	line("constraints", "%s", render.Or(p.Constraints))
	line("leaders", "%s", map[bool]string{true: "anywhere", false: "preferred at " + p.PreferLeader}[p.PreferLeader == ""])
	line("nodes", "%s", render.Nodes(p.Nodes, ", "))
	line("ranges", "%d, %s of one copy", p.Ranges, render.Bytes(p.Bytes))
	if p.Missing > 0 {
		line("", "%s", e.Term.Paint(term.Warn, fmt.Sprintf("%d still to be made", p.Missing)))
	}
	if p.LeadersElsewhere > 0 {
		line("", "%s", e.Term.Paint(term.Warn, fmt.Sprintf("%d led where the pool does not prefer it", p.LeadersElsewhere)))
	}
	if p.Misfit > 0 {
		line("misfit", "%s", e.Term.Paint(term.Warn, fmt.Sprint(p.Misfit)))
		for _, m := range p.Misfits {
			line("", "%s", m)
		}
	}
	line("collections", "%s", render.Or(strings.Join(p.Collections, ", ")))
	if p.Operation != "" {
		line("operation", "%s: nodedbctl ops watch %s", p.Operation, p.Operation)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
