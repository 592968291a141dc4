package sql

import (
	"slices"
	"strings"
	"testing"
)

// aggregateStatements are of what the nodes that have the rows add up.
var aggregateStatements = []string{ //nolint:gochecknoglobals // a table of tests
	"select count(*) from m",
	"select count(*) from m where false",
	"select count(n), count(*), sum(i), avg(i), min(i), max(i) from m",
	"select sum(s), avg(s), min(s), max(s), sum(l), avg(l), min(l), max(l) from m",
	"select sum(n), avg(n), count(n), sum(n2), avg(n2), min(n2), max(n2) from m",
	"select sum(n), avg(n), min(t), max(t), min(d), max(d), min(at), max(at) from m where false",
	"select min(t), max(t), min(d), max(d), min(at), max(at), bool_and(b), bool_or(b), every(b) from m",
	"select k, count(*), sum(i), avg(l) from m group by k order by k",
	"select k, b, count(*) from m group by k, b order by 1 desc, 2 nulls first",
	"select k % 3 as r, sum(l + i) from m where i is not null group by r order by r",
	"select k % 3, sum(l + i) from m group by k % 3 having count(*) > 7 order by sum(l) desc, 1 limit 2",
	"select t, count(*) from m where id between 10 and 20 group by t order by count(*) desc, t limit 3 offset 1",
	"select t from m group by t order by t",
	"select count(*) + sum(k) * 2, k + 1 from m group by k + 1 order by 2",
	"select count(*) filter (where i > 0), sum(l) filter (where b), count(i) filter (where t = 'a') from m",
	"select coalesce(sum(i), 0), case when count(*) > 3 then 'many' else 'few' end from m where k = 2",
	"select round(avg(n), 1), sum(i)::text || '!' from m group by k order by k",
	"select count(*) from m having count(*) > 1000000",
	"select 'x', count(*) from m",
	"select d, max(at), sum(n) from m group by d order by d",
	"select u, count(*) from m group by u order by u",
	"select k as kk, avg(s) from m group by kk having avg(s) > 3 order by kk",
	"select sum(i) from m where id in (1, 5, 9, 1000)",
	"select sum(i), max(t) from m where k = 3",
	"select max(k), min(k) from m where k > 1",
	"select max(id) from m", "select min(id), max(id) from m where id > 20 and id < 35", "select max(id) from m where k = 3", "select min(id) from m where id > 1000",
	"select max(i) from m where k = 3", "select min(i), max(k) from m", "select max(i) + 1 from m having max(i) > 5",
	"select id, count(*) from m group by id order by id limit 4",
	"select n2, count(*) from m group by n2 order by n2",
	"select sum(extra), count(extra) from m",
}

func aggregated(t *testing.T) *client {
	t.Helper()
	c := newFixture(t, startDuck(t)).open()
	c.run("create table m(id int primary key, k int, i int, s smallint, l bigint, n numeric, n2 numeric(8,2), t text, d date, at timestamptz, b bool, u uuid, gone text)")
	c.run(`insert into m select g, g % 5, case when g % 7 = 0 then null else g * 1000003 end, g % 11, g::bigint * 922337203685477, case when g % 9 = 0 then null else (g * 7)::numeric end,
		(g % 4) * 0.5, chr(97 + g % 6), date '2026-01-01' + g % 3, timestamptz '2026-01-01 00:00+00' + g * interval '1 hour', g % 2 = 0, null, 'x' from generate_series(1, 60) g`)
	c.run("alter table m drop column gone")
	c.run("alter table m add column extra int default 3")
	c.run("insert into m(id, k, extra) values (61, 9, 8)")
	return c
}

// TestAggregatesAsTheEngineHasThem: what nodes add up is what the engine makes of the rows,
// by an index too, and in a transaction that has written.
func TestAggregatesAsTheEngineHasThem(t *testing.T) {
	c := aggregated(t)
	compare := func(where string, places ...string) {
		t.Helper()
		for _, s := range aggregateStatements {
			plan := c.run("explain " + s)
			if !strings.Contains(plan, "Aggregate") && !strings.Contains(plan, "Result") {
				t.Errorf("%s: %s goes to the engine:\n%s", where, s, plan)
			}
			for _, p := range places {
				if !strings.Contains(plan, p) && !strings.Contains(plan, "Key lookup") && !strings.Contains(plan, "Index") && !strings.HasPrefix(plan, "Result") {
					t.Errorf("%s: %s is not added up by the nodes:\n%s", where, s, plan)
				}
			}
			got := c.run(s)
			c.run("set nodedb.fast_path = off")
			if want := c.run(s); got != want {
				t.Errorf("%s: %s\n got: %s\nwant: %s", where, s, got, want)
			}
			c.run("set nodedb.fast_path = on")
		}
	}
	compare("rows", "on data nodes")
	c.run("begin")
	c.run("update m set i = i + 1, k = k + 1 where id % 3 = 0")
	c.run("delete from m where id % 10 = 0")
	c.run("insert into m(id, k, i) values (100, 100, 100)")
	compare("a transaction that has written")
	c.run("commit")
	c.run("create index m_k on m(k) include (i)")
	c.run("create index m_i on m(i)")
	compare("an index")
}

// TestFiltersWhereTheRowsAre: rows that a condition leaves out do not come to the gateway, and
// what depends on the session is as it is there.
func TestFiltersWhereTheRowsAre(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table m(id int primary key, k int, at timestamptz, t text)")
	c.run("insert into m select g, g % 5, timestamptz '2026-03-01 00:00+00' + g * interval '1 hour', 'x' || g from generate_series(1, 200) g")
	for _, s := range []string{
		"select id, t from m where k = 3", "select id from m where t like 'x1_' and k <> 2", "select id from m where id > 190 and k = 1",
		"select id from m where at >= '2026-03-08 12:00'", "select count(*) from m where at::date = '2026-03-05'", "select count(*), max(at) from m where at < now() and at < current_date",
		"select at::date, count(*) from m group by at::date order by 1", "select date_trunc('day', at), count(*) from m group by 1 order by 1",
		"select id from m where 100 / (k - 3) > 1 and k = 3", "select id from m where k = 2 and 100 / (id - 2) > 1",
	} {
		for _, zone := range []string{"UTC", "Europe/Berlin", "<+07>-7"} {
			c.run("set time zone '" + zone + "'")
			if plan := c.run("explain " + s); !strings.Contains(plan, "on data nodes") {
				t.Errorf("%s:\n%s", s, plan)
			}
			sent := f.db.sent
			got := strings.Split(c.run(s), "\n")
			sent = f.db.sent - sent
			c.run("set nodedb.fast_path = off")
			want := strings.Split(c.run(s), "\n")
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s in %s\n got: %v\nwant: %v", s, zone, got, want)
			}
			c.run("set nodedb.fast_path = on")
			if !strings.Contains(s, "/") && sent >= 200 { // all of them: groups have few rows in each range
				t.Errorf("%s: %d rows were sent", s, sent)
			}
		}
	}
}

// TestAggregatesFail: what is wrong with a row is the error that it is, whoever meets it.
func TestAggregatesFail(t *testing.T) {
	c := aggregated(t)
	for _, s := range []string{"select sum(1 / (k - 3)) from m", "select count(*) from m where 10 / k > 2", "select k, sum(i) from m", "select sum(t) from m", "select sum(sum(k)) from m"} {
		got := c.run(s)
		c.run("set nodedb.fast_path = off")
		if want := c.run(s); got != want {
			t.Errorf("%s\n got: %s\nwant: %s", s, got, want)
		}
		c.run("set nodedb.fast_path = on")
	}
}
