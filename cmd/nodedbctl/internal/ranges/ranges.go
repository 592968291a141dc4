// Package ranges is the noun "range": list, show, explain, move, transfer, split and verify them.
package ranges

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

type listOptions struct {
	collection string
	pool       string
	node       string
	states     []string
	hot        bool
}

// states are the words of STATE.
var states = []string{"healthy", "under", "over", "no-quorum", "moving", "electing", "unknown"}

// New makes the command ranges.
func New(e *ctl.Env) *cobra.Command {
	var o listOptions
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, &o) })
	}
	c := &cobra.Command{Use: "ranges [ls]", Aliases: []string{"range"}, Short: "List, show, explain, move, transfer, split and verify ranges", Args: cobra.NoArgs, RunE: run}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List ranges", Args: cobra.NoArgs, RunE: run}
	for _, x := range []*cobra.Command{c, ls} {
		f := x.Flags()
		f.StringVar(&o.collection, "collection", "", "only ranges that hold rows of this collection")
		f.StringVar(&o.pool, "pool", "", "only ranges of this pool")
		f.StringVar(&o.node, "node", "", "only ranges with a replica on this node")
		f.StringSliceVar(&o.states, "state", nil, "only ranges in these states: "+strings.Join(states, ","))
		f.BoolVar(&o.hot, "hot", false, "the busiest first")
	}
	c.AddCommand(newExplain(e), newMove(e), newTransfer(e), newSplit(e), newVerify(e), ls, &cobra.Command{
		Use: "show RANGE", Short: "Show a range and each of its replicas", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, args[0]) })
		},
	})
	return c
}

func list(ctx context.Context, e *ctl.Env, o *listOptions) error {
	for _, s := range o.states {
		if !strings.Contains(" "+strings.Join(states, " ")+" ", " "+s+" ") {
			return ctl.Usagef("unknown state %q: %s", s, strings.Join(states, ", "))
		}
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	req := &adminpb.ListRangesRequest{Collection: o.collection, Pool: o.pool, States: o.states, NodeTimeout: e.NodeTimeout()}
	if o.node != "" {
		nodes, err := e.ResolveNodes(ctx, []string{o.node})
		if err != nil {
			return err
		}
		req.Node = nodes[0].GetId()
	}
	r, err := client.Ranges(ctx, c, req)
	if err != nil {
		return err
	}
	columns := rangeColumns(r.GetAsOf().GetTime().AsTime())
	l := render.List[view.Range]{
		Kind: "RangeList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(r view.Range) string { return r.Name }, Empty: "no such range",
	}
	for _, x := range r.GetRanges() {
		l.Items = append(l.Items, view.NewRange(x))
	}
	l.Columns = render.Show(columns, "POOL", slices.ContainsFunc(l.Items, func(r view.Range) bool { return r.Pool != "" && r.Pool != view.DefaultPool }))
	out := e.Flags.Output
	if o.hot && out.Sort == "" {
		out.Sort = "-writesPerSec"
	}
	return l.Print(e.Term, out)
}

func rangeColumns(asOf time.Time) []render.Column[view.Range] {
	return []render.Column[view.Range]{
		{Head: "RANGE", Key: "id", Cell: func(r view.Range) string { return r.Name }},
		{Head: "VSHARDS", Key: "start", Cell: vshards},
		{Head: "LEADER", Key: "leader", Cell: func(r view.Range) string { return leader(r.Leader) }},
		{Head: "VOTERS", Key: "voters", Cell: func(r view.Range) string { return render.Nodes(r.Voters, ",") }},
		{Head: "LEARNERS", Key: "learners", Cell: func(r view.Range) string { return render.Nodes(r.Learners, ",") }},
		{Head: "BYTES", Key: "bytes", Right: true, Cell: func(r view.Range) string { return known(r.Bytes, render.Bytes) }},
		{Head: "DEAD", Key: "deadBytes", Right: true, Cell: func(r view.Range) string { return known(r.DeadBytes, render.Bytes) }},
		{Head: "GC AGE", Right: true, Cell: func(r view.Range) string { return gcAge(r, asOf) }},
		{Head: "KEYS", Key: "keys", Right: true, Cell: func(r view.Range) string { return known(r.Keys, decimal) }},
		{Head: "READS/S", Key: "readsPerSec", Right: true, Cell: func(r view.Range) string { return known(r.ReadsPerSec, render.Number) }},
		{Head: "WRITES/S", Key: "writesPerSec", Right: true, Cell: func(r view.Range) string { return known(r.WritesPerSec, render.Number) }},
		{Head: "STATE", Key: "state", Cell: func(r view.Range) string { return r.State }, Style: func(r view.Range) term.Style { return stateStyle(r.State) }},
		{Head: "GEN", Key: "generation", Right: true, Cell: func(r view.Range) string { return fmt.Sprint(r.Generation) }},
		{Head: "POOL", Key: "pool", Wide: true, Cell: func(r view.Range) string { return render.Or(r.Pool) }},
		{Head: "START KEY", Key: "startKey", Wide: true, Cell: func(r view.Range) string { return render.Or(r.StartKey) }},
		{Head: "END KEY", Key: "endKey", Wide: true, Cell: func(r view.Range) string { return render.Or(r.EndKey) }},
		{Head: "LEASE", Wide: true, Cell: leaseWord},
		{Head: "SLEEP", Wide: true, Cell: sleep},
		{Head: "COMPARED", Wide: true, Cell: compared},
		{Head: "TERM", Key: "term", Wide: true, Right: true, Cell: func(r view.Range) string { return fmt.Sprint(r.Term) }},
		{Head: "COMMIT", Key: "commit", Wide: true, Right: true, Cell: func(r view.Range) string { return fmt.Sprint(r.Commit) }},
		{Head: "APPLIED", Key: "applied", Wide: true, Right: true, Cell: func(r view.Range) string { return fmt.Sprint(r.Applied) }},
	}
}

// gcAge is how long the oldest of what is dead in a range may have been so.
func gcAge(r view.Range, asOf time.Time) string {
	if r.DeadBytes == nil || *r.DeadBytes == 0 || r.Collected == nil {
		return render.None
	}
	return render.Duration(asOf.Sub(*r.Collected).Round(time.Second))
}

func vshards(r view.Range) string {
	if r.Meta {
		return "meta"
	}
	return render.VShards(r.Start, r.End, r.StartKey, r.EndKey)
}

// known writes a figure, or that it is not known.
func known[T any](v *T, write func(T) string) string {
	if v == nil {
		return render.None
	}
	return write(*v)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func leader(id *uint32) string {
	if id == nil {
		return render.None
	}
	return render.Node(*id)
}

func stateStyle(state string) term.Style {
	switch state {
	case "healthy":
		return term.Good
	case "no-quorum":
		return term.Bad
	}
	return term.Warn
}

func show(ctx context.Context, e *ctl.Env, arg string) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListRanges(ctx, &adminpb.ListRangesRequest{Ids: []uint32{id}, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewRange(r.GetRanges()[0])
	history, err := c.ListEvents(ctx, &adminpb.ListEventsRequest{Filter: &adminpb.EventFilter{Range: id}, Limit: historyKept})
	if err != nil {
		return err
	}
	v.History = view.NewEvents(history.GetEvents())
	one := render.One[view.Range]{
		Kind: "Range", Meta: e.Meta(r.GetAsOf()), Item: v, Name: v.Name,
		Text: func(w io.Writer) error { return writeShow(w, e, v, r.GetAsOf().GetTime().AsTime()) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writeShow(w io.Writer, e *ctl.Env, r view.Range, asOf time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "range %s  vshards %s  %s  gen %d\n", r.Name, vshards(r), e.Term.Paint(stateStyle(r.State), r.State), r.Generation)
	if !r.Meta {
		fmt.Fprintf(&b, "pool %s  keys [%s,%s)\n", r.Pool, render.Key(r.Start, r.StartKey), render.Key(r.End, r.EndKey))
	}
	fmt.Fprintf(&b, "leader %s  term %d  commit %d  applied %d\n", leader(r.Leader), r.Term, r.Commit, r.Applied)
	fmt.Fprintf(&b, "%s (%s live, %s dead, gc age %s)  %s keys  %s reads/s  %s writes/s\n", known(r.Bytes, render.Bytes), known(r.LiveBytes, render.Bytes), known(r.DeadBytes, render.Bytes), gcAge(r, asOf), known(r.Keys, decimal), known(r.ReadsPerSec, render.Number), known(r.WritesPerSec, render.Number))
	if l := r.Lease; l != nil {
		fmt.Fprintf(&b, "lease %s\nreads %s  %s\n", e.Term.Paint(leaseStyle(l), l.Text(r.Leader)), l.Reads(), l.Sleep())
	}
	last := "not yet"
	if r.Comparison != nil {
		last = told(e, r.Comparison)
	}
	b.WriteString("compared " + last + "\n\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	l := render.List[view.Replica]{Columns: replicaColumns(asOf), Items: r.Replicas}
	if err := l.Print(e.Term, render.Options{}); err != nil {
		return err
	}
	return writeHistory(w, r.History)
}

func leaseStyle(l *view.Lease) term.Style {
	if l.Held {
		return term.Good
	}
	return term.Warn
}

// leaseWord is the lease of a range in one word.
func leaseWord(r view.Range) string {
	switch {
	case r.Lease == nil:
		return render.None
	case r.Lease.Held:
		return "held"
	}
	return r.Lease.Lack
}

func sleep(r view.Range) string {
	switch {
	case r.Lease == nil:
		return render.None
	case r.Lease.Asleep:
		return "asleep"
	}
	return "awake"
}

// compared is what came of the last comparison of the replicas, and when it was.
func compared(r view.Range) string {
	if r.Comparison == nil || r.Comparison.At == nil {
		return render.None
	}
	return r.Comparison.Result() + " " + r.Comparison.At.Format(time.RFC3339)
}

const (
	historyKept  = 100
	historyShown = 10 // to people
)

// writeHistory shows what became of the range, newest first.
func writeHistory(w io.Writer, history []view.Event) error {
	var b strings.Builder
	for i := len(history) - 1; i >= max(0, len(history)-historyShown); i-- {
		if b.Len() == 0 {
			b.WriteString("\nhistory, newest first\n")
		}
		fmt.Fprintf(&b, "  %s  %-13s %s\n", history[i].Time.Format("2006-01-02 15:04:05"), history[i].Kind, history[i].Text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// replicaColumns show how far behind the closed time of each replica was.
func replicaColumns(asOf time.Time) []render.Column[view.Replica] {
	return []render.Column[view.Replica]{
		{Head: "NODE", Cell: func(r view.Replica) string { return render.Node(r.Node) }},
		{Head: "REPLICA", Right: true, Cell: func(r view.Replica) string { return fmt.Sprint(r.Replica) }},
		{Head: "ROLE", Cell: func(r view.Replica) string { return r.Role }},
		{Head: "MATCH", Right: true, Cell: func(r view.Replica) string { return orNone(r.Match) }},
		{Head: "APPLIED", Right: true, Cell: func(r view.Replica) string { return orNone(r.Applied) }},
		{Head: "CLOSED LAG", Right: true, Cell: func(r view.Replica) string { return closedLag(r, asOf) }},
		{Head: "STATE", Cell: replicaState},
	}
}

// closedLag is how old the newest time is that the replica serves of the past.
func closedLag(r view.Replica, asOf time.Time) string {
	if r.Closed == nil {
		return render.None
	}
	lag := max(asOf.Sub(*r.Closed), 0)
	if lag < time.Minute {
		return lag.Round(time.Millisecond).String()
	}
	return lag.Round(time.Second).String()
}

func orNone(n uint64) string {
	if n == 0 {
		return render.None
	}
	return fmt.Sprint(n)
}

func replicaState(r view.Replica) string {
	switch {
	case r.Failed != "":
		return "failed: " + r.Failed
	case r.Snapshot:
		return "gets a snapshot"
	case r.Active:
		return "active"
	}
	return "silent"
}
