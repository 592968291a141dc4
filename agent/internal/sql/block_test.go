package sql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// changesOfTwo are changes of the tables t and u that operations carry on.
func (c *client) changesOfTwo() {
	c.t.Helper()
	c.steps([][2]string{
		{"create unique index x on t (a)", "CREATE INDEX"},
		{"create index on u (a)", "CREATE INDEX"},
		{"alter table t alter a set not null, add constraint k check (a > 0)", "ALTER TABLE"},
		{"alter table t add foreign key (p) references p", "ALTER TABLE"},
		{"alter table t add column n int unique", "ALTER TABLE"},
		{"alter table t add unique (b, id)", "ALTER TABLE"},
		{"drop index old", "DROP INDEX"},
	}...)
}

// TestSchemaChangesInBlocks: what an operation carries on is begun by COMMIT, with rows that
// the transaction has written and without.
func TestSchemaChangesInBlocks(t *testing.T) {
	for _, rows := range []bool{false, true} {
		f := newFixture(t, nil)
		c, other := f.open(), f.open()
		c.run("create table p (id int primary key)")
		c.run("create table t (id int primary key, a int, b text, p int)")
		c.run("create table u (id int primary key, a int)")
		c.run("create index old on t (b)")
		c.run("insert into p values (1)")
		c.run("insert into t values (1, 3, 'B', 1), (2, 2, 'a', null)")
		c.run("insert into u values (1, 1), (2, 2)")
		before := len(f.meta.View().Operations)
		c.run("begin")
		c.changesOfTwo()
		c.want(`23514 new row for relation "t" violates check constraint "k" / Failing row contains (4, -1, x, null, null).`, "insert into t values (4, -1, 'x', null)")
		c.want("ROLLBACK", "commit")
		c.run("begin")
		c.want("25001 CREATE INDEX CONCURRENTLY cannot run inside a transaction block", "create index concurrently y on t (a)")
		c.want("ROLLBACK", "rollback")
		if n := len(f.meta.View().Operations); n != before {
			t.Fatalf("blocks that came to nothing have begun %d operations", n-before)
		}
		c.run("begin")
		if rows {
			c.want("INSERT 0 1", "insert into t values (3, 7, 'c', 1)")
		}
		c.changesOfTwo()
		if rows {
			c.want("INSERT 0 1", "insert into t values (4, 8, 'd', 1, 5)")
		}
		other.want("UPDATE 1", "update u set a = 9 where id = 2") // it knows nothing of the block
		c.want("COMMIT", "commit")
		other.want(`23505 duplicate key value violates unique constraint "x" / Key (a)=(2) already exists.`, "insert into t values (5, 2)")
		other.want(`23502 null value in column "a" of relation "t" violates not-null constraint / Failing row contains (5, null, null, null, null).`, "insert into t values (5)")
		other.want(`23503 insert or update on table "t" violates foreign key constraint "t_p_fkey" / Key (p)=(2) is not present in table "p".`, "insert into t values (5, 5, 'x', 2)")
		other.want("2\nSELECT 1", "select id from u where a = 9")
		checkIndexes(t, f, "t")
		checkIndexes(t, f, "u")
		for _, o := range f.meta.View().Objects {
			if o.Collection != nil && slices.ContainsFunc(o.Collection.Indexes, func(x cluster.Index) bool { return x.State != "" || x.Dropped || x.Name == "old" }) {
				t.Errorf("an index of %+v is half-way", o.Collection.Indexes)
			}
		}
		if n := len(f.meta.View().Operations) - before; n != 2 {
			t.Errorf("%d operations have carried the change of two tables on", n)
		}
	}
}

// TestSchemaChangeFailsAtCommit: what the rows do not allow is taken back, and the rest of the
// transaction stays.
func TestSchemaChangeFailsAtCommit(t *testing.T) {
	for _, rows := range []bool{false, true} {
		f := newFixture(t, nil)
		c := f.open()
		c.run("create table t (id int primary key, a int)")
		c.run("create table made (id int primary key)")
		c.run("insert into t values (1, 3), (2, 3)")
		c.want("BEGIN", "begin")
		if rows {
			c.want("INSERT 0 1", "insert into made values (1)")
		}
		c.want("CREATE TABLE", "create table beside (id int primary key)")
		c.want("ALTER TABLE", "alter table t add column n int not null")
		c.want("CREATE VIEW", "create view v as select n from t")
		c.want("CREATE INDEX", "create unique index x on t (a)")
		p, err := c.session.Prepare(t.Context(), "commit", nil)
		if err == nil {
			_, err = c.session.Execute(t.Context(), p, nil, &textSink{})
		}
		if got := errorText(t, err); got != `23505 could not create unique index "x" / Key (a)=(3) is duplicated.` {
			t.Errorf("COMMIT: %s", got)
		}
		if e := (*Error)(nil); errors.As(err, &e) && !strings.HasPrefix(e.Hint, "The transaction is committed, but for op-") {
			t.Errorf("the hint is %q", e.Hint)
		}
		c.want("SELECT 0", "select * from beside")
		c.want("INSERT 0 1", "insert into t values (3, 3)") // nothing holds of the change
		c.wantSorted("NULL\nNULL\nNULL\nSELECT 3", "select * from v")
		if rows {
			c.want("1\nSELECT 1", "select * from made")
		}
		for _, op := range f.meta.View().Operations {
			if op.State != cluster.OpFailed {
				t.Errorf("the operation is %+v", op)
			}
		}
	}
}

// TestSchemaChangesGoWithTheirSavepoint: ROLLBACK and ROLLBACK TO leave nothing, and nor does
// what a later statement takes away.
func TestSchemaChangesGoWithTheirSavepoint(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int, b int)")
	c.run("create table u (id int primary key, a int)")
	c.run("insert into t values (1, 3, 3), (2, 3, 4)")
	c.steps([][2]string{
		{"begin", "BEGIN"},
		{"create unique index x on t (a)", "CREATE INDEX"},
		{"rollback", "ROLLBACK"},
		{"begin", "BEGIN"},
		{"create unique index y on t (b)", "CREATE INDEX"},
		{"savepoint s", "SAVEPOINT"},
		{"create unique index x on t (a)", "CREATE INDEX"},
		{"rollback to s", "ROLLBACK"},
		{"create unique index x on t (a)", "CREATE INDEX"},
		{"drop index x", "DROP INDEX"},
		{"alter table t add constraint k check (a = 0)", "ALTER TABLE"},
		{"alter table t drop constraint k", "ALTER TABLE"},
		{"alter table t add column n int unique", "ALTER TABLE"},
		{"alter table t drop column n", "ALTER TABLE"},
		{"create index on u (a)", "CREATE INDEX"},
		{"drop table u", "DROP TABLE"},
		{"commit", "COMMIT"},
		{"insert into t values (4, 3, 3)", `23505 duplicate key value violates unique constraint "y" / Key (b)=(3) already exists.`},
		{"insert into t values (4, 3, 5)", "INSERT 0 1"},
	}...)
	checkIndexes(t, f, "t")
	if n := len(f.meta.View().Operations); n != 1 {
		t.Errorf("there are %d operations", n)
	}
	for _, op := range f.meta.View().Operations {
		if op.State != cluster.OpSucceeded || len(op.Spec.Change.Indexes) != 1 || len(op.Spec.Change.Checks) != 0 {
			t.Errorf("the operation is %+v of %+v", op, op.Spec.Change)
		}
	}
}

// TestCommitEndsBeforeItsSchemaChange: the operation goes on, and the transaction is committed.
func TestCommitEndsBeforeItsSchemaChange(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	c.run("begin")
	c.run("insert into t values (1, 1)")
	c.want("CREATE INDEX", "create index x on t (a)")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var id string
	f.coordinator.before = func(op *cluster.Operation) {
		id = op.ID
		cancel()
	}
	got := c.runContext(ctx, "commit")
	if want := "57014 canceling statement due to user request / The transaction is committed, and " + id + " goes on with the change of the table."; got != want {
		t.Errorf("COMMIT: %s\nwant: %s", got, want)
	}
	f.coordinator.before = nil
	if op, err := f.coordinator.Wait(t.Context(), id, nil); err != nil || op.State != cluster.OpSucceeded {
		t.Errorf("%+v, %v", op, err)
	}
	c.want("1|1\nSELECT 1", "select * from t where a = 1")
	checkIndexes(t, f, "t")
}
