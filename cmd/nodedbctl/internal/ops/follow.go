package ops

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// redraw is how often the live view moves on without news: elapsed, rate.
const redraw = time.Second

// FollowOptions say how to follow.
type FollowOptions struct {
	FailOnBlocked bool
	Still         bool // no live block, only lines
	Cancelling    bool // the wanted end is cancelled
}

var errBlocked = errors.New("the operation is blocked")

// Follow shows an operation until it has ended, and returns its outcome as an
// error with the exit code. Ctrl-C and --timeout leave it running.
func Follow(ctx context.Context, e *ctl.Env, id string, opt FollowOptions) error {
	if e.Flags.From != "" {
		return ctl.Usagef("a bundle does not change: nodedbctl --from %s ops show %s", e.Flags.From, id)
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	learn(ctx, e, c)
	wait, cancel := e.Wait(ctx)
	defer cancel()
	f := &follower{e: e, opt: opt, progress: e.Term.NewProgress(e.Now), news: make(chan *adminpb.Operation, 1)}
	f.away = e.NewAway(f.progress.Live())
	stop := f.animate(wait)
	last, err := c.WatchOperation(wait, id, client.Watcher{Changed: f.changed, Lost: f.lost})
	stop()
	f.away.Stop()
	f.progress.Clear()
	switch {
	case err == nil:
		return f.outcome(last)
	case errors.Is(err, errBlocked):
		if perr := printOperation(e, last); perr != nil {
			return perr
		}
		return &ctl.Error{Code: ctl.Unsafe, Message: id + " is blocked: " + last.GetWhy(), Next: []string{"nodedbctl ops show " + id + " --blocked"}}
	case ctx.Err() != nil:
		e.Term.Say("detached: %s continues; nodedbctl ops watch %s", id, id)
		return ctl.Silent(ctl.Interrupted)
	case errors.Is(wait.Err(), context.DeadlineExceeded):
		return &ctl.Error{Code: ctl.Timeout, Message: id + " continues; --timeout ended", Next: []string{"nodedbctl ops watch " + id}}
	}
	return err
}

// learn has the client learn of all nodes, so that the watch outlives the node
// that the context names. It is no matter if that fails.
func learn(ctx context.Context, e *ctl.Env, c *client.Client) {
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.ListNodes(call, &adminpb.ListNodesRequest{NodeTimeout: min(1, e.NodeTimeout())}); err != nil && e.Flags.Verbose {
		e.Term.Say("the other nodes are not known: %v", err)
	}
}

type follower struct {
	e        *ctl.Env
	opt      FollowOptions
	progress *term.Progress
	away     *ctl.Away
	news     chan *adminpb.Operation
	last     string // state shown last
}

func (f *follower) changed(o *adminpb.Operation) error {
	f.away.Back()
	if f.e.Flags.Output.Format == "jsonl" {
		if err := render.Line(f.e.Term.Out, "OperationProgress", view.NewOperation(o)); err != nil {
			return err
		}
	}
	if !final(o) {
		urgent := o.GetState() != f.last
		f.last = o.GetState()
		f.progress.Show(f.block(o), line(o), urgent)
		select {
		case f.news <- o:
		default:
		}
	}
	if f.opt.FailOnBlocked && o.GetState() == "blocked" {
		return errBlocked
	}
	return nil
}

// block is what the live view shows; o is nil before the first answer.
func (f *follower) block(o *adminpb.Operation) []string {
	var lines []string
	switch {
	case o == nil:
	case f.opt.Still:
		lines = []string{line(o)}
	default:
		lines = block(o, f.e.Now())
	}
	if text := f.away.Text(); text != "" {
		lines = append(lines, text)
	}
	return lines
}

// animate redraws the live view between the news, until the returned function
// is called.
func (f *follower) animate(ctx context.Context) (stop func()) {
	if !f.progress.Live() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		var last *adminpb.Operation
		for {
			select {
			case last = <-f.news:
			case <-tick.C:
				f.progress.Show(f.block(last), "", false)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (f *follower) lost(err error) {
	f.away.Lost(err)
	if f.e.Flags.Verbose && !f.progress.Live() {
		f.e.Term.Say("watch lost, trying another node: %v", err)
	}
}

func (f *follower) outcome(o *adminpb.Operation) error {
	return ended(f.e, o, f.opt.Cancelling)
}

// ended prints an operation that has ended and gives its exit code. With
// cancelled set, that is the end that was wanted.
func ended(e *ctl.Env, o *adminpb.Operation, cancelled bool) error {
	if e.Flags.Output.Format != "jsonl" {
		if err := printOperation(e, o); err != nil {
			return err
		}
	}
	switch o.GetState() {
	case "failed":
		return ctl.Silent(ctl.Failed)
	case "cancelled":
		if !cancelled {
			return ctl.Silent(ctl.Aborted)
		}
	}
	return nil
}

func final(o *adminpb.Operation) bool { return client.Final(o.GetState()) }

// printOperation writes the operation to stdout: its result, or its fields.
func printOperation(e *ctl.Env, o *adminpb.Operation) error {
	one := render.One[view.Operation]{
		Kind: "Operation", Item: view.NewOperation(o), Name: o.GetId(),
		Meta: render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{MetaIndex: o.GetMetaIndex(), Time: e.Now().UTC()}},
		Text: func(w io.Writer) error {
			text := line(o) + "\n"
			if final(o) {
				text = result(o)
			}
			_, err := io.WriteString(w, text)
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}
