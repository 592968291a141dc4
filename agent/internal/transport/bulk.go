package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"google.golang.org/grpc"
)

// SendSnapshot streams a snapshot to a node: the header, then the chunks that
// next returns until io.EOF. It returns what the node's HandleSnapshot replied.
func (t *Transport) SendSnapshot(ctx context.Context, to cluster.NodeID, header []byte, next func() ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b, err := t.openBulk(ctx, to, methodSnapshot, header)
	if err != nil {
		return nil, err
	}
	for {
		chunk, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := b.send(&frame{kind: kindData, payload: chunk}); errors.Is(err, io.EOF) {
			return b.result(ctx) // the node has seen enough: it says why
		} else if err != nil {
			return nil, b.unreachable(ctx, err)
		}
	}
	if err := b.send(&frame{kind: kindEnd}); err != nil && !errors.Is(err, io.EOF) {
		return nil, b.unreachable(ctx, err)
	}
	return b.result(ctx)
}

// Scan asks a node for a stream of chunks and gives each to fn, which owns it.
// It ends early if fn returns an error, and returns that error.
func (t *Transport) Scan(ctx context.Context, to cluster.NodeID, request []byte, fn func([]byte) error) error {
	if to == t.cfg.Self {
		var own error // an error of fn is the caller's, not the handler's
		err := t.cfg.Handler.HandleScan(ctx, to, request, func(chunk []byte) error {
			own = fn(chunk)
			return own
		})
		switch {
		case own != nil:
			return own
		case err != nil:
			return asCallError(err)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b, err := t.openBulk(ctx, to, methodScan, request)
	if err != nil {
		return err
	}
	for {
		f, err := b.recv(ctx)
		switch {
		case err != nil:
			return err
		case f.kind == kindEnd:
			return nil
		case f.kind != kindData:
			return b.unreachable(ctx, errFrame)
		}
		if err := fn(f.payload); err != nil {
			return err
		}
	}
}

// bulk is a stream of its own to a peer, for one snapshot or scan.
type bulk struct {
	p      *peer
	stream grpc.ClientStream
}

// openBulk opens a stream and sends the hello and the first frame together; the
// hello's answer comes back first.
func (t *Transport) openBulk(ctx context.Context, to cluster.NodeID, method string, first []byte) (*bulk, error) {
	p, err := t.peer(to)
	if err != nil {
		return nil, &UnreachableError{Node: to, Cause: err}
	}
	if t.cfg.Fault(to).Cut {
		return nil, &UnreachableError{Node: to, Cause: errCut}
	}
	// The session says that the peer is there and who it is; without it a request
	// would be sent before Admit was asked.
	if _, err := p.wait(ctx); err != nil {
		return nil, err
	}
	cc, err := p.bulkConn()
	if err != nil {
		return nil, &UnreachableError{Node: to, Cause: err}
	}
	stream, err := cc.NewStream(ctx, streamDesc(method), method)
	if err != nil {
		return nil, &UnreachableError{Node: to, Cause: firstCause(ctx, err)}
	}
	b := &bulk{p: p, stream: stream}
	h := t.hello(to)
	for _, f := range []frame{h, {kind: kindData, payload: first}} {
		// io.EOF: the peer refused; its answer says why.
		if err := b.send(&f); err != nil && !errors.Is(err, io.EOF) {
			return nil, b.unreachable(ctx, err)
		}
	}
	if _, err := p.readHello(stream); err != nil {
		return nil, &UnreachableError{Node: to, Cause: firstCause(ctx, err)}
	}
	return b, nil
}

// bulkConn returns the peer's second connection. gRPC dials and redials it.
func (p *peer) bulkConn() (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.gone {
		return nil, errNoAddress
	}
	if p.mu.bulk == nil {
		cc, err := p.dial()
		if err != nil {
			return nil, err
		}
		p.mu.bulk = cc
	}
	return p.mu.bulk, nil
}

func (b *bulk) send(f *frame) error {
	if b.p.t.cfg.Fault(b.p.id).Cut {
		return errCut
	}
	return sendPooled(b.stream, b.p.t.pool, f)
}

func sendPooled(stream interface{ SendMsg(any) error }, pool *bufferPool, f *frame) error {
	buf := pool.Get(0)
	return stream.SendMsg(&message{data: f.append(*buf)})
}

func (b *bulk) unreachable(ctx context.Context, err error) error {
	return &UnreachableError{Node: b.p.id, Sent: true, Cause: firstCause(ctx, err)}
}

// recv reads one frame; the peer's error comes as a *CallError.
func (b *bulk) recv(ctx context.Context) (frame, error) {
	var m message
	if err := b.stream.RecvMsg(&m); err != nil {
		if errors.Is(err, io.EOF) {
			err = errSession // before the end that was promised
		}
		return frame{}, b.unreachable(ctx, err)
	}
	f, _, err := decodeFrame(m.data)
	if err != nil {
		return frame{}, b.unreachable(ctx, err)
	}
	if f.kind == kindError {
		return frame{}, &CallError{Code: f.name, Message: f.message, Detail: f.payload}
	}
	return f, nil
}

func (b *bulk) result(ctx context.Context) ([]byte, error) {
	f, err := b.recv(ctx)
	if err != nil {
		return nil, err
	}
	if f.kind != kindReply {
		return nil, b.unreachable(ctx, errFrame)
	}
	return f.payload, nil
}

func (t *Transport) serveSnapshot(in *inbound) error {
	first, err := in.recv()
	if err != nil {
		return err
	}
	ended := false
	recv := func() ([]byte, error) {
		if ended {
			return nil, io.EOF
		}
		f, err := in.recv()
		switch {
		case errors.Is(err, io.EOF):
			// Not the end of the snapshot: the sender stopped before it.
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, fmt.Errorf("receive snapshot: %w", err)
		case f.kind == kindEnd:
			ended = true
			return nil, io.EOF
		case f.kind != kindData:
			return nil, errFrame
		}
		return f.payload, nil
	}
	reply, err := t.cfg.Handler.HandleSnapshot(in.ctx, in.peer.Node, first.payload, recv)
	if err != nil {
		return in.fail(err)
	}
	return in.send(&frame{kind: kindReply, payload: reply})
}

func (t *Transport) serveScan(in *inbound) error {
	first, err := in.recv()
	if err != nil {
		return err
	}
	send := func(chunk []byte) error {
		if err := context.Cause(in.ctx); err != nil {
			return err
		}
		if t.cfg.Fault(in.peer.Node).Cut {
			return errCut
		}
		return sendPooled(in.stream, t.pool, &frame{kind: kindData, payload: chunk})
	}
	if err := t.cfg.Handler.HandleScan(in.ctx, in.peer.Node, first.payload, send); err != nil {
		return in.fail(err)
	}
	return in.send(&frame{kind: kindEnd})
}

func (in *inbound) fail(err error) error {
	ce := asCallError(err)
	return in.send(&frame{kind: kindError, name: ce.Code, message: ce.Message, payload: ce.Detail})
}
