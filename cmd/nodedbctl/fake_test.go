package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"

	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// fakeCluster is a cluster of five nodes that lives in the test. What an
// operation comes to depends on its node:
//
//	decommission n5: succeeds in steps     decommission n3: refused, no target
//	decommission n4: runs for ever         drain n2: succeeds
//	drain n1: fails                        drain n3: ends cancelled
type fakeCluster struct {
	adminpb.UnimplementedAdminHandler // of the methods that no story needs

	mu  sync.Mutex
	ops map[string]*adminpb.Operation
}

var now = time.Now()

func asOf() *adminpb.AsOf {
	return &adminpb.AsOf{ClusterId: "c", ClusterName: "test", MetaIndex: 81234, Time: timestamppb.New(now), Complete: true, SourceNode: 1}
}

func (f *fakeCluster) nodes() []*adminpb.Node {
	var ns []*adminpb.Node
	for i := uint32(1); i <= 5; i++ {
		n := &adminpb.Node{
			Id: i, Name: fmt.Sprintf("n%d", i), Uuid: fmt.Sprintf("7e57%d000-0000-4000-8000-000000000000", i), Membership: "active",
			Liveness: "alive", Service: "ready", Status: "ready", Version: "v1.0.0", Replicas: 10 * i, Leaders: i, Bytes: uint64(i) << 30,
			DiskUsed: 26, DiskTotal: 100, Cpu: 0.05, Reported: true,
			Addresses: &adminpb.Addresses{Sql: fmt.Sprintf("10.0.0.%d:6432", i), Admin: fmt.Sprintf("10.0.0.%d:6480", i)},
		}
		if i == 5 {
			n.Name = "omega"
		}
		ns = append(ns, n)
	}
	for i, n := range ns { // n3 counts one of its replicas
		n.LiveBytes, n.DeadBytes = n.GetBytes(), 1<<20
		n.ReplicasUncounted = uint32(map[bool]int{true: 1}[i == 2])
	}
	ns[3].Liveness, ns[3].Status, ns[3].Service, ns[3].Reported = "dead", "dead", "", false
	return ns
}

func (f *fakeCluster) ListNodes(context.Context, *adminpb.ListNodesRequest) (*adminpb.ListNodesResponse, error) {
	return &adminpb.ListNodesResponse{AsOf: asOf(), Nodes: f.nodes()}, nil
}

func (f *fakeCluster) GetStatus(context.Context, *adminpb.GetStatusRequest) (*adminpb.GetStatusResponse, error) {
	return &adminpb.GetStatusResponse{
		AsOf: asOf(), Health: "degraded", NodesAlive: 4, NodesTotal: 5, MetaLeader: 1, MetaTerm: 41, Bytes: 310 << 30, Replication: 3,
		DiskMax: 0.26, DiskMaxNode: 5, RangesOk: 60, RangesUnder: 4, SurvivesOne: &adminpb.Survival{Yes: true},
		SurvivesTwo: &adminpb.Survival{Failing: 27, Worst: []uint32{2, 4}, WorstRanges: 138},
		Localities:  []*adminpb.LocalityLoss{{Locality: "zone=a", Nodes: []uint32{1, 4}, Ranges: 3, First: []uint32{2}}, {Locality: "zone=b", Nodes: []uint32{2, 3, 5}}},
		Rebalance:   "auto", LastMove: timestamppb.New(now.Add(-3 * time.Hour)),
		Problems: []*adminpb.Problem{{Code: "NODE_DOWN", Text: "n4 is dead; its replicas are re-created after 5m0s", Command: "nodedbctl nodes show n4"}},
	}, nil
}

func (f *fakeCluster) ListRanges(_ context.Context, r *adminpb.ListRangesRequest) (*adminpb.ListRangesResponse, error) {
	out := &adminpb.ListRangesResponse{AsOf: asOf()}
	voters := []*adminpb.Replica{{Node: 1, Replica: 1, Role: "voter"}, {Node: 2, Replica: 2, Role: "voter"}, {Node: 3, Replica: 3, Role: "voter"}}
	all := []*adminpb.Range{
		{Id: 1, Meta: true, Leader: 1, Replicas: voters, Bytes: 1258291, WritesPerSecond: 3, State: "healthy", Generation: 4, Lease: lease(1, false)},
		{Id: 2, Start: 0, End: 16, Pool: "default", StartKey: "0000", EndKey: "0010", Leader: 2, Replicas: voters, Bytes: 25270682, Keys: 51234, ReadsPerSecond: 120, WritesPerSecond: 88, State: "healthy", Generation: 17, Lease: lease(2, true),
			Comparison: &adminpb.Comparison{Index: 80, At: timestamppb.New(now.Add(-time.Hour)), Same: []uint32{1, 2, 3}}},
		{Id: 3, Start: 16, End: 32, Pool: "default", StartKey: "0010", EndKey: "001f000000000000000700026b0000010000", Replicas: append(voters[:2:2], &adminpb.Replica{Node: 5, Replica: 4, Role: "learner"}), SizeUnknown: true, State: "electing", Generation: 18},
	}
	for _, x := range all {
		if (len(r.GetIds()) == 0 || slices.Contains(r.GetIds(), x.GetId())) && (r.GetPool() == "" || r.GetPool() == x.GetPool()) {
			out.Ranges = append(out.Ranges, x)
		}
	}
	if len(out.Ranges) == 0 {
		return nil, refuse(connect.CodeNotFound, "there is no range r99", &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	}
	return out, nil
}

func (f *fakeCluster) LookupRoute(_ context.Context, r *adminpb.LookupRouteRequest) (*adminpb.LookupRouteResponse, error) {
	if r.GetCollection() == "broken" {
		return nil, refuse(connect.CodeInternal, "internal error; the node's log says more", &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_INTERNAL})
	}
	if r.GetCollection() == "files" && len(r.GetKey()) > 1 {
		return nil, refuse(connect.CodeInvalidArgument, fmt.Sprintf("the key of files has 1 columns (path), %d were given", len(r.GetKey())), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_INVALID})
	}
	if r.GetCollection() == "payments" {
		return &adminpb.LookupRouteResponse{AsOf: asOf(), Vshard: 1, RowKey: "0001000000000000000800026b000100", Route: &adminpb.Route{
			Range: 10, End: 1024, Pool: "crit", StartKey: "0000", EndKey: "0400", Leader: 2, LeaderAddress: "127.0.0.1:6432", Replicas: []uint32{1, 2, 3}, Generation: 4,
		}}, nil
	}
	return &adminpb.LookupRouteResponse{AsOf: asOf(), Vshard: 417, RowKey: "01a1000000000000000700026b000100", Route: &adminpb.Route{
		Range: 27, Start: 416, End: 432, Pool: "default", StartKey: "01a0", EndKey: "01b0", Leader: 2, LeaderAddress: "127.0.0.1:6432", Replicas: []uint32{1, 2, 3}, Generation: 17,
	}}, nil
}

func (f *fakeCluster) WhoAmI(context.Context, *adminpb.WhoAmIRequest) (*adminpb.WhoAmIResponse, error) {
	return &adminpb.WhoAmIResponse{Name: "root", Role: adminpb.Role_ROLE_ADMIN, Via: "cert", ClusterName: "test", Node: 2}, nil
}

func (f *fakeCluster) CreateToken(context.Context, *adminpb.CreateTokenRequest) (*adminpb.CreateTokenResponse, error) {
	return nil, connect.NewError(connect.CodePermissionDenied, "eve has the role viewer; CreateToken needs admin")
}

func (f *fakeCluster) CreateJoinToken(_ context.Context, r *adminpb.CreateJoinTokenRequest) (*adminpb.CreateJoinTokenResponse, error) {
	return &adminpb.CreateJoinTokenResponse{Secret: "ndbjoin1.id.secret.pin", Token: &adminpb.JoinToken{Id: "id", Uses: r.GetUses(), UsesLeft: r.GetUses()}}, nil
}

func (f *fakeCluster) CheckSafe(ctx context.Context, r *adminpb.CheckSafeRequest) (*adminpb.CheckSafeResponse, error) {
	if slices.Equal(r.GetNodes(), []uint32{4}) { // not yet: it is looked at again while the caller wants that
		if r.GetWait() == 0 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &adminpb.CheckSafeResponse{AsOf: asOf(), NotYet: true, Findings: []*adminpb.Finding{{Code: "COLLECTING", Text: "no report yet"}}}, nil
	}
	out := &adminpb.CheckSafeResponse{AsOf: asOf(), Safe: len(r.GetNodes()) < 2, Ranges: 64, SurvivesOne: &adminpb.Survival{Yes: true}, SurvivesTwo: &adminpb.Survival{Failing: 3}}
	if !out.Safe {
		out.Findings = []*adminpb.Finding{{Code: "QUORUM_AT_RISK", Severity: "refuse", Text: "12 of 64 ranges would stop"}}
		out.LargestSafe = r.GetNodes()[:1]
		out.Fixes = []*adminpb.Fix{{Text: "stop fewer at once", Command: "nodedbctl ok-to-stop n2"}}
	}
	return out, nil
}

func refuse(code connect.Code, message string, d *adminpb.ErrorDetail) error {
	detail, err := connectproto.NewErrorDetail(d)
	if err != nil {
		return err
	}
	return connect.NewError(code, message).WithDetail(detail)
}

var noTarget = &adminpb.ErrorDetail{
	Kind:     adminpb.ErrorKind_ERROR_KIND_UNSAFE,
	Findings: []*adminpb.Finding{{Code: "NO_TARGET", Severity: "refuse", Text: "64 of 64 ranges need 3 voters; only n1, n2 would remain"}},
	Fixes: []*adminpb.Fix{
		{Text: "add a node", Command: "nodedbctl join-token create"},
		{Text: "restart only", Command: "nodedbctl drain n3 --shutdown"},
	},
}

func (f *fakeCluster) PlanOperation(_ context.Context, r *adminpb.PlanOperationRequest) (*adminpb.PlanOperationResponse, error) {
	if movesOnly(r.GetSpec()) {
		return f.planSteps(r)
	}
	if r.GetSpec().GetKind() == "split" {
		return planSplit(r)
	}
	p := &adminpb.Plan{Id: "pl-9c41", Spec: r.GetSpec(), TopologyEpoch: 57, Feasible: true, ChecksOk: 11, Replicas: 413, Leaders: 138,
		Bytes: 110917320499, SecondsP50: 900, SecondsP90: 1260, SecondsLowerBound: 827, Bottleneck: "n2,n8", ComputedIn: 0.041,
		SurvivesBefore: "any 1 node", SurvivesDuring: "any 1 node", SurvivesAfter: "any 1 node",
		Nodes: []*adminpb.NodeChange{
			{Node: 5, ReplicasBefore: 413, BytesBefore: 110917320499, LeadersBefore: 138},
			{Node: 2, ReplicasBefore: 413, ReplicasAfter: 620, BytesBefore: 110809946316, BytesAfter: 166322571673, DiskBefore: 0.26, DiskPeak: 0.41, LeadersBefore: 138, LeadersAfter: 155},
		},
		Findings: []*adminpb.Finding{{Code: "SPREAD_THIN", Severity: "warn", Text: "after this, losing n2 puts 310 GiB on one node"}},
	}
	if r.GetSpec().GetNodes()[0] == 3 {
		p.Feasible, p.Findings, p.Fixes = false, noTarget.Findings, noTarget.Fixes
	}
	return &adminpb.PlanOperationResponse{AsOf: asOf(), Plan: p}, nil
}

func (f *fakeCluster) StartOperation(_ context.Context, r *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	if movesOnly(r.GetSpec()) {
		return f.startSteps(r)
	}
	if r.GetSpec().GetKind() == "split" {
		return f.startSplit(r)
	}
	node := r.GetSpec().GetNodes()[0]
	if r.GetSpec().GetKind() == "decommission" && node == 3 {
		return nil, refuse(connect.CodeFailedPrecondition, "cannot be completed", noTarget)
	}
	if c := r.GetConfirm(); c != "" && c != "pl-9c41" {
		return nil, refuse(connect.CodeAborted, "the plan is pl-9c41 now, not "+c, &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_STALE_PLAN})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("op-%s%d", r.GetSpec().GetKind()[:2], node)
	if o := f.ops[id]; o != nil {
		return &adminpb.StartOperationResponse{Operation: o, Attached: true}, nil
	}
	o := &adminpb.Operation{
		Id: id, Spec: r.GetSpec(), State: "running", Phase: "check", RequestedBy: "root", Reason: r.GetReason(), PlannedSeconds: 900,
		CreatedAt: timestamppb.New(now), StartedAt: timestamppb.New(now), MetaIndex: 1,
		Total: &adminpb.Progress{Ranges: 413, Replicas: 413, Leaders: 138, Bytes: 100 << 30}, Done: &adminpb.Progress{},
	}
	f.ops[id] = o
	return &adminpb.StartOperationResponse{Operation: o}, nil
}

func (f *fakeCluster) GetOperation(_ context.Context, r *adminpb.GetOperationRequest) (*adminpb.GetOperationResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ops[r.GetId()] == nil {
		return nil, refuse(connect.CodeNotFound, "there is no operation "+r.GetId(), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	}
	return &adminpb.GetOperationResponse{AsOf: asOf(), Operation: f.ops[r.GetId()]}, nil
}

func (f *fakeCluster) ListOperations(context.Context, *adminpb.ListOperationsRequest) (*adminpb.ListOperationsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &adminpb.ListOperationsResponse{AsOf: asOf()}
	for _, o := range f.ops {
		out.Operations = append(out.Operations, o)
	}
	return out, nil
}

// WatchOperation plays what the operation comes to.
func (f *fakeCluster) WatchOperation(ctx context.Context, r *adminpb.WatchOperationRequest, out adminpb.AdminWatchOperationServerStream) error {
	f.mu.Lock()
	o := f.ops[r.GetId()]
	f.mu.Unlock()
	if o == nil {
		return refuse(connect.CodeNotFound, "there is no operation "+r.GetId(), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	}
	ends := map[string]string{"op-de5": "succeeded", "op-dr2": "succeeded", "op-dr1": "failed", "op-dr3": "cancelled",
		"op-rebalance": "succeeded", "op-move": "succeeded", "op-transfer": "succeeded", "op-split": "succeeded"}
	for step := 1; step <= 2; step++ {
		o = clone(o)
		o.MetaIndex++
		o.Phase = "move"
		o.Phases = []*adminpb.Phase{{Name: "check", State: "done"}, {Name: "move", State: "running"}, {Name: "tombstone", State: "pending"}}
		o.Done = &adminpb.Progress{Ranges: uint32(128 * step), Replicas: uint32(128 * step), Leaders: 138, Bytes: uint64(step) * 32 << 30}
		if err := out.Send(&adminpb.WatchOperationResponse{Operation: o}); err != nil {
			return err
		}
	}
	end := ends[o.GetId()]
	if end == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	o = clone(o)
	o.MetaIndex++
	o.State, o.Phase, o.EndedAt = end, "", timestamppb.New(now.Add(932*time.Second))
	if end == "failed" {
		o.Why = "2 transactions did not end before the deadline"
	}
	if movesOnly(o.GetSpec()) {
		endSteps(o)
	}
	if o.GetSpec().GetKind() == "decommission" {
		o.Proof = &adminpb.Proof{MetaIndex: 84410, Descriptors: 1240, Leaders: 1240, Tombstone: "8d1f00aa11"}
	}
	f.mu.Lock()
	f.ops[o.GetId()] = o
	f.mu.Unlock()
	return out.Send(&adminpb.WatchOperationResponse{Operation: o})
}

func clone(o *adminpb.Operation) *adminpb.Operation {
	return &adminpb.Operation{
		Id: o.Id, Spec: o.Spec, State: o.State, RequestedBy: o.RequestedBy, Reason: o.Reason, PlannedSeconds: o.PlannedSeconds,
		CreatedAt: o.CreatedAt, StartedAt: o.StartedAt, MetaIndex: o.MetaIndex, Total: o.Total, Done: o.Done, Phases: o.Phases,
	}
}

// serve runs the cluster on a free port and writes context.yaml and its files
// into dir.
func serve(dir string) (addr string, stop func(), err error) {
	caKey, caDER, err := certificate(nil, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		return "", nil, err
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return "", nil, err
	}
	nodeKey, nodeDER, err := certificate(ca, caKey, &x509.Certificate{
		URIs: []*url.URL{{Scheme: "nodedb", Host: "c", Path: "/node/1"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return "", nil, err
	}
	userKey, userDER, err := certificate(ca, caKey, &x509.Certificate{
		URIs: []*url.URL{{Scheme: "nodedb", Host: "c", Path: "/user/root"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", nil, err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{nodeDER}, PrivateKey: nodeKey}}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return "", nil, err
	}
	_, otherDER, err := certificate(nil, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		return "", nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(userKey)
	if err != nil {
		return "", nil, err
	}
	for name, block := range map[string]*pem.Block{
		"ca.crt": {Type: "CERTIFICATE", Bytes: caDER}, "other.crt": {Type: "CERTIFICATE", Bytes: otherDER}, "root.crt": {Type: "CERTIFICATE", Bytes: userDER}, "root.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return "", nil, err
		}
	}
	file := fmt.Sprintf("version: 1\ncurrent: test\ncontexts:\n  - name: test\n    addrs: [\"127.0.0.1:1\", %q]\n    ca: ca.crt\n    cert: root.crt\n    key: root.key\n  - name: prod\n    addrs: [%q]\n    ca: ca.crt\n    cert: root.crt\n    key: root.key\n    protected: true\n",
		l.Addr().String(), l.Addr().String())
	if err := os.WriteFile(filepath.Join(dir, "context.yaml"), []byte(file), 0o600); err != nil {
		return "", nil, err
	}
	calls := connect.NewServer()
	adminpb.RegisterAdminHandler(calls, &fakeCluster{ops: map[string]*adminpb.Operation{}})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, calls)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(l) }()
	return l.Addr().String(), func() { _ = srv.Close() }, nil
}

func certificate(ca *x509.Certificate, caKey *ecdsa.PrivateKey, t *x509.Certificate) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t.SerialNumber, t.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if ca == nil {
		ca, caKey = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, key.Public(), caKey)
	return key, der, err
}
