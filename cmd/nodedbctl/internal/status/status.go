// Package status shows the cluster on one screen.
package status

import (
	"cmp"
	"context"
	"fmt"
	"io"
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

// New makes the command status.
func New(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the cluster on one screen", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e) })
		},
	}
}

func show(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.GetStatus(ctx, &adminpb.GetStatusRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	meta := e.Meta(r.GetAsOf())
	one := render.One[view.Status]{
		Kind: "Status", Meta: meta, Item: view.NewStatus(r), Name: r.GetHealth(),
		Text: func(w io.Writer) error {
			_, err := io.WriteString(w, Text(e, meta, r))
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

// Text is the screen.
func Text(e *ctl.Env, meta render.Meta, r *adminpb.GetStatusResponse) string {
	var b strings.Builder
	leader := "no meta leader"
	if r.GetMetaLeader() != 0 {
		leader = fmt.Sprintf("meta leader %s (term %d)", render.Node(r.GetMetaLeader()), r.GetMetaTerm())
	}
	fmt.Fprintf(&b, "%s · %s · %d/%d nodes alive · %s · as of meta@%d, %s ago\n", meta.Cluster,
		e.Term.Paint(healthStyle(r.GetHealth()), r.GetHealth()), r.GetNodesAlive(), r.GetNodesTotal(), leader, meta.AsOf.MetaIndex,
		render.Duration(view.Age(meta, e.Now())))
	fmt.Fprintf(&b, "survives   any 1 node: %s    any 2 nodes: %s\n", render.Survival(r.GetSurvivesOne(), "nodes"), render.Survival(r.GetSurvivesTwo(), "pairs"))
	b.WriteString(render.Tiers(r.GetLocalities(), "           any 1 %s: %s\n"))
	disk := "disk unknown"
	if n := r.GetDiskMaxNode(); n != 0 {
		disk = fmt.Sprintf("disk max %s (%s)", render.Percent(r.GetDiskMax()), render.Node(n))
	}
	ranges := fmt.Sprintf("ranges %d ok, %d under, %d no-quorum", r.GetRangesOk(), r.GetRangesUnder(), r.GetRangesNoQuorum())
	if n := r.GetRangesMoving(); n > 0 {
		ranges += fmt.Sprintf(", %d moving", n)
	}
	data := fmt.Sprintf("%s x%d", render.Bytes(r.GetBytes()), r.GetReplication())
	if n := r.GetRangesUnsized(); n > 0 {
		data += fmt.Sprintf(" and %s that no node tells of", render.Plural(int(n), "range"))
	}
	fmt.Fprintf(&b, "data       %s · %s · moving %s · %s\n", data, disk, render.Bytes(r.GetBytesMoving()), ranges)
	writeOperations(&b, r.GetRunning(), evening(r, e.Now()))
	writeProblems(&b, r.GetProblems(), cmp.Or(e.Term.Width, usualWidth))
	return b.String()
}

// evening says whether load is evened out by itself, and when it last was.
func evening(r *adminpb.GetStatusResponse, now time.Time) string {
	if r.GetRebalance() == "" {
		return "" // a node of an earlier version
	}
	if at := r.GetLastMove(); at != nil {
		return fmt.Sprintf("rebalance: %s (last move %s ago)", r.GetRebalance(), render.Duration(now.Sub(at.AsTime())))
	}
	return "rebalance: " + r.GetRebalance()
}

func writeOperations(b *strings.Builder, running []*adminpb.Operation, rebalance string) {
	if len(running) == 0 {
		fmt.Fprintf(b, "%-10s %s\n", "ops", strings.TrimRight("none running       "+rebalance, " "))
		return
	}
	for i, o := range running {
		head := ""
		if i == 0 {
			head = "ops"
		}
		fmt.Fprintf(b, "%-10s %s  %s %s  %s  %s %s\n", head, o.GetId(), o.GetSpec().GetKind(), about(o),
			o.GetState(), o.GetPhase(), render.Percent(client.Share(o)))
	}
	if rebalance != "" {
		fmt.Fprintf(b, "%-10s %s\n", "", rebalance)
	}
}

const (
	usualWidth  = 100 // columns that are filled where no terminal says how many there are
	narrowest   = 40  // columns of text that are filled at least, also where there are fewer
	beforeText  = len("problems   1. ")
	beforeRunIt = len("     -> ")
)

// writeProblems puts the command behind the text where both fit into a line, else
// below it.
func writeProblems(b *strings.Builder, ps []*adminpb.Problem, columns int) {
	if len(ps) == 0 {
		b.WriteString("problems   none\n")
	}
	length := func(s string) int { return len([]rune(s)) }
	fits := func(text int, p *adminpb.Problem) bool {
		return beforeText+text+beforeRunIt+length(p.GetCommand()) <= columns
	}
	width := 0 // of the texts that have their command behind them
	for _, p := range ps {
		if n := length(p.GetText()); fits(n, p) {
			width = max(width, n)
		}
	}
	for i, p := range ps {
		head := ""
		if i == 0 {
			head = "problems"
		}
		n := length(p.GetText())
		if fits(n, p) {
			if fits(width, p) {
				n = width
			}
			fmt.Fprintf(b, "%-10s %d. %-*s     -> %s\n", head, i+1, n, p.GetText(), p.GetCommand())
			continue
		}
		indent := strings.Repeat(" ", beforeText)
		text := strings.Join(render.Wrap(p.GetText(), max(columns-beforeText, narrowest)), "\n"+indent)
		fmt.Fprintf(b, "%-10s %d. %s\n%s-> %s\n", head, i+1, text, indent, p.GetCommand())
	}
}

func healthStyle(h string) term.Style {
	switch h {
	case "healthy":
		return term.Good
	case "degraded":
		return term.Warn
	}
	return term.Bad
}

// about is what an operation works on.
func about(o *adminpb.Operation) string {
	if what := cmp.Or(o.GetSpec().GetPool(), o.GetSpec().GetTable()); what != "" {
		return what
	}
	return render.Nodes(o.GetSpec().GetNodes(), " ")
}
