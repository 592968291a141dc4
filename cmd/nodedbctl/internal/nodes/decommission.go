package nodes

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

type decommissionOptions struct {
	change      ctl.Change
	maxDisk     ctl.Share
	rate        ctl.ByteRate
	showBlocked bool
	keep        bool
}

// NewDecommission makes the command decommission.
func NewDecommission(e *ctl.Env) *cobra.Command {
	var o decommissionOptions
	c := &cobra.Command{
		Use: "decommission NODE...", Short: "Move every replica off nodes and end their membership, for good", Args: cobra.MinimumNArgs(1), ValidArgsFunction: Complete(e),
		Long: "Decommission moves every replica off the nodes, proves that none is left, and ends their membership for good.\n" +
			"It needs the nodes neither alive nor well. It can be cancelled until the tombstone (recommission does that too).\n" +
			"What cannot be completed is refused at once, with the ways out, and nothing is changed.",
		RunE: func(cmd *cobra.Command, args []string) error { return decommission(cmd.Context(), e, args, &o) },
	}
	f := c.Flags()
	o.change.Bind(f)
	f.Var(&o.maxDisk, "max-disk", "how full a disk may get on the way (default 80%)")
	f.Var(&o.rate, "rate", "bytes of replicas that a node sends, and receives, each second (default: the cluster's setting, 32MiB/s)")
	f.BoolVar(&o.showBlocked, "show-blocked", false, "show what cannot go on in the operation that runs, and do nothing")
	f.BoolVar(&o.keep, "keep-running", false, "leave the process running afterwards")
	return c
}

func decommission(ctx context.Context, e *ctl.Env, args []string, o *decommissionOptions) error {
	call, cancel := e.Call(ctx)
	defer cancel()
	nodes, err := e.ResolveNodes(call, args)
	if err != nil {
		return err
	}
	if o.showBlocked {
		return showBlocked(call, e, nodes)
	}
	ids := ctl.NodeIDs(nodes)
	return ops.Start(ctx, e, ops.Request{
		Change: o.change, Command: "decommission " + render.Nodes(ids, " "), Ask: true,
		Spec: &adminpb.OperationSpec{
			Kind: "decommission", Nodes: ids, MaxDisk: float64(o.maxDisk), Rate: uint64(o.rate), KeepRunning: o.keep,
			Deadline: o.change.Deadline.Seconds(),
		},
	})
}

func showBlocked(ctx context.Context, e *ctl.Env, nodes []*adminpb.Node) error {
	for _, n := range nodes {
		id := n.GetOperationId()
		if id == "" {
			e.Term.Say("no operation is at work on %s", render.Node(n.GetId()))
			continue
		}
		if err := ops.Show(ctx, e, id, true); err != nil {
			return err
		}
	}
	return nil
}
