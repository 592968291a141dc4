package members

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// NewSupport makes the command debug support.
func NewSupport(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "support [NODE]", Short: "Show which nodes support each other, which leases rest on", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return support(ctx, e, args) })
		},
	}
}

func support(ctx context.Context, e *ctl.Env, args []string) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	req := &adminpb.ListSupportRequest{NodeTimeout: e.NodeTimeout()}
	if len(args) > 0 {
		nodes, err := e.ResolveNodes(ctx, args)
		if err != nil {
			return err
		}
		req.Node = nodes[0].GetId()
	}
	r, err := c.ListSupport(ctx, req)
	if err != nil {
		return err
	}
	l := render.List[view.Support]{
		Kind: "SupportList", Meta: e.Meta(r.GetAsOf()), Items: view.NewSupport(r.GetSupport()), Columns: supportColumns(e.Now()),
		Name: func(s view.Support) string { return render.Node(s.From) + ">" + render.Node(s.To) }, Empty: "no node supports another: they share no range, or have just started",
	}
	return l.Print(e.Term, e.Flags.Output)
}

func supportColumns(now time.Time) []render.Column[view.Support] {
	return []render.Column[view.Support]{
		{Head: "SUPPORTER", Key: "from", Cell: func(s view.Support) string { return render.Node(s.From) }},
		{Head: "SUPPORTS", Key: "to", Cell: func(s view.Support) string { return render.Node(s.To) }},
		{Head: "NOW", Key: "live", Cell: func(s view.Support) string { return map[bool]string{true: "yes", false: "no"}[s.Live] }, Style: func(s view.Support) term.Style {
			return map[bool]term.Style{true: term.Good, false: term.Warn}[s.Live]
		}},
		{Head: "FOR", Cell: func(s view.Support) string { return ago(s.Since, now) }},
		{Head: "EPOCH", Key: "epoch", Right: true, Cell: func(s view.Support) string { return s.Epoch }},
		{Head: "LEFT", Key: "leftSeconds", Right: true, Cell: left},
		{Head: "WITHDRAWN", Key: "ended", Right: true, Cell: func(s view.Support) string { return fmt.Sprint(s.Ended) }},
		{Head: "LAST CAUSE", Key: "cause", Cell: func(s view.Support) string { return render.Or(s.CauseText()) }},
		{Head: "CEILING", Wide: true, Cell: func(s view.Support) string {
			if s.Ceiling == nil {
				return render.None
			}
			return s.Ceiling.Format("15:04:05.000")
		}},
		{Head: "TOLD BY", Wide: true, Key: "toldBy", Cell: func(s view.Support) string { return render.Node(s.ToldBy) }},
	}
}

// left is for how long a promise counts.
func left(s view.Support) string {
	if !s.Live {
		return render.None
	}
	return fmt.Sprintf("%.2f s", s.Left)
}

// writeSupport is the support that a member gives and gets.
func writeSupport(w io.Writer, e *ctl.Env, list []view.Support) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "\nsupport: who promises to follow nobody else; leases rest on it\n"); err != nil {
		return err
	}
	l := render.List[view.Support]{Items: list, Columns: supportColumns(e.Now())}
	return l.Print(e.Term, render.Options{})
}
