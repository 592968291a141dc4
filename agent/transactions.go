package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// methodTransactions lists the transactions of the node that is called.
const methodTransactions = "txn.list"

// transactions are those that this node is the gateway of.
func (n *Node) transactions() []cluster.Transaction {
	return transactionsOf(n.id.Node, n.sqlSessions(), n.txns.List(), n.clock.Physical())
}

// sessionStates are what a transaction does while its session does that.
var sessionStates = map[cluster.SessionState]cluster.TransactionState{
	cluster.SessionActive: cluster.TransactionActive, cluster.SessionInTransaction: cluster.TransactionIdle, cluster.SessionAborted: cluster.TransactionFailed,
	cluster.SessionIdle: cluster.TransactionIdle,
}

// transactionsOf are the transactions that a node coordinates, and those that its
// sessions are in and no range has heard of yet. A session may have several: each of its
// advisory locks is held by one.
func transactionsOf(node cluster.NodeID, sessions []cluster.Session, open []txn.Status, now time.Time) []cluster.Transaction {
	by := map[uint32]*cluster.Session{}
	for i := range sessions {
		by[sessions[i].PID] = &sessions[i]
	}
	var out []cluster.Transaction
	known := map[uint32]bool{} // sessions whose transaction is among open
	for i := range open {
		x := by[open[i].Info.PID]
		if x != nil && open[i].State <= txn.Committing && open[i].Info.Started.Equal(x.TransactionAt) {
			known[x.PID] = true
		}
		out = append(out, coordinated(node, &open[i], x, now))
	}
	for i := range sessions {
		if x := &sessions[i]; !x.TransactionAt.IsZero() && !known[x.PID] {
			out = append(out, cluster.Transaction{
				Node: node, PID: x.PID, User: x.User, Application: x.Application, State: sessionStates[x.State], Isolation: x.Isolation, Began: x.TransactionAt,
				Statement: x.Statement, StatementAt: x.StatementAt,
			})
		}
	}
	return out
}

// coordinated is a transaction as it is shown; x is its session, if that is there.
func coordinated(node cluster.NodeID, s *txn.Status, x *cluster.Session, now time.Time) cluster.Transaction {
	t := cluster.Transaction{
		ID: s.ID.String(), Node: node, PID: s.Info.PID, User: s.Info.User, Application: s.Info.Application, Isolation: s.Isolation.String(), Began: now.Add(-s.Age),
		Locks: s.LockedRows, Ranges: s.Ranges, RangeIDs: s.RangeIDs, State: cluster.TransactionIdle,
	}
	if !s.Info.Started.IsZero() {
		t.Began = s.Info.Started
	}
	if x != nil {
		t.State, t.Statement, t.StatementAt = sessionStates[x.State], x.Statement, x.StatementAt
	}
	switch {
	case s.State > txn.Committing:
		t.State = cluster.TransactionEnded
	case len(s.WaitsFor) > 0:
		t.State, t.WaitsSince = cluster.TransactionWaiting, now.Add(-s.Waits)
		for _, id := range s.WaitsFor {
			t.WaitsFor = append(t.WaitsFor, cluster.TransactionRef{ID: id.String(), Node: id.Node()})
		}
	case s.State == txn.Committing:
		t.State = cluster.TransactionCommitting
	}
	return t
}

// transactionMethods answer the other nodes.
func (n *Node) transactionMethods() map[string]method {
	return map[string]method{
		methodTransactions: func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return json.Marshal(n.transactions()) },
	}
}

// Transactions implements admin.Sessions.
func (b *backend) Transactions(ctx context.Context, perNode time.Duration) ([]cluster.Transaction, []cluster.NodeID) {
	found, missing := askNodes(ctx, b.n, perNode, methodTransactions, nil, b.n.transactions)
	var out []cluster.Transaction
	for _, list := range found {
		out = append(out, list...)
	}
	cluster.LinkTransactions(out)
	return out, missing
}

// Transactions implements clusterview.Views.
func (v *clusterViews) Transactions(ctx context.Context) ([]cluster.Transaction, []cluster.NodeID) {
	return (&backend{v.n}).Transactions(ctx, shownWait)
}
