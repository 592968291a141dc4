package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/client/adminpb"
)

// fakeNode serves a few calls on a port of its own.
type fakeNode struct {
	adminpb.AdminHandler // other methods panic

	id     uint32
	addr   string
	srv    *http.Server
	mu     sync.Mutex
	calls  int
	fail   error // of the calls; nil: they are answered
	nodes  *adminpb.ListNodesResponse
	watch  func(send func(*adminpb.Operation) error, ctx context.Context) error
	topics watched
}

func (n *fakeNode) WhoAmI(context.Context, *adminpb.WhoAmIRequest) (*adminpb.WhoAmIResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.fail != nil {
		return nil, n.fail
	}
	return &adminpb.WhoAmIResponse{Node: n.id}, nil
}

func (n *fakeNode) StartOperation(context.Context, *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	d, err := connectproto.NewErrorDetail(&adminpb.ErrorDetail{
		Kind: adminpb.ErrorKind_ERROR_KIND_UNSAFE, Findings: []*adminpb.Finding{{Code: "NO_TARGET"}}, OperationId: "op-1",
	})
	if err != nil {
		return nil, err
	}
	return nil, connect.NewError(connect.CodeFailedPrecondition, "cannot be completed").WithDetail(d)
}

func (n *fakeNode) WatchOperation(ctx context.Context, _ *adminpb.WatchOperationRequest, out adminpb.AdminWatchOperationServerStream) error {
	return n.watch(func(o *adminpb.Operation) error { return out.Send(&adminpb.WatchOperationResponse{Operation: o}) }, ctx)
}

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	key, der := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	if err := os.WriteFile(a.ca(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) ca() string { return filepath.Join(a.dir, "ca.crt") }

func (a *authority) sign(c *x509.Certificate) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, der
}

// node starts a node whose certificate has the URI path, "/node/1".
func (a *authority) node(id uint32, path string) *fakeNode {
	a.t.Helper()
	key, der := a.sign(&x509.Certificate{URIs: []*url.URL{{Scheme: "nodedb", Host: "c", Path: path}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	n := &fakeNode{id: id, addr: l.Addr().String()}
	calls := connect.NewServer()
	adminpb.RegisterAdminHandler(calls, n)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, calls)
	n.srv = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = n.srv.Serve(l) }()
	a.t.Cleanup(func() { _ = n.srv.Close() })
	return n
}

func (a *authority) dial(addrs ...string) *Client {
	a.t.Helper()
	c, err := Dial(Context{Name: "t", Addrs: addrs, CA: a.ca()})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(c.Close)
	return c
}

func TestFailover(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	c := a.dial("127.0.0.1:1", n1.addr, n2.addr)
	who := func() uint32 {
		t.Helper()
		r, err := c.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetNode()
	}
	if got := who(); got != 1 {
		t.Errorf("first answer: n%d, want n1", got)
	}
	_ = n1.srv.Close()
	if got := who(); got != 2 {
		t.Errorf("after n1 is gone: n%d, want n2", got)
	}
	_ = n2.srv.Close()
	_, err := c.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
	if e := AsError(err); e == nil || e.Kind != Unavailable || !e.Retryable() {
		t.Errorf("nobody left: got %v, want unavailable", err)
	}
	n3 := a.node(3, "/node/3")
	c.Learn(n3.addr)
	if got := who(); got != 3 {
		t.Errorf("a node learnt of later: n%d, want n3", got)
	}
}

// TestHungNodeIsLeft stops a node without closing its connections, as SIGSTOP does.
func TestHungNodeIsLeft(t *testing.T) {
	a := newAuthority(t)
	n := a.node(1, "/node/1")
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := a.dial(l.Addr().String(), n.addr)
	ctx, cancel := context.WithTimeout(t.Context(), 3*dialTimeout)
	defer cancel()
	if r, err := c.WhoAmI(ctx, &adminpb.WhoAmIRequest{}); err != nil || r.GetNode() != 1 {
		t.Errorf("got %v %v, want n1", r, err)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	a := newAuthority(t)
	n := a.node(1, "/node/1")
	_, err := a.dial(n.addr).StartOperation(t.Context(), &adminpb.StartOperationRequest{})
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unsafe || e.Operation != "op-1" || len(e.Findings) != 1 || e.MaybeApplied() {
		t.Errorf("a refusal: got %#v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = a.dial(n.addr).WhoAmI(ctx, &adminpb.WhoAmIRequest{}); AsError(err).Kind != Cancelled {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestWhoIsBelieved(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	for name, n := range map[string]*fakeNode{"another CA": other.node(1, "/node/1"), "a person's certificate": a.node(1, "/user/root")} {
		_, err := a.dial(n.addr).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
		if e := AsError(err); e == nil || e.Kind != Denied {
			t.Errorf("%s: got %v, want denied", name, err)
		}
		if n.calls != 0 {
			t.Errorf("%s: a call was sent", name)
		}
	}
}

func TestWatchOutlivesTheNode(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	n1.watch = func(send func(*adminpb.Operation) error, ctx context.Context) error {
		if err := send(&adminpb.Operation{Id: "op-1", State: "running", MetaIndex: 10}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	n2.watch = func(send func(*adminpb.Operation) error, _ context.Context) error {
		for _, o := range []*adminpb.Operation{
			{Id: "op-1", State: "running", Phase: "older than seen", MetaIndex: 9},
			nil, // a heartbeat
			{Id: "op-1", State: "succeeded", MetaIndex: 11},
		} {
			if err := send(o); err != nil {
				return err
			}
		}
		return nil
	}
	c := a.dial(n1.addr, n2.addr)
	var seen []string
	lost := 0
	last, err := c.WatchOperation(t.Context(), "op-1", Watcher{
		Changed: func(o *adminpb.Operation) error {
			seen = append(seen, o.GetState()+o.GetPhase())
			_ = n1.srv.Close() // now that its word has arrived
			return nil
		},
		Lost: func(error) { lost++ },
	})
	if err != nil || last.GetState() != "succeeded" {
		t.Fatalf("got %v %v", last, err)
	}
	if len(seen) != 2 || lost == 0 {
		t.Errorf("seen %v, lost %d times; want running, succeeded and at least one loss", seen, lost)
	}
}
