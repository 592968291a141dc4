package client

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Update is what Watch tells: a response, or that the stream was lost.
type Update struct {
	// Response is nil when the stream was lost. One without changes is a
	// heartbeat. Reset_ says to forget what was shown.
	Response *adminpb.WatchResponse
	// Lost is why the stream broke; it is being opened anew, at another node if
	// there is one. What was shown stays what it was, and grows old.
	Lost error
	// Fresh is when, by this machine's clock, the data were seen to be of a newer
	// time than before: their age is the time since then. Zero: none came yet.
	Fresh time.Time
}

// Watch watches the topics of r and calls fn, from one goroutine, with all that
// comes until ctx is done, fn returns an error, or the cluster refuses for good.
// It returns that error; that of a call is an *Error. A broken or silent stream
// is opened anew at another node and resumed there, so that fn is told what
// changed meanwhile, or gets a reset. Nothing is kept but the last resume token:
// fn's slowness holds the stream up, and the node then skips states.
func (c *Client) Watch(ctx context.Context, r *adminpb.WatchRequest, fn func(Update) error) error {
	f := &follower{client: c, request: proto.CloneOf(r), fn: fn}
	wait := retryFirst
	for {
		got, err := f.once(ctx)
		if f.ended != nil {
			return f.ended
		}
		if ctx.Err() != nil {
			return AsError(ctx.Err())
		}
		e := AsError(err)
		if !e.Retryable() && !errors.Is(err, errSilent) {
			return e
		}
		if got {
			wait = retryFirst
		}
		if err := fn(Update{Lost: e, Fresh: f.fresh}); err != nil {
			return err
		}
		c.dial.skip()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return AsError(ctx.Err())
		}
		wait = min(2*wait, retryMost)
	}
}

// follower is one Watch.
type follower struct {
	client  *Client
	request *adminpb.WatchRequest
	fn      func(Update) error
	ended   error // fn's
	fresh   time.Time
	asOf    time.Time // of the newest data
}

// once follows one stream; got says that something came.
func (f *follower) once(ctx context.Context) (got bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	// A connection of its own: with a shared one the next try would end at the
	// node that fell silent, or that has no watch to spare.
	admin, own := f.client.connect()
	defer own.CloseIdleConnections()
	s, err := admin.Watch(ctx, f.request)
	if err != nil {
		return false, silentOr(ctx, err)
	}
	defer func() { _ = s.Close() }()
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return got, &Error{Kind: Unavailable, Message: "the node ended the watch", Sent: true}
		}
		if err != nil {
			return got, silentOr(ctx, err)
		}
		got = true
		silence.Stop() // fn may take its time
		if f.ended = f.take(m); f.ended != nil {
			return got, f.ended
		}
		silence.Reset(watchSilence)
	}
}

func (f *follower) take(m *adminpb.WatchResponse) error {
	if at := m.GetAsOf().GetTime(); at != nil && at.AsTime().After(f.asOf) {
		f.asOf, f.fresh = at.AsTime(), time.Now()
	}
	if t := m.GetResume(); t != "" {
		f.request.Resume = t
	}
	return f.fn(Update{Response: m, Fresh: f.fresh})
}
