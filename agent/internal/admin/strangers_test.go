package admin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/connlimit"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// slow is a request that announces a body and sends one byte of it.
func slow(path, accept string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: " + accept + "\r\nContent-Length: 60000\r\n\r\n{"
}

// TestStrangersCannotFillThePort opens many connections without a credential that
// send a body slowly, or nothing: the port's own work goes on, and all of them
// are closed.
func TestStrangersCannotFillThePort(t *testing.T) {
	const places, strangers = 24, 150
	var gate *connlimit.Gate
	r := newRigWith(t, func(c *Config) {
		gate = connlimit.New(connlimit.Config{Total: places, PerNetwork: places, Spare: 1})
		c.Listener = &connlimit.Listener{Listener: c.Listener, Gate: gate}
		c.BodyWait = 200 * time.Millisecond
		c.Join = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	})
	requests := []string{
		slow(adminpb.AdminWatchOperationProcedure, "application/x-ndjson"), slow(adminpb.AdminWhoAmIProcedure, "*/*"),
		slow("/join", "*/*"), slow("/health/drain", "*/*"), "",
	}
	addr := strings.TrimPrefix(r.base, "https://")
	conns := make([]net.Conn, 0, strangers)
	known := r.client("admin")
	for i := range strangers {
		c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			continue // pushed out during its handshake
		}
		defer c.Close()
		_, _ = io.WriteString(c, requests[i%len(requests)])
		conns = append(conns, c)
		if i%10 != 9 {
			continue
		}
		if _, err := known.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); err != nil {
			t.Fatalf("a caller with a certificate beside %d strangers: %v", i, err)
		}
		resp, err := r.http("").Get(r.base + "/health/live")
		if err != nil {
			t.Fatalf("health beside %d strangers: %v", i, err)
		}
		resp.Body.Close()
		if open := gate.Stats().Open; open > places+1 {
			t.Fatalf("%d connections are open", open)
		}
	}
	for i, c := range conns[:len(conns)-1] { // the last one has said nothing, and nobody pushes it out
		_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open", i)
		}
	}
}

// TestWatchesOutliveTheBody wants the time for a request's body to end with the
// body: an answer may take days.
func TestWatchesOutliveTheBody(t *testing.T) {
	const wait = 100 * time.Millisecond
	r := newRigWith(t, func(c *Config) { c.BodyWait = wait })
	r.backend.change(func(v *metastate.View) {
		v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpRunning}
	})
	watch, err := r.client("viewer").WatchOperation(t.Context(), &adminpb.WatchOperationRequest{Id: "op-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if _, err := watch.Receive(); err != nil {
		t.Fatal(err)
	}
	// HTTP/1.1: the connection is read beside the answer.
	hc := r.http("viewer")
	hc.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+adminpb.AdminWatchOperationProcedure, strings.NewReader(`{"id":"op-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || resp.ProtoMajor != 1 {
		t.Fatal(fmt.Errorf("no first line over %s: %w", resp.Proto, lines.Err()))
	}
	<-time.After(3 * wait)
	r.backend.finish("op-1", cluster.OpSucceeded)
	if m, err := watch.Receive(); err != nil {
		t.Errorf("the watch ended with its request's time: %v %v", m, err)
	}
	if !lines.Scan() || !strings.Contains(lines.Text(), "succeeded") {
		t.Errorf("the lines ended with their request's time: %q %v", lines.Text(), lines.Err())
	}
}

// TestOldProbes answers HTTP/1.0 without a host, as old health checks send it, and
// still no foreign name.
func TestOldProbes(t *testing.T) {
	r := newRig(t)
	for request, want := range map[string]string{
		"GET /health/live HTTP/1.0\r\n\r\n":                       "200",
		"GET /health/live HTTP/1.0\r\nHost: evil.example\r\n\r\n": "421",
		"GET /health/live HTTP/1.1\r\nHost: evil.example\r\n\r\n": "421",
		"GET /health/live HTTP/1.1\r\nHost: localhost:80\r\n\r\n": "200",
	} {
		c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.base, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request)
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%q: got %q %v, want %s", request, line, err, want)
		}
		c.Close()
	}
}

// TestStatusesAreTheSame asks over JSON and NDJSON for what is refused in each way:
// one HTTP status for one code.
func TestStatusesAreTheSame(t *testing.T) {
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		failing := connect.NewServer(func(connect.ServerFunc) connect.ServerFunc {
			return func(context.Context, connect.Spec, connect.ServerStream) error { return connect.NewError(code, "no") }
		})
		adminpb.RegisterAdminHandler(failing, nil)
		h := ndjson(mount(failing))
		status := func(path, accept string) int {
			req := httptest.NewRequest(http.MethodPost, path, strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			return w.Code
		}
		unary, stream := status(adminpb.AdminWhoAmIProcedure, "application/json"), status(adminpb.AdminWatchOperationProcedure, "application/x-ndjson")
		if unary != stream {
			t.Errorf("%v: %d over JSON, %d over NDJSON", code, unary, stream)
		}
	}
}

// TestStrangersLinesAreSampled causes many failed handshakes and refused calls.
func TestStrangersLinesAreSampled(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	sampler := logsample.New(logger)
	l := &httpLog{logger, sampler}
	for i := range 500 {
		if _, err := fmt.Fprintf(l, "http: TLS handshake error from 10.0.0.9:%d: EOF\n", i); err != nil {
			t.Fatal(err)
		}
	}
	a := &authenticator{backend: newFakeBackend(nil), logger: logger, refused: sampler, limits: newLimiter(time.Now)}
	for range 500 {
		if _, err := a.admit(t.Context(), &call{procedure: "/x/Y", header: "Bearer none", source: "10.0.0.9"}, auth.RoleViewer); err == nil {
			t.Fatal("let in")
		}
	}
	sampler.Close()
	if n := strings.Count(out.String(), "\n"); n != 22 || !strings.Contains(out.String(), "count=490") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}
