package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// methodTransactions lists the transactions of the node that is called.
const methodTransactions = "txn.list"

// transactions are those that this node is the gateway of.
func (n *Node) transactions() []cluster.Transaction { return transactionsOf(n.sessions()) }

// transactionsOf are the transactions that sessions are in.
func transactionsOf(sessions []cluster.Session) []cluster.Transaction {
	states := map[cluster.SessionState]cluster.TransactionState{
		cluster.SessionActive: cluster.TransactionActive, cluster.SessionInTransaction: cluster.TransactionIdle, cluster.SessionAborted: cluster.TransactionFailed,
	}
	var out []cluster.Transaction
	for i := range sessions {
		x := &sessions[i]
		if x.TransactionAt.IsZero() {
			continue
		}
		out = append(out, cluster.Transaction{
			Node: x.Node, PID: x.PID, User: x.User, Application: x.Application, State: states[x.State], Isolation: x.Isolation, Began: x.TransactionAt,
			Statement: x.Statement, StatementAt: x.StatementAt,
		})
	}
	return out
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

// Transactions implements sql.ClusterViews.
func (v *clusterViews) Transactions(ctx context.Context) ([]cluster.Transaction, []cluster.NodeID) {
	return (&backend{v.n}).Transactions(ctx, shownWait)
}
