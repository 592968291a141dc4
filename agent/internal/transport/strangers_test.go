package transport

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/connlimit"
)

// TestStrangersCannotFillThePort opens more connections that say nothing than the
// port holds: nodes that are connected stay so, and others still get in.
func TestStrangersCannotFillThePort(t *testing.T) {
	net1 := newNetwork(t)
	net1.gate = connlimit.New(connlimit.Config{Total: 4, PerNetwork: 4, Spare: 1})
	var calls atomic.Int64
	echo := &handler{call: func(_ context.Context, _ cluster.NodeID, _ string, p []byte) ([]byte, error) {
		calls.Add(1)
		return p, nil
	}}
	net1.start(1, net1.config(1, echo))
	two := net1.start(2, net1.config(2, &handler{}))
	ask := func(from *Transport) {
		t.Helper()
		if _, err := from.Call(t.Context(), 1, "echo", nil); err != nil {
			t.Fatal(err)
		}
	}
	ask(two)
	since := two.Status()[0].Since
	addr, _ := net1.resolve(1)
	for range 40 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ask(two)
	ask(net1.start(3, net1.config(3, &handler{})))
	if st := two.Status()[0]; !st.Connected || st.Since != since || calls.Load() != 3 {
		t.Errorf("a node's connection made room for strangers: %+v, connected since %s before", st, since)
	}
	if s := net1.gate.Stats(); s.Closed == 0 || s.Open > 5 {
		t.Errorf("got %+v: the port was never full", s)
	}
}
