package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

func TestUniqueConstraints(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (id int primary key, a int unique, b text, c int, constraint bc unique (b, c))")
	c.want("INSERT 0 2", "insert into t values (1, 10, 'x', 1), (2, 20, 'x', 2)")
	c.want(`23505 duplicate key value violates unique constraint "t_a_key" / Key (a)=(10) already exists.`, "insert into t values (3, 10, 'y', 1)")
	c.want(`23505 duplicate key value violates unique constraint "bc" / Key (b, c)=(x, 2) already exists.`, "insert into t values (3, 30, 'x', 2)")
	c.want(`23505 duplicate key value violates unique constraint "t_a_key" / Key (a)=(5) already exists.`, "insert into t values (5, 5, 'y', 1), (6, 5, 'y', 2)")
	c.want("INSERT 0 2", "insert into t values (3, null, null, 1), (4, null, null, 1)")
	c.want("1\nSELECT 1", "select id from t where a = 10")
	c.want("2\nSELECT 1", "select id from t where b = 'x' and c = 2")
	c.want("SELECT 0", "select id from t where a = null")
	c.want("UPDATE 1", "update t set a = 11 where a = 10")
	c.want("SELECT 0", "select id from t where a = 10")
	c.want("1\nSELECT 1", "select id from t where a = 11")
	c.want(`23505 duplicate key value violates unique constraint "t_a_key" / Key (a)=(20) already exists.`, "update t set a = 20 where id = 1")
	c.want("UPDATE 4", "update t set a = a + 9")
	c.want("20\n29\nSELECT 2", "select a from t where a in (29, 20, 7) order by a")
	c.want("DELETE 1", "delete from t where a = 20")
	c.want("INSERT 0 1", "insert into t values (1, 20, 'z', 9)")
	c.want("UPDATE 1", "update t set id = 100 where a = 20")
	c.want("100\nSELECT 1", "select id from t where a = 20")
	checkIndexes(t, f, "t")
	c.want("BEGIN", "begin")
	c.want("INSERT 0 1", "insert into t values (7, 70, 'q', 1)")
	c.want("7\nSELECT 1", "select id from t where a = 70")
	c.want("UPDATE 1", "update t set a = 71 where a = 70")
	c.want("SELECT 0", "select id from t where a = 70")
	c.want("DELETE 1", "delete from t where a = 20")
	c.want("INSERT 0 1", "insert into t values (8, 20, 'q', 2)")
	c.want("8\nSELECT 1", "select id from t where a = 20")
	c.want("SAVEPOINT", "savepoint s")
	c.want(`23505 duplicate key value violates unique constraint "t_a_key" / Key (a)=(71) already exists.`, "insert into t values (9, 71, 'q', 3)")
	c.want("ROLLBACK", "rollback to s")
	c.want("COMMIT", "commit")
	checkIndexes(t, f, "t")
	c.want("8\nSELECT 1", "select id from t where a = 20")
}

func TestOnConflictOfIndexes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, a int unique, n int default 0)")
	c.want("INSERT 0 2", "insert into t values (1, 10), (2, 20)")
	c.want("INSERT 0 1", "insert into t values (3, 10) on conflict (a) do update set n = t.n + 1")
	c.want("1|1\nSELECT 1", "select id, n from t where a = 10")
	c.want("INSERT 0 0", "insert into t values (3, 10) on conflict do nothing")
	c.want("INSERT 0 0", "insert into t values (1, 77) on conflict do nothing")
	c.want("INSERT 0 1", "insert into t values (3, 30), (4, 30) on conflict (a) do nothing")
	c.want("3\nINSERT 0 1", "insert into t values (9, 30) on conflict on constraint t_a_key do update set a = excluded.a + 1, n = 5 returning id")
	c.want("3|31|5\nSELECT 1", "select id, a, n from t where a = 31")
	c.want(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(1) already exists.`, "insert into t values (1, 99) on conflict (a) do nothing")
	c.want(`23505 duplicate key value violates unique constraint "t_a_key" / Key (a)=(10) already exists.`, "insert into t values (50, 10) on conflict (id) do nothing")
	c.want("21000 ON CONFLICT DO UPDATE command cannot affect row a second time", "insert into t values (50, 50), (51, 50) on conflict (a) do update set n = 1")
	c.want("42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification", "insert into t values (50, 50) on conflict (n) do nothing")
	c.want("INSERT 0 2", "insert into t values (60, null), (61, null) on conflict (a) do update set n = 9")
	checkIndexes(t, f, "t")
}

func TestIndexesInBlocks(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("begin")
	c.run("create table t (id int primary key, a int, b text)")
	c.run("insert into t values (1, 3, 'B'), (2, 2, 'a'), (3, null, 'b'), (4, 2, null)")
	c.want("CREATE INDEX", "create index on t (a desc, b) include (id)")
	c.want("CREATE INDEX", "create index if not exists t_lower_idx on t (lower(b)) where a is not null")
	c.want("42P07 relation \"t_a_b_id_idx\" already exists", "create index t_a_b_id_idx on t (a)")
	c.run("rollback")
	c.run("begin")
	c.run("create table t (id int primary key, a int, b text)")
	c.run("insert into t values (1, 3, 'B'), (2, 2, 'a'), (3, null, 'b'), (4, 2, null)")
	c.run("create index on t (a desc, b) include (id)")
	c.want("CREATE INDEX", "create index if not exists t_lower_idx on t (lower(b)) where a is not null")
	c.want("CREATE INDEX", "create index if not exists t_lower_idx on t (lower(b)) where a is not null")
	c.wantSorted("2\n4\nSELECT 2", "select id from t where a = 2")
	c.run("savepoint s")
	c.want(`23505 could not create unique index "u" / Key (a)=(2) is duplicated.`, "create unique index u on t (a)")
	c.run("rollback to s")
	c.run("commit")
	checkIndexes(t, f, "t")
	c.wantSorted("2\n4\nSELECT 2", "select id from t where a = 2")
	c.want("1\nSELECT 1", "select id from t where lower(b) = 'b' and a is not null")
	c.want("CREATE INDEX", "create index t_a_id_idx on t (a, id)")
	c.want(`42704 index "nope" does not exist`, "drop index nope")
	c.want("DROP INDEX", "drop index if exists nope")
	c.want(`42809 "t" is not an index`, "drop index t")
	c.want("ALTER INDEX", "alter index t_lower_idx rename to li")
	c.want("42P01 relation \"t_lower_idx\" does not exist", "alter index t_lower_idx rename to li")
	other.want("1\nSELECT 1", "select id from t where lower(b) = 'b' and a is not null")
	c.want("TRUNCATE TABLE", "truncate t")
	c.want("SELECT 0", "select id from t where a = 2")
	c.run("insert into t values (5, 2, 'z')")
	c.want("5\nSELECT 1", "select id from t where a = 2")
	checkIndexes(t, f, "t")
	c.want("DROP TABLE", "drop table t")
	c.run("create table u (a int unique)")
	c.want("2BP01 cannot drop index u_a_key because constraint u_a_key on table u requires it", "drop index u_a_key")
	c.want("42P17 functions in index expression must be marked IMMUTABLE", "create index on u ((now()))")
	c.want(`42703 column "x" does not exist`, "create index on u (x)")
	c.want(`42P01 relation "nope" does not exist`, "create index on nope (x)")
	c.want(`42704 data type integer has no default operator class for access method "gin"`, "create index on u using gin (a)")
	c.want(`42703 column "x" named in key does not exist`, "create table w (a int, unique (x))")
	c.want(`42701 column "a" appears twice in unique constraint`, "create table w (a int, unique (a, a))")
	c.want("CREATE TABLE", "create table w (a int, unique nulls not distinct (a))")
	c.want("INSERT 0 1", "insert into w values (null)")
	c.want(`23505 duplicate key value violates unique constraint "w_a_key" / Key (a)=(null) already exists.`, "insert into w values (null)")
}

func (c *client) wantSorted(want, text string) {
	c.t.Helper()
	if got := c.sorted(text); got != want {
		c.t.Errorf("%s\n got: %s\nwant: %s", text, got, want)
	}
}

// checkIndexes holds that each row has its entries, and there are no others.
func checkIndexes(t *testing.T, f *fixture, name string) {
	t.Helper()
	if err := f.indexFaults(name); err != nil {
		t.Error(err)
	}
}

// TestIndexesAgreeWithScans asks the same of two tables, one with indexes and one without,
// after random changes of both, also in transactions.
func TestIndexesAgreeWithScans(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	f := newFixture(t, startDuck(t))
	c := f.open()
	columns := "(id int primary key, a int, b text, c numeric, d timestamp, e int8[])"
	c.run("create table plain " + columns)
	c.run("begin")
	c.run("create table indexed " + columns)
	for _, x := range []string{"(a)", "(a desc nulls last, b)", "(b, c desc)", "(lower(b)) include (a)", "(d desc)", "(c) where a is not null", "(a, d) include (c)", "(b nulls first)", "(e)"} {
		c.run("create index on indexed " + x)
	}
	c.run("create unique index on indexed (a, id desc)")
	c.run("commit")
	value := func() string {
		pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
		return fmt.Sprintf("%s, %s, %s, %s, %s", pick("null", "1", "2", "3", "-5"), pick("null", "'x'", "'X'", "''", "'yy'"), pick("null", "1.0", "1.00", "2.5", "-1"),
			pick("null", "'2024-01-01'", "'2025-01-01'", "'-infinity'"), pick("null", "'{}'", "'{1,2}'", "'{1,null}'"))
	}
	both := func(q string) {
		x, y := c.run(strings.ReplaceAll(q, "T", "plain")), c.run(strings.ReplaceAll(q, "T", "indexed"))
		if !strings.Contains(q, "order by") {
			x, y = sortedLines(x), sortedLines(y)
		}
		if strings.ReplaceAll(x, "plain", "indexed") != y {
			t.Fatalf("%s\nplain   %s\nindexed %s", q, x, y)
		}
	}
	wheres := []string{"a = 1", "a in (1, 2)", "a > 1", "a <= 2 and b = 'x'", "b = 'x'", "b >= 'X' and b < 'y'", "lower(b) = 'x'", "c = 1", "c > 0 and a is not null", "c = 1 and a = 1",
		"d < '2025-01-01'", "d = '2024-01-01' and a = 2", "a = 1 and id > 3", "b is null", "e = '{1,2}'", "e > '{}'", "a = any(array[2,3])", "b = 'x' and c < 2", "a = 1 and d > '2020-01-01'"}
	sorts := []string{"id", "a, id", "a desc, b, id", "b, c desc, id", "d desc, id", "b nulls first, id", "a desc nulls last, b, id", "lower(b), id"}
	for round := range 30 {
		if round%3 == 1 {
			both("begin")
		}
		for range 6 {
			switch rnd.IntN(5) {
			case 0, 1:
				both(fmt.Sprintf("insert into T values (%d, %s) on conflict do nothing", rnd.IntN(40), value()))
			case 2:
				both(fmt.Sprintf("insert into T values (%d, %s) on conflict (id) do update set a = excluded.a, b = excluded.b", rnd.IntN(40), value()))
			case 3:
				v := strings.Split(value(), ", ")
				both(fmt.Sprintf("update T set a = %s, b = %s, c = %s where id %% 5 = %d", v[0], v[1], v[2], rnd.IntN(5)))
			default:
				both("delete from T where " + wheres[rnd.IntN(len(wheres))] + " and id % 2 = 1")
			}
		}
		for _, w := range wheres {
			both("select * from T where " + w)
			both("select count(*) from T where " + w)
			both("select a, id from T where " + w)
			both("select b, sum(a), count(*) from T where " + w + " group by b")
			s := sorts[rnd.IntN(len(sorts))]
			both("select id, a from T where " + w + " order by " + s)
			both("select id, b from T where " + w + " order by " + s + " limit 3")
		}
		for _, s := range sorts {
			both("select id from T order by " + s + " limit 4")
		}
		if round%3 == 1 {
			both([]string{"commit", "rollback"}[rnd.IntN(2)])
		}
		checkIndexes(t, f, "indexed")
	}
}

func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// indexFaults says what is wrong with the indexes of a table, or that they are right.
func (f *fixture) indexFaults(name string) error {
	table, ok := f.server.catalog.Scope(nil, cluster.MainDatabase, []string{catalog.Public}).Table("", name)
	if !ok {
		return fmt.Errorf("there is no table %q", name)
	}
	run := &exec.Run{DB: f.db, Env: &queryplan.Env{Session: &queryplan.Session{}}}
	defer run.Close()
	return run.CheckIndexes(context.Background(), table)
}

func TestExplainIndexes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("begin")
	c.run("create table t (id int primary key, a int, b text, c int unique)")
	c.run("create index on t (a, b desc)")
	c.run("create index on t (lower(b)) where a > 3")
	c.run("commit")
	for _, s := range []struct{ query, want string }{
		{"select * from t where c = 1", "Index Scan using t_c_key on t\n  Index Cond: (c = 1)"},
		{"select id, c from t where c in (1, 2)", "Index Only Scan using t_c_key on t\n  Index Cond: (c = ANY (1, 2))"},
		{"select id from t where a = 1 and b = 'x'", "Index Only Scan using t_a_b_idx on t\n  Index Cond: ((a = 1) AND (b = 'x'::text))"},
		{"select id from t where a = $1 order by b limit 3", "Index Only Scan Backward using t_a_b_idx on t\n  Index Cond: (a = $1)\n  Limit"},
		{"select c from t where a = 1 order by b desc limit 3", "Index Scan using t_a_b_idx on t\n  Index Cond: (a = 1)\n  Limit"},
		{"select * from t order by c limit 1", "Index Scan using t_c_key on t\n  Limit"},
		{"select * from t where lower(b) = 'x' and a > 3", "Index Scan using t_lower_idx on t\n  Index Cond: (lower(b) = 'x'::text)\n  Filter"},
		{"select * from t where lower(b) = 'x'", "Full scan of t\n  Filter on data nodes"},
		{"select * from t where id = 1 and c = 2", "Key lookup in t\n  Filter"},
		{"delete from t where c = 5", "Delete from t\n  Index Scan using t_c_key on t\n    Index Cond: (c = 5)\n    Filter"},
		{"insert into t values (1) on conflict (c) do nothing", "Insert into t, on conflict of t_c_key do nothing\n  1 rows of values"},
	} {
		params := []string{}
		if strings.Contains(s.query, "$1") {
			params = []string{"1"}
		}
		c.want(s.want+"\nEXPLAIN", "explain "+s.query, params...)
	}
}

func TestCatalogOfIndexes(t *testing.T) {
	_, c := slowFixture(t)
	c.run("begin")
	c.run(`create table t (id int primary key, a int, b text, "C" int, unique (a, b), constraint k unique nulls not distinct ("C") include (b))`)
	c.run("create index on t (a desc, lower(b), b nulls first) where (a > 3)")
	c.run("commit")
	c.want(`k|CREATE UNIQUE INDEX k ON public.t USING btree ("C") INCLUDE (b) NULLS NOT DISTINCT
t_a_b_key|CREATE UNIQUE INDEX t_a_b_key ON public.t USING btree (a, b)
t_a_lower_b_idx|CREATE INDEX t_a_lower_b_idx ON public.t USING btree (a DESC, lower(b), b NULLS FIRST) WHERE (a > 3)
t_pkey|CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)
SELECT 4`, "select indexname, indexdef from pg_indexes where tablename = 't' order by 1")
	c.want(`k|u|UNIQUE NULLS NOT DISTINCT ("C") INCLUDE (b)
t_a_b_key|u|UNIQUE (a, b)
t_pkey|p|PRIMARY KEY (id)
SELECT 3`, "select conname, contype, pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass order by 1")
	c.want("k|UNIQUE\nt_a_b_key|UNIQUE\nt_pkey|PRIMARY KEY\nSELECT 3", "select constraint_name, constraint_type from information_schema.table_constraints where table_name = 't' order by 1")
	c.want("C\na\nb\nid\nSELECT 4", "select column_name from information_schema.key_column_usage where table_name = 't' order by 1")
	c.want("k|4 3|0\nt_a_b_key|2 3|0 0\nt_a_lower_b_idx|2 0 3|3 0 2\nt_pkey|1|0\nSELECT 4",
		"select c.relname, i.indkey, i.indoption from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 't'::regclass order by 1")
	c.want("ALTER TABLE", "alter table t rename column b to bb")
	c.want("CREATE INDEX t_a_lower_b_idx ON public.t USING btree (a DESC, lower(bb), bb NULLS FIRST) WHERE (a > 3)\nSELECT 1", "select indexdef from pg_indexes where indexname = 't_a_lower_b_idx'")
}

// TestTakenNamesOfIndexes: a table does not move to where a name of its indexes is taken.
func TestTakenNamesOfIndexes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create schema s")
	c.run("create table t (id int primary key, a int unique)")
	c.run("create table s.t_a_key (id int primary key)")
	c.want(`42P07 relation "t_a_key" already exists in schema "s"`, "alter table t set schema s")
	c.run("drop table s.t_a_key")
	c.want("ALTER TABLE", "alter table t set schema s")
	c.want(`42P07 relation "t_a_key" already exists`, "create table s.t_a_key (id int primary key)")
	c.want("CREATE TABLE", "create table t_a_key (id int primary key)")
	c.want(`42P07 relation "t_a_key" already exists in schema "s"`, "alter table t_a_key set schema s")
}

// TestDropTypesOfIndexedColumns: an index goes with the type of a column that it is over.
func TestDropTypesOfIndexedColumns(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create type e as enum ('r', 'g')")
	c.run("create table t (id int primary key, c e unique, d e[], n int unique)")
	c.want("2BP01 cannot drop type e because other objects depend on it / column c of table t depends on type e\ncolumn d of table t depends on type e[]", "drop type e")
	c.want(`0A000 dropping column "c", which an index is over, of a table that others may read is not supported`, "drop type e cascade")
	c.run("drop table t")
	c.run("begin")
	c.run("create table t (id int primary key, c e unique, d e[], n int unique)")
	c.run("create index on t (n) where c = 'r'")
	c.run("insert into t values (1, 'r', '{g}', 1)")
	c.want("DROP TYPE", "drop type e cascade")
	c.run("commit")
	c.want("INSERT 0 1", "insert into t values (2, 2)")
	c.want(`23505 duplicate key value violates unique constraint "t_n_key" / Key (n)=(1) already exists.`, "insert into t values (3, 1)")
	checkIndexes(t, f, "t")
}

// TestLikeIncludingIndexes: UNIQUE constraints are copied, under names of the new table.
func TestLikeIncludingIndexes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table z (a int primary key, b int, c int, constraint named unique (b) include (c), unique nulls not distinct (c))")
	c.want("CREATE TABLE", "create table y (like z including indexes)")
	c.want("INSERT 0 1", "insert into y values (1, 1, null)")
	c.want(`23505 duplicate key value violates unique constraint "y_b_c_key" / Key (b)=(1) already exists.`, "insert into y values (2, 1, 1)")
	c.want(`23505 duplicate key value violates unique constraint "y_c_key" / Key (c)=(null) already exists.`, "insert into y values (2, 2, null)")
	c.want("CREATE TABLE", "create table x (like z)")
	c.want("INSERT 0 2", "insert into x values (1, 1, null), (2, 1, null)")
	c.run("begin")
	c.run("create table w (a int primary key, b int)")
	c.run("create index on w (b)")
	c.run("commit")
	c.want("0A000 LIKE ... INCLUDING INDEXES of a table with index w_b_idx is not supported", "create table v (like w including all)")
	c.want("CREATE TABLE", "create table v (like w including all excluding indexes)")
	checkIndexes(t, f, "y")
}

// indexedRows changes random rows of a table with indexes, and says what is wrong with
// them then.
func indexedRows(t *testing.T, seed uint64, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	c, rnd := f.open(), rand.New(rand.NewPCG(seed, 2))
	c.run("begin")
	c.run("create table t (id int primary key, a int unique, b int, c text)")
	c.run("create index on t (b desc) include (c)")
	c.run("create index on t (lower(c)) where b > 3")
	c.run("commit")
	for range 100 {
		id, n := rnd.IntN(20), rnd.IntN(30)
		c.run([]string{
			fmt.Sprintf("insert into t values (%d, %d, %d, 'C%d')", id, n, n%5, n),
			fmt.Sprintf("insert into t values (%d, %d, %d, 'D') on conflict (id) do update set b = excluded.b", id, n, n%7),
			fmt.Sprintf("insert into t values (%d, %d, %d, 'E') on conflict (a) do update set c = t.c || 'e'", id, n, n%7),
			fmt.Sprintf("update t set a = %d, b = b + 1 where id = %d", n, id),
			fmt.Sprintf("update t set id = %d, c = 'F%d' where a = %d", id, n, n),
			fmt.Sprintf("delete from t where b = %d", n),
		}[rnd.IntN(6)])
	}
	return f.indexFaults("t")
}

func TestIndexesAgreeWithRows(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		if err := indexedRows(t, seed, Planted{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
