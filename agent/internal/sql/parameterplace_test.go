package sql

import "testing"

// A separator of string_agg is a parameter, too, which the engine wants to know beforehand.
func TestSeparatorsAsParameters(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table z (id int primary key, t text)")
	c.run("insert into z values (1, 'a'), (2, 'b')")
	c.want("a-b\nSELECT 1", "select string_agg(t, $1 order by id) from z", "-")
	c.want("a-b|b-a\nSELECT 1", "select string_agg(t, $1 order by id), string_agg(t, $1 order by id desc) from z where id < $2", "-", "5")
	c.want("a;b\nSELECT 1", "select string_agg(distinct t, $1) from z", ";")
	c.want("1|a\n2|b\nSELECT 2", "select id, string_agg(t, $1) from z group by id order by id", ";")
	c.want("NULL\nSELECT 1", "select string_agg(t, $1) filter (where id > 5) from z", ";")
}

// Intervals that are equal and not the same, some of them known beforehand.
func TestEqualIntervalsAsParameters(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table z (id int primary key, k timestamptz)")
	c.run("insert into z values (1, '2024-03-31 00:00+00')")
	c.want("2024-05-01 00:00:00+00|2024-04-30 00:00:00+00\nSELECT 1", "select a.k + $1::interval, a.k + $2::interval from z a join z b on a.id = b.id where a.id = 1", "1 mon 1 day", "30 days")
	c.want("2024-04-30 00:00:00+00|2024-04-30 00:00:00+00\nSELECT 1", "select a.k + $1::interval, a.k + interval '1 month' from z a join z b on a.id = b.id where a.id = 1", "30 days")
}

// An application's own setting that has no value any more is empty, as in PostgreSQL.
func TestOwnSettingsStay(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("set app.x = '1'")
	c.run("reset app.x")
	c.want("\nSHOW", "show app.x")
	c.want("\nSELECT 1", "select current_setting('app.x')")
	c.want("||t\nSELECT 1", "select current_setting('app.x'), current_setting('app.x', true), current_setting('app.y', true) is null")
	c.run("begin")
	c.run("set local app.z = '7'")
	c.run("rollback")
	c.want("\nSHOW", "show app.z")
	c.run("discard all")
	c.want("\nSHOW", "show app.z")
}
