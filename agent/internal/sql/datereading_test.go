package sql

import "testing"

// Dates are read in the session's order, wherever they come from, and what is kept is not.
func TestDatesInTheOrderOfTheSession(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table d (id int primary key, a date, b timestamptz)")
	c.want("2024-02-01\nSELECT 1", "select '02/01/2024'::date")
	c.run("set datestyle = 'ISO, DMY'")
	c.want("2024-01-02\nSELECT 1", "select '02/01/2024'::date")
	c.want("2024-04-03|2024-04-03 10:00:00+00\nINSERT 0 1", "insert into d values (1, '03/04/2024', '3/4/2024 10:00Z') returning a, b")
	for _, sql := range []string{ // on both paths
		"select id from d where a = '03/04/2024'",
		"select x.id from d x join (values (1)) v(id) using (id) where x.a = '03/04/2024' and x.b < '04/04/2024'",
	} {
		c.want("1\nSELECT 1", sql)
	}
	c.run("create table kept (a date default '03/04/2024')")
	c.run("set datestyle = 'ISO, MDY'")
	c.want("1\nSELECT 1", "select x.id from d x join (values (1)) v(id) using (id) where x.a = '04/03/2024'")
	const refused = `0A000 this form of a date is not supported: "04/03/2024"; write the date as YYYY-MM-DD`
	c.want("2024-04-03\nINSERT 0 1", "insert into kept default values returning a")
	c.want(refused, "create table e (a date check (a > '04/03/2024'))")
	c.want(`0A000 the DateStyle "German" is not supported`, "set datestyle = 'German'")
}

func TestTimesAtHandInStatements(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table d (id int primary key, a date, b timestamptz)")
	c.want("t|t\nINSERT 0 1", "insert into d values (1, 'today', 'now') returning a = current_date, b = now()")
	for _, sql := range []string{
		"select id from d where a = 'today' and b <= 'now'",
		"select x.id from d x join (values (1)) v(id) using (id) where x.a = 'today' and x.b > 'yesterday' and x.a < 'tomorrow'",
	} {
		c.want("1\nSELECT 1", sql)
	}
	c.run("create table kept (a date default 'today')")
	c.want("t\nINSERT 0 1", "insert into kept default values returning a = current_date")
	c.run("create table e (a text default 'today' check (a in ('today', 'now')))")
	c.want("today\nINSERT 0 1", "insert into e default values returning a")
}

// What is kept has the times that its maker means, whoever reads it.
func TestKeptTimesAreTheirMakers(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("set timezone = 'America/New_York'")
	c.run("create table d (id int primary key, a timestamptz default '2024-06-01 00:00', b timestamptz default timestamptz '2024-06-01 00:00', c timestamp default '2024-06-01', t text default '2024-06-01 00:00', l timestamptz[] default '{2024-06-01 00:00}')")
	c.run("alter table d add column e timestamptz default '2024-06-01 00:00'")
	c.run("alter table d alter column a set default '2024-07-01 00:00'")
	c.run("create view v as select timestamptz '2024-06-01 00:00' as k, e > '2024-06-01 03:00' as l, 'x 2024-06-01 00:00' as t, '2024-06-01 00:00' as u from d where a = '2024-07-01 00:00'")
	c.run("set timezone = 'UTC'")
	const at = "2024-06-01 04:00:00+00"
	c.want("2024-07-01 04:00:00+00|"+at+"|2024-06-01 00:00:00|2024-06-01 00:00|{\""+at+"\"}|"+at+"\nINSERT 0 1", "insert into d (id) values (1) returning a, b, c, t, l, e")
	c.want(at+"|f|x 2024-06-01 00:00|2024-06-01 00:00\nSELECT 1", "select * from v")
	c.want("1\nSELECT 1", "select count(*) from v x join d on true")
}

// An index has the same rows whoever writes them: its condition says the zone of a time.
func TestIndexesOfTimesWithZones(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table d (id int primary key, v int, k timestamptz, a date)")
	const refused = "0A000 a time without its time zone is not supported here"
	c.want(refused, "create index on d (v) where k > '2024-06-01 00:00'")
	c.want(refused, "create index on d ((k > '2024-06-01 00:00'))")
	c.want("CREATE INDEX", "create index on d (v) where k > '2024-06-01 00:00+00'")
	c.want("CREATE INDEX", "create index on d (v) where a > '2024-06-01'")
}

func TestPoliciesOfTimesWithZones(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table d (id int primary key, k timestamptz, a date)")
	const refused = "0A000 a time without its time zone is not supported here"
	c.want(refused, "create policy p on d using (k > '2024-06-01 00:00')")
	c.want(refused, "create policy p on d for insert with check (k in ('2024-06-01 00:00', '2024-06-02 00:00'))")
	c.want("CREATE POLICY", "create policy p on d using (k > '2024-06-01 00:00+00' and a > '2024-06-01')")
	c.want(refused, "alter policy p on d with check (k > timestamptz '2024-06-01 00:00')")
}

// PostgreSQL reads literals at Parse: a prepared statement keeps them when the session's zone is another.
func TestPreparedTimesStay(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("set timezone = 'America/New_York'")
	c.run("prepare p as select extract(epoch from timestamptz '2024-06-01 00:00'), date '02/03/2024' - date '2024-01-01'")
	const there = "1717214400.000000|33"
	c.want(there+"\nSELECT 1", "execute p")
	c.run("set timezone = 'UTC'")
	c.run("set datestyle = 'iso, dmy'")
	c.want(there+"\nSELECT 1", "execute p")
	c.run("create table other (id int primary key)")
	c.run("set timezone = '<+05>-5'")
	c.want(there+"\nSELECT 1", "execute p")
	const here = "1717200000.000000"
	c.run("set timezone = 'UTC'")
	c.want(here+"\nSELECT 1", "select extract(epoch from timestamptz '2024-06-01 00:00')")
}
