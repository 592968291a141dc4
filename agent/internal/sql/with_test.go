package sql

import (
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
