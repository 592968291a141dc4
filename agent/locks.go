package agent

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

const (
	// methodLocks lists the locks in the ranges that the node that is called leads.
	methodLocks = "txn.locks"
	// locksShown bounds what one node tells of them: a person reads no more.
	locksShown = 1000
	// locksWait is how long the loop may take to name the tables.
	locksWait = time.Second
)

// lockModes are the modes of strengths.
var lockModes = map[lock.Strength]cluster.LockMode{
	lock.KeyShare: cluster.LockKeyShare, lock.Share: cluster.LockShare, lock.NoKeyUpdate: cluster.LockNoKeyUpdate, lock.Update: cluster.LockUpdate,
}

// locks are those in the ranges that this node leads.
func (n *Node) locks(ctx context.Context) ([]cluster.RowLock, error) {
	ctx, cancel := context.WithTimeout(ctx, locksWait)
	defer cancel()
	found, err := n.store.Locks(ctx, locksShown)
	if err != nil {
		return nil, err
	}
	var out []cluster.RowLock
	for _, r := range found {
		for i := range r.Locks {
			l := &r.Locks[i]
			row, err := keys.DecodeRow(l.Row)
			if err != nil {
				return nil, err
			}
			out = append(out, cluster.RowLock{
				Range: r.Range, Node: n.id.Node, Transaction: hex.EncodeToString(l.ID[:]), Collection: row.Collection, Key: row.Primary, Mode: lockModes[l.Strength], Granted: l.Granted,
			})
		}
	}
	return out, nil
}

// lockMethods answer the other nodes.
func (n *Node) lockMethods() map[string]method {
	return map[string]method{
		methodLocks: func(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
			locks, err := n.locks(ctx)
			if err != nil {
				return nil, err
			}
			return json.Marshal(locks)
		},
	}
}

// Locks implements clusterview.Views.
func (v *clusterViews) Locks(ctx context.Context) ([]cluster.RowLock, []cluster.NodeID) {
	var failed error
	found, missing := askNodes(ctx, v.n, shownWait, methodLocks, nil, func() (own []cluster.RowLock) {
		own, failed = v.n.locks(ctx)
		return own
	})
	if failed != nil {
		missing = append(missing, v.n.id.Node)
	}
	var out []cluster.RowLock
	for _, list := range found {
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(a, b cluster.RowLock) int { return cmp.Compare(a.Range, b.Range) })
	return out, missing
}
