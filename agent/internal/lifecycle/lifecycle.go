// Package lifecycle runs the components of a node in order.
//
// Components start one after the other, each when the one before is ready, and
// stop in reverse, each with a context of its own. One that ends by itself takes
// the node down, with its name in the error.
//
// # Concurrency
//
// Run owns one goroutine per component and returns when all have ended.
//
// # Invariants
//
//  1. A component is stopped only after every component that started after it
//     has ended.
//  2. Run returns the error of the component that ended first by itself; errors
//     of components that were asked to stop are joined to it.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// Component is one part of a node.
type Component struct {
	Name string
	// Run does the work until ctx is done and returns when everything that it
	// started has ended. It calls ready once it can serve the components after it.
	Run func(ctx context.Context, ready func()) error
}

// Group is an ordered list of components.
type Group struct {
	Components []Component
	// StopTimeout bounds the stop of one component; past it Run gives up and
	// names the component that hangs.
	StopTimeout time.Duration
	Logger      *slog.Logger
}

type running struct {
	name   string
	cancel context.CancelCauseFunc
	done   chan error
}

// ErrStopping is the cause of a component's context when the group stops it.
var ErrStopping = errors.New("node is stopping")

// Run starts all components, calls ready when the last one is, and stops them in
// reverse when ctx is done or one ends by itself.
func (g *Group) Run(ctx context.Context, ready func()) error {
	ended := make(chan string, len(g.Components))
	var up []*running
	startErr := g.start(ctx, &up, ended)
	if startErr == nil && ctx.Err() == nil {
		ready()
	}
	var first string
	if startErr == nil {
		select {
		case <-ctx.Done():
		case first = <-ended:
		}
	}
	return errors.Join(startErr, g.stop(ctx, up, first))
}

func (g *Group) start(ctx context.Context, up *[]*running, ended chan<- string) error {
	for _, c := range g.Components {
		// A component outlives ctx until its turn to stop comes.
		cctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		r := &running{name: c.Name, cancel: cancel, done: make(chan error, 1)}
		isReady := make(chan struct{})
		*up = append(*up, r)
		go func() {
			err := c.Run(cctx, func() { close(isReady) })
			r.done <- err
			ended <- r.name
		}()
		select {
		case <-isReady:
			g.Logger.Debug("component ready", logattr.Component(c.Name))
		case err := <-r.done:
			r.done <- err
			if err == nil {
				err = errors.New("ended before it was ready")
			}
			return fmt.Errorf("start %s: %w", c.Name, err)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (g *Group) stop(ctx context.Context, up []*running, first string) error {
	var errs []error
	for i := len(up) - 1; i >= 0; i-- {
		r := up[i]
		r.cancel(ErrStopping)
		timer := time.NewTimer(g.StopTimeout)
		select {
		case err := <-r.done:
			timer.Stop()
			switch {
			case r.name == first && err == nil && ctx.Err() == nil:
				errs = append(errs, fmt.Errorf("%s ended by itself", r.name))
			case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopping):
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s did not stop within %s", r.name, g.StopTimeout))
		}
	}
	return errors.Join(errs...)
}
