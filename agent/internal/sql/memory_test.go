package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/budget"
)

// TestStatementsKeepToTheirMemory runs statements that hold much with little memory:
// each is refused with what to do, nothing of it is written, and it gives back
// what it took.
func TestStatementsKeepToTheirMemory(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	long := strings.Repeat("x", 10<<10)
	var values, ids []string
	for i := range 100 {
		c.run(fmt.Sprintf("insert into t (id, name) values (%d, $1)", i), long)
		values, ids = append(values, fmt.Sprintf("(%d, $1)", 1000+i)), append(ids, fmt.Sprint(i))
	}
	c.want("CREATE FUNCTION", "create function yes(i bigint) returns bool language plpgsql as 'begin return true; end'")
	f.server.cfg.Memory = budget.New("statements", 300<<10)
	before := len(f.db.snapshot())
	const refused = "53200 out of memory"
	for _, text := range []string{
		"select id, name from t where id in (" + strings.Join(ids, ", ") + ") order by name, id",
		"insert into t (id, name) values " + strings.Join(values, ", "),
		"update t set name = $1",
		"delete from t where name = $1",
		"select id, name from t where yes(id)", // its rows are held until all is done
		"do $$ declare r record; begin for r in select name from t loop null; end loop; end $$",
		"do $$ declare r record; begin for r in execute 'select name from t' loop null; end loop; end $$",
	} {
		params := []string{long}
		if !strings.Contains(text, "$1") {
			params = nil
		}
		if got := c.run(text, params...); !strings.HasPrefix(got, refused) {
			t.Errorf("%.60s: %s", text, got)
		}
	}
	c.run("begin")
	for i := 0; ; i++ {
		got := c.run("update t set name = $1 where id = 7", long)
		if strings.HasPrefix(got, refused) {
			break
		}
		if i == 1000 {
			t.Fatal("a transaction buffers without a bound")
		}
	}
	c.run("rollback")
	if after := len(f.db.snapshot()); after != before {
		t.Errorf("%d rows, there were %d", after, before)
	}
	if used := f.server.cfg.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
	c.want("INSERT 0 1", "insert into t (id, name) values (9000, $1)", long)
	for _, conflict := range []string{"", " on conflict do nothing"} { // all of it is held until it is written
		if got := c.run("insert into t (id, name) select id + 10000, name || $1 from t"+conflict, long); !strings.HasPrefix(got, refused) {
			t.Error(got)
		}
	}
	if used := f.server.cfg.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}

// TestManyKeysAreReadInBatches names more rows than there is memory for at once.
func TestManyKeysAreReadInBatches(t *testing.T) {
	f, c := slowFixture(t)
	c.run("create table wide (id int primary key, name text)")
	long := strings.Repeat("x", 1<<10)
	var ids []string
	for i := range 2000 {
		c.run(fmt.Sprintf("insert into wide values (%d, $1)", i), long)
		ids = append(ids, fmt.Sprint(i))
	}
	f.server.cfg.Memory = budget.New("statements", 1<<20) // the rows are 2 MB
	in := " from wide where id in (" + strings.Join(ids, ", ") + ")"
	c.want("2000\nSELECT 1", "select count(*)"+in)
	c.want("2048000\nSELECT 1", "select sum(length(name))"+in) // in the worker
	if used := f.server.cfg.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}
