package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestInsertReadsNothing: whether keys are there is what each range's leader finds
// when it writes.
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
	if few, many := commands(1_000), commands(10_000); few != 1 || many != 1 {
		t.Errorf("%d commits for 1,000 rows, %d for 10,000, want one each", few, many)
	}
	c.want("INSERT 0 40", "insert into t (id, name) select id + 100000, name from t where id < 40")
	if f.db.gets != 0 {
		t.Errorf("%d reads by key", f.db.gets)
	}
}

// TestDuplicateAmongMany: the violation that is told is the first of the statement's,
// whichever range answers first, and nothing of it was written.
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
		c.want("DELETE 0", "delete from t where name = 'x'")
	}
	p, err := c.session.Prepare(t.Context(), "insert into t (id, name) values (1, 'x'), (2, 'x'), (3, 'x'), (90, 'x'), (4, 'x')", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.session.Execute(t.Context(), p, nil, nullSink{})
	e := AsError(err)
	if e.Code != "23505" || e.Constraint != "t_pkey" || e.Table != "t" {
		t.Errorf("%+v", e)
	}
}

// TestInsertSelect: rows come from one snapshot, and none is written before all are known.
func TestInsertSelect(t *testing.T) {
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
		before := f.db.wrote
		got := strings.Split(c.run(x.text), "\n")
		if got[len(got)-1] != "INSERT 0 300" {
			t.Errorf("%s: %s", x.name, got[len(got)-1])
		}
		if n := f.db.wrote - before; n != 1 {
			t.Errorf("%s: %d commits", x.name, n)
		}
		if x.name == "returning" && len(got) != 301 {
			t.Errorf("%d rows returned", len(got)-1)
		}
		if x.name == "fast" {
			c.want("600\nSELECT 1", "select count(*) from t")
		}
	}
}

// TestInsertSelectFails: nothing of it is written.
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

	for i := range 200 { // 20 MiB
		c.want("INSERT 0 1", fmt.Sprintf("insert into s values (%d, repeat('x', %d))", 100+i, 100<<10))
	}
	p, err := c.session.Prepare(t.Context(), "insert into t (id, name) select case when id = 299 then 100 else id end, name from s where id >= 100 order by s.id", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.session.Execute(t.Context(), p, nil, nullSink{})
	e := AsError(err)
	if e.Code != "23505" || e.Detail != "Key (id)=(100) already exists." {
		t.Errorf("%s %s %q %q", e.Code, e.Message, e.Detail, e.Hint)
	}
	c.want("1\nSELECT 1", "select count(*) from t")
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
