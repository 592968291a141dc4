package pools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// wishes are the flags that say what a pool is to want.
type wishes struct {
	change                    ctl.Change
	replicas, ranges          uint32
	constraints, preferLeader string
	rate                      ctl.ByteRate
}

func (w *wishes) bind(f *pflag.FlagSet) {
	w.change.Bind(f)
	f.Uint32Var(&w.replicas, "replicas", 0, "replicas of each range: 1, 3, 5 or 7")
	f.StringVar(&w.constraints, "constraints", "", "where replicas may be, by --locality of the nodes: +zone=a (required), -disk=hdd (forbidden), several with commas")
	f.StringVar(&w.preferLeader, "prefer-leader", "", "where leaders had better be: zone=b")
	f.Var(&w.rate, "rate", "bytes per second that each node sends and receives at most, e.g. 64MiB/s")
}

// wish is what was said, and the flags as they are repeated.
func (w *wishes) wish(f *pflag.FlagSet) (*adminpb.PoolWish, []string) {
	out := &adminpb.PoolWish{}
	var again []string
	if f.Changed("replicas") {
		out.Replicas = &w.replicas
		again = append(again, "--replicas", fmt.Sprint(w.replicas))
	}
	if f.Changed("constraints") {
		out.Constraints = &w.constraints
		again = append(again, "--constraints", quoted(w.constraints))
	}
	if f.Changed("prefer-leader") {
		out.PreferLeader = &w.preferLeader
		again = append(again, "--prefer-leader", quoted(w.preferLeader))
	}
	if w.rate > 0 {
		again = append(again, "--rate", w.rate.String())
	}
	return out, again
}

func quoted(text string) string {
	if text == "" {
		return "''"
	}
	return text
}

func newCreate(e *ctl.Env) *cobra.Command {
	var w wishes
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a pool with ranges of its own", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wish, again := w.wish(cmd.Flags())
			if cmd.Flags().Changed("ranges") {
				if w.ranges == 0 {
					return ctl.Usagef("--ranges: a pool begins with one range at least")
				}
				again = append(again, "--ranges", fmt.Sprint(w.ranges))
			}
			return start(cmd.Context(), e, &w, "create", args[0], again, &adminpb.OperationSpec{Kind: "pool-create", Wanted: wish, PoolRanges: w.ranges})
		},
	}
	w.bind(c.Flags())
	c.Flags().Uint32Var(&w.ranges, "ranges", 0, "ranges that it begins with (default 8): they split as they grow")
	return c
}

func newAlter(e *ctl.Env) *cobra.Command {
	var w wishes
	c := &cobra.Command{
		Use: "alter POOL", Short: "Change what a pool wants, and move its replicas accordingly", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wish, again := w.wish(cmd.Flags())
			if wish.Replicas == nil && wish.Constraints == nil && wish.PreferLeader == nil {
				return ctl.Usagef("nothing to change: say --replicas, --constraints or --prefer-leader")
			}
			return start(cmd.Context(), e, &w, "alter", args[0], again, &adminpb.OperationSpec{Kind: "pool-alter", Wanted: wish})
		},
	}
	w.bind(c.Flags())
	return c
}

func newDrop(e *ctl.Env) *cobra.Command {
	var w wishes
	c := &cobra.Command{
		Use: "drop POOL", Short: "Drop a pool that no collection is in, and its ranges", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return start(cmd.Context(), e, &w, "drop", args[0], nil, &adminpb.OperationSpec{Kind: "pool-drop"})
		},
	}
	w.change.Bind(c.Flags())
	return c
}

func start(ctx context.Context, e *ctl.Env, w *wishes, verb, pool string, again []string, spec *adminpb.OperationSpec) error {
	spec.Pool, spec.Rate, spec.Deadline = pool, uint64(w.rate), w.change.Deadline.Seconds()
	command := strings.Join(append([]string{"pools", verb, pool}, again...), " ")
	return ops.Start(ctx, e, ops.Request{Spec: spec, Change: w.change, Command: command, Ask: true})
}

func newRename(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "rename POOL NAME", Short: "Give a pool another name", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rename(cmd.Context(), e, &change, args[0], args[1])
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// mayRename refuses what the cluster would refuse, so that a dry run says it too.
func mayRename(ctx context.Context, c *client.Client, name, to string) error {
	if _, err := c.ListPools(ctx, &adminpb.ListPoolsRequest{Name: name}); err != nil {
		return err
	}
	if name == view.DefaultPool {
		return ctl.Usagef("pool %q keeps its name: it is what a collection is in that names no pool", name)
	}
	var failed *client.Error
	switch _, err := c.ListPools(ctx, &adminpb.ListPoolsRequest{Name: to}); {
	case err == nil:
		return &ctl.Error{Code: ctl.Conflict, Message: fmt.Sprintf("pool %q already exists", to), Next: []string{"nodedbctl pools"}}
	case errors.As(err, &failed) && failed.Kind == client.NotFound:
		return nil
	default:
		return err
	}
}

func rename(ctx context.Context, e *ctl.Env, change *ctl.Change, name, to string) error {
	command := "pools rename " + name + " " + to
	if err := change.Allow(e, e.Again(command, "--dry-run")); err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	if err := mayRename(call, c, name, to); err != nil {
		return err
	}
	plan := ctl.Instant{Command: command, Effects: []string{fmt.Sprintf("would call pool %s %s", name, to)}}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	if _, err := c.RenamePool(call, &adminpb.RenamePoolRequest{Name: name, To: to}); err != nil {
		return err
	}
	return e.Done("pool-rename", nil, []string{to}, []string{fmt.Sprintf("pool %s is called %s now", name, to)})
}
