// Package events shows what happened in the cluster.
package events

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// followEvery is the least time between two answers of --follow.
const followEvery = 200 * time.Millisecond

type options struct {
	follow bool
	since  time.Duration
	node   string
	kinds  []string
	limit  uint32
}

// New makes the command events.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "events", Aliases: []string{"event"}, Short: "List what happened in the cluster, the newest last", Args: cobra.NoArgs,
		Long: "Events lists what happened: nodes that were suspected, operations, moves, settings, tokens.\n" +
			"A kind is whole (node.suspect) or the noun alone (node). The newest 4096 events are kept.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.follow && e.Flags.From != "" {
				return ctl.Usagef("a bundle does not change: leave --follow away")
			}
			if o.follow {
				return follow(cmd.Context(), e, &o)
			}
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, &o) })
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what happens from now on")
	f.DurationVar(&o.since, "since", 0, "only what happened since so long ago")
	f.StringVar(&o.node, "node", "", "only what is about a node")
	f.StringSliceVar(&o.kinds, "kind", nil, "only these kinds, such as node or operation.failed")
	f.Uint32Var(&o.limit, "limit", 100, "the newest so many")
	return c
}

// filter makes the filter of the flags.
func (o *options) filter(ctx context.Context, e *ctl.Env) (*adminpb.EventFilter, error) {
	f := &adminpb.EventFilter{Kinds: o.kinds}
	if o.since < 0 {
		return nil, ctl.Usagef("--since must be positive")
	}
	if o.since > 0 {
		f.Since = timestamppb.New(e.Now().Add(-o.since))
	}
	if o.node != "" {
		nodes, err := e.ResolveNodes(ctx, []string{o.node})
		if err != nil {
			return nil, err
		}
		f.Node = nodes[0].GetId()
	}
	return f, nil
}

func list(ctx context.Context, e *ctl.Env, o *options) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	f, err := o.filter(ctx, e)
	if err != nil {
		return err
	}
	r, err := c.ListEvents(ctx, &adminpb.ListEventsRequest{Filter: f, Limit: o.limit})
	if err != nil {
		return err
	}
	l := render.List[view.Event]{
		Kind: "EventList", Meta: e.Meta(r.GetAsOf()), Columns: Columns, Name: func(x view.Event) string { return fmt.Sprint(x.Sequence) },
		Items: view.NewEvents(r.GetEvents()), Empty: "no such event",
	}
	return l.Print(e.Term, e.Flags.Output)
}

// Columns are those of an EventList.
var Columns = []render.Column[view.Event]{
	{Head: "SEQ", Key: "sequence", Right: true, Wide: true, Cell: func(x view.Event) string { return fmt.Sprint(x.Sequence) }},
	{Head: "TIME", Key: "time", Cell: func(x view.Event) string { return x.Time.Format("2006-01-02 15:04:05") }},
	{Head: "KIND", Key: "eventKind", Cell: func(x view.Event) string { return x.Kind }, Style: func(x view.Event) term.Style {
		return map[string]term.Style{"warn": term.Warn, "error": term.Bad}[x.Severity]
	}},
	{Head: "BY", Key: "by", Cell: func(x view.Event) string { return render.Or(x.By) }},
	{Head: "TEXT", Key: "text", Cell: func(x view.Event) string { return x.Text }},
}

// follow prints what was kept and then what happens, until Ctrl-C or --timeout.
// The stream outlives the node that it comes from; nothing is shown twice.
func follow(ctx context.Context, e *ctl.Env, o *options) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	f, err := o.filter(call, e)
	if err != nil {
		return err
	}
	r, err := c.ListEvents(call, &adminpb.ListEventsRequest{Filter: f, Limit: o.limit})
	if err != nil {
		return err
	}
	if err := show(e, f, r.GetEvents()); err != nil {
		return err
	}
	wait, stop := e.Wait(ctx)
	defer stop()
	away := e.NewAway(false)
	defer away.Stop()
	err = c.Watch(wait, &adminpb.WatchRequest{Topics: []string{"events"}, Interval: followEvery.Seconds(), Events: f}, func(u client.Update) error {
		if u.Lost != nil {
			away.Lost(u.Lost)
			if e.Flags.Verbose {
				e.Term.Say("watch lost, trying another node: %v", u.Lost)
			}
			return nil
		}
		away.Back()
		return show(e, f, u.Response.GetEvents())
	})
	if wait.Err() != nil {
		return nil
	}
	return err
}

// show prints the events that were not shown yet, and moves the filter on.
func show(e *ctl.Env, f *adminpb.EventFilter, events []*adminpb.Event) error {
	for _, x := range events {
		if x.GetSequence() <= f.GetAfter() {
			continue
		}
		f.After = x.GetSequence()
		if err := line(e, view.NewEvent(x)); err != nil {
			return err
		}
	}
	return nil
}

func line(e *ctl.Env, v view.Event) error {
	if !e.Flags.Output.Text() {
		return render.Line(e.Term.Out, "Event", v)
	}
	style := map[string]term.Style{"warn": term.Warn, "error": term.Bad}[v.Severity]
	pad := strings.Repeat(" ", max(0, 24-len(v.Kind)))
	_, err := fmt.Fprintf(e.Term.Out, "%s  %s%s  %-8s  %s\n", v.Time.Format("2006-01-02 15:04:05"), e.Term.Paint(style, v.Kind), pad, render.Or(v.By), v.Text)
	return err
}
