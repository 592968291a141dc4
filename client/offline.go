package client

import (
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/nodedb/nodedb/client/adminpb"
)

// NewOver makes a client whose calls rt answers, instead of a node.
func NewOver(rt http.RoundTripper, c Context) *Client {
	if len(c.Addrs) == 0 {
		c.Addrs = []string{"nowhere:0"}
	}
	d := &dialer{}
	d.mu.addrs = c.Addrs
	cl := &Client{context: c, dial: d, http: &http.Client{Transport: rt}}
	wire := connecthttp.NewTransport(cl.http, "https://"+c.Addrs[0], connecthttp.WithReadMaxBytes(readLimit))
	cl.AdminClient = adminpb.NewAdminClient(connect.NewClient(wire, cl.intercept))
	return cl
}
