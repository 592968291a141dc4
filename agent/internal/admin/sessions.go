package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ListSessions implements adminpb.AdminHandler.
func (s *service) ListSessions(ctx context.Context, r *adminpb.ListSessionsRequest) (*adminpb.ListSessionsResponse, error) {
	if len(r.GetNodes()) > 0 {
		if _, err := s.known(r.GetNodes()); err != nil {
			return nil, err
		}
	}
	found, missing := s.backend.Sessions(ctx, perNode(r.GetNodeTimeout()))
	out := &adminpb.ListSessionsResponse{AsOf: s.asOf()}
	out.AsOf.Missing, out.AsOf.Complete = nodeIDs(missing), len(missing) == 0
	for _, node := range sortedKeys(found) {
		if len(r.GetNodes()) > 0 && !slices.Contains(r.GetNodes(), uint32(node)) {
			continue
		}
		for i := range found[node] {
			if x := &found[node][i]; r.GetUser() == "" || x.User == r.GetUser() {
				out.Sessions = append(out.Sessions, sessionProto(caller(ctx), x))
			}
		}
	}
	return out, nil
}

// sessionProto is what a caller may see of a session: viewers neither the statements
// nor the addresses of others, as in pg_stat_activity.
func sessionProto(who auth.Principal, x *cluster.Session) *adminpb.Session {
	out := &adminpb.Session{
		Pid: x.PID, Node: uint32(x.Node), User: x.User, Application: x.Application, Client: x.Client, State: string(x.State), Since: timestamp(x.Since),
		Began: timestamp(x.Began), Statement: x.Statement, StatementAt: timestamp(x.StatementAt), TransactionAt: timestamp(x.TransactionAt),
	}
	if who.Role < auth.RoleOperator && who.Name != x.User {
		out.Client, out.Statement, out.Hidden = "", "", true
	}
	return out
}

// CancelSession implements adminpb.AdminHandler. It is recorded before it is done: what
// cannot be recorded is not done.
func (s *service) CancelSession(ctx context.Context, r *adminpb.CancelSessionRequest) (*adminpb.CancelSessionResponse, error) {
	x, err := s.session(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &adminpb.CancelSessionResponse{Session: sessionProto(caller(ctx), x)}
	if !r.GetTerminate() && x.State != cluster.SessionActive {
		return out, nil // there is nothing to cancel
	}
	if _, err := s.propose(ctx, metastate.Command{EndSession: &metastate.EndSession{
		Node: x.Node, PID: x.PID, User: x.User, Application: x.Application, Terminate: r.GetTerminate(), Reason: r.GetReason(),
	}}); err != nil {
		return nil, err
	}
	_, out.Ended, err = s.backend.EndSession(ctx, x.Node, x.PID, r.GetTerminate()) // it may have ended by itself meanwhile
	if err != nil {
		return nil, err
	}
	return out, nil
}

// session finds the session that is to be ended.
func (s *service) session(ctx context.Context, r *adminpb.CancelSessionRequest) (*cluster.Session, error) {
	found, missing := s.backend.Sessions(ctx, perNode(r.GetNodeTimeout()))
	for _, list := range found {
		if i := slices.IndexFunc(list, func(x cluster.Session) bool { return x.PID == r.GetPid() }); i >= 0 {
			return &list[i], nil
		}
	}
	if len(missing) > 0 {
		return nil, &Error{Kind: KindUnavailable, Message: fmt.Sprintf("no node that answers has a session %d; no answer from %s", r.GetPid(), nodeNames(missing))}
	}
	return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no session %d: nodedbctl sessions lists them", r.GetPid())}
}

// ListTransactions implements adminpb.AdminHandler.
func (s *service) ListTransactions(ctx context.Context, r *adminpb.ListTransactionsRequest) (*adminpb.ListTransactionsResponse, error) {
	if len(r.GetNodes()) > 0 {
		if _, err := s.known(r.GetNodes()); err != nil {
			return nil, err
		}
	}
	found, missing := s.backend.Transactions(ctx, perNode(r.GetNodeTimeout()))
	out := &adminpb.ListTransactionsResponse{AsOf: s.asOf()}
	out.AsOf.Missing, out.AsOf.Complete = nodeIDs(missing), len(missing) == 0
	for i := range found {
		t := &found[i]
		switch {
		case r.GetBlocked() && len(t.WaitsFor)+len(t.Blocks) == 0,
			len(r.GetNodes()) > 0 && !slices.Contains(r.GetNodes(), uint32(t.Node)),
			r.GetUser() != "" && t.User != r.GetUser():
			continue
		}
		out.Transactions = append(out.Transactions, transactionProto(caller(ctx), t))
	}
	return out, nil
}

// transactionProto is what a caller may see of a transaction.
func transactionProto(who auth.Principal, t *cluster.Transaction) *adminpb.Transaction {
	out := &adminpb.Transaction{
		Id: t.ID, Node: uint32(t.Node), Pid: t.PID, User: t.User, Application: t.Application, State: string(t.State), Isolation: t.Isolation, Began: timestamp(t.Began),
		Locks: uint32(t.Locks), Ranges: uint32(t.Ranges), RangeIds: rangeIDs(t.RangeIDs), WaitsFor: refs(t.WaitsFor), WaitsSince: timestamp(t.WaitsSince), Blocks: refs(t.Blocks),
		Statement: t.Statement, StatementAt: timestamp(t.StatementAt),
	}
	if who.Role < auth.RoleOperator && who.Name != t.User {
		out.Statement, out.Hidden = "", true
	}
	return out
}

func refs(ts []cluster.TransactionRef) []*adminpb.TransactionRef {
	var out []*adminpb.TransactionRef
	for _, t := range ts {
		out = append(out, &adminpb.TransactionRef{Id: t.ID, Node: uint32(t.Node), Pid: t.PID})
	}
	return out
}
