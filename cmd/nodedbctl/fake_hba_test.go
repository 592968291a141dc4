package main

import (
	"context"
	"strings"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/client/adminpb"
)

func fakeHostRules() []*adminpb.HostRule {
	return []*adminpb.HostRule{
		{Line: 2, Type: "host", Database: "all", User: "+staff", Address: "10.0.0.0/8", Method: "scram-sha-256", Options: "clientcert=verify-full"},
		{Line: 3, Type: "host", Database: "all", User: "all", Address: "all", Method: "reject"},
	}
}

func (f *fakeCluster) ListHostRules(context.Context, *adminpb.ListHostRulesRequest) (*adminpb.ListHostRulesResponse, error) {
	return &adminpb.ListHostRulesResponse{AsOf: asOf(), Rules: fakeHostRules()}, nil
}

func (f *fakeCluster) SetHostRules(_ context.Context, r *adminpb.SetHostRulesRequest) (*adminpb.SetHostRulesResponse, error) {
	switch {
	case strings.Contains(r.GetText(), "md5"):
		return nil, refuse(connect.CodeInvalidArgument, `line 1: method "md5" is not supported`, &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_INVALID})
	case strings.Contains(r.GetText(), "reject") && !r.GetForce():
		return nil, refuse(connect.CodeFailedPrecondition, "you could not log in to SQL any more", &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_UNSAFE})
	}
	return &adminpb.SetHostRulesResponse{Rules: fakeHostRules()[:1], Changed: !r.GetDryRun() && r.GetText() != ""}, nil
}

func (f *fakeCluster) TestHostRules(_ context.Context, r *adminpb.TestHostRulesRequest) (*adminpb.TestHostRulesResponse, error) {
	out := &adminpb.TestHostRulesResponse{AsOf: asOf(), Outcome: "password"}
	switch {
	case r.GetText() != "":
		out.Outcome, out.Message = "refused", "no pg_hba.conf entry for host"
	case r.GetUser() == "ann":
		out.Rule = fakeHostRules()[0]
	default:
		out.Outcome, out.Message, out.Rule = "refused", "pg_hba.conf rejects connection for host", fakeHostRules()[1]
	}
	return out, nil
}
