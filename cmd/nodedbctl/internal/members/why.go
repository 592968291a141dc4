package members

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

func newWhy(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "why NODE", Short: "Say why a node is thought alive, suspect or dead, and by whom", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return why(ctx, e, args[0]) })
		},
	}
}

func why(ctx context.Context, e *ctl.Env, arg string) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	nodes, err := e.ResolveNodes(ctx, []string{arg})
	if err != nil {
		return err
	}
	r, err := c.ExplainMember(ctx, &adminpb.ExplainMemberRequest{Node: nodes[0].GetId(), NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewMemberExplanation(r)
	one := render.One[view.MemberExplanation]{
		Kind: "MemberExplanation", Meta: e.Meta(r.GetAsOf()), Item: v, Name: render.Node(v.Member.ID),
		Text: func(w io.Writer) error { return writeWhy(w, e, v) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writeWhy(w io.Writer, e *ctl.Env, v view.MemberExplanation) error {
	var b strings.Builder
	style := map[string]term.Style{"alive": term.Good, "suspect": term.Warn, "dead": term.Bad, "left": term.Bad}[v.Member.Liveness]
	fmt.Fprintf(&b, "%s is %s in the view of the node that answers; it came back %s within the last hour\n\n", render.Node(v.Member.ID),
		e.Term.Paint(style, v.Member.Liveness), render.Plural(int(v.Flaps), "time"))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	now := e.Now()
	l := render.List[view.Doubt]{Items: v.Doubts, Columns: []render.Column[view.Doubt]{
		{Head: "SEEN BY", Cell: func(d view.Doubt) string { return render.Node(d.Observer) }},
		{Head: "LIVENESS", Cell: func(d view.Doubt) string { return render.Or(d.Liveness) }},
		{Head: "FOR", Cell: func(d view.Doubt) string { return ago(d.Since, now) }},
		{Head: "RTT", Right: true, Cell: rtt},
		{Head: "CLOCK", Right: true, Cell: offset},
		{Head: "LAST PING", Cell: func(d view.Doubt) string { return ago(d.LastPing, now) }},
		{Head: "BREAKER", Cell: func(d view.Doubt) string { return render.Or(d.Breaker) }},
		{Head: "CAUSE", Cell: func(d view.Doubt) string { return render.Or(d.Cause) }},
	}}
	if err := l.Print(e.Term, render.Options{}); err != nil {
		return err
	}
	if err := writeSupport(w, e, v.Support); err != nil {
		return err
	}
	b.Reset()
	for i, t := range v.Transitions[:min(len(v.Transitions), transitionsShown)] {
		if i == 0 {
			b.WriteString("\nhistory, newest first\n")
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", t.Time.Format("2006-01-02 15:04:05"), t.Kind, t.Text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// transitionsShown is how much of a member's history people see.
const transitionsShown = 10

func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return render.None
	}
	return render.Duration(now.Sub(*t))
}

// offset is how far the member's time is ahead of the observer's.
func offset(d view.Doubt) string {
	if d.LastPing == nil {
		return render.None
	}
	return fmt.Sprintf("%+.1f ms", d.ClockOffset*1000)
}

func rtt(d view.Doubt) string {
	if d.RTT == 0 {
		return render.None
	}
	return fmt.Sprintf("%.1f ms", d.RTT*1000)
}
