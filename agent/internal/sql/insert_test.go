package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestInsertReadsNothing: whether keys are there is what each range's leader finds
// when it writes. Ten times the rows are ten times the rows of the same commands.
func TestInsertReadsNothing(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	next := 0
	commands := func(rows int) int {
		t.Helper()
		before := f.db.wrote
		values := make([]string, rows)
		for i := range values {
			values[i] = fmt.Sprintf("(%d, 'x')", next)
			next++
		}
		c.want(fmt.Sprintf("INSERT 0 %d", rows), "insert into t (id, name) values "+strings.Join(values, ","))
		return f.db.wrote - before
	}
	if few, many := commands(1_000), commands(10_000); few != 16 || many != 16 {
		t.Errorf("%d commands for 1,000 rows, %d for 10,000, want one for each of 16 ranges", few, many)
	}
	c.want("INSERT 0 40", "insert into t (id, name) select id + 100000, name from t where id < 40")
	if f.db.gets != 0 {
		t.Errorf("%d reads by key", f.db.gets)
	}
}

// TestDuplicateAmongMany: the violation that is told is the first of the statement's,
// whichever range answers first, and how much was written is told beside it.
func TestDuplicateAmongMany(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	for _, id := range []int{40, 50, 60, 70, 80, 90} {
		c.want("INSERT 0 1", fmt.Sprintf("insert into t (id, name) values (%d, 'there')", id))
	}
	var values []string
	for i := 99; i >= 0; i-- {
		values = append(values, fmt.Sprintf("(%d, 'x')", i))
	}
	for range 20 {
		c.want(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(90) already exists.`, "insert into t (id, name) values "+strings.Join(values, ","))
		if got := c.run("delete from t where name = 'x'"); !strings.HasPrefix(got, "DELETE ") {
			t.Fatal(got)
		}
	}
	p, err := c.session.Prepare(t.Context(), "insert into t (id, name) values (1, 'x'), (2, 'x'), (3, 'x'), (90, 'x'), (4, 'x')", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.session.Execute(t.Context(), p, nil, nullSink{})
	e := AsError(err)
	if e.Code != "23505" || e.Constraint != "t_pkey" || e.Table != "t" || !strings.HasSuffix(e.Hint, "of 5 rows were written: a statement is atomic within one range only.") {
		t.Errorf("%+v", e)
	}
}

// TestInsertIsBoundedInFlight: what a statement has sent and not heard of is bounded
// in bytes, and several commands of one range are under way at once.
func TestInsertIsBoundedInFlight(t *testing.T) {
	f := newFixture(t, nil)
	f.db.span = cluster.VShards // one range
	c := f.open()
	c.run(createT)
	const rows, size = 120, 256 << 10 // 30 MiB
	under, most := 0, 0
	full := make(chan struct{}, 1)
	held := make(chan struct{})
	f.db.before = func(muts []kv.Mutation) error {
		bytes := 0
		for _, m := range muts {
			bytes += len(m.Key) + len(m.Value)
		}
		f.db.mu.Lock()
		under += bytes
		most = max(most, under)
		if under >= 6<<20 {
			select {
			case full <- struct{}{}:
			default:
			}
		}
		f.db.mu.Unlock()
		<-held
		f.db.mu.Lock()
		under -= bytes
		f.db.mu.Unlock()
		return nil
	}
	values, params := make([]string, rows), make([]string, rows)
	for i := range values {
		values[i], params[i] = fmt.Sprintf("(%d, $%d)", i, i+1), strings.Repeat("x", size)
	}
	go func() {
		<-full // nothing comes back until that much is under way
		close(held)
	}()
	c.want("INSERT 0 120", "insert into t (id, name) values "+strings.Join(values, ","), params...)
	if most > 8<<20 {
		t.Errorf("%d bytes were in flight", most)
	}
}

// TestInsertSelectStreams: rows are written while the source is read, from one
// snapshot: what the statement writes is not read again.
func TestInsertSelectStreams(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run(createT)
	const rows = 300
	for i := range rows { // 30 MiB
		c.want("INSERT 0 1", fmt.Sprintf("insert into t (id, name) values (%d, repeat('%d', %d))", i, i%10, 100<<10))
	}
	for _, x := range []struct{ name, text string }{
		{"fast", "insert into t (id, name) select id + 1000, name from t"},
		{"slow", "insert into t (id, name) select 2000 + row_number() over (), name from t where id < 1000"},
		{"do nothing", "insert into t (id, name) select id + 3000, name from t where id < 1000 on conflict do nothing"},
		{"returning", "insert into t (id, name) select id + 4000, name from t where id < 1000 returning id"},
	} {
		f.db.sent = 0
		early := rows // of the source were read at the first write
		f.db.before = func([]kv.Mutation) error {
			f.db.mu.Lock()
			early = min(early, f.db.sent)
			f.db.mu.Unlock()
			return nil
		}
		got := strings.Split(c.run(x.text), "\n")
		f.db.before = nil
		if got[len(got)-1] != "INSERT 0 300" {
			t.Errorf("%s: %s", x.name, got[len(got)-1])
		}
		if x.name != "slow" && early >= rows { // DuckDB reads all rows before it numbers them
			t.Errorf("%s: nothing was written before the source was read", x.name)
		}
		if x.name == "returning" && len(got) != 301 {
			t.Errorf("%d rows returned", len(got)-1)
		}
		if x.name == "fast" {
			c.want("600\nSELECT 1", "select count(*) from t")
		}
	}
}

// TestInsertSelectFails: what an earlier window wrote is told; up to one window
// nothing is written before all rows are known.
func TestInsertSelectFails(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run(createT)
	c.run("create table s (id int8 primary key, name text)")
	c.want("INSERT 0 3", "insert into s values (1, 'x'), (2, null), (3, 'x')")
	if got := c.run("insert into t (id, name) select id, name from s order by id"); !strings.HasPrefix(got, "23502 ") {
		t.Error(got)
	}
	c.want("0\nSELECT 1", "select count(*) from t")
	c.want("UPDATE 1", "update s set name = 'x' where id = 2")
	c.want(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(7) already exists.`, "insert into t (id, name) select 7, name from s")
	c.want("0\nSELECT 1", "select count(*) from t")
	c.want("INSERT 0 1", "insert into t (id, name) select 7, name from s on conflict do nothing")

	for i := range 200 { // 20 MiB: two windows and a half
		c.want("INSERT 0 1", fmt.Sprintf("insert into s values (%d, repeat('x', %d))", 100+i, 100<<10))
	}
	p, err := c.session.Prepare(t.Context(), "insert into t (id, name) select case when id = 299 then 100 else id end, name from s where id >= 100 order by s.id", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.session.Execute(t.Context(), p, nil, nullSink{})
	e := AsError(err)
	if e.Code != "23505" || e.Detail != "Key (id)=(100) already exists." || !strings.Contains(e.Hint, "of 200 rows were written") {
		t.Errorf("%s %s %q %q", e.Code, e.Message, e.Detail, e.Hint)
	}
}

// TestConflictWithARowThatCameMeanwhile: ON CONFLICT sees rows that came after the
// snapshot that its source was read at.
func TestConflictWithARowThatCameMeanwhile(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run(createT)
	c.want("INSERT 0 1", "insert into t (id, name) values (1, 'x')")
	for i, action := range []string{"do nothing", "(id) do update set name = 'again'"} {
		once := true
		f.db.before = func(muts []kv.Mutation) error {
			f.db.mu.Lock()
			mine := once
			once = false
			f.db.mu.Unlock()
			if mine {
				other.want("INSERT 0 1", fmt.Sprintf("insert into t (id, name) values (%d, 'theirs')", 100*i+11))
			}
			return nil
		}
		text := fmt.Sprintf("insert into t (id, name) select %d + row_number() over (), name from t where id = 1 on conflict %s", 100*i+10, action)
		c.want(fmt.Sprintf("INSERT 0 %d", i), text)
	}
	c.want("again\nSELECT 1", "select name from t where id = 111")
	c.want("theirs\nSELECT 1", "select name from t where id = 11")
}
