package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// peer keeps a session with one node.
type peer struct {
	t  *Transport
	id cluster.NodeID

	mu struct {
		sync.Mutex
		session *session // nil: down or connecting
		err     error    // of the last attempt
		since   time.Time
		// attempt is open while the next session is being made; waiters of a call
		// wait for this attempt and not for the one after.
		attempt chan struct{}
		bulk    *grpc.ClientConn
		gone    bool
	}
	reset chan struct{} // 1 deep: end the backoff
}

func newPeer(t *Transport, id cluster.NodeID) *peer {
	p := &peer{t: t, id: id, reset: make(chan struct{}, 1)}
	p.mu.attempt = make(chan struct{})
	p.mu.since = time.Now()
	return p
}

// run dials until ctx is done or the node's address is no longer known.
func (p *peer) run(ctx context.Context) {
	delay := p.t.cfg.BackoffMin
	for ctx.Err() == nil {
		if _, ok := p.t.cfg.Resolve(p.id); !ok {
			break
		}
		up, err := p.runSession(ctx)
		if up {
			delay = p.t.cfg.BackoffMin
		}
		p.down(err, up)
		// Jitter keeps nodes that lost the same peer from coming back in step.
		wait := delay/2 + rand.N(delay) //nolint:gosec // not a secret
		if !p.waitRetry(ctx, wait) {
			break
		}
		delay = min(2*delay, p.t.cfg.BackoffMax)
		p.connecting()
	}
	p.close()
}

func (p *peer) waitRetry(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.reset:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// runSession makes one session and runs it to its end. up says whether the
// hellos succeeded.
func (p *peer) runSession(ctx context.Context) (up bool, err error) {
	cc, err := p.dial()
	if err != nil {
		return false, err
	}
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(p.t.cfg.HandshakeTimeout, func() {
		cancel(fmt.Errorf("no hello within %s", p.t.cfg.HandshakeTimeout))
	})
	defer late.Stop()
	calls, who, err := p.open(ctx, cc, methodCalls)
	if err != nil {
		return false, err
	}
	raft, _, err := p.open(ctx, cc, methodRaft)
	if err != nil {
		return false, err
	}
	if !late.Stop() {
		return false, context.Cause(ctx)
	}
	s := &session{node: p.id, peer: who, end: cancel,
		raft: newOutbox(p.t.cfg.RaftQueueBytes, p.t.cfg.Memory, p.t.pool), calls: newOutbox(p.t.cfg.CallQueueBytes, nil, p.t.pool)}
	s.mu.pending = map[uint64]*pendingCall{}
	p.up(s)
	return true, p.serve(ctx, s, raft, calls)
}

// serve runs the four loops of a session; the first that ends ends all.
func (p *peer) serve(ctx context.Context, s *session, raft, calls grpc.ClientStream) error {
	fault := p.t.cfg.Fault
	loops := []func() error{
		func() error { return s.raft.run(ctx, p.id, fault, raft.SendMsg) },
		func() error { return s.calls.run(ctx, p.id, fault, calls.SendMsg) },
		func() error { return readNothing(raft) },
		func() error { return s.readReplies(calls) },
	}
	var wg sync.WaitGroup
	for _, loop := range loops {
		wg.Go(func() {
			err := loop()
			s.end(fmt.Errorf("%w: %w", errSession, firstCause(ctx, err)))
		})
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	// Callers learn at once; the loops end with the streams' context.
	p.clear(s)
	s.finish(cause)
	wg.Wait()
	return cause
}

// open begins a stream with the hello round trip.
func (p *peer) open(ctx context.Context, cc *grpc.ClientConn, method string) (grpc.ClientStream, Peer, error) {
	stream, err := cc.NewStream(ctx, streamDesc(method), method)
	if err != nil {
		return nil, Peer{}, firstCause(ctx, err)
	}
	f := p.t.hello(p.id)
	if err := stream.SendMsg(&message{data: f.append(nil)}); err != nil && !errors.Is(err, errEOF) {
		return nil, Peer{}, firstCause(ctx, err)
	}
	who, err := p.readHello(stream)
	return stream, who, firstCause(ctx, err)
}

// firstCause prefers why a context ended to gRPC's "context canceled", and takes
// gRPC's wrapping off what it says.
func firstCause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); err != nil && c != nil {
		return c
	}
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	text := st.Message()
	if quoted, found := strings.CutPrefix(text, "connection error: desc = "); found {
		if inner, err := strconv.Unquote(quoted); err == nil {
			text = inner
		}
	}
	text = strings.TrimPrefix(text, "transport: ")
	return errors.New(strings.TrimPrefix(text, "Error while dialing: "))
}

func (p *peer) readHello(stream grpc.ClientStream) (Peer, error) {
	var m message
	if err := stream.RecvMsg(&m); err != nil {
		return Peer{}, err
	}
	f, _, err := decodeFrame(m.data)
	switch {
	case err != nil:
		return Peer{}, err
	case f.kind == kindError:
		return Peer{}, p.refused(f)
	case f.kind != kindHello:
		return Peer{}, errFrame
	}
	h, err := decodeHello(f.payload, p.t.cfg.Supports)
	if err != nil {
		return Peer{}, err
	}
	id, err := streamIdentity(stream.Context())
	if err != nil {
		return Peer{}, err
	}
	who, refusal := p.t.check(h, id)
	if refusal != nil {
		return Peer{}, refusal
	}
	return who, nil
}

// refused turns the answer to a hello into an error and tells the node of it.
func (p *peer) refused(f frame) *RefusedError {
	re := &RefusedError{Node: p.id, Code: f.name, Reason: f.message, Detail: f.payload}
	p.t.cfg.OnRefused(re)
	return re
}

// streamIdentity reads who is at the other end from the certificate that the TLS
// layer verified.
func streamIdentity(ctx context.Context) (auth.Identity, error) {
	gp, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return auth.Identity{}, errors.New("stream has no peer")
	}
	info, ok := gp.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return auth.Identity{}, errors.New("stream has no TLS")
	}
	return auth.CertIdentity(info.State.PeerCertificates[0])
}

func (p *peer) dial() (*grpc.ClientConn, error) {
	t := p.t
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		// The address is looked up at each attempt: a node may come back elsewhere.
		addr, ok := t.cfg.Resolve(p.id)
		if !ok {
			return nil, errNoAddress
		}
		if t.cfg.Fault(p.id).Cut {
			return nil, errCut
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	cc, err := grpc.NewClient("passthrough:///"+p.id.String(),
		grpc.WithTransportCredentials(credentials.NewTLS(t.cfg.TLS.ClientConfig(p.id))),
		grpc.WithContextDialer(dialer), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(grpcCodec{t.pool}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: t.cfg.HandshakeTimeout,
			Backoff: backoff.Config{BaseDelay: t.cfg.BackoffMin, Multiplier: 2, Jitter: 0.2, MaxDelay: t.cfg.BackoffMax}}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", p.id, err)
	}
	return cc, nil
}

// wait returns the session, waiting for the attempt in flight if there is one.
func (p *peer) wait(ctx context.Context) (*session, error) {
	p.mu.Lock()
	s, attempt := p.mu.session, p.mu.attempt
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	select {
	case <-attempt:
	case <-ctx.Done():
		return nil, &UnreachableError{Node: p.id, Cause: ctx.Err()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.session == nil {
		return nil, &UnreachableError{Node: p.id, Cause: p.mu.err}
	}
	return p.mu.session, nil
}

// current returns the session or nil.
func (p *peer) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.session
}

func (p *peer) up(s *session) {
	p.mu.Lock()
	p.mu.session, p.mu.err, p.mu.since = s, nil, time.Now()
	close(p.mu.attempt)
	bulk := p.mu.bulk
	p.mu.Unlock()
	if bulk != nil {
		bulk.ResetConnectBackoff()
	}
	p.t.cfg.Logger.Info("connected to peer", logattr.Peer(p.id))
}

func (p *peer) clear(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.session == s {
		p.mu.session, p.mu.err, p.mu.since = nil, errSession, time.Now()
		// Calls that come before the next attempt fail at once.
		p.mu.attempt = closedChan()
	}
}

// down records why there is no session. The same error again is not logged.
func (p *peer) down(err error, wasUp bool) {
	p.mu.Lock()
	news := wasUp || p.mu.err == nil || p.mu.err.Error() != err.Error()
	p.mu.err = err
	if !wasUp {
		close(p.mu.attempt)
	}
	p.mu.Unlock()
	if news && !errors.Is(err, ErrClosed) {
		p.t.cfg.Logger.Warn("no connection to peer, will retry", logattr.Peer(p.id), logattr.Err(err))
	}
}

func (p *peer) connecting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.attempt = make(chan struct{})
}

// close makes the peer useless: whoever still holds it gets errors.
func (p *peer) close() {
	p.t.drop(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.gone = true
	if p.mu.err == nil {
		p.mu.err = errNoAddress
	}
	select {
	case <-p.mu.attempt:
	default:
		close(p.mu.attempt)
	}
	if p.mu.bulk != nil {
		_ = p.mu.bulk.Close()
	}
}

// interrupt ends the session, if any, and the backoff.
func (p *peer) interrupt(cause error) {
	if s := p.current(); s != nil {
		s.end(cause)
	}
	select {
	case p.reset <- struct{}{}:
	default:
	}
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
