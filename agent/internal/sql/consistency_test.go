package sql

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
)

func TestReadConsistencyIsOneOfThree(t *testing.T) {
	c := newFixture(t, nil).open()
	c.want("strong\nSHOW", "show nodedb.read_consistency")
	for set, shown := range map[string]string{
		"'strong'": "strong", "EVENTUAL": "eventual", "'bounded_staleness:10'": "bounded_staleness:10", "'Bounded_Staleness: 0.50 '": "bounded_staleness:0.5",
	} {
		c.want("SET", "set nodedb.read_consistency = "+set)
		c.want(shown+"\nSHOW", "show nodedb.read_consistency")
	}
	for _, bad := range []string{"'weak'", "'bounded_staleness'", "'bounded_staleness:'", "'bounded_staleness:0'", "'bounded_staleness:-1'", "'bounded_staleness:NaN'", "'bounded_staleness:1e9'", "'bounded_staleness:10s'", "''"} {
		if got := c.run("set nodedb.read_consistency = " + bad); !strings.HasPrefix(got, `22023 invalid value for parameter "nodedb.read_consistency"`) {
			t.Errorf("%s: %s", bad, got)
		}
	}
	if _, err := settings.New(settings.NewTable(), "u").Check("nodedb.read_consistency", "x"); !strings.Contains(err.Hint, "bounded_staleness:10") {
		t.Errorf("the hint: %s", err.Hint)
	}
}

func TestReadConsistencyAtTheStart(t *testing.T) {
	f := newFixture(t, nil)
	f.open(func(o *SessionOptions) {
		o.Params = map[string]string{"nodedb.read_consistency": "bounded_staleness:5"}
	}).
		want("bounded_staleness:5\nSHOW", "show nodedb.read_consistency")
	_, err := f.server.Open(t.Context(), SessionOptions{User: "root", Params: map[string]string{"nodedb.read_consistency": "sometimes"}})
	if err == nil || AsError(err).Code != "22023" || AsError(err).Hint == "" {
		t.Errorf("a start with a wrong value: %v", err)
	}
}

// TestWhichStatementsReadThePast looks at what reads are asked for, statement by statement.
func TestWhichStatementsReadThePast(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int8 primary key, v int8)")
	c.run("insert into t values (1, 1), (2, 2)")
	c.want("SET", "set nodedb.read_consistency = 'bounded_staleness:10'")
	reads := func(sql string) kv.Reading {
		t.Helper()
		f.db.reading = kv.Reading{}
		c.run(sql)
		return f.db.reading
	}
	past := func(want bool, sql string) {
		t.Helper()
		if r := reads(sql); r.Past() != want || want && (r.Consistency != kv.Bounded || r.Within != 10*time.Second) {
			t.Errorf("%s: %+v, want the past: %v", sql, r, want)
		}
	}
	past(true, "select v from t where id = 1")
	past(true, "select v from t")
	past(false, "select v from t where id = 1 for update")
	past(false, "update t set v = v + 1 where v = 1")
	past(false, "insert into t select id + 10, v from t")
	c.run("begin")
	past(false, "select v from t where id = 1")
	c.run("commit")
	c.run("begin read only")
	past(true, "select v from t where id = 1")
	past(true, "select v from t")
	c.run("commit")
	c.run("begin isolation level repeatable read read only")
	past(true, "select v from t where id = 1")
	c.run("commit")
	c.run("set nodedb.read_consistency = strong")
	past(false, "select v from t where id = 1")
}
