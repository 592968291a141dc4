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

// lastVShard is the last one with which a range can begin.
const lastVShard = 1023

func newSplit(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var at int
	c := &cobra.Command{
		Use: "split RANGE [--at VSHARD]", Short: "Split a range in two at a vshard boundary", Args: cobra.ExactArgs(1),
		Long: "Split a range in two at a vshard boundary. The new range begins at VSHARD; without --at the boundary is\n" +
			"where the load is halved, else the bytes, else the vshards. No row moves.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("at") && (at < 1 || at > lastVShard) {
				return ctl.Usagef("--at is the vshard with which the new range begins, from 1 to %d, not %d", lastVShard, at)
			}
			return split(cmd.Context(), e, args[0], uint32(at), change)
		},
	}
	change.Bind(c.Flags())
	c.Flags().IntVar(&at, "at", 0, "the vshard with which the new range begins")
	return c
}

func split(ctx context.Context, e *ctl.Env, arg string, at uint32, change ctl.Change) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	command := "ranges split " + render.Range(id)
	if at != 0 {
		command += fmt.Sprintf(" --at %d", at)
	}
	return ops.Start(ctx, e, ops.Request{
		Change: change, Command: command,
		Spec: &adminpb.OperationSpec{Kind: "split", Range: id, At: at, Deadline: change.Deadline.Seconds()},
	})
}
