// Package upgrade is the noun "upgrade": at which version the cluster is, and raise it.
package upgrade

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command upgrade.
func New(e *ctl.Env) *cobra.Command {
	show := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return status(ctx, e) })
	}
	c := &cobra.Command{
		Use: "upgrade [status]", Short: "At which version the cluster is; raise it", Args: cobra.NoArgs, RunE: show,
		Long: "At which version the cluster is, and what each node's binary supports. Nodes of two releases live together\n" +
			"while they are upgraded one after the other, and may go back; what the newer release adds is used once the\n" +
			"version is raised by 'upgrade finalize', after which there is no way back.",
	}
	c.AddCommand(
		&cobra.Command{Use: "status", Short: "Show the cluster's version, and what each node supports", Args: cobra.NoArgs, RunE: show},
		newPlan(e), newFinalize(e), newAbort(e),
	)
	return c
}

func fetch(ctx context.Context, e *ctl.Env) (*adminpb.GetUpgradeResponse, error) {
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	return c.GetUpgrade(call, &adminpb.GetUpgradeRequest{NodeTimeout: e.NodeTimeout()})
}

func status(ctx context.Context, e *ctl.Env) error {
	r, err := fetch(ctx, e)
	if err != nil {
		return err
	}
	item := view.NewUpgradeStatus(r)
	one := render.One[view.UpgradeStatus]{
		Kind: "UpgradeStatus", Name: fmt.Sprint(item.Active), Meta: e.Meta(r.GetAsOf()), Item: item,
		Text: func(w io.Writer) error { return text(w, &item) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func text(w io.Writer, s *view.UpgradeStatus) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Cluster version %d\n\n", s.Active)
	fmt.Fprintf(&b, "%-6s %-12s %-24s %-9s %-7s %s\n", "NODE", "NAME", "BINARY", "SUPPORTS", "STORED", "LIVENESS")
	for _, n := range s.Nodes {
		stored := "-"
		if n.Active != 0 {
			stored = fmt.Sprint(n.Active)
		}
		if n.Promised > n.Active {
			stored += fmt.Sprintf("->%d", n.Promised)
		}
		supports := fmt.Sprint(n.Max)
		if n.Min != n.Max {
			supports = fmt.Sprintf("%d-%d", n.Min, n.Max)
		}
		fmt.Fprintf(&b, "n%-5d %-12s %-24s %-9s %-7s %s\n", n.Node, n.Name, n.Version, supports, stored, n.Liveness)
	}
	b.WriteString("\n")
	switch {
	case s.Raising != 0:
		fmt.Fprintf(&b, "%s raises it to version %d: nodedbctl ops show %s\n", s.Operation, s.Raising, s.Operation)
	case s.Target <= s.Active:
		b.WriteString("Nothing to finalize: no node supports a newer version.\n")
	case s.CanFinalize:
		fmt.Fprintf(&b, "Version %d can be finalized: nodedbctl upgrade finalize --dry-run\n", s.Target)
	default:
		fmt.Fprintf(&b, "Version %d cannot be finalized yet:\n", s.Target)
		for _, f := range s.Why {
			fmt.Fprintf(&b, "  %s\n", f.Text)
		}
	}
	if s.Target > s.Active && len(s.Allows) > 0 {
		fmt.Fprintf(&b, "It allows:\n")
		for _, what := range s.Allows {
			fmt.Fprintf(&b, "  %s\n", what)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newPlan(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "plan", Short: "Show what finalize would do: the same as finalize --dry-run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return finalize(cmd.Context(), e, ctl.Change{DryRun: true})
		},
	}
}

func newFinalize(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "finalize", Short: "Raise the cluster to the newest version that its nodes support, for good", Args: cobra.NoArgs,
		Long: "Raise the cluster to the newest version that its nodes support. Refused (exit 5) while a node does not support\n" +
			"it, or is down. Afterwards no older nodedb-agent can run in this cluster, and there is no way back.",
		RunE: func(cmd *cobra.Command, _ []string) error { return finalize(cmd.Context(), e, change) },
	}
	change.BindInstant(c.Flags())
	return c
}

func finalize(ctx context.Context, e *ctl.Env, change ctl.Change) error {
	r, err := fetch(ctx, e)
	if err != nil {
		return err
	}
	if r.GetTarget() <= r.GetActive() {
		return e.Done("upgrade finalize", nil, nil, []string{fmt.Sprintf("nothing to do: the cluster is at version %d, the newest that its nodes support", r.GetActive())})
	}
	return ops.Start(ctx, e, ops.Request{
		Change: change, Command: "upgrade finalize", Ask: true,
		Spec: &adminpb.OperationSpec{Kind: "upgrade", Version: r.GetTarget()},
	})
}

func newAbort(e *ctl.Env) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "abort", Short: "Give up a finalize that has not raised the version yet", Args: cobra.NoArgs,
		Long: "Give up a finalize that waits for nodes: their promises are void, and they may go back to the older\n" +
			"nodedb-agent. Once the version is raised there is nothing to abort.",
		RunE: func(cmd *cobra.Command, _ []string) error { return abort(cmd.Context(), e, reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the record")
	return c
}

func abort(ctx context.Context, e *ctl.Env, reason string) error {
	if err := e.Changing(); err != nil {
		return err
	}
	r, err := fetch(ctx, e)
	if err != nil {
		return err
	}
	if r.GetRaising() == 0 {
		return e.Done("upgrade abort", nil, nil, []string{fmt.Sprintf("nothing to do: no version is being raised, the cluster is at version %d", r.GetActive())})
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	if _, err := c.CancelOperation(call, &adminpb.CancelOperationRequest{Id: r.GetOperationId(), Reason: reason}); err != nil {
		return err
	}
	return ops.Follow(ctx, e, r.GetOperationId(), ops.FollowOptions{Cancelling: true})
}
