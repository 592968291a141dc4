package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

func (f *fakeCluster) GetVersion(context.Context, *adminpb.GetVersionRequest) (*adminpb.GetVersionResponse, error) {
	return &adminpb.GetVersionResponse{Version: "v1.0.0", Node: 1, Api: "nodedb.admin/v1"}, nil
}

func (f *fakeCluster) GetUpgrade(context.Context, *adminpb.GetUpgradeRequest) (*adminpb.GetUpgradeResponse, error) {
	out := &adminpb.GetUpgradeResponse{AsOf: asOf(), Active: 1, Newest: 1, Target: 2, Allows: []string{"rows say more"}}
	for _, n := range f.nodes() {
		out.Nodes = append(out.Nodes, &adminpb.NodeUpgrade{Node: n.GetId(), Name: n.GetName(), Version: n.GetVersion(), Min: 1, Max: 1 + n.GetId()%2, Active: 1, Liveness: n.GetLiveness()})
	}
	out.Findings = []*adminpb.Finding{{Code: "VERSION", Severity: "refuse", Text: "version 2 is not supported by every node: n2 runs v1.0.0"}}
	return out, nil
}

func (f *fakeCluster) ListMembers(context.Context, *adminpb.ListMembersRequest) (*adminpb.ListMembersResponse, error) {
	out := &adminpb.ListMembersResponse{AsOf: asOf()}
	out.AsOf.Complete, out.AsOf.Missing = false, []uint32{4}
	for _, n := range f.nodes() {
		out.Members = append(out.Members, &adminpb.Member{
			Node: n.GetId(), Name: n.GetName(), Liveness: n.GetLiveness(), GossipAddress: fmt.Sprintf("10.0.0.%d:6434", n.GetId()),
			SeenBy: []*adminpb.Observation{{Node: 1, Liveness: n.GetLiveness()}},
		})
	}
	return out, nil
}

func (f *fakeCluster) GetRouting(context.Context, *adminpb.GetRoutingRequest) (*adminpb.GetRoutingResponse, error) {
	return &adminpb.GetRoutingResponse{AsOf: asOf(), Routes: []*adminpb.Route{
		{Range: 2, Start: 0, End: 16, Pool: "default", StartKey: "0000", EndKey: "0010", Leader: 2, LeaderAddress: "10.0.0.2:6432", Replicas: []uint32{1, 2, 3}, Generation: 17},
		{Range: 3, Start: 16, End: 32, Pool: "default", StartKey: "0010", EndKey: "001f000000000000000700026b0000010000", Replicas: []uint32{1, 2, 5}, Generation: 18},
	}}, nil
}

func (f *fakeCluster) DiffRouting(context.Context, *adminpb.DiffRoutingRequest) (*adminpb.DiffRoutingResponse, error) {
	return &adminpb.DiffRoutingResponse{AsOf: asOf(), Nodes: []*adminpb.RoutingDiff{
		{Node: 1, MetaIndex: 81234},
		{Node: 2, MetaIndex: 81230, BehindSeconds: 1.5, Stale: []uint32{3}, WrongLeader: []uint32{2}, WrongLeaderPerSecond: 0.5},
	}}, nil
}

func (f *fakeCluster) ListTokens(context.Context, *adminpb.ListTokensRequest) (*adminpb.ListTokensResponse, error) {
	return &adminpb.ListTokensResponse{AsOf: asOf(), Tokens: []*adminpb.Token{
		{Id: "t1", Owner: "root", Role: adminpb.Role_ROLE_OPERATOR, CreatedBy: "root", CreatedAt: timestamppb.New(now)},
	}}, nil
}

func (f *fakeCluster) RevokeToken(context.Context, *adminpb.RevokeTokenRequest) (*adminpb.RevokeTokenResponse, error) {
	return &adminpb.RevokeTokenResponse{}, nil
}

func (f *fakeCluster) ListJoinTokens(context.Context, *adminpb.ListJoinTokensRequest) (*adminpb.ListJoinTokensResponse, error) {
	return &adminpb.ListJoinTokensResponse{AsOf: asOf(), Tokens: []*adminpb.JoinToken{{Id: "j1", CreatedBy: "root", Uses: 2, UsesLeft: 1}}}, nil
}

func (f *fakeCluster) SetCordon(_ context.Context, r *adminpb.SetCordonRequest) (*adminpb.SetCordonResponse, error) {
	return &adminpb.SetCordonResponse{Changed: r.GetNodes()}, nil
}

// secret is planted where a careless bundle would take it along.
const secret = "ndb_planted_s3cr3t"

func (f *fakeCluster) CollectDebug(_ context.Context, r *adminpb.CollectDebugRequest) (*adminpb.CollectDebugResponse, error) {
	switch {
	case r.GetNode() == 4:
		return nil, refuse(connect.CodeUnavailable, "n4 does not answer", &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_UNAVAILABLE})
	case r.GetItem() == "log":
		return &adminpb.CollectDebugResponse{Name: "log.txt", Content: []byte("login with " + secret + "\n"), Truncated: true}, nil
	}
	return &adminpb.CollectDebugResponse{Name: r.GetItem() + ".txt", Content: []byte(r.GetItem() + " of " + fmt.Sprint(r.GetNode()) + "\n")}, nil
}

func (f *fakeCluster) ListAudit(_ context.Context, r *adminpb.ListAuditRequest) (*adminpb.ListAuditResponse, error) {
	out := &adminpb.ListAuditResponse{AsOf: asOf(), Records: []*adminpb.AuditRecord{
		{Sequence: 7, Time: timestamppb.New(now), By: "root", Via: "admin", Action: "SetCordon", Decision: "done", Class: "changes", Parameters: `{"setCordon":{"cordon":true,"node":3}}`},
		{Sequence: 8, Time: timestamppb.New(now), By: "coordinator", Via: "operation", Action: "PutPlan", Decision: "done", Class: "changes", Parameters: `{"bytes":4249,"sha256":"ab"}`},
		{Sequence: 9, Time: timestamppb.New(now), By: "eve", Via: "sql", Action: "ChangeUser", Decision: "refused", Class: "refused", Why: "ChangeUser needs the role admin, which eve does not have"},
	}}
	if r.GetLogins() {
		out.Records = append(out.Records, &adminpb.AuditRecord{Sequence: 1, Node: 2, Time: timestamppb.New(now), Via: "sql", Action: "Login", Decision: "refused", Why: "unknown user", Source: "10.0.0.0/24", Class: "strangers", Count: 17})
	}
	return out, nil
}

func (f *fakeCluster) VerifyAudit(context.Context, *adminpb.VerifyAuditRequest) (*adminpb.VerifyAuditResponse, error) {
	return &adminpb.VerifyAuditResponse{AsOf: asOf(), Intact: true, Records: 20010, Head: "0123456789abcdef00", Chains: []*adminpb.AuditChain{
		{Class: "changes", First: 1, Last: 10}, {Class: "own", First: 35001, Last: 55000}, {Class: "logins", Node: 2, First: 1, Last: 4},
	}}, nil
}
