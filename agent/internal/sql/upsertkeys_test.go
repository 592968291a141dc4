package sql

import "testing"

// TestRowsOfOneKeyInAnUpsert: two new rows of one primary key are a violation, whatever ON
// CONFLICT looks for; the second replaced the first.
func TestRowsOfOneKeyInAnUpsert(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table u (id int primary key, t text unique, n int)")
	const taken = "23505"
	for _, conflict := range []string{"on conflict (t) do nothing", "on conflict (t) do update set n = 5"} {
		c.refused("insert into u values (7, 'a', 1), (7, 'b', 2) "+conflict, taken)
		c.want("SELECT 0", "select * from u")
		c.want("SELECT 0", "select id from u where t = 'a'")
	}
	c.want("INSERT 0 1", "insert into u values (7, 'a', 1), (7, 'b', 2) on conflict do nothing")
	c.want("INSERT 0 2", "insert into u values (7, 'a', 3), (8, 'c', 1) on conflict (t) do update set n = excluded.n")
	c.refused("insert into u values (9, 'd', 1), (7, 'x', 2) on conflict (t) do update set n = 5", taken)
	c.want("7|a|3\n8|c|1\nSELECT 2", "select * from u order by id")
}
