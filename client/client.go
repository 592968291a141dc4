package client

import (
	"crypto/tls"
	"fmt"
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

	invocation Invocation
	learnt     struct {
		sync.Mutex
		cluster Cluster
	}
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
	cl.dial.mu.addrs, cl.dial.mu.given = slices.Clone(c.Addrs), len(c.Addrs)
	cl.dial.learn(c.Known)
	cl.AdminClient, cl.http = cl.connect()
	return cl, nil
}

// connect makes a client with connections of its own.
func (c *Client) connect() (adminpb.AdminClient, *http.Client) {
	var r *route
	hc := &http.Client{Transport: c.over}
	if c.over == nil {
		r = newRoute(c)
		hc.Transport = r
	}
	// The host in the URL is a name for the Host header only: the dialer picks the node.
	wire := connecthttp.NewTransport(hc, "https://"+c.context.Addrs[0], connecthttp.WithReadMaxBytes(readLimit))
	return adminpb.NewAdminClient(connect.NewClient(wire, c.intercept(r))), hc
}

// transport makes connections to one node.
func (c *Client) transport() *http.Transport {
	return &http.Transport{
		DialTLSContext:        c.dial.DialTLS,
		ForceAttemptHTTP2:     true,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 0, // the caller's context decides
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
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
func (c *Client) Learn(addrs ...string) { c.dial.learn(addrs) }
