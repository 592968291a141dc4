package client

import "net/http"

// NewOver makes a client whose calls rt answers, instead of a node.
func NewOver(rt http.RoundTripper, c Context) *Client {
	c.Addrs = []string{"nowhere:0"} // only a name in URLs
	cl := &Client{context: c, over: rt, dial: &dialer{}}
	cl.dial.mu.addrs = c.Addrs
	cl.AdminClient, cl.http = cl.connect()
	return cl
}
