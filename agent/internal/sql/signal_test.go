package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// fakeEnder has sessions that end when they are told to, unless they are stubborn.
type fakeEnder struct {
	did    []string
	gone   map[uint32]bool
	silent cluster.NodeID
}

func (e *fakeEnder) EndSession(_ context.Context, node cluster.NodeID, pid uint32, terminate bool) (there, ended bool, err error) {
	if node == e.silent {
		return false, false, errors.New("no answer")
	}
	e.did = append(e.did, fmt.Sprintf("%s %d %v", node, pid, terminate))
	return !e.gone[pid], true, nil
}

// TestSignals: pg_cancel_backend and pg_terminate_backend find the session on any node,
// say what PostgreSQL says, and leave a record where it is another user's.
func TestSignals(t *testing.T) {
	f := newFixture(t, startDuck(t))
	ender := &fakeEnder{gone: map[uint32]bool{52: true}, silent: 4}
	views := fakeViews{meta: f.meta, server: f.server, elsewhere: []cluster.Session{
		{Node: 1, PID: 50, User: "alice", State: cluster.SessionIdle}, {Node: 1, PID: 51, User: "root", State: cluster.SessionActive, Application: "report"},
		{Node: 1, PID: 52, User: "alice", State: cluster.SessionActive}, {Node: 4, PID: 54, User: "alice", State: cluster.SessionIdle},
		{Node: 1, PID: 55, User: "bob", State: cluster.SessionIdle},
	}}
	f.server.cfg.Views, f.server.cfg.Ender = views, ender
	var denied []string
	f.server.cfg.Denied = func(d Denial) { denied = append(denied, d.Statement) }
	did := func(want ...string) {
		t.Helper()
		if !slices.Equal(ender.did, want) {
			t.Errorf("did %q, want %q", ender.did, want)
		}
		ender.did = nil
	}
	const yes, no = "t\nSELECT 1", "f\nSELECT 1"
	alice, root := f.open(), f.open(func(o *SessionOptions) { o.User, o.PID = "root", 8 })
	alice.want(yes, "select pg_cancel_backend(50)")
	alice.want(yes, "select pg_catalog.pg_terminate_backend($1)", "50")
	did("n1 50 false", "n1 50 true")
	alice.want("NULL\nSELECT 1", "select pg_terminate_backend(null)")
	for call, warning := range map[string]string{
		"pg_cancel_backend(99)":        "PID 99 is not a PostgreSQL backend process",
		"pg_terminate_backend(-1)":     "PID -1 is not a PostgreSQL backend process",
		"pg_terminate_backend(52)":     "PID 52 is not a PostgreSQL backend process", // it ended meanwhile
		"pg_terminate_backend(54)":     "could not send signal to process 54: n4 does not answer",
		"pg_terminate_backend(50, 60)": "backend with PID 50 did not terminate within 60 milliseconds",
		"pg_terminate_backend(50, 1)":  "backend with PID 50 did not terminate within 1 millisecond",
	} {
		alice.want(no, "select "+call)
		alice.wantNotice("WARNING: " + warning)
	}
	ender.did = nil
	alice.want(`22003 "timeout" must not be negative`, "select pg_terminate_backend(50, -1)")
	last := f.meta.View().Audit.Last
	alice.want("42501 permission denied for pg_cancel_backend of another user's session / pg_cancel_backend of another user's session needs the role operator; \"alice\" has none.", "select pg_cancel_backend(51)")
	alice.want("42501 permission denied for pg_terminate_backend of another user's session / pg_terminate_backend of another user's session needs the role operator; \"alice\" has none.", "select pg_terminate_backend(55)")
	if len(denied) != 2 || f.meta.View().Audit.Last != last {
		t.Errorf("denied %q, want both; %d records of what was not done", denied, f.meta.View().Audit.Last-last)
	}
	did()
	root.want(yes, "select pg_cancel_backend(55)") // it does nothing: there is nothing to record
	if f.meta.View().Audit.Last != last {
		t.Error("a cancel of nothing is recorded")
	}
	root.want(yes, "select pg_terminate_backend(55, 0)")
	events := f.meta.View().Events
	if e := events[len(events)-1]; f.meta.View().Audit.Last != last+1 || e.Kind != cluster.EventSessionTerminated || e.Text != "session 55 on n1, user bob, is ended" {
		t.Errorf("%d records, last event %+v; want that the session was ended", f.meta.View().Audit.Last-last, e)
	}
	did("n1 55 false", "n1 55 true")
	views.silent = []cluster.NodeID{3}
	f.server.cfg.Views = views
	root.want(no, "select pg_terminate_backend(99)")
	root.wantNotice("WARNING: PID 99 is not a PostgreSQL backend process of a node that answers; no answer from n3")
}

// TestSignalsByQuery: the process ids come from a query, as most people write it.
func TestSignalsByQuery(t *testing.T) {
	f := newFixture(t, startDuck(t))
	ender := &fakeEnder{}
	f.server.cfg.Ender = ender
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server, elsewhere: []cluster.Session{
		{Node: 1, PID: 50, User: "root", State: cluster.SessionIdle, Application: "a"}, {Node: 2, PID: 51, User: "root", State: cluster.SessionIdle, Application: "b"},
	}}
	c := f.open(func(o *SessionOptions) { o.User = "root" })
	c.want("50|t\n51|t\nSELECT 2", "select pid, pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() order by pid")
	c.want("t|b\nSELECT 1", "select pg_cancel_backend(pid) as done, application from nodedb_internal.sessions where pid = $1", "51")
	c.want("50|t\nSELECT 1", "select pid, pg_terminate_backend(pid, 0) from pg_stat_activity where application_name = 'a' limit 1")
	c.run("create table victims (id int8 primary key)")
	c.run("insert into victims values (51)")
	c.want("t\nSELECT 1", "select pg_terminate_backend(id) from victims")
	if want := []string{"n1 50 true", "n2 51 true", "n2 51 false", "n1 50 true", "n2 51 true"}; !slices.Equal(ender.did, want) {
		t.Errorf("did %q, want %q", ender.did, want)
	}
	if p, err := c.session.Prepare(t.Context(), "select a.*, pg_terminate_backend(pid) from pg_stat_activity a", nil); err != nil || p.Columns[len(p.Columns)-1].Name != "pg_terminate_backend" || p.Columns[len(p.Columns)-1].OID != 16 {
		t.Errorf("columns %+v, %v", p, err)
	}
	ender.did = nil
	for statement, want := range map[string]string{
		"select count(*) from (select pg_terminate_backend(pid) from pg_stat_activity) x": "0A000 pg_terminate_backend anywhere but as a column of SELECT ... FROM, without DISTINCT or GROUP BY, is not supported",
		"select pid from pg_stat_activity where pg_cancel_backend(pid)":                   "0A000 pg_cancel_backend anywhere but as a column of SELECT ... FROM, without DISTINCT or GROUP BY, is not supported",
		"select distinct pg_cancel_backend(pid) from pg_stat_activity":                    "0A000 pg_cancel_backend anywhere but as a column of SELECT ... FROM, without DISTINCT or GROUP BY, is not supported",
		"select pg_cancel_backend(usename) from pg_stat_activity":                         "42883 function pg_cancel_backend(name) does not exist",
		"select pg_cancel_backend(pid, 5) from pg_stat_activity":                          "42883 function pg_cancel_backend(integer, integer) does not exist",
		"select pg_terminate_backend()":                                                   "42883 function pg_terminate_backend() does not exist",
	} {
		c.want(want, statement)
	}
	if out := c.run("explain select pg_terminate_backend(pid) from pg_stat_activity"); len(ender.did) > 0 {
		t.Errorf("did %q for an error or\n%s", ender.did, out)
	}
}
