package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect/v2"
)

// intercept makes typed errors of all, and makes unary calls again at another
// node: those without side effects when a node is lost in the middle, all when
// the node has surely done nothing of them.
func (c *Client) intercept(r *route) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			open := func() (connect.ClientStream, error) { return next(ctx, spec) }
			ended := func(err error) *Error { return c.tookError(ended(ctx, err)) }
			first, err := open()
			if err != nil {
				return nil, ended(err)
			}
			s := &stream{ClientStream: first, ended: ended, took: c.took}
			if spec.StreamType == connect.StreamTypeUnary && r != nil {
				s.open, s.left, s.route, s.via = open, c.dial.count()-1, r, r.now()
				s.harmless = spec.IdempotencyLevel == connect.IdempotencyNoSideEffects
			}
			return s, nil
		}
	}
}

// stream is one call.
type stream struct {
	connect.ClientStream

	ended    func(error) *Error                   // what an error comes to
	took     func(msg any)                        // is told of each answer
	open     func() (connect.ClientStream, error) // nil: the call is not made again
	left     int                                  // tries left
	harmless bool                                 // it may be done twice
	route    *route
	via      *http.Transport // of this try
	sent     any
	closed   bool
}

func (s *stream) Send(msg any) error {
	s.sent = msg
	err := s.ClientStream.Send(msg)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if s.again(err) {
		return nil
	}
	return s.ended(err)
}

func (s *stream) CloseSend() error {
	s.closed = true
	if err := s.ClientStream.CloseSend(); err != nil && !s.again(err) {
		return s.ended(err)
	}
	return nil
}

func (s *stream) Receive(msg any) error {
	for {
		err := s.ClientStream.Receive(msg)
		if err == nil {
			s.took(msg)
			return nil
		}
		if errors.Is(err, io.EOF) {
			return err
		}
		if !s.again(err) {
			return s.ended(err)
		}
	}
}

// again makes the call anew after err, if that may help.
func (s *stream) again(err error) bool {
	for s.open != nil && s.left > 0 && s.helps(err) {
		s.left--
		s.route.leave(s.via)
		_ = s.Close()
		s.via = s.route.now()
		next, oerr := s.open()
		if oerr != nil {
			return false
		}
		s.ClientStream = next
		if s.sent != nil {
			if err = next.Send(s.sent); err != nil && !errors.Is(err, io.EOF) {
				continue
			}
		}
		if s.closed {
			if err = next.CloseSend(); err != nil {
				continue
			}
		}
		return true
	}
	return false
}

// helps reports whether another node may do better after err.
func (s *stream) helps(err error) bool {
	e := s.ended(err)
	if e.Kind == Cancelled || e.Kind == Timeout {
		return false
	}
	return e.elsewhere || s.harmless && (transportFailed(err) || stopped(err))
}

// ended is the *Error of a call under ctx that err ended. Cancelled is only what
// the caller's own ctx ended.
func ended(ctx context.Context, err error) *Error {
	e := AsError(err)
	own := ctx.Err()
	switch {
	case own == nil && e.Kind == Cancelled:
		return &Error{Kind: Unavailable, Message: "the node ended the call", Sent: true, Err: err}
	case own != nil && (e.Kind == Unavailable || e.Kind == Internal) && len(e.Findings) == 0 && e.Sent:
		return AsError(own)
	}
	return e
}

// transportFailed reports whether the connection, not a node's verdict, ended
// the call, and another connection may do better.
func transportFailed(err error) bool {
	var d *dialError
	if errors.As(err, &d) {
		return false // every address was tried just now
	}
	var c *connect.Error
	if !errors.As(err, &c) {
		var n *net.OpError
		return errors.As(err, &n)
	}
	return broken(c) && !refusedByServer(c.Message())
}

// stopped reports whether the node gave the call up: it is going down.
func stopped(err error) bool {
	var c *connect.Error
	return errors.As(err, &c) && c.IsRemote() && c.Code() == connect.CodeCanceled
}
