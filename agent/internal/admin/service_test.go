package admin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

func TestStatusOfAHealthyCluster(t *testing.T) {
	r := newRig(t)
	s, err := r.client("viewer").GetStatus(t.Context(), &adminpb.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if s.GetHealth() != healthGood || s.GetNodesAlive() != 3 || s.GetRangesOk() != 5 || !s.GetSurvivesOne().GetYes() || s.GetSurvivesTwo().GetYes() || len(s.GetProblems()) != 0 {
		t.Errorf("got %v", s)
	}
	if s.GetBytes() != 4*4096 {
		t.Errorf("bytes: got %d, want those of one copy of the data ranges", s.GetBytes())
	}
}

// TestStatusTellsOfMoves: only what moved and has ended well counts.
func TestStatusTellsOfMoves(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r.backend.change(func(v *metastate.View) {
		for id, o := range map[string]cluster.Operation{
			"op-1": {Spec: cluster.OperationSpec{Kind: cluster.OpRebalance}, State: cluster.OpSucceeded, EndedAt: at.Add(-time.Hour)},
			"op-2": {Spec: cluster.OperationSpec{Kind: cluster.OpMove}, State: cluster.OpSucceeded, EndedAt: at},
			"op-3": {Spec: cluster.OperationSpec{Kind: cluster.OpMove}, State: cluster.OpCancelled, EndedAt: at.Add(time.Hour)},
			"op-4": {Spec: cluster.OperationSpec{Kind: cluster.OpDrain}, State: cluster.OpSucceeded, EndedAt: at.Add(time.Hour)},
		} {
			o.ID = id
			v.Operations[id] = &o
		}
	})
	s, err := r.client("viewer").GetStatus(t.Context(), &adminpb.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if s.GetRebalance() != "auto" || !s.GetLastMove().AsTime().Equal(at) {
		t.Errorf("rebalance %q, last move %v, want auto and %s", s.GetRebalance(), s.GetLastMove(), at)
	}
}

func TestStatusWithADeadNode(t *testing.T) {
	r := newRig(t)
	delete(r.backend.statuses, 3)
	c := r.client("viewer")
	s, err := c.GetStatus(t.Context(), &adminpb.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if s.GetHealth() != healthPart || s.GetNodesAlive() != 2 || s.GetAsOf().GetComplete() || s.GetSurvivesOne().GetYes() {
		t.Errorf("got %v", s)
	}
	if one := s.GetSurvivesOne(); one.GetFailing() != 2 || len(one.GetWorst()) != 1 || one.GetWorstRanges() != 5 {
		t.Errorf("another lost node: got %v, want 2 nodes, each with 5 ranges", one)
	}
	if len(s.GetProblems()) == 0 || s.GetProblems()[0].GetCode() != "NODE_DOWN" || s.GetProblems()[0].GetCommand() == "" {
		t.Errorf("problems: got %v", s.GetProblems())
	} else if text := s.GetProblems()[0].GetText(); !strings.Contains(text, "cannot be re-created: 2 live nodes for 3 replicas") {
		t.Errorf("of the replicas of the dead node it is said: %q", text)
	}
	ns, err := c.ListNodes(t.Context(), &adminpb.ListNodesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n := ns.GetNodes()[2]; n.GetStatus() != "dead" || n.GetReported() || n.GetReplicas() != 5 {
		t.Errorf("the dead node: got %v", n)
	}
	rs, err := c.ListRanges(t.Context(), &adminpb.ListRangesRequest{Ids: []uint32{1}})
	if err != nil || rs.GetRanges()[0].GetState() != rangeUnder {
		t.Errorf("r1: got %v %v, want under", rs, err)
	}
	delete(r.backend.statuses, 2)
	rs, err = c.ListRanges(t.Context(), &adminpb.ListRangesRequest{States: []string{rangeNoQuorum}})
	if err != nil || len(rs.GetRanges()) != 5 {
		t.Errorf("with one of three left: %v %v, want 5 ranges without a quorum", rs, err)
	}
	// What nobody tells is not known; it is not nothing.
	delete(r.backend.statuses, 1)
	rs, err = c.ListRanges(t.Context(), &adminpb.ListRangesRequest{})
	if err != nil || len(rs.GetRanges()) != 5 || !rs.GetRanges()[1].GetSizeUnknown() || !rs.GetRanges()[1].GetLoadUnknown() {
		t.Errorf("with none left: %v %v, want sizes and load not known", rs, err)
	}
	if s, err = c.GetStatus(t.Context(), &adminpb.GetStatusRequest{}); err != nil || s.GetRangesUnsized() != 4 {
		t.Errorf("with none left: %v %v, want 4 data ranges of which nobody tells", s, err)
	}
}

// TestRangesOfAPool: a pool's ranges are its own, and a collection's are its pool's.
func TestRangesOfAPool(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	r.backend.change(func(v *metastate.View) {
		v.Pools = map[cluster.PoolID]*cluster.Pool{
			0: {Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: 3}, State: cluster.PoolReady},
			1: {ID: 1, Name: "hot", PoolSpec: cluster.PoolSpec{Replicas: 3}, State: cluster.PoolReady},
		}
		d := *v.Ranges.Get(3)
		d.Pool, d.Generation = 1, d.Generation+1
		v.Ranges = v.Ranges.With(&d)
	})
	for pool, want := range map[string]int{"hot": 1, cluster.DefaultPoolName: 3, "": 5} {
		rs, err := c.ListRanges(t.Context(), &adminpb.ListRangesRequest{Pool: pool})
		if err != nil || len(rs.GetRanges()) != want {
			t.Errorf("ranges of pool %q: got %v %v, want %d", pool, rs.GetRanges(), err, want)
		}
		routes, err := c.GetRouting(t.Context(), &adminpb.GetRoutingRequest{Pool: pool})
		if want = min(want, 4); err != nil || len(routes.GetRoutes()) != want {
			t.Errorf("routes of pool %q: got %v %v, want %d", pool, routes.GetRoutes(), err, want)
		}
	}
	if _, err := c.ListRanges(t.Context(), &adminpb.ListRangesRequest{Pool: "cold"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a pool that is not: got %v, want not found", err)
	}
}

func TestOKToStop(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	one, err := c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{2}})
	if err != nil || !one.GetSafe() {
		t.Errorf("one of three: got %v %v, want safe", one, err)
	}
	two, err := c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{3, 2}})
	if err != nil || two.GetSafe() || len(two.GetFindings()) == 0 || len(two.GetLargestSafe()) != 1 {
		t.Errorf("two of three: got %v %v, want a refusal and the largest safe set", two, err)
	}
	gone, err := c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "remove", Nodes: []uint32{3}})
	if err != nil || gone.GetSafe() || gone.GetFindings()[0].GetCode() != string(placement.NoTarget) {
		t.Errorf("removing one of three: got %v %v, want NO_TARGET", gone, err)
	}
	_, err = c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{9}})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown node: got %v, want not found", err)
	}
}

// TestNotYet: a follower that is behind for a moment is no reason to say no; one
// that stays behind is a "not yet".
func TestNotYet(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	r.backend.behind.Store(2)
	a, err := c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{2}})
	if err != nil || !a.GetSafe() || a.GetNotYet() {
		t.Errorf("behind for two looks: got %v %v, want safe", a, err)
	}
	r.backend.behind.Store(1 << 30)
	a, err = c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{2}, Wait: 0.1})
	if err != nil || a.GetSafe() || !a.GetNotYet() || len(a.GetFixes()) == 0 {
		t.Errorf("behind for ever: got %v %v, want not yet", a, err)
	}
	a, err = c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{2, 3}})
	if err != nil || a.GetSafe() || a.GetNotYet() {
		t.Errorf("two of three: got %v %v, want no, and that at once", a, err)
	}
	if _, err := c.CheckSafe(t.Context(), &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{2}, Wait: 3600}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a wait of an hour: got %v", err)
	}
}

func TestRefusalCarriesFindingsAndFixes(t *testing.T) {
	r := newRig(t)
	p, err := r.client("viewer").PlanOperation(t.Context(), &adminpb.PlanOperationRequest{Spec: &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{3}}})
	if err != nil || p.GetPlan().GetFeasible() || p.GetPlan().GetFindings()[0].GetCode() != "NO_TARGET" || len(p.GetPlan().GetFixes()) == 0 {
		t.Fatalf("dry run: got %v %v", p, err)
	}
	_, v := placement.Make(&placement.Snapshot{}, placement.Intent{Goal: placement.GoalDecommission})
	r.backend.startErr = Refused("cannot be completed", v)
	_, err = r.client("operator").StartOperation(t.Context(), &adminpb.StartOperationRequest{Spec: &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{3}}})
	var ce *connect.Error
	if !errors.As(err, &ce) || ce.Code() != connect.CodeFailedPrecondition || len(ce.Details()) != 1 {
		t.Fatalf("got %v, want failed precondition with a detail", err)
	}
	m, err := connectproto.UnmarshalErrorDetail(ce.Details()[0])
	d, ok := m.(*adminpb.ErrorDetail)
	if err != nil || !ok || d.GetKind() != adminpb.ErrorKind_ERROR_KIND_UNSAFE || len(d.GetFindings()) == 0 {
		t.Errorf("detail: got %v %v", m, err)
	}
}

func TestBadSpecsAreRefused(t *testing.T) {
	r := newRig(t)
	c := r.client("operator")
	for name, spec := range map[string]*adminpb.OperationSpec{
		"none":          nil,
		"no node":       {Kind: "drain"},
		"unknown kind":  {Kind: "explode", Nodes: []uint32{1}},
		"negative time": {Kind: "drain", Nodes: []uint32{1}, Deadline: -1},
		"endless":       {Kind: "drain", Nodes: []uint32{1}, Ttl: 1e12},
		"disk":          {Kind: "decommission", Nodes: []uint32{1}, MaxDisk: 80},
		"on deadline":   {Kind: "drain", Nodes: []uint32{1}, OnDeadline: "panic"},
	} {
		_, err := c.StartOperation(t.Context(), &adminpb.StartOperationRequest{Spec: spec})
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: got %v, want invalid argument", name, err)
		}
	}
}

func TestWatchFollowsToTheEnd(t *testing.T) {
	r := newRig(t)
	c := r.client("operator")
	op, err := c.StartOperation(t.Context(), &adminpb.StartOperationRequest{Spec: &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{2, 2}}, Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if got := op.GetOperation(); got.GetRequestedBy() != "operator" || len(got.GetSpec().GetNodes()) != 1 {
		t.Errorf("started: got %v", got)
	}
	s, err := c.WatchOperation(t.Context(), &adminpb.WatchOperationRequest{Id: op.GetOperation().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var states []string
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, m.GetOperation().GetState())
		if len(states) == 1 {
			r.backend.finish(op.GetOperation().GetId(), cluster.OpSucceeded)
		}
	}
	if got := strings.Join(states, " "); got != "running succeeded" {
		t.Errorf("states: got %q", got)
	}
	s2, err := c.WatchOperation(t.Context(), &adminpb.WatchOperationRequest{Id: "op-none"})
	if err == nil {
		_, err = s2.Receive()
		s2.Close()
	}
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown operation: got %v, want not found", err)
	}
}

func TestStreamsAsLines(t *testing.T) {
	r := newRig(t)
	r.backend.change(func(v *metastate.View) {
		v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpRunning}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/nodedb.admin.v1.Admin/WatchOperation", strings.NewReader(`{"id":"op-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := r.http("viewer").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"running"`) {
		t.Fatalf("first line: %q %v", lines.Text(), lines.Err())
	}
	r.backend.finish("op-1", cluster.OpFailed)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"failed"`) {
		t.Errorf("second line: %q %v", lines.Text(), lines.Err())
	}
	if lines.Scan() {
		t.Errorf("a line too many: %q", lines.Text())
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	c := r.client("admin")
	got, err := c.CreateToken(t.Context(), &adminpb.CreateTokenRequest{Role: adminpb.Role_ROLE_VIEWER, Owner: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	me, err := r.tokenClient(got.GetSecret()).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
	if err != nil || me.GetName() != "viewer" {
		t.Errorf("who am I: %v %v", me, err)
	}
	ls, err := c.ListTokens(t.Context(), &adminpb.ListTokensRequest{})
	if err != nil || len(ls.GetTokens()) != 1 || ls.GetTokens()[0].GetCreatedBy() != "admin" {
		t.Errorf("list: %v %v", ls, err)
	}
	for name, req := range map[string]*adminpb.CreateTokenRequest{
		"more than the owner": {Role: adminpb.Role_ROLE_ADMIN, Owner: "viewer"},
		"no role":             {Owner: "viewer"},
		"too long":            {Role: adminpb.Role_ROLE_VIEWER, Ttl: 1e9},
	} {
		if _, err := c.CreateToken(t.Context(), req); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: got %v, want invalid argument", name, err)
		}
	}
	j, err := c.CreateJoinToken(t.Context(), &adminpb.CreateJoinTokenRequest{Uses: 3})
	if err != nil || !strings.HasPrefix(j.GetSecret(), "ndbjoin1.") || j.GetToken().GetUsesLeft() != 3 {
		t.Errorf("join token: %v %v", j, err)
	}
	if _, err := c.RevokeJoinToken(t.Context(), &adminpb.RevokeJoinTokenRequest{Id: j.GetToken().GetId()}); err != nil {
		t.Error(err)
	}
}

func TestCordonTellsWhatChanged(t *testing.T) {
	r := newRig(t)
	c := r.client("operator")
	for _, want := range []int{1, 0} {
		got, err := c.SetCordon(t.Context(), &adminpb.SetCordonRequest{Nodes: []uint32{2}, Cordon: true})
		if err != nil || len(got.GetChanged()) != want {
			t.Errorf("got %v %v, want %d changed", got, err, want)
		}
	}
}

// FuzzRequests sends bytes to every method as an admin: an answer, never a panic.
func FuzzRequests(f *testing.F) {
	f.Add("GetStatus", []byte(`{}`))
	f.Add("ListRanges", []byte(`{"ids":[1,2],"states":["moving"],"nodeTimeout":-1}`))
	f.Add("StartOperation", []byte(`{"spec":{"kind":"drain","nodes":[1,1,4294967295],"deadline":"NaN"}}`))
	f.Add("LookupRoute", []byte(`{"collection":"users","key":["1"]}`))
	f.Add("CheckSafe", []byte(`{"question":"remove","nodes":[3,2,1]}`))
	f.Add("CreateToken", []byte(`{"role":9,"ttl":1e308}`))
	f.Fuzz(func(t *testing.T, method string, body []byte) {
		b := newFakeBackend(nil)
		s := newService(b, slog.New(slog.DiscardHandler))
		defer s.hub.Close()
		h := fuzzHandler(s)
		req := httptest.NewRequest(http.MethodPost, "/nodedb.admin.v1.Admin/X", strings.NewReader(string(body)))
		req.URL.Path = "/nodedb.admin.v1.Admin/" + method
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), req)
	})
}

func fuzzHandler(s *service) http.Handler {
	calls := connect.NewServer(func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if err := next(ctx, spec, stream); err != nil {
				return wireError(slog.New(slog.DiscardHandler), spec.Procedure, "rq-1", err)
			}
			return nil
		}
	})
	adminpb.RegisterAdminHandler(calls, s)
	return ndjson(mount(calls))
}
