// Package demo is the verb demo: a secure throw-away cluster of separate
// processes on this machine, with sample data and a live load.
//
// # Invariants
//
//  1. Whatever happens, the processes that it started end with it, and its
//     directory is removed. (Only kill -9 of nodedbctl leaves the directory.)
//  2. Everything listens on loopback, is authenticated and encrypted: a demo is
//     made by the same commands as any cluster.
package demo

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// nodesMost is the largest demo that one machine is asked to carry.
const nodesMost = 9

type options struct {
	nodes    int
	workload bool
	noTUI    bool
	once     bool
	agent    string
	clients  int
}

// New makes the command demo.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "demo", Short: "Run a secure throw-away cluster on this machine, with sample data and live load", Args: cobra.NoArgs,
		Long: "Demo starts separate nodedb-agent processes on free loopback ports in a temporary directory, loads a sample data\n" +
			"set, runs a load, and opens the dashboard on it. q or Ctrl-C ends it and removes everything.\n\n" +
			"With --once it needs no terminal: under load it drains and undrains one node and decommissions the last, then\n" +
			"checks that no acknowledged write was lost and none applied twice. Exit 0, or 11 if something is wrong.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A terminal that is gone ends a demo too: nobody could end it later. Writing
			// to it must not, before everything is removed.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			signal.Ignore(syscall.SIGPIPE)
			return run(ctx, e, &o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.nodes, "nodes", 4, "how many nodes; with 4 one can be decommissioned")
	f.BoolVar(&o.workload, "workload", true, "run a live load")
	f.BoolVar(&o.noTUI, "no-tui", false, "show plain status lines instead of the dashboard, as without a terminal")
	f.BoolVar(&o.once, "once", false, "run the story through, print a verdict, and end")
	f.StringVar(&o.agent, "agent-binary", "", "nodedb-agent to run (default: beside nodedbctl, else on PATH)")
	f.IntVar(&o.clients, "clients", 4, "clients of the load")
	return c
}

func run(ctx context.Context, e *ctl.Env, o *options) error {
	least := 1
	if o.once {
		least = 4 // the last one leaves, and three must remain for three replicas
	}
	if o.nodes < least || o.nodes > nodesMost {
		return ctl.Usagef("--nodes must be between %d and %d", least, nodesMost)
	}
	if o.clients < 1 || o.clients > 64 {
		return ctl.Usagef("--clients must be between 1 and 64")
	}
	agent, err := ctl.FindAgent(o.agent)
	if err != nil {
		return err
	}
	if o.once {
		return once(ctx, e, o, agent)
	}
	return live(ctx, e, o, agent)
}

// since is the time that has passed, for people.
func since(e *ctl.Env, began time.Time) time.Duration { return e.Now().Sub(began) }

// up starts the cluster, loads the sample data and, if asked, the load.
func up(ctx context.Context, e *ctl.Env, o *options, agent string) (*cluster, *workload, error) {
	c, err := newCluster(e, agent)
	if err != nil {
		return nil, nil, err
	}
	began := e.Now()
	if err := c.start(ctx, o.nodes); err != nil {
		return c, nil, err
	}
	e.Term.Say("%s ready after %.1fs", map[bool]string{true: "1 node is", false: fmt.Sprintf("%d nodes are", o.nodes)}[o.nodes == 1], since(e, began).Seconds())
	w := newWorkload(c, o.clients)
	rows, err := w.load(ctx)
	if err != nil {
		return c, nil, fmt.Errorf("load sample data: %w", err)
	}
	e.Term.Say("%d rows of sample data are loaded: collections accounts, orders", rows)
	if o.workload || o.once {
		w.run(ctx)
	}
	return c, w, nil
}
