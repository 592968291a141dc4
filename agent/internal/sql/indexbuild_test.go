package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// TestIndexesOfWrittenTables: an index is made of a table with rows, and used.
func TestIndexesOfWrittenTables(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int, b text)")
	c.run("insert into t values (1, 3, 'B'), (2, 2, 'a'), (3, null, 'b'), (4, 2, null)")
	c.steps([][2]string{
		{"create index on t (a desc, b) include (id)", "CREATE INDEX"},
		{"create index if not exists t_a_b_id_idx on t (a)", "CREATE INDEX"},
		{"create index t_a_b_id_idx on t (a)", `42P07 relation "t_a_b_id_idx" already exists`},
		{"create index concurrently l on t (lower(b)) where a is not null", "CREATE INDEX"},
		{"create unique index u on t (a)", `23505 could not create unique index "u" / Key (a)=(2) is duplicated.`},
		{"create unique index u on t (b)", "CREATE INDEX"},
		{"insert into t values (5, 5, 'a')", `23505 duplicate key value violates unique constraint "u" / Key (b)=(a) already exists.`},
		{"insert into t values (5, 5, 'c'), (6, 2, 'd')", "INSERT 0 2"},
		{"insert into t values (7, 5, 'c') on conflict (b) do update set a = 9", "INSERT 0 1"},
		{"select id from t where lower(b) = 'b' and a is not null", "1\nSELECT 1"},
		{"explain select id from t where a = 2", "Index Only Scan using t_a_b_id_idx on t\n  Index Cond: (a = 2)\nEXPLAIN"},
		{"select id from t where a = 9", "5\nSELECT 1"},
		{"create unique index v on t ((a * 100 + id))", "CREATE INDEX"},
	}...)
	checkIndexes(t, f, "t")
	if n := len(f.meta.View().Dropped); n != 1 {
		t.Errorf("%d collections are to be cleared, want that of the index that failed", n)
	}
	for _, op := range f.meta.View().Operations {
		if op.State == cluster.OpFailed != (op.Failure != nil) {
			t.Errorf("the operation is %+v", op)
		}
	}
}

// TestIndexOfManyRows: rows are filled in by parts, and each once.
func TestIndexOfManyRows(t *testing.T) {
	f := newFixture(t, nil)
	f.server.schemaRows = 90
	c := f.open()
	c.run("create table t (id int primary key, a int)")
	for part := range 3 {
		var rows []string
		for i := range 300 {
			rows = append(rows, fmt.Sprintf("(%d, %d)", part*300+i, i))
		}
		c.run("insert into t values " + strings.Join(rows, ", "))
	}
	c.want("CREATE INDEX", "create index on t (a)")
	c.want("CREATE INDEX", "create unique index on t (a, id)")
	checkIndexes(t, f, "t")
	c.wantSorted("337\n37\n637\nSELECT 3", "select id from t where a = 37")
	for _, op := range f.meta.View().Operations {
		if op.State != cluster.OpSucceeded || op.Rows != 900 {
			t.Errorf("the operation is %+v", op)
		}
	}
}

// TestIndexIsMadeWhileRowsChange: what others write in any phase is in the index as it is in
// the rows, by a gateway that knows all, and by one that hears late.
func TestIndexIsMadeWhileRowsChange(t *testing.T) {
	if found := buildModel(t, 40, nil); found != nil {
		t.Error(found)
	}
}

// buildModel makes and drops indexes while rows change, until one does not say what the rows
// say. set plants a fault.
func buildModel(t *testing.T, rounds int, set func(*fixture)) error {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range rounds {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		f := newFixture(t, nil)
		f.server.schemaRows = 1 + rnd.IntN(8)
		if set != nil {
			set(f)
		}
		c, writer := f.open(), f.open()
		c.run("create table t (id int primary key, a int, b int)")
		c.run("insert into t values (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 1, 4), (5, null, 5)")
		late, meta := f.behind(true)
		reader, readerMeta := f.behind(true)
		values := 4 + rnd.IntN(40)
		statement := func() string {
			id, a := rnd.IntN(12), rnd.IntN(values)
			switch rnd.IntN(7) {
			case 0, 1:
				return fmt.Sprintf("insert into t values (%d, %d, 0)", id, a)
			case 2:
				return fmt.Sprintf("update t set a = %d where id = %d", a, id)
			case 3:
				return fmt.Sprintf("update t set b = b + 1, a = a + %d where id < %d", rnd.IntN(2), id)
			case 4:
				return fmt.Sprintf("insert into t values (%d, %d, 1) on conflict (id) do update set a = excluded.a", id, a)
			case 5:
				return fmt.Sprintf("begin; insert into t values (%d, %d, 0); update t set a = %d where a = %d; delete from t where id = %d; commit", id, a, rnd.IntN(values), a, rnd.IntN(12))
			default:
				return fmt.Sprintf("delete from t where id = %d", id)
			}
		}
		busy, wrong := false, error(nil)
		write := func() {
			if busy {
				return
			}
			busy = true
			defer func() { busy = false }()
			if rnd.IntN(4) == 0 {
				meta.view = f.meta.View() // it hears
			}
			if rnd.IntN(3) == 0 {
				readerMeta.view = f.meta.View()
			}
			for range rnd.IntN(8) {
				who := writer
				if rnd.IntN(2) == 0 {
					who = late
				}
				for _, text := range strings.Split(statement(), "; ") {
					if got := who.run(text); strings.Contains(text, "commit") && strings.HasPrefix(got, "XX") {
						t.Errorf("round %d: %s: %s", round, text, got)
					}
				}
				who.run("rollback")
			}
			for _, who := range []*client{writer, reader, reader} {
				a := rnd.IntN(values)
				by, all := who.sorted(fmt.Sprintf("select id, b from t where a = %d", a)), who.sorted(fmt.Sprintf("select id, b from t where a + 0 = %d", a))
				if by != all && wrong == nil {
					wrong = fmt.Errorf("round %d: of a = %d a reader finds %q by an index, want %q", round, a, by, all)
				}
			}
		}
		f.coordinator.before = func(*cluster.Operation) { write() }
		f.db.beforeFill, f.db.beforeRaise = write, write
		for _, x := range []string{"create index i on t (a) include (b)", "create unique index u on t (a)", "create unique index w on t (b, a, id)"} {
			got := c.run(x)
			if got != "CREATE INDEX" && !strings.HasPrefix(got, `23505 could not create unique index`) {
				t.Fatalf("round %d: %s: %s", round, x, got)
			}
			if err := f.indexFaults("t"); err != nil {
				return fmt.Errorf("round %d, %s: %w", round, x, err)
			}
			write()
			if name := strings.Fields(strings.Split(x, "index ")[1])[0]; got == "CREATE INDEX" && rnd.IntN(2) == 0 {
				c.want("DROP INDEX", "drop index "+name)
			}
			if write(); wrong != nil {
				return wrong
			}
		}
	}
	return nil
}

// TestIndexIsTakenBack: an operation that is cancelled in any phase leaves nothing.
func TestIndexIsTakenBack(t *testing.T) {
	for _, phase := range []string{operation.PhaseFence, operation.PhaseMaintain, operation.PhaseFill, operation.PhasePublish} {
		f := newFixture(t, nil)
		c := f.open()
		c.run("create table t (id int primary key, a int)")
		c.run("insert into t values (1, 1)")
		f.coordinator.before = func(op *cluster.Operation) {
			if op.Phase == phase && op.State != cluster.OpCancelling {
				if _, err := f.meta.Propose(context.Background(), metastate.Command{RequestCancel: &metastate.RequestCancel{ID: op.ID}}); err != nil {
					t.Error(err)
				}
				*op = *f.meta.View().Operations[op.ID]
			}
		}
		if got := c.run("create unique index i on t (a)"); !strings.HasPrefix(got, "57014 op-") {
			t.Errorf("in %s: who is cancelled is told %s", phase, got)
		}
		f.coordinator.before = nil
		c.want("INSERT 0 1", "insert into t values (2, 1)")
		c.want("CREATE INDEX", "create index i on t (a)")
		checkIndexes(t, f, "t")
	}
}

// TestIndexesOfWrittenTablesGo: what is dropped is no more at once, and its name is free.
func TestIndexesOfWrittenTablesGo(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int, b text, c int unique, d int)", "CREATE TABLE"},
		{"insert into t values (1, 1, 'x', 1, 1), (2, 1, 'y', 2, 2)", "INSERT 0 2"},
		{"create index i on t (a)", "CREATE INDEX"},
		{"drop index i", "DROP INDEX"},
		{"drop index i", `42704 index "i" does not exist`},
		{"create index i on t (b)", "CREATE INDEX"},
		{"drop index t_c_key", "2BP01 cannot drop index t_c_key because constraint t_c_key on table t requires it"},
		{"alter table t drop constraint t_c_key", "ALTER TABLE"},
		{"insert into t values (3, 1, 'z', 2, 3)", "INSERT 0 1"},
		{"alter table t add unique (c)", `23505 could not create unique index "t_c_key" / Key (c)=(2) is duplicated.`},
		{"alter table t add constraint u unique (d) include (b)", "ALTER TABLE"},
		{"insert into t values (4, 1, 'z', 2, 3)", `23505 duplicate key value violates unique constraint "u" / Key (d)=(3) already exists.`},
		{"create table r (id int primary key, d int references t (d))", "CREATE TABLE"},
		{"alter table t drop constraint u", "2BP01 cannot drop constraint u on table t because other objects depend on it / constraint r_d_fkey on table r depends on index u"},
		{"drop table r", "DROP TABLE"},
		{"alter table t add column e int unique", "ALTER TABLE"},
		{"alter table t add column g int default 5 unique", `23505 could not create unique index "t_g_key" / Key (g)=(5) is duplicated.`},
		{"update t set e = id", "UPDATE 3"},
		{"insert into t values (4, 1, 'z', 4, 4, 3)", `23505 duplicate key value violates unique constraint "t_e_key" / Key (e)=(3) already exists.`},
		{"alter table t drop column d", "ALTER TABLE"},
		{"alter table t add column d text unique", "ALTER TABLE"},
		{"alter table t drop column b, drop column e", "ALTER TABLE"},
		{"select * from t order by id", "1|1|1|NULL\n2|1|2|NULL\n3|1|2|NULL\nSELECT 3"},
		{"create unique index v on t (d)", "CREATE INDEX"},
		{"alter table t add constraint w unique using index v", "ALTER TABLE"},
		{"alter table t add constraint w unique using index v", `42704 index "v" does not exist`},
		{"alter table t drop constraint w, drop constraint t_d_key", "ALTER TABLE"},
		{"begin", "BEGIN"},
		{"create table n (id int primary key, a int)", "CREATE TABLE"},
		{"insert into n values (1, 1), (2, 2)", "INSERT 0 2"},
		{"alter table n add constraint na unique (a)", "ALTER TABLE"},
		{"select id from n where a = 2", "2\nSELECT 1"},
		{"commit", "COMMIT"},
	}...)
	checkIndexes(t, f, "t")
	checkIndexes(t, f, "n")
	table, _ := f.server.catalog.Scope(nil, cluster.MainDatabase, []string{catalog.Public}).Table("", "t")
	if n := len(table.Desc.Collection.Indexes); n != 0 || len(table.Columns) != 4 {
		t.Errorf("%d indexes and %d columns are left", n, len(table.Columns))
	}
	for _, op := range f.meta.View().Operations {
		if !op.State.Final() {
			t.Errorf("the operation is %+v", op)
		}
	}
}

// TestReadersOfThePast: an index is no good for times before it was filled.
func TestReadersOfThePast(t *testing.T) {
	for _, slow := range []bool{false, true} {
		var f *fixture
		var c *client
		if slow {
			f, c = slowFixture(t)
		} else {
			f = newFixture(t, nil)
			c = f.open()
		}
		c.run("create table t (id int primary key, a int, b text)")
		c.run("insert into t values (1, 1, 'x'), (2, 2, 'y')")
		old, writer := f.open(), f.open()
		old.run("begin isolation level repeatable read")
		old.want("2\nSELECT 1", "select count(*) from t")
		writer.run("begin isolation level repeatable read")
		writer.want("2\nSELECT 1", "select count(*) from t")
		c.want("INSERT 0 1", "insert into t values (3, 2, 'z')")
		c.want("CREATE INDEX", "create index i on t (a) include (b)")
		query := "select id from t where a = 2"
		if slow {
			query = "select max(t.id) from t join t u on t.a = u.a where t.a = 2 group by u.b"
		}
		old.want("2\nSELECT 1", query)
		old.want("2\nSELECT 1", query)
		writer.want(`40001 could not serialize access: index "i" was made while the transaction ran`, "update t set b = 'w' where a = 2")
		old.run("commit")
		if !slow {
			old.wantSorted("2\n3\nSELECT 2", query)
		}
	}
}

// TestOldPlansAfterADrop: who has an old plan reads no entries of a dropped index.
func TestOldPlansAfterADrop(t *testing.T) {
	if err := oldPlan(t, nil); err != nil {
		t.Error(err)
	}
}

// oldPlan has gateways read by an index that is no more. set plants a fault.
func oldPlan(t *testing.T, set func(*fixture)) error {
	t.Helper()
	f := newFixture(t, nil)
	if set != nil {
		set(f)
	}
	c := f.open()
	c.run("create table t (id int primary key, a int, b text)")
	c.run("insert into t values (1, 1, 'x'), (2, 2, 'y')")
	c.want("CREATE INDEX", "create index i on t (a) include (b)")
	late, _ := f.behind(true)
	blocked, _ := f.behind(true)
	blocked.run("begin")
	query := "select b from t where a = 1"
	late.want("x\nSELECT 1", query)
	blocked.want("x\nSELECT 1", query)
	c.want("DROP INDEX", "drop index i")
	c.want("UPDATE 1", "update t set a = 7 where id = 1")
	if got := late.run(query); got != "SELECT 0" {
		return fmt.Errorf("a reader with an old plan finds %q by an index that is no more", got)
	}
	want := "40001 could not serialize access: a table of this transaction was changed while it ran"
	if got := blocked.run(query); got != want {
		return fmt.Errorf("a transaction with an old plan finds %q by an index that is no more", got)
	}
	return nil
}

// TestErrorsAboutIndexes: they are PostgreSQL's.
func TestErrorsAboutIndexes(t *testing.T) {
	c := newFixture(t, nil).open()
	c.steps([][2]string{
		{"create table p (id int primary key, a int unique, c int)", "CREATE TABLE"},
		{"create index pc on p (c)", "CREATE INDEX"},
		{"drop table p_a_key", `42809 "p_a_key" is not a table`},
		{"drop table if exists p_pkey", `42809 "p_pkey" is not a table`},
		{"drop index p_pkey", "2BP01 cannot drop index p_pkey because constraint p_pkey on table p requires it"},
		{"drop index concurrently pc, nope", "0A000 DROP INDEX CONCURRENTLY does not support dropping multiple objects"},
		{"drop index concurrently pc cascade", "0A000 DROP INDEX CONCURRENTLY does not support CASCADE"},
		{"drop index nosuch.pc", `3F000 schema "nosuch" does not exist`},
		{"drop index if exists nosuch.pc", "DROP INDEX"},
		{"drop table nosuch.p", `3F000 schema "nosuch" does not exist`},
		{"alter table p validate constraint p_pkey", `42809 constraint "p_pkey" of relation "p" is not a foreign key or check constraint`},
		{"alter table p validate constraint p_a_key", `42809 constraint "p_a_key" of relation "p" is not a foreign key or check constraint`},
		{"alter table p add check (c > 0)", "ALTER TABLE"},
		{"alter table p validate constraint p_c_check", "ALTER TABLE"},
		{"create table x (i int references p (a, c))", `42830 there is no unique constraint matching given keys for referenced table "p"`},
		{"create table x (i int references p_a_key (a))", `42809 "p_a_key" is an index`},
		{"create view v as select c from p", "CREATE VIEW"},
		{"create index on v (c)", `42809 cannot create index on relation "v" / This operation is not supported for views.`},
	}...)
}
