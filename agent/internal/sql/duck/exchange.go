package duck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// defaultKillAfter is how long a worker may take to answer a cancel before it is
// killed. DuckDB looks for cancels between its vectors, but a scalar function can
// work on one value for minutes.
const defaultKillAfter = time.Second

// rowsAhead is how many batches of a result are read before they are emitted.
const rowsAhead = 2

// exchange is one statement on one lane.
type exchange struct {
	engine *Engine
	worker *process
	lane   *frame.Conn
	scans  *scanServer // nil: the statement is only described
	events chan event
	begun  bool // the reader's
}

// event is what the worker said: rows, a description, or the end.
type event struct {
	rows        *frame.Batch
	description *frame.Description
	last        bool
	err         error // of the end; nil: done
}

// workerError is an error that the worker reported.
type workerError struct{ *frame.Failure }

func (e *workerError) Error() string { return e.Message }

// run sends the statement and hands what comes back to handle, in the caller's
// goroutine. It returns when the worker has answered or is given up, and no scan
// runs any more. The caller has entered the gate.
func (e *Engine) run(ctx context.Context, s *frame.Statement, scans *scanServer, handle func(event) error) error {
	if scans != nil {
		defer scans.stop()
	}
	payload := s.Encode()
	var lost *Error
	for range 2 {
		x := &exchange{engine: e, scans: scans, events: make(chan event, rowsAhead)}
		var err error
		if x.worker, err = e.worker(ctx); err != nil {
			return err
		}
		if err = x.run(ctx, payload, handle); !errors.Is(err, errNotBegun) {
			return err
		}
		// The worker was found dead and has done nothing: another one may.
		select {
		case <-x.worker.gone:
			lost = x.worker.lost() // it may have been killed for its memory before it said that it has begun
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
	return lost
}

var errNotBegun = errors.New("the worker has not begun the statement")

func (x *exchange) run(ctx context.Context, payload []byte, handle func(event) error) (err error) {
	x.worker.begin()
	defer x.worker.end()
	if x.lane, err = x.worker.lane(); err != nil {
		return errNotBegun
	}
	if err := x.lane.Send(frame.Run, payload); err != nil {
		x.lane.Close()
		return errNotBegun
	}
	go x.read()
	clean, err := x.consume(ctx, handle)
	if x.scans != nil {
		x.scans.quiesce()
	}
	if clean {
		x.worker.release(x.lane)
	} else {
		x.lane.Close()
	}
	for range x.events { // the reader has ended when this has
	}
	return err
}

// consume handles events up to the last; clean says that the lane is at rest.
func (x *exchange) consume(ctx context.Context, handle func(event) error) (clean bool, err error) {
	for {
		select {
		case ev := <-x.events:
			if ev.last {
				return x.finish(ctx, ev.err)
			}
			if err := handle(ev); err != nil {
				return x.abort(), err
			}
		case <-x.failed():
			err := x.scans.err()
			return x.abort(), err
		case <-ctx.Done():
			return x.abort(), contextError(ctx)
		}
	}
}

func (x *exchange) failed() <-chan struct{} {
	if x.scans == nil {
		return nil
	}
	return x.scans.failed
}

// finish says what the end of the statement means.
func (x *exchange) finish(ctx context.Context, err error) (clean bool, _ error) {
	var reported *workerError
	clean = err == nil || errors.As(err, &reported)
	if err != nil && x.scans != nil && x.scans.err() != nil {
		return clean, x.scans.err() // the worker's error only repeats it
	}
	if err != nil && ctx.Err() != nil {
		return clean, contextError(ctx)
	}
	return clean, err
}

// abort cancels the statement and waits for the worker's answer, not for ever.
func (x *exchange) abort() (clean bool) {
	if x.scans != nil {
		x.scans.cancel()
	}
	kill := time.AfterFunc(x.engine.killAfter, x.worker.kill)
	defer kill.Stop()
	if err := x.lane.Send(frame.Cancel, nil); err != nil {
		return false
	}
	for ev := range x.events {
		if ev.last {
			var reported *workerError
			return ev.err == nil || errors.As(ev.err, &reported)
		}
	}
	return false
}

// read turns the worker's messages into events, and serves what the scans ask for.
func (x *exchange) read() {
	defer close(x.events)
	for {
		tag, payload, err := x.lane.Receive()
		if err != nil {
			if err = errNotBegun; x.begun {
				err = x.worker.lost()
			}
			x.events <- event{last: true, err: err}
			return
		}
		ev, ok, err := x.message(tag, payload)
		if err != nil {
			x.worker.kill() // it does not keep to the protocol
			x.events <- event{last: true, err: fmt.Errorf("%w (%w)", errLost(), err)}
			return
		}
		if !ok {
			continue
		}
		x.events <- ev
		if ev.last {
			return
		}
	}
}

// message returns the event that a message is, if it is one.
func (x *exchange) message(tag frame.Tag, payload []byte) (ev event, ok bool, err error) {
	switch tag {
	case frame.Begun:
		x.begun = true
		return ev, false, nil
	case frame.Rows:
		ev.rows, err = frame.DecodeBatch(payload)
		return ev, true, err
	case frame.Described:
		ev.description, err = frame.DecodeDescription(payload)
		return ev, true, err
	case frame.Done:
		return event{last: true}, true, nil
	case frame.Failed:
		f, err := frame.DecodeFailure(payload)
		return event{last: true, err: &workerError{f}}, true, err
	case frame.ScanOpen, frame.ScanCredit, frame.ScanClose:
		if x.scans == nil {
			return ev, false, errors.New("scan of a statement that is not executed")
		}
		return ev, false, x.scans.handle(x.lane, tag, payload)
	default:
	}
	return ev, false, fmt.Errorf("unexpected message %d", tag)
}
