// Package dashboard is the verb tui: the operator's screen.
package dashboard

import (
	"context"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/tui"
)

// Flags are how the dashboard looks.
type Flags struct {
	Theme string
	ASCII bool
	Mouse bool
	Every time.Duration
}

// New makes the command tui.
func New(e *ctl.Env) *cobra.Command {
	var f Flags
	c := &cobra.Command{
		Use: "tui [VIEW]", Short: "The dashboard: watch the cluster and operate it", Args: cobra.MaximumNArgs(1),
		Long: "Tui shows one cluster live: " + strings.Join(tui.Views(), ", ") + ".\n\n" +
			"? lists the keys of a view, : finds commands, / filters, y copies the command that does the same. Every action shows\n" +
			"its plan first and is confirmed by typing a name. Viewers, and --read-only, see no actions.",
		ValidArgs: tui.Views(),
		RunE: func(cmd *cobra.Command, args []string) error {
			view := ""
			if len(args) == 1 {
				view = args[0]
			}
			return Show(cmd.Context(), e, view, f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.Theme, "theme", "", "look: "+strings.Join(tui.Themes(), "|")+" (also NODEDBCTL_THEME)")
	fs.BoolVar(&f.ASCII, "ascii", false, "no characters beyond ASCII")
	fs.BoolVar(&f.Mouse, "mouse", false, "take clicks and the wheel")
	fs.DurationVar(&f.Every, "every", 500*time.Millisecond, "least time between two updates; more for slow links")
	return c
}

// Show shows the dashboard of the chosen context.
func Show(ctx context.Context, e *ctl.Env, view string, f Flags) error {
	if f.Theme == "" {
		f.Theme = e.Getenv("NODEDBCTL_THEME")
	}
	switch {
	case view != "" && !slices.Contains(tui.Views(), view):
		return &ctl.Error{Code: ctl.Usage, Message: "there is no view " + view, Next: []string{"nodedbctl tui " + strings.Join(tui.Views(), "|")}}
	case f.Theme != "" && !slices.Contains(tui.Themes(), f.Theme):
		return ctl.Usagef("--theme must be one of %s, not %q", strings.Join(tui.Themes(), ", "), f.Theme)
	case f.Every < 100*time.Millisecond || f.Every > time.Minute:
		return ctl.Usagef("--every must be between 100ms and 1m")
	case !e.Term.OutTTY || !e.Term.InTTY:
		return &ctl.Error{Code: ctl.Usage, Message: "the dashboard needs a terminal", Next: []string{"nodedbctl status --watch"}}
	}
	current, err := e.Context()
	if err != nil {
		return err
	}
	file, err := e.File()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal is gone
	defer stop()
	var dialled []*client.Client
	defer func() {
		for _, c := range dialled {
			if len(e.Flags.Addr) == 0 && c.Context().Name != "" {
				e.Remember(c.Context(), c)
			}
		}
	}()
	return tui.Run(ctx, tui.Options{
		Context: current.Name, Contexts: file.Names(), View: view, Theme: f.Theme, ASCII: f.ASCII, Mouse: f.Mouse, Every: f.Every,
		NoColor: e.Flags.NoColor || e.Getenv("NO_COLOR") != "" || e.Getenv("TERM") == "dumb", ReadOnly: e.Flags.ReadOnly,
		Dial: func(name string) (*client.Client, error) {
			cx, invocation := current, e.Flags.Invocation()
			if name != current.Name {
				if cx, err = file.Select(name); err != nil {
					return nil, err
				}
				there := ctl.Global{Context: name, ContextFile: e.Flags.ContextFile}
				invocation = there.Invocation()
			}
			c, err := client.Dial(cx)
			if err == nil {
				c.Invoked(invocation)
				dialled = append(dialled, c)
			}
			return c, err
		},
	})
}
