package admin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// sessionRig has two sessions on n1 and one on n2.
func sessionRig(t *testing.T) *rig {
	r := newRig(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	session := func(node cluster.NodeID, pid uint32, user string, state cluster.SessionState) cluster.Session {
		return cluster.Session{Node: node, PID: pid, User: user, Client: "10.0.0.7:4711", State: state, Since: at, Began: at, Statement: "select " + user, StatementAt: at}
	}
	r.backend.sessions = map[cluster.NodeID][]cluster.Session{
		2: {session(2, 30, "app", cluster.SessionActive)},
		1: {session(1, 10, "viewer", cluster.SessionIdle), session(1, 20, "app", cluster.SessionInTransaction)},
	}
	return r
}

// TestListSessions: all nodes' sessions, or those asked for; a viewer sees the
// statements and addresses of the own sessions only.
func TestListSessions(t *testing.T) {
	r := sessionRig(t)
	list := func(user string, ask *adminpb.ListSessionsRequest) (pids []uint32, hidden []bool) {
		t.Helper()
		l, err := r.client(user).ListSessions(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range l.GetSessions() {
			pids, hidden = append(pids, s.GetPid()), append(hidden, s.GetHidden())
			if s.GetHidden() != (s.GetStatement() == "") || s.GetHidden() != (s.GetClient() == "") {
				t.Errorf("session %d to %s: hidden %v, %q from %q", s.GetPid(), user, s.GetHidden(), s.GetStatement(), s.GetClient())
			}
		}
		return pids, hidden
	}
	if pids, hidden := list("operator", &adminpb.ListSessionsRequest{}); !slices.Equal(pids, []uint32{10, 20, 30}) || slices.Contains(hidden, true) {
		t.Errorf("to an operator: %v, hidden %v", pids, hidden)
	}
	if pids, hidden := list("viewer", &adminpb.ListSessionsRequest{}); !slices.Equal(pids, []uint32{10, 20, 30}) || !slices.Equal(hidden, []bool{false, true, true}) {
		t.Errorf("to a viewer: %v, hidden %v", pids, hidden)
	}
	if pids, _ := list("viewer", &adminpb.ListSessionsRequest{Nodes: []uint32{1}, User: "app"}); !slices.Equal(pids, []uint32{20}) {
		t.Errorf("of app on n1: %v", pids)
	}
	if _, err := r.client("viewer").ListSessions(t.Context(), &adminpb.ListSessionsRequest{Nodes: []uint32{9}}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("of a node that is not: %v", err)
	}
	r.backend.silent = []cluster.NodeID{3}
	if l, err := r.client("viewer").ListSessions(t.Context(), &adminpb.ListSessionsRequest{}); err != nil || l.GetAsOf().GetComplete() || !slices.Equal(l.GetAsOf().GetMissing(), []uint32{3}) {
		t.Errorf("without n3: %v %v", l.GetAsOf(), err)
	}
}

// TestCancelSession: it is recorded with who asked and why, then done; a session that
// runs nothing is left alone unless it is to end.
func TestCancelSession(t *testing.T) {
	r := sessionRig(t)
	c := r.client("operator")
	for _, step := range []struct {
		ask   *adminpb.CancelSessionRequest
		ended bool
		want  []string
	}{
		{&adminpb.CancelSessionRequest{Pid: 30, Reason: "slow"}, true, []string{"recorded 30 of app by operator: slow", "n2 30 false"}},
		{&adminpb.CancelSessionRequest{Pid: 20}, false, nil},
		{&adminpb.CancelSessionRequest{Pid: 20, Terminate: true}, true, []string{"recorded 20 of app by operator: ", "n1 20 true"}},
	} {
		r.backend.ended = nil
		a, err := c.CancelSession(t.Context(), step.ask)
		if err != nil || a.GetEnded() != step.ended || a.GetSession().GetUser() != "app" || !slices.Equal(r.backend.ended, step.want) {
			t.Errorf("%v: %v %v, done %q, want %v %q", step.ask, a, err, r.backend.ended, step.ended, step.want)
		}
	}
	if _, err := c.CancelSession(t.Context(), &adminpb.CancelSessionRequest{Pid: 99}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a session that is not: %v", err)
	}
	r.backend.silent = []cluster.NodeID{3}
	if _, err := c.CancelSession(t.Context(), &adminpb.CancelSessionRequest{Pid: 99}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a session that may be on a node that is away: %v", err)
	}
}

// TestListTransactions: with who waits for whom; blocked are only those that take part
// in a wait.
func TestListTransactions(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r.backend.txns = []cluster.Transaction{
		{Node: 3, PID: 30, User: "app", State: cluster.TransactionIdle, Began: at.Add(time.Minute), Statement: "select 1"},
		{ID: "b", Node: 2, PID: 20, User: "app", State: cluster.TransactionWaiting, Began: at.Add(time.Second), WaitsFor: []cluster.TransactionRef{{ID: "a", Node: 1}}, WaitsSince: at.Add(time.Minute)},
		{ID: "a", Node: 1, PID: 10, User: "viewer", State: cluster.TransactionIdle, Began: at, Statement: "select 2", Locks: 7, Ranges: 2, Isolation: "repeatable read"},
	}
	list := func(ask *adminpb.ListTransactionsRequest) []*adminpb.Transaction {
		t.Helper()
		l, err := r.client("viewer").ListTransactions(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		return l.GetTransactions()
	}
	all := list(&adminpb.ListTransactionsRequest{})
	if len(all) != 3 || all[0].GetPid() != 10 || all[0].GetBlocks()[0].GetPid() != 20 || all[1].GetWaitsFor()[0].GetPid() != 10 || all[0].GetLocks() != 7 || all[0].GetRanges() != 2 {
		t.Errorf("got %v", all)
	}
	if all[0].GetStatement() != "select 2" || all[2].GetStatement() != "" || !all[2].GetHidden() {
		t.Errorf("statements: the own %q, another's %q, hidden %v", all[0].GetStatement(), all[2].GetStatement(), all[2].GetHidden())
	}
	if blocked := list(&adminpb.ListTransactionsRequest{Blocked: true}); len(blocked) != 2 {
		t.Errorf("blocked: %v", blocked)
	}
	if one := list(&adminpb.ListTransactionsRequest{Nodes: []uint32{2}, User: "app"}); len(one) != 1 || one[0].GetPid() != 20 {
		t.Errorf("of app on n2: %v", one)
	}
}

// TestCheckNamesTheHolder: of a long wait for a session of another node, which the node of
// who waits does not know, check names both; and whoever looks on changes nothing of what
// the nodes said.
func TestCheckNamesTheHolder(t *testing.T) {
	r := newRig(t)
	wait := func(pid uint32, node cluster.NodeID, holder string) {
		r.backend.statuses[node].Transactions = cluster.TransactionsStatus{Open: 1, Waiting: 1, Longest: cluster.TransactionRef{ID: "w", Node: node, PID: pid}, LongestUser: "app", WaitsFor: cluster.TransactionRef{ID: holder, Node: 1}, WaitSeconds: 31}
	}
	said := func(want ...string) {
		t.Helper()
		check, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rule := range check.GetRules() {
			if rule.GetCode() == "LOCK_WAIT" {
				got = append(got, rule.GetText())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r.backend.txns = []cluster.Transaction{{ID: "a", Node: 1, PID: 10, User: "viewer", State: cluster.TransactionIdle}}
	wait(20, 2, "a")
	wait(30, 3, "a")
	both := []string{
		"session 20 of app on n2 has waited 31 s for locks of session 10 on n1 (waiting on n2: 1)",
		"session 30 of app on n3 has waited 31 s for locks of session 10 on n1 (waiting on n3: 1)",
	}
	said(both...)
	r.backend.txns = nil // its node does not answer any more
	both[0], both[1] = strings.Replace(both[0], "session 10", "a transaction", 1), strings.Replace(both[1], "session 10", "a transaction", 1)
	said(both...)
}
