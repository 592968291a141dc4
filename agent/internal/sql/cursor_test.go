package sql

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestCursorCorpus: cursors give what PostgreSQL 15 gave when testdata/cursors.txt was made, in
// its order.
func TestCursorCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().compared("testdata/cursors.txt", func([]string) {}); n < 130 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestCursorSpills: rows that do not fit the memory go to a file, and come back in both
// directions, of every kind of value, whatever the session writes meanwhile.
func TestCursorSpills(t *testing.T) {
	f := newFixture(t, startDuck(t))
	f.server.cfg.ScratchDir = t.TempDir()
	f.server.cfg.Memory = budget.New("statements", 64<<20)
	c := f.open()
	c.want("CREATE TABLE", "create table t (id int primary key, s text, n numeric, a int[], f float8, d date, j jsonb, i interval)")
	c.want("INSERT 0 1", "insert into t values (0, null, 12.50, '{1,null,3}', 'NaN', '2026-11-29', '{\"a\": 1}', '1 mon 2 days 03:00')")
	const rows = 4000
	for from := 1; from < rows; from += 500 {
		var values []string
		for id := from; id < min(from+500, rows); id++ {
			values = append(values, fmt.Sprintf("(%d, '%s', %d)", id, strings.Repeat("x", 1000), id))
		}
		c.run("insert into t (id, s, n) values " + strings.Join(values, ", "))
	}
	c.want("BEGIN", "begin")
	c.want("DECLARE CURSOR", "declare c scroll cursor with hold for select id, n, a, f, d, j, i from t order by id")
	c.want("DECLARE CURSOR", "declare s no scroll cursor for select id, s from t order by id")
	c.want("0|NULL\nFETCH 1", "fetch s")
	c.want("DELETE 4000", "delete from t")
	if file := c.session.cursors["s"].rows.file; file == nil {
		t.Error("4 MB of rows are held in memory")
	}
	const first = `0|12.50|{1,NULL,3}|NaN|2026-11-29|{"a": 1}|1 mon 2 days 03:00:00`
	c.want(first+"\nFETCH 1", "fetch c")
	c.want("3999|3999|NULL|NULL|NULL|NULL|NULL\nFETCH 1", "fetch last c")
	c.want("3998|3998|NULL|NULL|NULL|NULL|NULL\nFETCH 1", "fetch prior c")
	c.want("MOVE 3998", "move backward all c")
	for _, at := range []int{3000, 1, 256, 257, 255, 4000, 2, 1025} {
		if got := c.run(fmt.Sprintf("fetch absolute %d from c", at)); !strings.HasPrefix(got, fmt.Sprintf("%d|", at-1)) {
			t.Errorf("row %d: %s", at, got)
		}
	}
	c.want("MOVE 3999", "move all s")
	c.want("COMMIT", "commit")
	c.want(first+"\nFETCH 1", "fetch first c")
	c.want("CLOSE CURSOR", "close c")
	if used := f.server.cfg.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}

// TestCursorStreams: a cursor that only goes on has read no more than what was fetched, or
// what is held back to be given in order.
func TestCursorStreams(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key)")
	const rows = 3000
	values := make([]string, rows)
	for id := range values {
		values[id] = fmt.Sprintf("(%d)", id)
	}
	c.run("insert into t values " + strings.Join(values, ", "))
	c.run("begin")
	c.run("declare c no scroll cursor for select id from t")
	f.db.sent = 0
	c.run("fetch 5 from c")
	if f.db.sent > 1010 {
		t.Errorf("5 rows were fetched, and %d read", f.db.sent)
	}
	if n := c.session.cursors["c"].rows.count; n != 0 {
		t.Errorf("%d rows are kept of a cursor that cannot go back", n)
	}
	other := f.open()
	other.want("DELETE 3000", "delete from t")
	c.want("MOVE 2995", "move all in c")
	c.want("COMMIT", "commit")
	c.want("SELECT 0", "select * from t")
}

// TestCursorParameters: DECLARE has parameters as its query has.
func TestCursorParameters(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table t (id int primary key, s text)")
	c.run("insert into t values (1, 'a'), (2, 'b'), (3, 'c')")
	c.run("begin")
	c.want("DECLARE CURSOR", "declare c cursor for select id, s from t where id > $1 order by id", "1")
	c.want("2|b\n3|c\nFETCH 2", "fetch all c")
	c.want("0A000 WHERE CURRENT OF is not supported", "delete from t where current of c")
	c.run("rollback")
}

// TestCursorCancelled: who cancels a FETCH ends the cursor, and no other.
func TestCursorCancelled(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table t (id int primary key)")
	c.run("insert into t values (1), (2), (3), (4), (5), (6), (7), (8)")
	c.run("begin")
	c.run("declare d cursor for select id from t order by id")
	c.run("declare c cursor for select id from t order by id")
	c.run("savepoint s")
	ctx, cancel := context.WithCancel(t.Context())
	p, err := c.session.Prepare(ctx, "fetch all from c", nil)
	if err != nil {
		t.Fatal(err)
	}
	sink := &textSink{after: func() error { cancel(); return nil }}
	if _, err := c.session.Execute(ctx, p, nil, sink); err == nil {
		t.Errorf("a cancelled FETCH has given %v", sink.rows)
	}
	c.want("ROLLBACK", "rollback to s")
	c.want("1\nFETCH 1", "fetch d")
	c.want(`55000 portal "c" cannot be run`, "fetch c")
	c.run("rollback")
}

// TestSpoolRefused: rows that have no place are an error of who fetches them.
func TestSpoolRefused(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key)")
	c.run("insert into t values (1), (2)")
	f.server.cfg.ScratchDir = t.TempDir() + "/none"
	f.server.cfg.Memory = budget.New("statements", 10)
	s := spool{dir: f.server.cfg.ScratchDir, memory: f.server.cfg.Memory.Open()}
	if err := s.add([]datum.Datum{datum.MakeText("longer than ten bytes")}); err == nil {
		t.Error("a row was kept nowhere")
	}
	s.close()
	if used := f.server.cfg.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}
