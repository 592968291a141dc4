package sql

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
)

// TestConstraintsOfWrittenTables: what is added to a table with rows holds of all of them,
// or is not there.
func TestConstraintsOfWrittenTables(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int, b int)", "CREATE TABLE"},
		{"insert into t values (1, 1, 1), (2, 2, null)", "INSERT 0 2"},
		{"alter table t alter a set not null", "ALTER TABLE"},
		{"alter table t alter a set not null", "ALTER TABLE"},
		{"insert into t values (3, null, 3)", `23502 null value in column "a" of relation "t" violates not-null constraint / Failing row contains (3, null, 3).`},
		{"alter table t alter b set not null", `23502 column "b" of relation "t" contains null values`},
		{"insert into t values (3, 3, null)", "INSERT 0 1"},
		{"alter table t add c int not null", `23502 column "c" of relation "t" contains null values`},
		{"select c from t", `42703 column "c" does not exist`},
		{"alter table t add constraint big check (a > 1)", `23514 check constraint "big" of relation "t" is violated by some row`},
		{"insert into t values (4, 0, 0)", "INSERT 0 1"},
		{"alter table t add check (a < 100)", "ALTER TABLE"},
		{"insert into t values (5, 100, 0)", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (5, 100, 0).`},
		{"alter table t add c int not null default 7 check (c > 7)", `23514 check constraint "t_c_check" of relation "t" is violated by some row`},
		{"alter table t add c int not null default 7 check (c > 6)", "ALTER TABLE"},
		{"select c from t where id = 1", "7\nSELECT 1"},
		{"alter table t alter b drop not null", "ALTER TABLE"},
		{"alter table t alter b set not null, drop column c", "0A000 adding a constraint or NOT NULL, or a type for which rows are written anew, together with other changes of a table that others may write to is not supported"},
		{"begin", "BEGIN"},
		{"alter table t alter b set not null", "ALTER TABLE"},
		{"insert into t values (7, 7)", `23502 null value in column "b" of relation "t" violates not-null constraint / Failing row contains (7, 7, null, 7).`},
		{"rollback", "ROLLBACK"},
		{"delete from t where b is null", "DELETE 2"},
		{"alter table t alter b set not null", "ALTER TABLE"},
		{"create table empty (id int primary key)", "CREATE TABLE"},
		{"alter table empty add v int not null", "ALTER TABLE"},
		{"insert into empty values (1)", `23502 null value in column "v" of relation "empty" violates not-null constraint / Failing row contains (1, null).`},
		{"insert into empty values (1, 1)", "INSERT 0 1"},
	}...)
	for _, o := range f.meta.View().Objects {
		if o.Collection == nil {
			continue
		}
		for _, column := range o.Collection.Columns {
			if column.NotNullState != "" {
				t.Errorf("%s.%s is left half-way", o.Name, column.Name)
			}
		}
		for _, k := range o.Collection.Checks {
			if k.State != "" {
				t.Errorf("%s.%s is left half-way", o.Name, k.Name)
			}
		}
	}
}

// TestSchemaChangeInParts: many rows are looked at in parts, none twice.
func TestSchemaChangeInParts(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	f.server.schemaRows = 900
	for at := 0; at < 7000; at += 1000 {
		var rows []string
		for i := range 1000 {
			rows = append(rows, fmt.Sprintf("(%d, 1)", at+i))
		}
		c.run("insert into t values " + strings.Join(rows, ", "))
	}
	c.want("ALTER TABLE", "alter table t alter a set not null")
	for _, op := range f.meta.View().Operations {
		if op.State != cluster.OpSucceeded || op.Rows != 7000 || op.Spec.Change == nil {
			t.Errorf("the operation is %+v", op)
		}
	}
}

// behindFixture is a second node over the same ranges, whose view of the meta range stands
// still until it is to hear.
func (f *fixture) behind(heard bool) (*client, *laggingMeta) {
	f.t.Helper()
	lagging := &laggingMeta{fakeMeta: f.meta, view: f.meta.View(), hears: heard}
	server, err := NewServer(Config{DB: f.db, Meta: lagging, Views: fakeViews{meta: f.meta}, Node: 2, Version: "v1", Planted: f.server.cfg.Planted, Logger: slog.New(slog.NewTextHandler(testWriter{f.t}, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	server.cfg.Views = fakeViews{meta: f.meta, server: server}
	return (&fixture{t: f.t, db: f.db, meta: f.meta, server: server}).open(), lagging
}

// TestStaleGateway: who knows an old form of a table writes nothing by it: a statement is
// planned anew, a transaction ends.
func TestStaleGateway(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	c.run("insert into t values (1, 1)")
	late, meta := f.behind(true)
	other, _ := f.behind(false)
	inBlock, blocked := f.behind(true)
	inBlock.want("BEGIN", "begin")
	inBlock.want("INSERT 0 1", "insert into t values (7, null)")
	c.want("ALTER TABLE", "alter table t alter a set not null")
	inBlock.want("40001 could not serialize access: a table of this transaction was changed while it ran", "commit")
	if blocked.view != f.meta.View() && len(blocked.view.Operations) > 0 {
		t.Error("COMMIT waited")
	}
	late.steps([][2]string{
		{"insert into t values (2, null)", `23502 null value in column "a" of relation "t" violates not-null constraint / Failing row contains (2, null).`},
		{"insert into t values (2, 2)", "INSERT 0 1"},
	}...)
	if meta.view != f.meta.View() {
		t.Error("it knows the old form still")
	}
	other.want(`57P03 this node has not heard for 15 s of a change of a table of this statement`, "update t set a = null where id = 1")
	c.want("1|1\n2|2\nSELECT 2", "select * from t order by id")
}

// TestStaleGatewayOfTruncate: a row of who has not heard of TRUNCATE is in the new table.
func TestStaleGatewayOfTruncate(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	c.run("insert into t values (1, 1)")
	late, _ := f.behind(true)
	inBlock, _ := f.behind(true)
	inBlock.want("BEGIN", "begin")
	inBlock.want("INSERT 0 1", "insert into t values (7, 7)")
	c.want("TRUNCATE TABLE", "truncate t")
	late.want("INSERT 0 1", "insert into t values (2, 2)")
	inBlock.want("40001 could not serialize access: a table of this transaction was changed while it ran", "commit")
	c.want("2|2\nSELECT 1", "select * from t")
	c.steps([][2]string{
		{"begin", "BEGIN"},
		{"truncate t", "TRUNCATE TABLE"},
		{"insert into t values (3, 3)", "INSERT 0 1"},
		{"commit", "COMMIT"},
	}...)
	late.want("INSERT 0 1", "insert into t values (4, 4)")
	c.want("3|3\n4|4\nSELECT 2", "select * from t order by id")
}

// TestSchemaChangeIsCancelled: what was asked for is gone, and the client is told.
func TestSchemaChangeIsCancelled(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	f.coordinator.before = func(op *cluster.Operation) {
		if op.Phase == operation.PhaseValidate && op.State != cluster.OpCancelling {
			if _, err := f.meta.Propose(context.Background(), metastate.Command{RequestCancel: &metastate.RequestCancel{ID: op.ID}}); err != nil {
				t.Error(err)
			}
			*op = *f.meta.View().Operations[op.ID]
		}
	}
	if got := c.run("alter table t add b int not null"); !strings.HasPrefix(got, "57014 op-") {
		t.Errorf("who is cancelled is told %s", got)
	}
	c.want("INSERT 0 1", "insert into t values (1, null)")
	f.coordinator.before = nil
	c.want(`23502 column "a" of relation "t" contains null values`, "alter table t alter a set not null")
}
