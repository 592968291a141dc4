package sql

import "testing"

// TestSizes: of a table with few rows its size is counted, of one with many it is found by a part
// of them, which holds for a while.
func TestSizes(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table few (id int primary key, t text)")
	c.want("0|t\nSELECT 1", "select pg_relation_size('few'), pg_database_size('nodedb') > 0")
	c.run("insert into few select g, 'x' from generate_series(1, 100) g")
	c.want("t|t|t\nSELECT 1", "select pg_relation_size('few') between 1000 and 20000, pg_total_relation_size('few') = pg_table_size('few') + pg_indexes_size('few'), pg_database_size('nodedb') > pg_relation_size('few')")
	c.run("truncate few")
	c.want("0\nSELECT 1", "select pg_relation_size('few')")

	c.run("create table many (id int primary key, t text)")
	c.run("insert into many select g, repeat('x', 100) from generate_series(1, 6000) g")
	c.want("t\nSELECT 1", "select pg_relation_size('many') between 6000 * 100 and 6000 * 200")
	c.want("t\nSELECT 1", "select pg_relation_size('many') = pg_relation_size('many')")
}
