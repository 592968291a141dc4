package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// fakeSessions are three: one works in a transaction, one has left its open, one is idle.
func fakeSessions() []*adminpb.Session {
	ago := func(d time.Duration) *timestamppb.Timestamp {
		return timestamppb.New(asOf().GetTime().AsTime().Add(-d))
	}
	return []*adminpb.Session{
		{Pid: 1048577, Node: 1, User: "app", Application: "shop", Client: "10.0.0.7:4711", State: "active", Since: ago(2 * time.Second), Began: ago(time.Hour),
			Statement: "UPDATE orders\n\tSET state = 'paid'\x1b[2J WHERE id = 7", StatementAt: ago(2 * time.Second), TransactionAt: ago(5 * time.Second)},
		{Pid: 2097153, Node: 2, User: "app", Application: "billing", State: "idle in transaction", Since: ago(90 * time.Second), Began: ago(time.Hour),
			Hidden: true, StatementAt: ago(91 * time.Second), TransactionAt: ago(100 * time.Second)},
		{Pid: 2097154, Node: 2, User: "root", Client: "10.0.0.9:4713", State: "idle", Since: ago(time.Minute), Began: ago(2 * time.Hour), Statement: "SELECT 1", StatementAt: ago(time.Minute)},
	}
}

func (f *fakeCluster) ListSessions(_ context.Context, r *adminpb.ListSessionsRequest) (*adminpb.ListSessionsResponse, error) {
	out := &adminpb.ListSessionsResponse{AsOf: asOf()}
	for _, s := range fakeSessions() {
		if (r.GetUser() == "" || r.GetUser() == s.GetUser()) && (len(r.GetNodes()) == 0 || r.GetNodes()[0] == s.GetNode()) {
			out.Sessions = append(out.Sessions, s)
		}
	}
	return out, nil
}

func (f *fakeCluster) CancelSession(_ context.Context, r *adminpb.CancelSessionRequest) (*adminpb.CancelSessionResponse, error) {
	for _, s := range fakeSessions() {
		if s.GetPid() == r.GetPid() {
			return &adminpb.CancelSessionResponse{Session: s, Ended: r.GetTerminate() || s.GetState() == "active"}, nil
		}
	}
	return nil, refuse(connect.CodeNotFound, fmt.Sprintf("there is no session %d: nodedbctl sessions lists them", r.GetPid()), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
}

// ListTransactions has one that waits for another, and one that nobody minds.
func (f *fakeCluster) ListTransactions(_ context.Context, r *adminpb.ListTransactionsRequest) (*adminpb.ListTransactionsResponse, error) {
	ago := func(d time.Duration) *timestamppb.Timestamp {
		return timestamppb.New(asOf().GetTime().AsTime().Add(-d))
	}
	holder, waiter := &adminpb.TransactionRef{Id: "a0", Node: 2, Pid: 2097153}, &adminpb.TransactionRef{Id: "b0", Node: 1, Pid: 1048577}
	out := &adminpb.ListTransactionsResponse{AsOf: asOf(), Transactions: []*adminpb.Transaction{
		{Id: "a0", Node: 2, Pid: 2097153, User: "app", Application: "billing", State: "idle", Isolation: "read committed", Began: ago(100 * time.Second), Locks: 7, Ranges: 12, RangeIds: []uint32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
			Blocks: []*adminpb.TransactionRef{waiter}, Hidden: true},
		{Id: "b0", Node: 1, Pid: 1048577, User: "app", Application: "shop", State: "waiting", Isolation: "read committed", Began: ago(5 * time.Second), Locks: 1, Ranges: 1,
			WaitsFor: []*adminpb.TransactionRef{holder, {Id: "c0", Node: 3}}, WaitsSince: ago(2 * time.Second), Statement: "UPDATE orders SET state = 'paid'"},
	}}
	if !r.GetBlocked() {
		out.Transactions = append(out.Transactions, &adminpb.Transaction{Node: 3, User: "root", State: "active", Isolation: "repeatable read", Began: ago(time.Second)})
	}
	return out, nil
}
