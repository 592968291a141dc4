package client

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	// watchSilence is how long a watch may be silent before it is opened anew;
	// the node sends a heartbeat each 5 s.
	watchSilence = 12 * time.Second
	retryFirst   = 200 * time.Millisecond
	retryMost    = 2 * time.Second
)

var errSilent = errors.New("the watch fell silent")

// Watcher is told what a watch sees. Either function may be nil.
type Watcher struct {
	// Changed gets the operation at once and after each change. An error ends
	// the watch.
	Changed func(*adminpb.Operation) error
	// Lost is told that the stream broke and is being opened anew, perhaps at
	// another node.
	Lost func(error)
}

// WatchOperation watches the operation until it has ended and returns its last
// state. A broken stream is opened anew until ctx is done: the operation does
// not depend on it. A state older than one that was seen before is not shown.
func (c *Client) WatchOperation(ctx context.Context, id string, w Watcher) (*adminpb.Operation, error) {
	var last *adminpb.Operation
	wait := retryFirst
	for {
		before := last
		done, err := c.watchOnce(ctx, id, w, &last)
		if done || err == nil {
			return last, err
		}
		e := AsError(err)
		if ctx.Err() != nil || (!e.Retryable() && !errors.Is(err, errSilent)) {
			return last, e
		}
		if last != before {
			wait = retryFirst
		}
		if w.Lost != nil {
			w.Lost(e)
		}
		c.dial.skip()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return last, AsError(ctx.Err())
		}
		wait = min(2*wait, retryMost)
	}
}

// watchOnce follows one stream. done is true when the watch is over for good.
func (c *Client) watchOnce(ctx context.Context, id string, w Watcher, last **adminpb.Operation) (done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	// A connection of its own: with a shared one the next try would end at the
	// node that fell silent, or does not serve.
	admin, own := c.connect()
	defer own.CloseIdleConnections()
	s, err := admin.WatchOperation(ctx, &adminpb.WatchOperationRequest{Id: id})
	if err != nil {
		return false, silentOr(ctx, err)
	}
	defer func() { _ = s.Close() }()
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return false, &Error{Kind: Unavailable, Message: "the node ended the watch", Sent: true}
		}
		if err != nil {
			return false, silentOr(ctx, err)
		}
		silence.Reset(watchSilence)
		op := m.GetOperation()
		if op == nil || (*last != nil && op.GetMetaIndex() < (*last).GetMetaIndex()) {
			continue
		}
		*last = op
		if w.Changed != nil {
			if err := w.Changed(op); err != nil {
				return true, err
			}
		}
		if Final(op.GetState()) {
			return true, nil
		}
	}
}

func silentOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// Final reports whether an operation in this state never changes again.
func Final(state string) bool {
	return state == "succeeded" || state == "failed" || state == "cancelled"
}
