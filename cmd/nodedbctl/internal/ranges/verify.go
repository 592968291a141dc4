package ranges

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

func newVerify(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "verify RANGE", Short: "Compare what the replicas of a range hold: exit 0, or 10 if they differ", Args: cobra.ExactArgs(1),
		Long: "Compare what the replicas of a range hold, at one entry of its log. Each is read where it is, at most 16 MiB per\n" +
			"second and one at a time on a node, beside the work. Exit 0: all hold the same. Exit 10: some differ; nothing is\n" +
			"mended by itself. Exit 6: not all have told within --timeout (default 2m); they go on reading, and ranges show\n" +
			"has the result. The cluster does the same by itself, each range once in verify_every (a cluster setting).",
		RunE: func(cmd *cobra.Command, args []string) error { return verify(cmd.Context(), e, args[0]) },
	}
}

// verifyWait is how long the replicas are waited for without --timeout; answerRoom is
// what the answer may take beyond that.
const (
	verifyWait = 2 * time.Minute
	answerRoom = 10 * time.Second
)

func verify(ctx context.Context, e *ctl.Env, arg string) error {
	if err := e.Changing(); err != nil {
		return err
	}
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	wait := verifyWait
	if e.Flags.Timeout > 0 {
		wait = e.Flags.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, wait+answerRoom)
	defer cancel()
	r, err := c.VerifyRange(ctx, &adminpb.VerifyRangeRequest{Range: id, Timeout: wait.Seconds()})
	if err != nil {
		return err
	}
	v := view.NewRangeVerification(r)
	one := render.One[view.RangeVerification]{
		Kind: "RangeVerification", Meta: e.Meta(r.GetAsOf()), Item: v, Name: v.Name + " " + v.Result,
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "range %s  %s\n", v.Name, told(e, &v.Comparison))
			return err
		},
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	switch v.Result {
	case "differ":
		return ctl.Silent(ctl.Changes)
	case "same":
		return nil
	}
	return ctl.Silent(ctl.Timeout)
}

// told says what came of a comparison.
func told(e *ctl.Env, c *view.Comparison) string {
	var parts []string
	if len(c.Differ) > 0 {
		what := "differs"
		if len(c.Same) == 0 {
			what = "differ, and none is like most"
		}
		parts = append(parts, e.Term.Paint(term.Bad, render.Nodes(c.Differ, ",")+" "+what))
	}
	if len(c.Same) > 0 {
		parts = append(parts, render.Nodes(c.Same, ",")+" hold the same")
	}
	if len(c.Untold) > 0 {
		parts = append(parts, e.Term.Paint(term.Warn, render.Nodes(c.Untold, ",")+" not told"))
	}
	if c.Index > 0 {
		parts = append(parts, fmt.Sprintf("at entry %d", c.Index))
		if c.At != nil {
			parts = append(parts, c.At.Format(time.RFC3339))
		}
	}
	return strings.Join(parts, "  ")
}
