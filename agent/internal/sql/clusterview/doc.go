// Package clusterview is the rows of SHOW NODES, RANGES, OPERATIONS and the like, made of
// what the meta range and the nodes say. Who may see them is for package sql to say.
package clusterview

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Views is what is needed beyond the meta range.
type Views interface {
	// ClusterStatus asks all nodes how they are, waiting a few seconds at most;
	// missing are those that did not answer.
	ClusterStatus(ctx context.Context) (statuses map[cluster.NodeID]*cluster.NodeStatus, missing []cluster.NodeID)
	// Liveness is what gossip says.
	Liveness() map[cluster.NodeID]cluster.Liveness
	// Sessions are those of all nodes, by process id; missing are the nodes that did
	// not answer within a few seconds. The slice is the caller's.
	Sessions(ctx context.Context) (found []cluster.Session, missing []cluster.NodeID)
	// Transactions are those of all nodes, the oldest first, linked; missing as above.
	Transactions(ctx context.Context) (found []cluster.Transaction, missing []cluster.NodeID)
	// Locks are those of transactions in the ranges of all nodes, as far as they can be
	// shown; missing as above.
	Locks(ctx context.Context) (found []cluster.RowLock, missing []cluster.NodeID)
	// Leader is this node's guess of who leads a range; 0: none.
	Leader(id cluster.RangeID) cluster.NodeID
}

// Source is what the rows are made of, beside a view of the meta range.
type Source struct {
	Node  cluster.NodeID // this one, which knows itself to be alive
	Views Views
	Now   func() time.Time
}
