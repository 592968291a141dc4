// Package members is the noun "member": nodes as gossip sees them.
package members

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command members.
func New(e *ctl.Env) *cobra.Command {
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e) })
	}
	c := &cobra.Command{Use: "members [ls]", Aliases: []string{"member"}, Short: "List who gossip thinks is alive, and who doubts it", Args: cobra.NoArgs, RunE: run}
	c.AddCommand(&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List members", Args: cobra.NoArgs, RunE: run}, newWhy(e))
	return c
}

func list(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListMembers(ctx, &adminpb.ListMembersRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.Member]{
		Kind: "MemberList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(m view.Member) string { return render.Node(m.ID) },
	}
	for _, m := range r.GetMembers() {
		l.Items = append(l.Items, view.NewMember(m))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Member]{
	{Head: "NODE", Key: "id", Cell: func(m view.Member) string { return render.Node(m.ID) }},
	{Head: "NAME", Key: "name", Cell: func(m view.Member) string { return render.Or(m.Name) }},
	{Head: "LIVENESS", Key: "liveness", Cell: func(m view.Member) string { return m.Liveness }, Style: func(m view.Member) term.Style {
		return map[string]term.Style{"alive": term.Good, "suspect": term.Warn, "dead": term.Bad, "left": term.Bad}[m.Liveness]
	}},
	{Head: "ADDRESS", Key: "address", Cell: func(m view.Member) string { return render.Or(m.Address) }},
	{Head: "SEEN BY", Cell: seenBy},
}

// seenBy sums the views of the others up: "2 alive", "1 alive, suspect: n3".
func seenBy(m view.Member) string {
	alive := 0
	other := map[string][]uint32{}
	for _, o := range m.SeenBy {
		if o.Liveness == "alive" {
			alive++
		} else {
			other[o.Liveness] = append(other[o.Liveness], o.Node)
		}
	}
	var parts []string
	if alive > 0 {
		parts = append(parts, fmt.Sprintf("%d alive", alive))
	}
	for _, l := range []string{"suspect", "dead", "left"} {
		if len(other[l]) > 0 {
			parts = append(parts, l+": "+render.Nodes(other[l], " "))
		}
	}
	return render.Or(strings.Join(parts, ", "))
}
