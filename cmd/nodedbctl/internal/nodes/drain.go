package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

type drainOptions struct {
	change     ctl.Change
	self       bool
	shutdown   bool
	lbWait     time.Duration
	txnTimeout time.Duration
	onDeadline string
	ttl        time.Duration
}

// NewDrain makes the command drain.
func NewDrain(e *ctl.Env) *cobra.Command {
	var o drainOptions
	c := &cobra.Command{
		Use: "drain NODE...|--self", Short: "Make nodes' processes safe to stop; keeps their data, reversible by undrain", ValidArgsFunction: Complete(e),
		Long: "Drain makes a node's process safe to stop: it hands every leadership over, refuses new sessions, waits for\n" +
			"transactions, and flushes. The data stays. A restart or undrain ends it. --shutdown stops the process.\n" +
			"Several nodes are drained one after the other; the first that fails ends it.",
		Args: func(_ *cobra.Command, args []string) error {
			if o.self == (len(args) > 0) {
				return ctl.Usagef("name the nodes to drain, or --self for the node at --addr")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return drain(cmd.Context(), e, args, &o) },
	}
	f := c.Flags()
	o.change.Bind(f)
	f.BoolVar(&o.self, "self", false, "drain the node that answers at --addr")
	f.BoolVar(&o.shutdown, "shutdown", false, "stop the process when it is drained")
	f.DurationVar(&o.lbWait, "lb-wait", 10*time.Second, "how long load balancers get to notice that the node is not ready")
	f.DurationVar(&o.txnTimeout, "txn-timeout", 60*time.Second, "how long open transactions may take to end")
	f.StringVar(&o.onDeadline, "on-deadline", "stop", "what --deadline does to what is left: stop|force")
	f.DurationVar(&o.ttl, "ttl", time.Hour, "after this the drain ends by itself")
	return c
}

func drain(ctx context.Context, e *ctl.Env, args []string, o *drainOptions) error {
	if o.onDeadline != "stop" && o.onDeadline != "force" {
		return ctl.Usagef("--on-deadline must be stop or force, not %q", o.onDeadline)
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	if o.self {
		c, err := e.Direct()
		if err != nil {
			return err
		}
		me, err := c.WhoAmI(call, &adminpb.WhoAmIRequest{})
		if err != nil {
			return err
		}
		args = []string{render.Node(me.GetNode())}
	}
	nodes, err := e.ResolveNodes(call, args)
	if err != nil {
		return err
	}
	if len(nodes) > 1 && (o.change.Detach || o.change.Confirm != "" || o.change.IdempotencyKey != "") {
		return ctl.Usagef("--detach, --confirm and --idempotency-key are of one operation: several nodes are drained one after the other, each by its own")
	}
	for _, id := range ctl.NodeIDs(nodes) {
		if err := drainOne(ctx, e, id, o); err != nil {
			return err
		}
	}
	return nil
}

func drainOne(ctx context.Context, e *ctl.Env, id uint32, o *drainOptions) error {
	err := ops.Start(ctx, e, ops.Request{
		Change: o.change, Command: "drain " + render.Node(id),
		Spec: &adminpb.OperationSpec{
			Kind: "drain", Nodes: []uint32{id}, Shutdown: o.shutdown, LbWait: o.lbWait.Seconds(), TxnTimeout: o.txnTimeout.Seconds(),
			Deadline: o.change.Deadline.Seconds(), OnDeadline: o.onDeadline, Ttl: o.ttl.Seconds(),
		},
	})
	if err == nil && o.shutdown && !o.change.DryRun && !o.change.Detach {
		awaitExit(ctx, e, []string{render.Node(id)})
	}
	return err
}

// exitWait bounds the wait for processes that were told to stop.
const exitWait = 20 * time.Second

// awaitExit waits until nodes have stopped, so that what a script does next finds
// them so. The operation has succeeded before: a process records it and then ends.
func awaitExit(ctx context.Context, e *ctl.Env, nodes []string) {
	ctx, cancel := context.WithTimeout(ctx, exitWait)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	w := &waiting{e: e, args: nodes, o: waitOptions{condition: "dead"}}
	for {
		missing, err := w.look(ctx)
		var gone *goneError
		if err != nil && !errors.As(err, &gone) || err == nil && missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// NewUndrain makes the command undrain.
func NewUndrain(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "undrain NODE...", Short: "End the drain of nodes: they serve again", Args: cobra.MinimumNArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := reverse{
				verb: "undrain", change: &change, done: "serves again", idle: "was not drained",
				holds: func(n *adminpb.Node) bool { return n.GetService() == "draining" || n.GetService() == "drained" },
				do: func(ctx context.Context, ids []uint32) ([]*adminpb.Operation, error) {
					c, err := e.Client()
					if err != nil {
						return nil, err
					}
					r, err := c.Undrain(ctx, &adminpb.UndrainRequest{Nodes: ids, Reason: change.Reason})
					return r.GetOperations(), err
				},
			}
			return r.run(cmd.Context(), e, args)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// NewRecommission makes the command recommission.
func NewRecommission(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "recommission NODE...", Short: "Cancel the decommission of nodes; possible until the tombstone", Args: cobra.MinimumNArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := reverse{
				verb: "recommission", change: &change, done: "stays: its decommission is being cancelled", idle: "was not being decommissioned",
				holds: func(n *adminpb.Node) bool { return n.GetMembership() == "decommissioning" },
				do: func(ctx context.Context, ids []uint32) ([]*adminpb.Operation, error) {
					c, err := e.Client()
					if err != nil {
						return nil, err
					}
					r, err := c.Recommission(ctx, &adminpb.RecommissionRequest{Nodes: ids, Reason: change.Reason})
					return r.GetOperations(), err
				},
			}
			return r.run(cmd.Context(), e, args)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// reverse is a verb that ends what was begun on nodes.
type reverse struct {
	verb   string
	change *ctl.Change
	do     func(context.Context, []uint32) ([]*adminpb.Operation, error)
	// holds says whether there is something to end on a node.
	holds      func(*adminpb.Node) bool
	done, idle string // what is said of a node
}

func (r *reverse) run(ctx context.Context, e *ctl.Env, args []string) error {
	call, cancel := e.Call(ctx)
	defer cancel()
	nodes, err := e.ResolveNodes(call, args)
	if err != nil {
		return err
	}
	ids := ctl.NodeIDs(nodes)
	plan := ctl.Instant{Command: r.verb + " " + render.Nodes(ids, " "), Nodes: ids}
	for _, n := range nodes {
		plan.Effects = append(plan.Effects, fmt.Sprintf("would %s %s, which is %s (operation %s)", r.verb, render.Node(n.GetId()), n.GetStatus(), render.Or(n.GetOperationId())))
	}
	if yes, err := r.change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	call, cancel = e.Call(ctx) // a person may have thought for long
	defer cancel()
	ended, err := r.do(call, ids)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if r.holds(n) || slices.ContainsFunc(ended, func(o *adminpb.Operation) bool { return slices.Contains(o.GetSpec().GetNodes(), n.GetId()) }) {
			e.Term.Say("%s %s", render.Node(n.GetId()), r.done)
		} else {
			e.Term.Say("%s %s", render.Node(n.GetId()), r.idle)
		}
	}
	if len(ended) == 0 && e.Flags.Output.Text() {
		return nil
	}
	return ops.PrintList(e, ended)
}
