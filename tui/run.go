package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Options say what to show and how.
type Options struct {
	// Context is the name of the cluster that is shown first.
	Context string
	// Dial makes the client of a context.
	Dial func(context string) (*client.Client, error)
	// Contexts are the clusters that one can go to.
	Contexts []string
	View     string        // of Views; empty: the overview
	Theme    string        // of Themes; empty: as the terminal is
	ASCII    bool          // no characters beyond ASCII
	NoColor  bool          // shape, word, bold and reverse only
	Mouse    bool          // clicks and the wheel; the terminal's own selection needs shift then
	ReadOnly bool          // no actions
	Notes    []string      // lines that the help ends with, such as how to connect
	Every    time.Duration // the least time between two updates; default half a second
	In       io.Reader     // default: the terminal
	Out      io.Writer
}

// Views are the names of what one can begin with.
func Views() []string {
	var names []string
	for _, p := range page.All() {
		names = append(names, p.Name())
	}
	return names
}

// Themes are the names of the looks.
func Themes() []string { return theme.Names() }

const (
	defaultEvery = 500 * time.Millisecond
	// framesPerSecond is how often bubbletea looks for a new frame.
	framesPerSecond = 30
)

// Run shows the dashboard until the user quits or ctx is done.
func Run(ctx context.Context, o Options) error {
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	h := &hub{every: o.Every}
	first, err := connect(o.Dial, o.Context)
	if err != nil {
		return err
	}
	p, fixed := profile(o.NoColor)
	cfg := config{
		want: theme.Want{Name: o.Theme, Profile: p, Ascii: o.ASCII}, fixed: fixed, mouse: o.Mouse, readOnly: o.ReadOnly, view: o.View, now: time.Now,
		notes: o.Notes, contexts: o.Contexts, attach: h.attach,
		connect: func(name string) (*cluster, error) { return connect(o.Dial, name) },
	}
	if cfg.want.Name == "" {
		cfg.want.Name = theme.Auto
	}
	d := newDashboard(cfg, first)
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler()}
	if fixed {
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII))
	}
	if o.In != nil {
		opts = append(opts, tea.WithInput(o.In))
	}
	if o.Out != nil {
		opts = append(opts, tea.WithOutput(o.Out))
	}
	h.program = tea.NewProgram(d, opts...)
	_, err = h.program.Run()
	h.stop()
	if d.c.close != nil {
		d.c.close()
	}
	if failed := h.failure(); failed != nil {
		panic(failed)
	}
	ended := ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) // and whoever ended it knows
	if err != nil && !ended {
		return fmt.Errorf("show the dashboard: %w", err)
	}
	return nil
}

// connect makes the client of a context. It reads files and reaches no node.
func connect(dial func(string) (*client.Client, error), name string) (*cluster, error) {
	c, err := dial(name)
	if err != nil {
		return nil, err
	}
	shown := c.Context().Name
	if shown == "" {
		shown = c.Context().Addrs[0]
	}
	return &cluster{name: shown, protected: c.Context().Protected, admin: c.AdminClient, watch: watchOf(c), learn: c.Learn, close: c.Close, complete: c.Invocation().Complete}, nil
}

// watchOf is the client's watch as a feed takes it.
func watchOf(c *client.Client) feed.Watch {
	return func(ctx context.Context, r *adminpb.WatchRequest, changed feed.Changed, lost func(error)) error {
		return c.Watch(ctx, r, func(u client.Update) error {
			if u.Response == nil {
				lost(u.Lost)
				return nil
			}
			return changed(u.Response, u.Fresh)
		})
	}
}

// hub runs the feed of the cluster that is shown.
type hub struct {
	every   time.Duration
	program *tea.Program

	mu struct {
		sync.Mutex
		cancel  context.CancelFunc
		failure any // what a feed panicked with
	}
	wg sync.WaitGroup
}

// attach starts a feed and ends the one before.
func (h *hub) attach(c *cluster, number int) subscriber {
	ctx, cancel := context.WithCancel(context.Background())
	h.mu.Lock()
	if h.mu.cancel != nil {
		h.mu.cancel()
	}
	h.mu.cancel = cancel
	h.mu.Unlock()
	f := feed.New(c.watch, h.every, time.Now, func(msg any) { h.program.Send(fromFeed{number: number, msg: msg}) })
	h.wg.Go(func() {
		// A panic here would leave the terminal in raw mode: bubbletea restores it
		// first, and Run panics again.
		defer func() {
			if r := recover(); r != nil {
				h.mu.Lock()
				h.mu.failure = r
				h.mu.Unlock()
				h.program.Kill()
			}
		}()
		f.Run(ctx)
	})
	return f
}

func (h *hub) stop() {
	h.mu.Lock()
	if h.mu.cancel != nil {
		h.mu.cancel()
	}
	h.mu.Unlock()
	h.wg.Wait()
}

func (h *hub) failure() any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.failure
}
