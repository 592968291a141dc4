package sql

import (
	"strings"
	"testing"
)

// TestLimits: what is too large says which limit it met, before anything is written.
func TestLimits(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	c.run("insert into t (id, name) values (1, 'x')")
	before := f.db.snapshot()
	large := strings.Repeat("x", 3<<20)
	const row = "54000 a row may have at most 3 MiB, this one has 3.0"
	for _, text := range []string{
		"insert into t (id, name) values (2, $1)",
		"insert into t (id, name) values (1, $1) on conflict (id) do update set name = excluded.name",
		"update t set name = $1 where id = 1",
	} {
		c.want(row, text, large)
		c.run("begin")
		c.want(row, text, large)
		c.run("rollback")
	}
	c.want(row, "insert into t (id, name) values (2, 'a'), (3, 'b'), (4, $1)", large) // of several ranges
	if after := f.db.snapshot(); len(after) != len(before) {
		t.Errorf("%d rows, there were %d", len(after), len(before))
	}
	c.want("INSERT 0 1", "insert into t (id, name) values (2, $1)", large[:2<<20])
	c.want("54000 a statement may have at most 16 MiB, this one has 20.0", "select '"+strings.Repeat("x", 20<<20)+"'")
}

// TestRoundedNow: CURRENT_TIMESTAMP(p) has p digits of a second, or is refused.
func TestRoundedNow(t *testing.T) {
	_, c := slowFixture(t)
	if got := c.run("select current_timestamp(0)"); strings.Contains(got, ".") {
		t.Error(got)
	}
	c.want("0A000 a precision of the current time in this statement is not supported", "select current_timestamp(0), count(*) from generate_series(1, 1)")
	if got := c.run("select current_timestamp, localtimestamp(6), count(*) from generate_series(1, 1)"); !strings.Contains(got, "SELECT 1") {
		t.Error(got)
	}
}
