package sql

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestActivityOfAllNodes: pg_stat_activity shows the sessions of all nodes with what
// they do; who may not see a statement is told so, and who does not answer is named.
func TestActivityOfAllNodes(t *testing.T) {
	f, c := slowFixture(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server, silent: []cluster.NodeID{3}, elsewhere: []cluster.Session{
		{Node: 2, PID: 1 << 21, User: "bob", Application: "billing", Client: "10.0.0.7:4711", State: cluster.SessionInTransaction, Began: at, Since: at.Add(2 * time.Minute),
			Statement: "update accounts set n = 7", StatementAt: at.Add(time.Minute), TransactionAt: at.Add(time.Second)},
		{Node: 2, PID: 1<<21 + 1, User: "alice", Client: "10.0.0.8:4712", State: cluster.SessionIdle, Began: at, Since: at, Statement: "select 1", StatementAt: at},
	}}
	const query = "select pid, state, query, client_addr, client_port, xact_start at time zone 'UTC', wait_event_type, wait_event from pg_stat_activity where pid > 1000 order by pid"
	c.want("2097152|idle in transaction|<insufficient privilege>|NULL|NULL|2026-11-01 12:00:01|Client|ClientRead\n"+
		"2097153|idle|select 1|10.0.0.8|4712|NULL|Client|ClientRead\nSELECT 2", query)
	if len(c.notices) != 1 || c.notices[0] != "WARNING: the sessions of n3 are not shown: no answer" {
		t.Errorf("notices %q", c.notices)
	}
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.want("2097152|idle in transaction|update accounts set n = 7|10.0.0.7|4711|2026-11-01 12:00:01|Client|ClientRead\n"+
		"2097153|idle|select 1|10.0.0.8|4712|NULL|Client|ClientRead\nSELECT 2", query)
}

// TestActivityOfATransaction: a session in a transaction says since when, also once
// that has failed, and no more when it has ended.
func TestActivityOfATransaction(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.server.cfg.Now = func() time.Time { now = now.Add(time.Second); return now }
	state := func() (cluster.SessionState, bool) {
		s := f.server.Sessions()[0]
		return s.State, s.TransactionAt.Equal(time.Date(2026, 11, 1, 12, 0, 1, 0, time.UTC))
	}
	c.run("begin")
	c.run("select 1")
	if s, since := state(); s != cluster.SessionInTransaction || !since {
		t.Errorf("in a transaction: %q, since its beginning: %v", s, since)
	}
	c.run("select nothing")
	c.session.FailTx()
	if s, since := state(); s != cluster.SessionAborted || !since {
		t.Errorf("after an error: %q, since its beginning: %v", s, since)
	}
	c.run("rollback")
	if s := f.server.Sessions()[0]; s.State != cluster.SessionIdle || !s.TransactionAt.IsZero() {
		t.Errorf("after the transaction: %+v", s)
	}
}

// TestShowSessionsAndTransactions: SHOW and the tables of nodedb_internal show what the
// admin API shows.
func TestShowSessionsAndTransactions(t *testing.T) {
	f, c := slowFixture(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server,
		elsewhere: []cluster.Session{{Node: 2, PID: 20, User: "bob", State: cluster.SessionIdle, Began: at, Since: at}},
		txns: []cluster.Transaction{
			{ID: "a0", Node: 2, PID: 20, User: "bob", State: cluster.TransactionIdle, Isolation: "read committed", Began: at, Locks: 7, Ranges: 2, Statement: "select 1", Blocks: []cluster.TransactionRef{{ID: "b0", Node: 1, PID: 7}}},
			{ID: "b0", Node: 1, PID: 7, User: "root", State: cluster.TransactionWaiting, Isolation: "repeatable read", Began: at, WaitsFor: []cluster.TransactionRef{{ID: "a0", Node: 2, PID: 20}, {ID: "c0", Node: 3}}, WaitsSince: at.Add(time.Second)},
		}}
	c.want("42501 permission denied for SHOW SESSIONS / SHOW SESSIONS needs the role viewer; \"alice\" has none.", "show sessions")
	c.want("42501 permission denied for SHOW TRANSACTIONS / SHOW TRANSACTIONS needs the role viewer; \"alice\" has none.", "show transactions")
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.want("20|n2|bob|idle\nSELECT 1", "select pid, node, username, state from nodedb_internal.sessions where node = 'n2'")
	const first = "a0|n2|20|bob|NULL|idle|read committed|2026-11-01 12:00:00+00|7|2|NULL|NULL|NULL|7|select 1\n" +
		"b0|n1|7|root|NULL|waiting|repeatable read|2026-11-01 12:00:00+00|0|0|2026-11-01 12:00:01+00|a0,c0|20|NULL|NULL\n"
	root.want(first+"SHOW", "show transactions")
	root.want("20|7\nSELECT 1", "select pid, blocks_pids from nodedb_internal.transactions where blocks_pids is not null")
}

// TestLocksOfAllNodes: pg_locks shows row locks and advisory locks with whose they are.
func TestLocksOfAllNodes(t *testing.T) {
	f, c := slowFixture(t)
	c.run(createT)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	table, _ := f.meta.View().Collection("t")
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server,
		txns: []cluster.Transaction{{ID: "a0", Node: 2, PID: 20, Began: at}, {ID: "b0", Node: 1, PID: 10, Began: at, WaitsSince: at}},
		locks: []cluster.RowLock{
			{Range: 2, Node: 1, Transaction: "a0", Collection: table.ID, Key: []byte{1}, Mode: cluster.LockUpdate, Granted: true},
			{Range: 2, Node: 1, Transaction: "b0", Collection: table.ID, Key: []byte{1}, Mode: cluster.LockShare},
			{Range: 3, Node: 2, Transaction: "c0", Collection: cluster.AdvisoryCollection, Key: []byte{0, 0, 0, 0, 1, 0, 0, 0, 7}, Mode: cluster.LockUpdate, Granted: true},
			{Range: 3, Node: 2, Transaction: "a0", Collection: cluster.AdvisoryCollection, Key: []byte{1, 0, 0, 0, 5, 0, 0, 0, 6}, Mode: cluster.LockShare, Granted: true},
		}}
	c.want("tuple|t|20|AccessExclusiveLock|t|NULL|NULL|NULL|NULL\ntuple|t|10|ShareLock|f|2026-11-01 12:00:00|NULL|NULL|NULL\n"+
		"advisory|NULL|20|ShareLock|t|NULL|5|6|2\nadvisory|NULL|NULL|ExclusiveLock|t|NULL|1|7|1\nSELECT 4",
		`select locktype, c.relname, pid, mode, granted, waitstart at time zone 'UTC', classid, objid, objsubid
		 from pg_locks l left join pg_class c on c.oid = l.relation order by locktype desc, granted desc, objid, mode`)
}
