// Package raft shows the raft state of a range as each replica's node has it.
package raft

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

// New makes the command debug raft.
func New(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "raft RANGE", Short: "Show a range's raft state as each of its replicas has it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return inspect(ctx, e, args[0]) })
		},
	}
}

func inspect(ctx context.Context, e *ctl.Env, arg string) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.InspectRaft(ctx, &adminpb.InspectRaftRequest{Range: id, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewRaftReport(r)
	one := render.One[view.RaftReport]{
		Kind: "RaftReport", Meta: e.Meta(r.GetAsOf()), Item: v, Name: v.Range.Name,
		Text: func(w io.Writer) error { return write(w, e, v) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func write(w io.Writer, e *ctl.Env, v view.RaftReport) error {
	if _, err := fmt.Fprintf(w, "range %s  %s  generation %d  %s\n\n", v.Range.Name, v.Range.State, v.Range.Generation, render.Plural(len(v.Replicas), "replica")); err != nil {
		return err
	}
	type row = view.RaftReplica
	number := func(of func(row) uint64) func(row) string {
		return func(r row) string {
			if r.State == "missing" {
				return render.None
			}
			return fmt.Sprint(of(r))
		}
	}
	l := render.List[row]{Items: v.Replicas, Columns: []render.Column[row]{
		{Head: "NODE", Cell: func(r row) string { return render.Node(r.Node) }},
		{Head: "REPLICA", Right: true, Cell: func(r row) string { return fmt.Sprint(r.Replica) }},
		{Head: "ROLE", Cell: func(r row) string { return render.Or(r.Role) }},
		{Head: "STATE", Cell: func(r row) string { return r.State }, Style: func(r row) term.Style {
			return map[string]term.Style{"leader": term.Good, "missing": term.Bad, "candidate": term.Warn, "pre-candidate": term.Warn}[r.State]
		}},
		{Head: "TERM", Right: true, Cell: number(func(r row) uint64 { return r.Term })},
		{Head: "VOTE", Right: true, Cell: number(func(r row) uint64 { return r.Vote })},
		{Head: "LOG", Cell: func(r row) string {
			if r.State == "missing" {
				return render.None
			}
			return fmt.Sprintf("%d-%d", r.FirstIndex, r.LastIndex)
		}},
		{Head: "BYTES", Right: true, Cell: func(r row) string { return render.Bytes(r.LogBytes) }},
		{Head: "COMMIT", Right: true, Cell: number(func(r row) uint64 { return r.Commit })},
		{Head: "APPLIED", Right: true, Cell: number(func(r row) uint64 { return r.Applied })},
		{Head: "BOUND TO", Cell: func(r row) string {
			if r.BoundTo == nil {
				return render.None
			}
			return render.Node(*r.BoundTo)
		}},
		{Head: "SLEEP", Cell: func(r row) string {
			switch {
			case r.State == "missing":
				return render.None
			case r.Asleep:
				return "asleep"
			}
			return "awake"
		}},
		{Head: "GEN", Right: true, Cell: number(func(r row) uint64 { return r.Generation })},
		{Head: "FAILED", Cell: func(r row) string { return render.Or(r.Failed) }},
	}}
	if err := l.Print(e.Term, render.Options{}); err != nil {
		return err
	}
	for _, r := range v.Replicas {
		if err := writeLease(w, r); err != nil {
			return err
		}
		for _, p := range r.Progress {
			state := map[bool]string{true: "active", false: "silent"}[p.Active]
			if p.Snapshot {
				state = "gets a snapshot"
			}
			if _, err := fmt.Fprintf(w, "leader %s sees %s (%s) at match %d, %s\n", render.Node(r.Node), render.Node(p.Node), p.Role, p.Match, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeLease says of a leader what its lease rests on.
func writeLease(w io.Writer, r view.RaftReplica) error {
	var b strings.Builder
	if r.Age > 0 {
		fmt.Fprintf(&b, "%s does not get on: this is what it said %s ago, and its log and vote are not known\n", render.Node(r.Node), render.Duration(time.Duration(r.Age*float64(time.Second))))
	}
	if l := r.Lease; l != nil {
		fmt.Fprintf(&b, "lease  %s", l.Text(&r.Node))
		if l.Held {
			fmt.Fprintf(&b, ", %.2f s left if nobody answers", r.LeaseLeft)
		}
		fmt.Fprintf(&b, "\nreads  %s  %s\n", l.Reads(), l.Sleep())
	}
	_, err := io.WriteString(w, b.String())
	return err
}
