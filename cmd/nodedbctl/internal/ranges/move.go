package ranges

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

type moveOptions struct {
	change   ctl.Change
	from, to string
}

func newMove(e *ctl.Env) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use: "move RANGE --from NODE --to NODE", Short: "Move one replica of a range to another node", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return move(cmd.Context(), e, args[0], &o) },
	}
	o.change.Bind(c.Flags())
	c.Flags().StringVar(&o.from, "from", "", "the node that holds the replica")
	c.Flags().StringVar(&o.to, "to", "", "the node that is to hold it")
	return c
}

func move(ctx context.Context, e *ctl.Env, arg string, o *moveOptions) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	if o.from == "" || o.to == "" {
		return ctl.Usagef("a move needs --from NODE and --to NODE")
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	from, err := node(call, e, o.from)
	if err != nil {
		return err
	}
	to, err := node(call, e, o.to)
	if err != nil {
		return err
	}
	return ops.Start(ctx, e, ops.Request{
		Change: o.change, Command: fmt.Sprintf("ranges move %s --from %s --to %s", render.Range(id), render.Node(from), render.Node(to)),
		Spec: &adminpb.OperationSpec{Kind: "move", Range: id, From: from, To: to, Deadline: o.change.Deadline.Seconds()},
	})
}

func newTransfer(e *ctl.Env) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use: "transfer RANGE --to NODE", Short: "Hand the leadership of a range to another of its voters", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return transfer(cmd.Context(), e, args[0], &o) },
	}
	o.change.Bind(c.Flags())
	c.Flags().StringVar(&o.to, "to", "", "the node that is to lead")
	return c
}

func transfer(ctx context.Context, e *ctl.Env, arg string, o *moveOptions) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	if o.to == "" {
		return ctl.Usagef("a transfer needs --to NODE")
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	to, err := node(call, e, o.to)
	if err != nil {
		return err
	}
	return ops.Start(ctx, e, ops.Request{
		Change: o.change, Command: fmt.Sprintf("ranges transfer %s --to %s", render.Range(id), render.Node(to)),
		Spec: &adminpb.OperationSpec{Kind: "transfer", Range: id, To: to, Deadline: o.change.Deadline.Seconds()},
	})
}

func node(ctx context.Context, e *ctl.Env, arg string) (uint32, error) {
	nodes, err := e.ResolveNodes(ctx, []string{arg})
	if err != nil {
		return 0, err
	}
	return nodes[0].GetId(), nil
}
