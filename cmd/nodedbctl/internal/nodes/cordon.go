package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// NewCordon makes the command cordon.
func NewCordon(e *ctl.Env) *cobra.Command {
	return newCordon(e, true, "cordon NODE...", "Place nothing new on nodes; they keep what they have")
}

// NewUncordon makes the command uncordon.
func NewUncordon(e *ctl.Env) *cobra.Command {
	return newCordon(e, false, "uncordon NODE...", "Let nodes receive replicas again")
}

func newCordon(e *ctl.Env, cordon bool, use, short string) *cobra.Command {
	var change ctl.Change
	var ttl time.Duration
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			return setCordon(cmd.Context(), e, args, &change, &adminpb.SetCordonRequest{Cordon: cordon, Ttl: ttl.Seconds()})
		},
	}
	change.BindInstant(c.Flags())
	if cordon {
		c.Flags().DurationVar(&ttl, "ttl", 0, "after this the cordon ends by itself")
	}
	return c
}

func setCordon(ctx context.Context, e *ctl.Env, args []string, change *ctl.Change, r *adminpb.SetCordonRequest) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	nodes, err := e.ResolveNodes(call, args)
	if err != nil {
		return err
	}
	verb := map[bool]string{true: "cordoned", false: "uncordoned"}[r.Cordon]
	r.Nodes, r.Reason = ctl.NodeIDs(nodes), change.Reason
	plan := ctl.Instant{Command: strings.TrimSuffix(verb, "ed") + " " + render.Nodes(r.Nodes, " "), Nodes: r.Nodes}
	for _, n := range nodes {
		plan.Effects = append(plan.Effects, fmt.Sprintf("%s would be %s; it is %s", render.Node(n.GetId()), verb, n.GetStatus()))
	}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	call, cancel = e.Call(ctx) // a person may have thought for long
	defer cancel()
	done, err := c.SetCordon(call, r)
	if err != nil {
		return err
	}
	var names, lines []string
	for _, id := range r.GetNodes() {
		names = append(names, render.Node(id))
		if slices.Contains(done.GetChanged(), id) {
			lines = append(lines, render.Node(id)+" is "+verb)
		} else {
			lines = append(lines, render.Node(id)+" was "+verb+" already")
		}
	}
	return e.Done(strings.TrimSuffix(verb, "ed"), r.GetNodes(), names, lines)
}
