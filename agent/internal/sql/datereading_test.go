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
	c.run("set datestyle = 'ISO, MDY'")
	c.want("1\nSELECT 1", "select x.id from d x join (values (1)) v(id) using (id) where x.a = '04/03/2024'")
	const refused = `0A000 this form of a date is not supported: "04/03/2024"; write the date as YYYY-MM-DD`
	c.want(refused, "create table e (a date default '04/03/2024')")
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
	c.want(`0A000 this form of a date is not supported: "today"; write the date as YYYY-MM-DD`, "create table e (a date default 'today')")
	c.run("create table e (a text default 'today' check (a in ('today', 'now')))")
	c.want("today\nINSERT 0 1", "insert into e default values returning a")
}
