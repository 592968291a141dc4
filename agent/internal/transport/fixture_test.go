package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/connlimit"
)

const testCluster = "4f0f6a4e-3b1c-4d6e-9d3a-2f1c7a9b5e11"

// network is a set of transports that find each other.
type network struct {
	t  testing.TB
	ca *auth.CA

	gate *connlimit.Gate // of the next node that starts; nil: none

	mu    sync.Mutex
	addrs map[cluster.NodeID]string
	fault map[cluster.NodeID]Fault
}

func newNetwork(t testing.TB) *network {
	ca, err := auth.NewCA(testCluster)
	if err != nil {
		t.Fatal(err)
	}
	return &network{t: t, ca: ca, addrs: map[cluster.NodeID]string{}, fault: map[cluster.NodeID]Fault{}}
}

func source(t testing.TB, ca *auth.CA, clusterID string, id cluster.NodeID) *auth.Source {
	t.Helper()
	k, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := ca.IssueNode(clusterID, id, []string{"127.0.0.1"}, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := auth.ParseCerts(pem)
	if err != nil {
		t.Fatal(err)
	}
	b, err := auth.NewBundle([]*x509.Certificate{ca.Cert()}, certs[0], k)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewSource(b)
}

func (n *network) resolve(id cluster.NodeID) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, ok := n.addrs[id]
	return a, ok
}

func (n *network) setFault(to cluster.NodeID, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault[to] = f
}

func (n *network) config(id cluster.NodeID, h Handler) Config {
	return Config{Self: id, ClusterID: testCluster, Nonce: fmt.Sprint("boot-", id), TLS: source(n.t, n.ca, testCluster, id),
		Handler: h, Resolve: n.resolve, BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
		Fault: func(to cluster.NodeID) Fault { n.mu.Lock(); defer n.mu.Unlock(); return n.fault[to] }}
}

// start runs a transport on the node's address, or on a new one.
func (n *network) start(id cluster.NodeID, cfg Config) *Transport {
	n.t.Helper()
	addr, ok := n.resolve(id)
	if !ok {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.addrs[id] = ln.Addr().String()
	n.mu.Unlock()
	if n.gate != nil {
		ln = &connlimit.Listener{Listener: ln, Gate: n.gate}
	}
	tr, err := New(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ln) }()
	var once sync.Once
	n.t.Cleanup(func() {
		once.Do(func() { _ = tr.Close() })
		if err := <-served; err != nil {
			n.t.Error(err)
		}
	})
	return tr
}

// handler answers with functions; those not set refuse.
type handler struct {
	raft     func(from cluster.NodeID, batch []byte)
	begin    func(method string, payload []byte, within time.Duration, reply func([]byte, error)) (func(), bool)
	call     func(ctx context.Context, from cluster.NodeID, method string, payload []byte) ([]byte, error)
	snapshot func(ctx context.Context, header []byte, recv func() ([]byte, error)) ([]byte, error)
	scan     func(ctx context.Context, request []byte, send func([]byte) error) error
}

var errNotSet = errors.New("no such handler")

func (h *handler) HandleRaft(from cluster.NodeID, batch []byte) {
	if h.raft != nil {
		h.raft(from, batch)
	}
}

func (h *handler) BeginCall(_ cluster.NodeID, method string, payload []byte, within time.Duration, reply func([]byte, error)) (func(), bool) {
	if h.begin == nil {
		return nil, false
	}
	return h.begin(method, payload, within, reply)
}

func (h *handler) HandleCall(ctx context.Context, from cluster.NodeID, method string, payload []byte) ([]byte, error) {
	if h.call == nil {
		return nil, errNotSet
	}
	return h.call(ctx, from, method, payload)
}

func (h *handler) HandleSnapshot(ctx context.Context, _ cluster.NodeID, header []byte, recv func() ([]byte, error)) ([]byte, error) {
	if h.snapshot == nil {
		return nil, errNotSet
	}
	return h.snapshot(ctx, header, recv)
}

func (h *handler) HandleScan(ctx context.Context, _ cluster.NodeID, request []byte, send func([]byte) error) error {
	if h.scan == nil {
		return errNotSet
	}
	return h.scan(ctx, request, send)
}

func echo(_ context.Context, from cluster.NodeID, method string, payload []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s %s %s", from, method, payload), nil
}

// eventually retries f until it returns nil; the last error is shown.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	var err error
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if err = f(); err == nil {
			return
		}
		<-tick.C
	}
	t.Fatalf("still after 10 s: %v", err)
}

func ctxFor(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func chunks(n, size int) func() ([]byte, error) {
	i := 0
	return func() ([]byte, error) {
		if i == n {
			return nil, io.EOF
		}
		i++
		b := make([]byte, size)
		b[0] = byte(i)
		return b, nil
	}
}
