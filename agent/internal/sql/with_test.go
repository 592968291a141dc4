package sql

import (
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestWithIsOneStatement: what the queries of a WITH write is written together or not at
// all, and they share the parameters.
func TestWithIsOneStatement(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	c.want(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(1) already exists.`,
		"with b as (insert into t (id, name) values (1, 'y')) insert into t (id, name) values (1, 'x')")
	c.want("DELETE 0", "delete from t")
	p, err := c.session.Prepare(t.Context(), "with a as (insert into t (id, name) values ($1, $2)) insert into t (id, name) values ($1::int8 + 1, $2)", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(2) {
		args := []datum.Datum{datum.MakeInt(datum.Int8, 10*i), datum.MakeText("z")}
		if tag, err := c.session.Execute(t.Context(), p, args, nullSink{}); err != nil || tag != "INSERT 0 1" {
			t.Fatal(tag, err)
		}
	}
	c.want("DELETE 4", "delete from t where name = 'z'")
	c.run("begin read only")
	c.want("25006 cannot execute SELECT in a read-only transaction", "with a as (delete from t) select 1")
	c.run("rollback")
	c.want("CREATE TRIGGER", "create trigger g after delete on t for each row begin insert into t (id, name) values (old.id + 1000, old.name); end")
	c.want("0A000 triggers in a statement whose WITH changes rows is not supported", "with a as (delete from t) select 1")
}

// TestWithRunsOnce: each query of a WITH changes its rows once, however often it is named.
func TestWithRunsOnce(t *testing.T) {
	if err := withOnce(t, Planted{}); err != nil {
		t.Error(err)
	}
}

func withOnce(t *testing.T, faults Planted) error {
	f := newFixture(t, startDuck(t))
	f.server.cfg.Planted = faults
	c := f.open()
	c.run("create table n (id int primary key, n int)")
	c.run("create table log (id int generated always as identity primary key, n int)")
	c.run("insert into n values (1, 0), (2, 0)")
	for _, s := range [][2]string{
		{"with u as (update n set n = n + 1 returning n) insert into log (n) select n from u", "INSERT 0 2"},
		{"with u as (update n set n = n + 1 returning id, n) select a.n from u a join u b on a.id = b.id", "2\n2\nSELECT 2"},
		{"with u as (update n set n = n + 1 where id = 1) select 1", "1\nSELECT 1"},
		{"with l as (insert into log (n) values (7) returning n) select n from l", "7\nSELECT 1"},
		{"with d as (delete from log where n = 7 returning n), i as (insert into log (n) select n + 1 from d returning n) update n set n = n + (select sum(n) from i) where id = 2", "UPDATE 1"},
		{"select id, n from n order by id", "1|3\n2|10\nSELECT 2"},
		{"select n from log order by id", "1\n1\n8\nSELECT 3"},
	} {
		if got := c.run(s[0]); got != s[1] {
			return fmt.Errorf("%s: %q, want %q", s[0], got, s[1])
		}
	}
	return nil
}
