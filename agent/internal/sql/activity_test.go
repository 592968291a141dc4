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
