package ops

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// control is a verb that changes an operation under way.
type control struct {
	use, short, would string
	do                func(ctx context.Context, c *client.Client, id string, reason string) (*adminpb.Operation, error)
}

func (v *control) command(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: v.use, Short: v.short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd.Context(), e, args[0], &change) },
	}
	change.BindInstant(c.Flags())
	return c
}

func (v *control) run(ctx context.Context, e *ctl.Env, id string, change *ctl.Change) error {
	if err := change.Allow(e, e.Again("ops "+v.would+" "+id, "--dry-run")); err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.GetOperation(call, &adminpb.GetOperationRequest{Id: id})
	if err != nil {
		return err
	}
	plan := ctl.Instant{
		Command: "ops " + v.would + " " + id, Nodes: r.GetOperation().GetSpec().GetNodes(),
		Effects: []string{fmt.Sprintf("would %s %s  %s, which is %s", v.would, id, title(r.GetOperation()), r.GetOperation().GetState())},
	}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	call, cancel = e.Call(ctx) // a person may have thought for long
	defer cancel()
	o, err := v.do(call, c, id, change.Reason)
	if err != nil {
		return err
	}
	return printOperation(e, o)
}

func newPause(e *ctl.Env) *cobra.Command {
	v := control{use: "pause OPERATION", short: "Begin nothing new in an operation; what is in flight is finished", would: "pause",
		do: func(ctx context.Context, c *client.Client, id, reason string) (*adminpb.Operation, error) {
			r, err := c.PauseOperation(ctx, &adminpb.PauseOperationRequest{Id: id, Reason: reason})
			return r.GetOperation(), err
		}}
	return v.command(e)
}

func newResume(e *ctl.Env) *cobra.Command {
	v := control{use: "resume OPERATION", short: "Let an operation that was paused go on", would: "resume",
		do: func(ctx context.Context, c *client.Client, id, _ string) (*adminpb.Operation, error) {
			r, err := c.ResumeOperation(ctx, &adminpb.ResumeOperationRequest{Id: id})
			return r.GetOperation(), err
		}}
	return v.command(e)
}

func newLimit(e *ctl.Env) *cobra.Command {
	var rate ctl.ByteRate
	reset := false
	v := control{use: "limit OPERATION --rate RATE", short: "Change how fast an operation copies, while it runs", would: "limit",
		do: func(ctx context.Context, c *client.Client, id, _ string) (*adminpb.Operation, error) {
			r, err := c.LimitOperation(ctx, &adminpb.LimitOperationRequest{Id: id, Rate: uint64(rate)})
			return r.GetOperation(), err
		}}
	c := v.command(e)
	c.Flags().Var(&rate, "rate", "bytes of replicas that a node sends, and receives, each second, such as 64MiB/s")
	c.Flags().BoolVar(&reset, "reset", false, "go back to the rate that it was asked for with")
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if (rate == 0) == !reset {
			return ctl.Usagef("name one of --rate and --reset")
		}
		return run(cmd, args)
	}
	return c
}
