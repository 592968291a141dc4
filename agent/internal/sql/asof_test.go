package sql

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestAsOfSystemTime reads what a row held between two writes, in all the ways in which
// the time can be said.
func TestAsOfSystemTime(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int8 primary key, v int8)")
	// The fake gives each write a timestamp of its own; the test says when that is.
	begun := time.Now()
	write := func(ago time.Duration, sql string) {
		t.Helper()
		f.db.mu.Lock()
		f.db.ts = hlc.New(begun.Add(-ago))
		f.db.mu.Unlock()
		c.run(sql)
	}
	write(time.Hour, "insert into t values (1, 10)")
	write(time.Minute, "update t set v = 20 where id = 1")
	zoned := begun.Add(-30 * time.Minute).UTC().Format("2006-01-02 15:04:05.999")
	const then, now = "10\nSELECT 1", "20\nSELECT 1"
	for sql, want := range map[string]string{
		"select v from t where id = 1":                                                          now,
		"select v from t as of system time '-30m' where id = 1":                                 then,
		"select v from t AS OF SYSTEM TIME '-30 minutes' order by id limit 1":                   then,
		"select v from t as of system time '" + zoned + "+00'":                                  then,
		"select v from t as of system time '" + zoned + "'::timestamptz":                        then,
		"select v from t as of system time timestamp '" + zoned + "'":                           then,
		"select v from t as of system time interval '-30m'":                                     then,
		"select v from t as of system time - interval '30m'":                                    then,
		"select v from t as of system time now() - interval '30m' where id = 1":                 then,
		"select v from t as of system time (now() - '30m');":                                    then,
		"select v from t as of system time follower_read_timestamp()":                           now,
		"select v from t as of system time '-30m' where v = 20":                                 "SELECT 0",
		"select 'as of system time', v from t as of /* so */ system\n time '-30m' where id = 1": "as of system time|" + then,
		"select v from t as of system time '-2h'":                                               "SELECT 0",
		"select v from t as of system time '1min'":                                              "22023 AS OF SYSTEM TIME must not be in the future",
		"select v from t as of system time '2999-01-01'":                                        "22023 AS OF SYSTEM TIME must not be in the future",
		"select v from t as of system time '1969-01-01'":                                        "22023 AS OF SYSTEM TIME must not be before 1970",
		"select v from t as of system time 'yesterdayish'":                                      "22007 invalid input syntax for type timestamp with time zone: \"yesterdayish\"",
		"select v from t as of system time 5":                                                   "22023 AS OF SYSTEM TIME needs a timestamp or an interval",
		"select v from t as of system time '-1s' as of system time '-2s'":                       "42601 AS OF SYSTEM TIME may be said once in a statement",
		"select * from (select v from t as of system time '-1s') x":                             "0A000 AS OF SYSTEM TIME is for the whole statement",
		"update t as of system time '-1s' set v = 1":                                            "0A000 a statement that writes cannot read AS OF SYSTEM TIME",
		"select v from t as of system time random()":                                            "0A000 this expression of AS OF SYSTEM TIME is not supported",
		"set session characteristics as transaction read only as of system time '-1s'":          "0A000 AS OF SYSTEM TIME is for one transaction",
	} {
		if got := c.run(sql); got != want && !(len(want) > 5 && strings.HasPrefix(got, want)) {
			t.Errorf("%s:\n got: %s\nwant: %s", sql, got, want)
		}
	}
	c.run("select v from t as of system time '-30m'")
	if r := f.db.reading; r.Consistency != kv.AsOf {
		t.Errorf("the last was read %+v", r)
	}
}

func TestATransactionAsOfSystemTime(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int8 primary key, v int8)")
	f.db.ts = hlc.New(time.Now().Add(-time.Hour))
	c.run("insert into t values (1, 10)")
	f.db.ts = hlc.New(time.Now().Add(-time.Minute))
	c.run("update t set v = 20 where id = 1")
	const then = "10\nSELECT 1"
	for _, begin := range [][]string{
		{"begin as of system time '-30m'"},
		{"begin transaction read only, as of system time '-30m'"},
		{"start transaction isolation level repeatable read as of system time '-30m'"},
		{"begin", "set transaction as of system time '-30m'"},
	} {
		for _, sql := range begin {
			if got := c.run(sql); got[0] >= '0' && got[0] <= '9' {
				t.Errorf("%s: %s", sql, got)
			}
		}
		c.want(then, "select v from t where id = 1")
		c.want(then, "select v from t")
		if got := c.run("update t set v = 1 where id = 1"); !strings.HasPrefix(got, "25006") {
			t.Errorf("a write of the past: %s", got)
		}
		c.want("ROLLBACK", "rollback")
	}
	c.run("begin")
	c.want("20\nSELECT 1", "select v from t")
	if got := c.run("set transaction as of system time '-30m'"); !strings.HasPrefix(got, "25001") {
		t.Errorf("too late: %s", got)
	}
	c.run("rollback")
	c.run("begin")
	if got := c.run("select v from t as of system time '-30m'"); !strings.HasPrefix(got, "0A000") {
		t.Errorf("one statement of a block: %s", got)
	}
	c.run("rollback")
	c.want("20\nSELECT 1", "select v from t")
}
