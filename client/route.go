package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// dialer connects to the first node that answers, beginning with the one that
// answered last.
type dialer struct {
	tls *tls.Config
	mu  struct {
		sync.Mutex
		addrs []string
		given int // the first so many are the caller's own, the others were learnt
		next  int // index in addrs to begin with
	}
}

// DialTLS has the signature of http.Transport's; it ignores the address there.
func (d *dialer) DialTLS(ctx context.Context, network, _ string) (net.Conn, error) {
	d.mu.Lock()
	addrs, first := slices.Clone(d.mu.addrs), d.mu.next
	failed := &dialError{given: d.mu.given}
	d.mu.Unlock()
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
		failed.at = append(failed.at, at)
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

// learn adds addresses behind those that are known.
func (d *dialer) learn(addrs []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addrs {
		if a != "" && !slices.Contains(d.mu.addrs, a) {
			d.mu.addrs = append(d.mu.addrs, a)
		}
	}
}

// route carries requests to one node until that node is left.
type route struct {
	client *Client
	mu     struct {
		sync.Mutex
		transport *http.Transport
	}
}

func newRoute(c *Client) *route {
	r := &route{client: c}
	r.mu.transport = c.transport()
	return r
}

func (r *route) now() *http.Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.transport
}

// leave makes the next request go to another node. from is the transport of the
// request that failed: many may fail at once, and it is left once. Streams that
// others have on it go on.
func (r *route) leave(from *http.Transport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from != r.mu.transport {
		return
	}
	r.client.dial.skip()
	r.mu.transport = r.client.transport()
	from.CloseIdleConnections()
}

// CloseIdleConnections is what http.Client's calls.
func (r *route) CloseIdleConnections() { r.now().CloseIdleConnections() }

// RoundTrip adds the client's token to the request.
func (r *route) RoundTrip(q *http.Request) (*http.Response, error) {
	c := r.client
	if c.token != "" {
		q = q.Clone(q.Context())
		q.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.trace == nil {
		return r.now().RoundTrip(q)
	}
	began := time.Now()
	resp, err := r.now().RoundTrip(q)
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	c.trace(q.URL.Path, status, time.Since(began))
	return resp, err
}
