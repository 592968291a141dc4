package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// TestTransactionsOf: what the coordinator knows of a transaction and what its session
// does come together; a session that no range has heard of is shown too, and an advisory
// lock beside it; what has no session is being cleared away, or belongs to nobody.
func TestTransactionsOf(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	id := func(n uint64, node cluster.NodeID) cluster.TxnID { return cluster.NewTxnID(n, node, 1) }
	sessions := []cluster.Session{
		{PID: 10, User: "app", State: cluster.SessionActive, TransactionAt: at, Isolation: "read committed", Statement: "update", StatementAt: at},
		{PID: 11, User: "app", State: cluster.SessionInTransaction, TransactionAt: at, Isolation: "repeatable read"},
		{PID: 12, User: "app", State: cluster.SessionIdle},
		{PID: 13, User: "app", State: cluster.SessionAborted, TransactionAt: at},
	}
	got := transactionsOf(1, sessions, []txn.Status{
		{ID: id(1, 1), Info: txn.Info{PID: 10, User: "app", Started: at}, WaitsFor: []cluster.TxnID{id(9, 3)}, Waits: 2 * time.Second, LockedRows: 7, Ranges: 2, RangeIDs: []cluster.RangeID{4, 9}},
		{ID: id(2, 1), Info: txn.Info{PID: 11, User: "app", Started: at.Add(-time.Hour)}, LockedRows: 1}, // an advisory lock
		{ID: id(3, 1), Info: txn.Info{PID: 13, User: "app", Started: at}},
		{ID: id(4, 1), Info: txn.Info{PID: 12, User: "app", Started: at}, State: txn.Committed},
		{ID: id(5, 1), Info: txn.Info{PID: 10, User: "app", Started: at.Add(-time.Minute)}, State: txn.Committing},
	}, at.Add(time.Minute))
	type short struct {
		id    string
		pid   uint32
		state cluster.TransactionState
		locks int
	}
	want := []short{
		{id(1, 1).String(), 10, cluster.TransactionWaiting, 7}, {id(2, 1).String(), 11, cluster.TransactionIdle, 1}, {id(3, 1).String(), 13, cluster.TransactionFailed, 0},
		{id(4, 1).String(), 12, cluster.TransactionEnded, 0}, {id(5, 1).String(), 10, cluster.TransactionCommitting, 0}, {"", 11, cluster.TransactionIdle, 0},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d transactions, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		if g := (short{got[i].ID, got[i].PID, got[i].State, got[i].Locks}); g != w {
			t.Errorf("%d: got %+v, want %+v", i, g, w)
		}
	}
	first := got[0]
	if len(first.WaitsFor) != 1 || first.WaitsFor[0] != (cluster.TransactionRef{ID: id(9, 3).String(), Node: 3}) || !first.WaitsSince.Equal(at.Add(58*time.Second)) || first.Statement != "update" || !slices.Equal(first.RangeIDs, []cluster.RangeID{4, 9}) {
		t.Errorf("the one that waits: %+v", first)
	}
}
