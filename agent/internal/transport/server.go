package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// The streams.
const (
	service        = "nodedb.Transport"
	methodRaft     = "/" + service + "/Raft"
	methodCalls    = "/" + service + "/Calls"
	methodSnapshot = "/" + service + "/Snapshot"
	methodScan     = "/" + service + "/Scan"
)

func streamDesc(method string) *grpc.StreamDesc {
	return &grpc.StreamDesc{StreamName: method[len(service)+2:], ServerStreams: true, ClientStreams: true}
}

func (t *Transport) newServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.Creds(credited{credentials.NewTLS(t.cfg.TLS.ServerConfig())}),
		grpc.ForceServerCodecV2(grpcCodec{t.pool}),
		grpc.ConnectionTimeout(t.cfg.HandshakeTimeout),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(4096),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	handler := func(method string, run func(*inbound) error) grpc.StreamDesc {
		d := streamDesc(method)
		d.Handler = func(_ any, stream grpc.ServerStream) error { return t.accept(stream, run) }
		return *d
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{
		handler(methodRaft, t.readRaft), handler(methodCalls, t.serveCalls),
		handler(methodSnapshot, t.serveSnapshot), handler(methodScan, t.serveScan),
	}}, t)
	return s
}

// credited tells the listener's connection that its peer has shown a certificate
// of a node of this cluster: a port under attack closes the others first.
type credited struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (c credited) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if door, ok := raw.(interface{ Authenticated() }); ok && err == nil {
		door.Authenticated()
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (c credited) Clone() credentials.TransportCredentials {
	return credited{c.TransportCredentials.Clone()}
}

// inbound is a stream that a peer opened, past its hello.
type inbound struct {
	peer   Peer
	stream grpc.ServerStream
	ctx    context.Context //nolint:containedctx // the stream's
	end    context.CancelCauseFunc
}

// accept answers the hello of a stream and runs it. A stream handler cannot
// interrupt its own RecvMsg but by returning: so what reads runs beside, and
// accept returns when it ends or the stream is to end.
func (t *Transport) accept(stream grpc.ServerStream, run func(*inbound) error) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(ErrClosed) })()
	in := &inbound{stream: stream, ctx: ctx, end: cancel}
	done := make(chan error, 1)
	admitted := make(chan struct{})
	t.wg.Go(func() { done <- t.serve(in, admitted, run) })
	timer := time.NewTimer(t.cfg.HandshakeTimeout)
	defer timer.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return status.Error(codes.Unavailable, context.Cause(ctx).Error())
		case <-admitted:
			admitted = nil
			timer.Stop()
		case <-timer.C:
			return status.Error(codes.DeadlineExceeded, "no hello in time")
		}
	}
}

func (t *Transport) serve(in *inbound, admitted chan struct{}, run func(*inbound) error) error {
	if ok, err := t.greet(in); !ok || err != nil {
		return err
	}
	close(admitted)
	t.mu.Lock()
	t.mu.inbound[in] = struct{}{}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.mu.inbound, in)
		t.mu.Unlock()
	}()
	err := run(in)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// greet reads the peer's hello and answers with this node's, or with why it is
// refused: then ok is false.
func (t *Transport) greet(in *inbound) (ok bool, err error) {
	f, err := in.recv()
	if err != nil {
		return false, err
	}
	if f.kind != kindHello {
		return false, status.Error(codes.InvalidArgument, "stream does not begin with a hello")
	}
	h, err := decodeHello(f.payload, t.cfg.Supports)
	if err != nil {
		return false, status.Error(codes.InvalidArgument, err.Error())
	}
	id, err := streamIdentity(in.ctx)
	if err != nil {
		return false, status.Error(codes.Unauthenticated, err.Error())
	}
	who, refusal := t.check(h, id)
	if refusal != nil {
		t.refused.Log(slog.LevelWarn, refusal.Code, "refused a peer", logattr.Peer(id.Node), slog.String("why", refusal.Reason))
		return false, in.send(&frame{kind: kindError, name: refusal.Code, message: refusal.Reason, payload: refusal.Detail})
	}
	in.peer = who
	answer := t.hello(who.Node)
	return true, in.send(&answer)
}

// recv reads a message of one frame.
func (in *inbound) recv() (frame, error) {
	var m message
	if err := in.stream.RecvMsg(&m); err != nil {
		return frame{}, err
	}
	f, _, err := decodeFrame(m.data)
	return f, err
}

func (in *inbound) send(f *frame) error {
	return in.stream.SendMsg(&message{data: f.append(make([]byte, 0, f.size()))})
}

func (t *Transport) readRaft(in *inbound) error {
	return in.frames(func(f frame) error {
		if f.kind != kindRaft {
			return errFrame
		}
		t.cfg.Handler.HandleRaft(in.peer.Node, f.payload)
		return nil
	})
}

// frames reads messages of many frames until the stream ends.
func (in *inbound) frames(handle func(frame) error) error {
	for {
		var m message
		if err := in.stream.RecvMsg(&m); err != nil {
			return err
		}
		for b := m.data; len(b) > 0; {
			f, rest, err := decodeFrame(b)
			if err == nil {
				err = handle(f)
			}
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			b = rest
		}
	}
}

// inboundCalls are the calls that run for one stream.
type inboundCalls struct {
	t   *Transport
	in  *inbound
	out *outbox
	wg  sync.WaitGroup

	mu struct {
		sync.Mutex
		cancel map[uint64]context.CancelFunc
	}
}

func (t *Transport) serveCalls(in *inbound) error {
	c := &inboundCalls{t: t, in: in, out: newOutbox(t.cfg.CallQueueBytes, nil, t.pool)}
	c.mu.cancel = map[uint64]context.CancelFunc{}
	var writer sync.WaitGroup
	writer.Go(func() {
		// A writer that fails ends the stream; so does the reader's error.
		in.end(c.out.run(in.ctx, in.peer.Node, t.cfg.Fault, in.stream.SendMsg))
	})
	err := in.frames(c.handle)
	in.end(err)
	for _, cancel := range c.running() {
		cancel()
	}
	c.wg.Wait()
	c.out.close()
	writer.Wait()
	return err
}

func (c *inboundCalls) handle(f frame) error {
	switch f.kind {
	case kindRequest:
		c.begin(f)
		return nil
	case kindCancel:
		c.mu.Lock()
		cancel := c.mu.cancel[f.id]
		c.mu.Unlock()
		if cancel != nil {
			cancel()
		}
		return nil
	default:
		return errFrame
	}
}

// running returns what ends each call that has no answer yet.
func (c *inboundCalls) running() []context.CancelFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.mu.cancel))
}

// begin gives a call to who answers it.
func (c *inboundCalls) begin(f frame) {
	c.mu.Lock()
	full := len(c.mu.cancel) >= c.t.cfg.MaxInboundCalls
	if !full {
		c.mu.cancel[f.id] = func() {} // until somebody has it
	}
	c.mu.Unlock()
	if full {
		c.reply(f.id, nil, &CallError{Code: CodeOverloaded, Message: "too many calls at once"})
		return
	}
	cancel, ok := c.t.cfg.Handler.BeginCall(c.in.peer.Node, f.name, f.payload, f.timeout, func(reply []byte, err error) { c.end(f.id, reply, err) })
	if !ok {
		cancel = c.run(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.mu.cancel[f.id]; open { // it may have been answered already
		c.mu.cancel[f.id] = cancel
	}
}

// end answers a call.
func (c *inboundCalls) end(id uint64, reply []byte, err error) {
	c.mu.Lock()
	delete(c.mu.cancel, id)
	c.mu.Unlock()
	c.reply(id, reply, err)
}

// run answers a call in a goroutine of its own.
func (c *inboundCalls) run(f frame) context.CancelFunc {
	ctx, cancel := c.in.ctx, context.CancelFunc(nil)
	if f.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	c.wg.Go(func() {
		reply, err := c.t.cfg.Handler.HandleCall(ctx, c.in.peer.Node, f.name, f.payload)
		cancel()
		c.end(f.id, reply, err)
	})
	return cancel
}

func (c *inboundCalls) reply(id uint64, payload []byte, err error) {
	f := frame{kind: kindReply, id: id, payload: payload}
	if err == nil && len(payload) > maxPayload {
		err = &CallError{Code: CodeInternal, Message: "the reply is too large"}
	}
	if err != nil {
		ce := asCallError(err)
		f = frame{kind: kindError, id: id, name: ce.Code, message: ce.Message, payload: ce.Detail}
	}
	if _, ok := c.out.push(&f); !ok && c.in.ctx.Err() == nil {
		// The caller would wait for ever: end the session, so that it knows.
		c.in.end(ErrQueueFull)
	}
}
