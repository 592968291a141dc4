package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// Repeat runs show once, or with --watch again and again until Ctrl-C, which is
// how a watch is meant to end (exit 0), or the end of --timeout.
func (e *Env) Repeat(ctx context.Context, show func(context.Context) error) error {
	if e.Flags.Watch == 0 {
		call, cancel := e.Call(ctx)
		defer cancel()
		return show(call)
	}
	limited, cancel := e.Wait(ctx)
	defer cancel()
	w := &watch{e: e, show: show}
	tick := time.NewTicker(e.Flags.Watch)
	defer tick.Stop()
	for {
		err := w.look(limited)
		if err == nil {
			select {
			case <-tick.C:
				continue
			case <-limited.Done(): // ctx ends it too
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		return &Error{Code: Timeout, Message: "--timeout ended"}
	}
}

// watch shows one view again and again. On a terminal it draws over what it
// drew before; when the cluster is away the last picture stays, and says so.
type watch struct {
	e     *Env
	show  func(context.Context) error
	frame []byte
	at    time.Time // of frame
}

func (w *watch) look(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e := w.e
	if !e.Term.OutTTY || !e.Flags.Output.Text() {
		return w.passing(ctx, w.show(call))
	}
	var buf bytes.Buffer
	out, errs := e.Term.Out, e.Term.Err
	e.Term.Out, e.Term.Err = &buf, &buf
	err := w.show(call)
	e.Term.Out, e.Term.Err = out, errs
	if err == nil || silent(err) {
		w.frame, w.at = buf.Bytes(), e.Now()
		e.Term.Redraw(w.frame, fmt.Sprintf("every %s · %s · Ctrl-C ends", e.Flags.Watch, w.at.Format(time.TimeOnly)))
		return nil
	}
	if !transient(ctx, err) {
		return err
	}
	foot := err.Error()
	if !w.at.IsZero() {
		foot = "stale " + render.Duration(e.Now().Sub(w.at)) + ": " + foot
	}
	e.Term.Redraw(w.frame, foot)
	return nil
}

// passing says what went wrong and goes on, if it may pass.
func (w *watch) passing(ctx context.Context, err error) error {
	switch {
	case err == nil || silent(err):
		return nil
	case transient(ctx, err):
		if ctx.Err() == nil {
			w.e.Term.Say("%s", err)
		}
		return nil
	}
	return err
}

// silent reports whether err is only an exit code: an answer of no is an answer.
func silent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Message == "" && e.Err == nil
}

// transient reports whether a cluster that is away for a moment may come back.
func transient(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true // the loop ends by itself
	}
	k := client.AsError(err).Kind
	return k == client.Unavailable || k == client.Timeout
}
