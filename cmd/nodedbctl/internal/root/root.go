// Package root assembles the command of all its verbs and runs it.
package root

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/client/build"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/api"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/audit"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/bundle"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/cert"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/check"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/config"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/contexts"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/dashboard"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/demo"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/events"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/hba"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/jointoken"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/members"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/nodes"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/pools"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/raft"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ranges"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/rebalance"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/reference"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/routing"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/schedules"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/schema"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/sessions"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/sqlshell"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/status"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/token"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/upgrade"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

const long = `nodedbctl operates NodeDB clusters.

stdout is data, stderr is conversation. Every change of the cluster is an operation
that goes on without this command: Ctrl-C detaches from it and never cancels it.`

// Groups of verbs in the help.
const (
	groupLook   = "look"
	groupChange = "change"
	groupAccess = "access"
	groupMore   = "more"
)

// New makes the command.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{
		Use: "nodedbctl", Short: "Operate NodeDB clusters", Long: long, SilenceUsage: true, SilenceErrors: true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE:          func(x *cobra.Command, _ []string) error { return e.Prepare(x.LocalNonPersistentFlags()) },
	}
	e.Flags.Bind(c.PersistentFlags())
	c.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupChange, Title: "Change:"},
		&cobra.Group{ID: groupAccess, Title: "Access:"}, &cobra.Group{ID: groupMore, Title: "More:"},
	)
	add := func(group string, cs ...*cobra.Command) {
		for _, x := range cs {
			x.GroupID = group
			strict(x)
			c.AddCommand(x)
		}
	}
	add(groupLook, status.New(e), dashboard.New(e), nodes.New(e), members.New(e), ranges.New(e), pools.New(e), sessions.New(e), sessions.NewTransactions(e), schedules.New(e), routing.New(e), ops.New(e), events.New(e), check.New(e), nodes.NewWait(e),
		nodes.NewOKToStop(e), nodes.NewOKToRemove(e), nodes.NewSurvive(e))
	add(groupChange, nodes.NewDrain(e), nodes.NewUndrain(e), nodes.NewCordon(e), nodes.NewUncordon(e), nodes.NewDecommission(e), nodes.NewRecommission(e),
		rebalance.New(e), upgrade.New(e))
	add(groupAccess, jointoken.New(e), token.New(e), token.NewWhoAmI(e), audit.New(e), cert.New(e), hba.New(e), contexts.New(e), config.New(e))
	add(groupLook, newAliases()...)
	add(groupMore, sqlshell.New(e), demo.New(e), api.New(e), newDebug(e), newVersion(e), reference.NewMan(e), reference.NewReference(e), schema.New(e))
	ctl.AttachCompletion(e, c)
	c.SetHelpCommandGroupID(groupMore)
	c.SetCompletionCommandGroupID(groupMore)
	c.SetHelpTemplate(c.HelpTemplate() + "\n" + ctl.ExitHelp)
	c.SetIn(e.Term.In)
	c.SetOut(e.Term.Out)
	c.SetErr(e.Term.Err)
	c.SetFlagErrorFunc(func(x *cobra.Command, err error) error {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return unknownFlag(x, err)
	})
	return c
}

// strict makes c and all below refuse a verb that they do not know, with the
// nearest ones.
func strict(c *cobra.Command) {
	for _, sub := range c.Commands() {
		strict(sub)
	}
	if !c.HasSubCommands() {
		return
	}
	before, run := c.Args, c.RunE
	c.Args = func(x *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownVerb(x, args[0])
		}
		if before != nil {
			return before(x, args)
		}
		return nil
	}
	if run == nil {
		c.RunE = func(x *cobra.Command, _ []string) error {
			names := make([]string, 0, len(x.Commands()))
			for _, sub := range x.Commands() {
				names = append(names, sub.Name())
			}
			return &ctl.Error{Code: ctl.Usage, Message: x.CommandPath() + " needs a verb: " + strings.Join(names, ", "), Next: []string{x.CommandPath() + " --help"}}
		}
	}
}

// unknownFlag names the flags that an unknown one may have been meant for.
func unknownFlag(c *cobra.Command, err error) error {
	e := &ctl.Error{Code: ctl.Usage, Message: err.Error(), Err: err}
	if _, name, ok := strings.Cut(err.Error(), "unknown flag: --"); ok {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		for _, near := range ctl.Nearest(name, names) {
			e.Next = append(e.Next, c.CommandPath()+" --"+near)
		}
	}
	e.Next = append(e.Next, c.CommandPath()+" --help")
	return e
}

func unknownVerb(c *cobra.Command, verb string) error {
	c.SuggestionsMinimumDistance = 2
	e := &ctl.Error{Code: ctl.Usage, Message: fmt.Sprintf("unknown verb %q for %s", verb, c.CommandPath())}
	for _, s := range c.SuggestionsFor(verb) {
		e.Next = append(e.Next, c.CommandPath()+" "+s)
	}
	if len(e.Next) == 0 {
		e.Next = []string{c.CommandPath() + " --help"}
	}
	return e
}

// newDebug makes the noun debug.
func newDebug(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{Use: "debug", Short: "Look deeper: raft, support between nodes, bundles, stopped nodes"}
	c.AddCommand(bundle.New(e), bundle.NewLocal(e), raft.New(e), members.NewSupport(e))
	return c
}

func newVersion(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the versions of nodedbctl, with what it was built from, and of the nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stamp := build.Read()
			meta, servers := nodeVersions(cmd.Context(), e)
			one := render.One[view.Version]{
				Kind: "Version", Name: e.Version, Meta: meta,
				Item: view.Version{Version: e.Version, Servers: servers, Commit: stamp.Commit, CommittedAt: stamp.CommittedAt, Modified: stamp.Modified, Go: stamp.Go},
				Text: func(w io.Writer) error {
					if _, err := fmt.Fprintf(w, "nodedbctl %s\n%s\n", e.Version, stamp); err != nil {
						return err
					}
					for _, s := range servers {
						if _, err := fmt.Fprintf(w, "nodes     %s  %s\n", s.Version, render.Nodes(s.Nodes, ",")); err != nil {
							return err
						}
					}
					return nil
				},
			}
			return one.Print(e.Term, e.Flags.Output)
		},
	}
}

// versionsTimeout bounds what the version of the nodes may cost.
const versionsTimeout = 3 * time.Second

// nodeVersions asks which versions the nodes run; none without a cluster: this
// verb answers always.
func nodeVersions(ctx context.Context, e *ctl.Env) (render.Meta, []view.NodeVersion) {
	local := render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}}
	servers := []view.NodeVersion{}
	c, err := e.Client()
	if err != nil {
		return local, servers
	}
	call, cancel := context.WithTimeout(ctx, versionsTimeout)
	defer cancel()
	r, err := c.ListNodes(call, &adminpb.ListNodesRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		e.Term.Say("the versions of the nodes are not known: %v", err)
		return local, servers
	}
	for _, n := range r.GetNodes() {
		i := slices.IndexFunc(servers, func(s view.NodeVersion) bool { return s.Version == render.Or(n.GetVersion()) })
		if i < 0 {
			i = len(servers)
			servers = append(servers, view.NodeVersion{Version: render.Or(n.GetVersion())})
		}
		servers[i].Nodes = append(servers[i].Nodes, n.GetId())
	}
	return e.Meta(r.GetAsOf()), servers
}

// Main runs the process's command line and returns its exit code. The first
// SIGINT or SIGTERM ends what is being done; the second ends the process.
func Main(version string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return Run(ctx, &ctl.Env{Term: term.System(), Version: version, Now: time.Now, Getenv: os.Getenv}, args)
}

// Run runs one command line in e.
func Run(ctx context.Context, e *ctl.Env, args []string) int {
	defer e.Close()
	c := New(e)
	args = unalias(args)
	c.SetArgs(args)
	c.InitDefaultHelpCmd()
	c.InitDefaultCompletionCmd(args...)
	if verb := firstVerb(c, args); verb != "" {
		err := unknownVerb(c, verb)
		e.Flags.Output.Format = formatOf(args)
		e.Report(c.CommandPath(), err)
		return int(ctl.CodeOf(err))
	}
	ran, err := c.ExecuteContextC(ctx)
	if err == nil {
		e.Discover(ctx)
		err = e.Whole()
	}
	if err != nil && ctx.Err() != nil && ctl.CodeOf(err) == ctl.Internal {
		err = context.Canceled
	}
	if err != nil && e.Flags.Output.Format == "table" {
		e.Flags.Output.Format = formatOf(args) // flags behind a mistake are not read
	}
	e.Report(ran.CommandPath(), err)
	return int(ctl.CodeOf(err))
}

// formatOf finds the output format in a command line that was not parsed.
func formatOf(args []string) string {
	for i, a := range args {
		for _, name := range []string{"-o", "--output"} {
			if a == name && i+1 < len(args) {
				return args[i+1]
			}
			if v, ok := strings.CutPrefix(a, name+"="); ok {
				return v
			}
		}
		if v, ok := strings.CutPrefix(a, "-o"); ok && v != "" {
			return v
		}
	}
	return "table"
}

// firstVerb returns the verb of args if the command has none of this name.
func firstVerb(c *cobra.Command, args []string) string {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return "" // cobra adds this verb, which shells use, when it runs
	}
	found, rest, err := c.Find(args)
	if err == nil || found != c {
		return ""
	}
	for _, a := range rest {
		if !strings.HasPrefix(a, "-") && strings.Contains(err.Error(), fmt.Sprintf("%q", a)) {
			return a
		}
	}
	return ""
}
