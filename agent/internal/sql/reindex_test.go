package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// TestReindex: afterwards an index is as the rows are, whatever it was before.
func TestReindex(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int unique, b int)", "CREATE TABLE"},
		{"create index i on t using hash (b)", "CREATE INDEX"},
		{"create table bare (a int)", "CREATE TABLE"},
		{"create view v as select 1 as x", "CREATE VIEW"},
		{"insert into t select g, g, g % 7 from generate_series(1, 50) g", "0A000 this statement needs the SQL engine, which is not running on this node"},
		{"insert into t values (1, 1, 1), (2, 2, 2), (3, 3, null)", "INSERT 0 3"},
		{"reindex table t", "REINDEX"},
	}...)
	entries := func() []string {
		var out []string
		for key := range f.db.snapshot() {
			out = append(out, key)
		}
		return out
	}
	before := len(entries())
	table, _ := f.server.catalog.Scope(nil, cluster.MainDatabase, []string{catalog.Public}).Table("", "t")
	for _, x := range table.Indexes {
		it, err := f.db.Scan(t.Context(), kv.ScanRequest{Pool: x.Entries.Pool(), Collection: x.Entries.ID()})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		it.Close()
		lost, stray := rows[0], rows[1] // the stray entry has the value of a row, and no row has it
		stray.Key = append(append([]byte(nil), stray.Key[:len(stray.Key)-1]...), stray.Key[len(stray.Key)-1]^0x55)
		muts := []kv.Mutation{{Pool: x.Entries.Pool(), Collection: x.Entries.ID(), Key: lost.Key, Delete: true, Schema: x.Entries.Version()},
			{Pool: x.Entries.Pool(), Collection: x.Entries.ID(), Key: stray.Key, Value: stray.Value, Schema: x.Entries.Version()}}
		if _, err := f.db.Write(t.Context(), muts, kv.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if f.indexFaults("t") == nil {
		t.Fatal("nothing is wrong with the indexes")
	}
	c.want("REINDEX", "reindex (verbose) table concurrently t")
	if err := f.indexFaults("t"); err != nil {
		t.Error(err)
	}
	if got := len(entries()); got != before {
		t.Errorf("%d rows and entries, not %d", got, before)
	}
	c.steps([][2]string{
		{"reindex index i", "REINDEX"},
		{"reindex index t_pkey", "REINDEX"},
		{"reindex schema public", "REINDEX"},
		{"reindex table bare", "REINDEX"},
		{"reindex table v", `42809 "v" is not a table or materialized view`},
		{"reindex table i", `42809 "i" is not a table or materialized view`},
		{"reindex index t", `42809 "t" is not an index`},
		{"reindex index nope", `42P01 relation "nope" does not exist`},
		{"reindex table nope", `42P01 relation "nope" does not exist`},
		{"reindex schema nope", `3F000 schema "nope" does not exist`},
		{"reindex database nope", "0A000 can only reindex the currently open database"},
		{"begin", "BEGIN"},
		{"reindex table t", "REINDEX"},
		{"reindex schema public", "25001 REINDEX SCHEMA cannot run inside a transaction block"},
		{"rollback", "ROLLBACK"},
		{"begin", "BEGIN"},
		{"reindex table concurrently t", "25001 REINDEX CONCURRENTLY cannot run inside a transaction block"},
		{"rollback", "ROLLBACK"},
		{"create unique index on t using hash (b)", `0A000 access method "hash" does not support unique indexes`},
		{"create index on t using hash (a, b)", `0A000 access method "hash" does not support multicolumn indexes`},
		{"create index on t using hash (a) include (b)", `0A000 access method "hash" does not support included columns`},
		{"create index on t using hash (a desc)", `0A000 access method "hash" does not support ASC/DESC options`},
		{"create index on t using brin (a)", "0A000 an index USING brin is not supported"},
		{"create index on t using nope (a)", `42704 access method "nope" does not exist`},
		{"select id from t where b = 2", "2\nSELECT 1"},
	}...)
	for _, op := range f.meta.View().Operations {
		if op.State != cluster.OpSucceeded {
			t.Errorf("the operation is %+v", op)
		}
	}
}
