package sql

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// TestWeights: a statement that names its rows is short, whatever it does with them.
func TestWeights(t *testing.T) {
	_, c := slowFixture(t)
	c.run(createT)
	values := "(1, 'x')" + strings.Repeat(", (2, 'y')", 100)
	for text, want := range map[string]queryplan.Weight{
		"select 1":                queryplan.Free,
		"select version(), now()": queryplan.Free,
		"select count(*) from pg_catalog.pg_class":                          queryplan.Free,
		"select * from pg_class c join pg_namespace n on true":              queryplan.Free,
		"select * from t where id = 1":                                      queryplan.Short,
		"select * from t where id in (1, 2, 3)":                             queryplan.Short,
		"insert into t (id, name) values (1, 'x')":                          queryplan.Short,
		"update t set name = 'y' where id = 1":                              queryplan.Short,
		"delete from t where id = 1":                                        queryplan.Short,
		"select * from t":                                                   queryplan.Long,
		"select count(*) from t":                                            queryplan.Long,
		"select * from t where id > 1":                                      queryplan.Long,
		"select * from t, pg_class":                                         queryplan.Long,
		"select count(*) from generate_series(1, 1000000)":                  queryplan.Long,
		"insert into t (id, name) values " + values:                         queryplan.Long,
		"insert into t (id, name) select id + 10, name from t":              queryplan.Long,
		"update t set name = 'y'":                                           queryplan.Long,
		"delete from t where name = 'x'":                                    queryplan.Long,
		"select * from t where id in (0" + strings.Repeat(", 1", 100) + ")": queryplan.Long,
	} {
		p, err := c.session.Prepare(t.Context(), text, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := p.plan.Weight(); got != want {
			t.Errorf("%.60s: weight %d, want %d", text, got, want)
		}
	}
}

// line waits until so many statements wait.
func (f *fixture) line(q *admission.Queue, waiting int) {
	f.t.Helper()
	tick, patience := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for q.Usage().Waiting != waiting {
		select {
		case <-tick.C:
		case <-patience:
			f.t.Fatalf("%+v: want %d to wait", q.Usage(), waiting)
		}
	}
}

// TestStatementsWaitForTheirTurn fills a node's places: what needs one waits, for as
// long as it may and its client wants; what cannot even wait is refused; what needs
// none, and who has begun a transaction, goes on.
func TestStatementsWaitForTheirTurn(t *testing.T) {
	f := newFixture(t, nil)
	f.server.cfg.Long = admission.New("long", 1, 1)
	c, tx, other := f.open(), f.open(), f.open()
	c.run(createT)
	c.run("insert into t (id, name) values (1, 'x')")
	tx.run("begin")
	tx.want("1\nSELECT 1", "select count(*) from t")
	place, err := f.server.cfg.Long.Take(t.Context(), false) // somebody runs
	if err != nil {
		t.Fatal(err)
	}

	c.want("SET", "set statement_timeout = '20ms'")
	c.want("57014 canceling statement due to statement timeout", "select count(*) from t")
	c.want("SET", "set statement_timeout = 0")
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan string, 3)
	go func() { waits <- c.runContext(ctx, "select count(*) from t") }()
	f.line(f.server.cfg.Long, 1)

	const refused = "53000 too many statements wait to run on this node / 1 long statements run and 1 wait. Nothing of this one was done."
	other.want(refused, "select count(*) from t")
	other.run("begin")
	other.want(refused, "select count(*) from t") // it has done nothing yet
	other.want("ROLLBACK", "rollback")
	other.want("1\nSELECT 1", "select 1")
	other.want("1|x\nSELECT 1", "select id, name from t where id = 1")
	other.want("0\nSHOW", "show statement_timeout")
	cancel()
	if got := <-waits; got != "57014 canceling statement due to user request" {
		t.Errorf("a cancelled statement that waits: %s", got)
	}

	go func() { waits <- "other: " + other.run("select count(*) from t") }()
	f.line(f.server.cfg.Long, 1)
	go func() { waits <- "tx: " + tx.run("select count(*) from t") }()
	f.line(f.server.cfg.Long, 2)
	place.End()
	if first, second := <-waits, <-waits; first != "tx: 1\nSELECT 1" || second != "other: 1\nSELECT 1" {
		t.Errorf("the transaction that has begun does not go first: %s, then %s", first, second)
	}
	tx.want("COMMIT", "commit")
	if u := f.server.cfg.Long.Usage(); u.Running != 0 || u.Refused != 2 {
		t.Errorf("at the end: %+v", u)
	}
}

// TestFailedStatementsGiveTheirPlaceBack.
func TestFailedStatementsGiveTheirPlaceBack(t *testing.T) {
	f := newFixture(t, nil)
	f.server.cfg.Long, f.server.cfg.Short = admission.New("long", 1, 0), admission.New("short", 1, 0)
	c := f.open()
	c.run(createT)
	c.run("insert into t (id, name) values (1, 'x')")
	for i := range 3 {
		if got := c.run("select 1 / (id - 1) from t"); !strings.HasPrefix(got, "22012") {
			t.Errorf("scan %d: %s", i, got)
		}
		if got := c.run(fmt.Sprintf("insert into t (id, name) values (1, 'y%d')", i)); !strings.HasPrefix(got, "23505") {
			t.Errorf("insert %d: %s", i, got)
		}
	}
	if l, s := f.server.cfg.Long.Usage(), f.server.cfg.Short.Usage(); l.Running != 0 || s.Running != 0 {
		t.Errorf("%+v %+v", l, s)
	}
}
