package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Defaults of a Client.
const (
	dialTimeout = 3 * time.Second // one address: TCP and TLS
	pingAfter   = 3 * time.Second // silence on a connection before it is tested
	pingTimeout = 3 * time.Second // silence after that before it is given up
	readLimit   = 64 << 20        // bytes of one answer
)

// Client calls a cluster's admin protocol. Make one with Dial.
type Client struct {
	adminpb.AdminClient

	context Context
	tls     *tls.Config
	token   string
	http    *http.Client
	dial    *dialer
	over    http.RoundTripper // answers instead of a node; nil: nodes do
	trace   func(path string, status int, took time.Duration)
}

// Dial makes a client of the cluster that c describes. It reads c's files and
// reaches for no node yet.
func Dial(c Context) (*Client, error) {
	if len(c.Addrs) == 0 {
		return nil, fmt.Errorf("context %q has no addresses", c.Name)
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("address %q is not host:port", a)
		}
	}
	cfg, err := c.TLSConfig()
	if err != nil {
		return nil, err
	}
	token := ""
	if c.TokenFile != "" {
		if token, err = readSecret(c.TokenFile); err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
	}
	cl := &Client{context: c, tls: cfg, token: token, dial: &dialer{tls: cfg}}
	cl.dial.mu.addrs = slices.Clone(c.Addrs)
	cl.AdminClient, cl.http = cl.connect()
	return cl, nil
}

// connect makes a client with connections of its own.
func (c *Client) connect() (adminpb.AdminClient, *http.Client) {
	transport := &http.Transport{
		DialTLSContext:        c.dial.DialTLS,
		ForceAttemptHTTP2:     true,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 0, // the caller's context decides
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	hc := &http.Client{Transport: &bearer{client: c, next: transport}}
	if c.over != nil {
		hc.Transport = c.over
	}
	// The host in the URL is a name for the Host header only: the dialer picks the node.
	wire := connecthttp.NewTransport(hc, "https://"+c.context.Addrs[0], connecthttp.WithReadMaxBytes(readLimit))
	return adminpb.NewAdminClient(connect.NewClient(wire, c.intercept)), hc
}

// Close drops the client's connections; a Watch ends with its context.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Trace has fn told of each request when its answer begins: the path, the status
// (0: there was no answer) and the time. It must be called before the first call.
func (c *Client) Trace(fn func(path string, status int, took time.Duration)) {
	c.trace = fn
}

// Context returns what the client was made of.
func (c *Client) Context() Context { return c.context }

// Learn adds admin addresses that the client may fail over to.
func (c *Client) Learn(addrs ...string) {
	c.dial.mu.Lock()
	defer c.dial.mu.Unlock()
	for _, a := range addrs {
		if a != "" && !slices.Contains(c.dial.mu.addrs, a) {
			c.dial.mu.addrs = append(c.dial.mu.addrs, a)
		}
	}
}

// bearer adds the client's token to each request.
type bearer struct {
	client *Client
	next   http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.client.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.client.token)
	}
	if b.client.trace == nil {
		return b.next.RoundTrip(r)
	}
	began := time.Now()
	resp, err := b.next.RoundTrip(r)
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	b.client.trace(r.URL.Path, status, time.Since(began))
	return resp, err
}

// dialer connects to the first node that answers, beginning with the one that
// answered last.
type dialer struct {
	tls *tls.Config
	mu  struct {
		sync.Mutex
		addrs []string
		next  int // index in addrs to begin with
	}
}

// DialTLS has the signature of http.Transport's; it ignores the address there.
func (d *dialer) DialTLS(ctx context.Context, network, _ string) (net.Conn, error) {
	d.mu.Lock()
	addrs, first := slices.Clone(d.mu.addrs), d.mu.next
	d.mu.Unlock()
	failed := &dialError{}
	for i := range addrs {
		at := (first + i) % len(addrs)
		conn, err := d.one(ctx, network, addrs[at])
		if err == nil {
			d.mu.Lock()
			d.mu.next = at
			d.mu.Unlock()
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed.addrs = append(failed.addrs, addrs[at])
		failed.errs = append(failed.errs, err)
	}
	return nil, failed
}

func (d *dialer) one(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	cfg := d.tls.Clone()
	cfg.NextProtos = []string{"h2", "http/1.1"}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// skip makes the next dial begin with another address.
func (d *dialer) skip() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.next = (d.mu.next + 1) % len(d.mu.addrs)
}

func (d *dialer) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.mu.addrs)
}

// intercept makes typed errors of all, and repeats calls without side effects
// on another node when a node is lost in the middle.
func (c *Client) intercept(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		open := func() (connect.ClientStream, error) { return next(ctx, spec) }
		first, err := open()
		if err != nil {
			return nil, AsError(err)
		}
		s := &stream{ClientStream: first}
		if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects && spec.StreamType == connect.StreamTypeUnary {
			s.open, s.left, s.lost = open, c.dial.count(), c.dial.skip
		}
		return s, nil
	}
}

// stream is one call.
type stream struct {
	connect.ClientStream

	open   func() (connect.ClientStream, error) // nil: the call is not repeated
	left   int                                  // repeats left
	lost   func()
	sent   any
	closed bool
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
	return AsError(err)
}

func (s *stream) CloseSend() error {
	s.closed = true
	if err := s.ClientStream.CloseSend(); err != nil && !s.again(err) {
		return AsError(err)
	}
	return nil
}

func (s *stream) Receive(msg any) error {
	for {
		err := s.ClientStream.Receive(msg)
		if err == nil || errors.Is(err, io.EOF) {
			return err
		}
		if !s.again(err) {
			return AsError(err)
		}
	}
}

// again opens the call anew after err, if that may help.
func (s *stream) again(err error) bool {
	for s.open != nil && s.left > 0 && transportFailed(err) {
		s.left--
		s.lost()
		_ = s.Close()
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

// transportFailed reports whether the connection, not a node's verdict, ended
// the call, and another connection may do better.
func transportFailed(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
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
