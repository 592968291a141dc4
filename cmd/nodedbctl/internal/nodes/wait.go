package nodes

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// pollEvery is how often wait looks.
const pollEvery = 300 * time.Millisecond

// conditions are what can be waited for.
var conditions = map[string]func(*adminpb.Node) bool{
	"ready": func(n *adminpb.Node) bool {
		return n.GetMembership() == "active" && n.GetLiveness() == "alive" && n.GetService() == "ready"
	},
	"drained": func(n *adminpb.Node) bool {
		return n.GetService() == "drained" || n.GetService() == "stopping" || n.GetLiveness() == "left"
	},
	"decommissioned": func(n *adminpb.Node) bool { return n.GetMembership() == "decommissioned" },
	"dead":           func(n *adminpb.Node) bool { return n.GetLiveness() == "dead" || n.GetLiveness() == "left" },
}

// NewWait makes the command wait.
func NewWait(e *ctl.Env) *cobra.Command {
	condition := ""
	c := &cobra.Command{
		Use: "wait NODE --for ready|drained|decommissioned|dead", Short: "Wait until something is true of a node", Args: cobra.ExactArgs(1), ValidArgsFunction: Complete(e),
		RunE: func(cmd *cobra.Command, args []string) error { return wait(cmd.Context(), e, args[0], condition) },
	}
	c.Flags().StringVar(&condition, "for", "", "ready|drained|decommissioned|dead")
	_ = c.MarkFlagRequired("for") // the flag was defined above
	return c
}

func wait(ctx context.Context, e *ctl.Env, arg, condition string) error {
	holds := conditions[condition]
	if holds == nil {
		return ctl.Usagef("--for must be ready, drained, decommissioned or dead, not %q", condition)
	}
	limited, cancel := e.Wait(ctx)
	defer cancel()
	progress := e.Term.NewProgress(e.Now)
	defer progress.Clear()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		state, err := look(limited, e, arg, holds)
		if err != nil {
			return err
		}
		if state == "" {
			progress.Clear()
			e.Term.Say("%s is %s", arg, condition)
			return nil
		}
		progress.Show([]string{"waiting for " + arg + " to be " + condition + ": " + state}, "waiting for "+arg+" to be "+condition+": "+state, false)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctl.Silent(ctl.Interrupted)
		case <-limited.Done():
			return &ctl.Error{Code: ctl.Timeout, Message: arg + " is not " + condition + ": " + state}
		}
	}
}

// look says how the node is, or nothing if the condition holds. A cluster that
// cannot be reached, or does not know the node yet, is waited for too.
func look(ctx context.Context, e *ctl.Env, arg string, holds func(*adminpb.Node) bool) (string, error) {
	call, cancel := context.WithTimeout(ctx, e.Flags.NodeTimeout+2*time.Second)
	defer cancel()
	nodes, err := e.ResolveNodes(call, []string{arg})
	var c *client.Error
	var own *ctl.Error
	switch {
	case errors.As(err, &own) && own.Code == ctl.NotFound:
		return "not known to the cluster yet", nil
	case errors.As(err, &c) && (c.Retryable() || c.Kind == client.Cancelled):
		return c.Message, nil
	case err != nil:
		return "", err
	case holds(nodes[0]):
		return "", nil
	}
	n := nodes[0]
	return "it is " + n.GetStatus() + " (" + n.GetMembership() + ", " + n.GetLiveness() + ", " + render.Or(n.GetService()) + ")", nil
}
