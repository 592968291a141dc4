package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// TestMethodsNeedRoles calls every method as everybody, over every protocol: who
// has less than the required role is refused before the body is looked at.
func TestMethodsNeedRoles(t *testing.T) {
	r := newRig(t)
	callers := []struct {
		name string
		role auth.Role
	}{{"", auth.RoleNone}, {"nobody", auth.RoleNone}, {"viewer", auth.RoleViewer}, {"operator", auth.RoleOperator}, {"admin", auth.RoleAdmin}, {"stranger", auth.RoleNone}}
	accepts := map[string]string{"json": "", "ndjson": "application/x-ndjson"}
	for _, who := range callers {
		hc := r.http(who.name)
		for spec := range r.server.calls.Specs() {
			for protocol, accept := range accepts {
				if spec.StreamType != connect.StreamTypeUnary && protocol == "json" {
					continue
				}
				// The body is no JSON: whoever gets past the door is told so with a 400.
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+spec.Procedure, strings.NewReader("}"))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				if spec.StreamType != connect.StreamTypeUnary {
					req.Header.Set("Accept", accept)
				}
				resp, err := hc.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				want := http.StatusBadRequest
				switch {
				case who.name == "" || who.name == "stranger":
					want = http.StatusUnauthorized
				case who.role < required(spec):
					want = http.StatusForbidden
				}
				if resp.StatusCode != want {
					t.Errorf("%s as %q over %s: got %d %s, want %d", spec.Procedure, who.name, protocol, resp.StatusCode, body, want)
				}
			}
		}
	}
}

func TestCredentials(t *testing.T) {
	r := newRig(t)
	id, good, hash := auth.NewBearerToken()
	_, unknown, _ := auth.NewBearerToken()
	oldID, old, oldHash := auth.NewBearerToken()
	clusterID := r.backend.View().ClusterID
	r.backend.change(func(v *metastate.View) {
		v.Tokens[id] = &metastate.Token{ID: id, Owner: "operator", Role: "admin", Hash: hash[:]}
		v.Tokens[oldID] = &metastate.Token{ID: oldID, Owner: "admin", Role: "admin", Hash: oldHash[:], ExpiresAt: time.Now().Add(-time.Minute)}
	})
	for _, c := range []struct {
		name, token string
		want        connect.Code
	}{
		{"unknown", unknown, connect.CodeUnauthenticated},
		{"expired", old, connect.CodeUnauthenticated},
		{"garbage", "ndb_x_y", connect.CodeUnauthenticated},
		{"too long", strings.Repeat("x", 5000), connect.CodeUnauthenticated},
	} {
		_, err := r.tokenClient(c.token).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
		if connect.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err != nil && len(c.token) > 20 && strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the error tells the token", c.name)
		}
	}
	// A node that does not have the meta range knows nobody: that is no refusal.
	r.backend.change(func(v *metastate.View) { v.ClusterID = "" })
	if _, err := r.tokenClient(good).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("before the meta range has arrived: got %v, want unavailable", err)
	}
	r.backend.change(func(v *metastate.View) { v.ClusterID = clusterID })
	// A token is never more than its owner.
	me, err := r.tokenClient(good).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
	if err != nil || me.GetRole() != adminpb.Role_ROLE_OPERATOR || me.GetVia() != auth.ViaToken {
		t.Errorf("good token: got %v %v, want operator via token", me, err)
	}
}

func TestRevocationEndsWatches(t *testing.T) {
	for name, opts := range map[string][]connecthttp.Option{"connect": nil, "grpc": {connecthttp.WithGRPC()}, "json": {connecthttp.WithProtoJSON()}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			id, token, hash := auth.NewBearerToken()
			r.backend.change(func(v *metastate.View) {
				v.Tokens[id] = &metastate.Token{ID: id, Owner: "viewer", Role: "viewer", Hash: hash[:]}
				v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpRunning}
			})
			s, err := r.tokenClient(token, opts...).WatchOperation(t.Context(), &adminpb.WatchOperationRequest{Id: "op-1"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if m, err := s.Receive(); err != nil || m.GetOperation().GetId() != "op-1" {
				t.Fatalf("first message: %v %v", m, err)
			}
			if _, err := r.client("admin").RevokeToken(t.Context(), &adminpb.RevokeTokenRequest{Id: id}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("after the revocation: got %v, want unauthenticated", err)
			}
		})
	}
}

func TestUnknownFieldIsRefused(t *testing.T) {
	r := newRig(t)
	post := func(path, body string) (int, string) {
		t.Helper()
		resp, err := r.http("admin").Post(r.base+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	const start = "/nodedb.admin.v1.Admin/StartOperation"
	if code, body := post(start, `{"spec":{"kind":"decommission","nodes":[3]},"dryRunn":true}`); code != 400 || !strings.Contains(body, "dryRunn") {
		t.Errorf("unknown field: got %d %s, want 400 that names it", code, body)
	}
	if len(r.backend.View().Operations) != 0 {
		t.Error("an operation was started all the same")
	}
	if code, _ := post(start, `{"reason":"`+strings.Repeat("x", requestMost)+`"}`); code != 429 {
		t.Errorf("a body over the limit: got %d, want 429", code)
	}
	if code, _ := post("/nodedb.admin.v1.Admin/DropEverything", "{}"); code == 200 {
		t.Error("an unknown method answers 200")
	}
}

func TestHealthEndpoints(t *testing.T) {
	r := newRig(t)
	get := func(hc *http.Client, url string) (int, string) {
		t.Helper()
		resp, err := hc.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.socket)
	}}}
	t.Cleanup(local.CloseIdleConnections)
	for _, base := range []struct {
		name, url string
		hc        *http.Client
	}{{"port", r.base, r.http("")}, {"socket", "http://node", local}} {
		for path, want := range map[string]int{"/health/live": 200, "/health/ready": 200, "/healthz": 200, "/health": 200} {
			if code, body := get(base.hc, base.url+path); code != want {
				t.Errorf("%s %s: got %d %s", base.name, path, code, body)
			}
		}
		r.backend.mu.Lock()
		r.backend.service = cluster.Draining
		r.backend.mu.Unlock()
		if code, body := get(base.hc, base.url+"/healthz"); code != 503 || !strings.Contains(body, "draining") {
			t.Errorf("%s: a draining node answers %d %s", base.name, code, body)
		}
		if code, _ := get(base.hc, base.url+"/health/live"); code != 200 {
			t.Errorf("%s: a draining node is not live", base.name)
		}
		r.backend.mu.Lock()
		r.backend.service = cluster.Ready
		r.backend.mu.Unlock()
	}
	if code, body := get(r.http(""), r.base+"/metrics"); code != 200 || !strings.Contains(body, "nodedb_test_gauge") {
		t.Errorf("/metrics: got %d %s", code, body)
	}
	if code, _ := get(r.http("operator"), r.base+"/debug/pprof/"); code != 403 {
		t.Errorf("pprof as an operator: got %d, want 403", code)
	}
	if code, _ := get(r.http("admin"), r.base+"/debug/pprof/"); code != 200 {
		t.Errorf("pprof as an admin: got %d, want 200", code)
	}
	for user, want := range map[string]int{"": 401, "viewer": 403, "operator": 202} {
		resp, err := r.http(user).Post(r.base+"/health/drain?deadline=30s&shutdown=true", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("drain as %q: got %d, want %d", user, resp.StatusCode, want)
		}
	}
	resp, err := local.Post("http://node/health/drain?deadline=bogus", "", nil)
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("drain with a bad deadline: %v %v, want 400", resp, err)
	}
	resp.Body.Close()
	if got := r.backend.drains; len(got) != 1 || got[0].Deadline != 30 || !got[0].Shutdown || got[0].Nodes[0] != 1 {
		t.Errorf("drains: got %+v", got)
	}
}

func TestForeignHostIsRefused(t *testing.T) {
	r := newRig(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/health/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := r.http("").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("got %d, want %d", resp.StatusCode, http.StatusMisdirectedRequest)
	}
}

func TestInternalTextStaysInside(t *testing.T) {
	r := newRig(t)
	r.backend.startErr = errors.New("pebble: secret detail")
	_, err := r.client("admin").StartOperation(t.Context(), &adminpb.StartOperationRequest{Spec: &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{2}}})
	if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want internal without the cause", err)
	}
}
