package sql

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

func TestForeignKeys(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table p (id int primary key, a text unique, n int)")
	c.want("CREATE TABLE", "create table c (id int primary key, p int references p, q text references p (a))")
	c.want("INSERT 0 2", "insert into p values (1, 'x', 0), (2, 'y', 0)")
	c.want("INSERT 0 3", "insert into c values (10, 1, null), (11, 1, 'y'), (12, null, null)")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "c_p_fkey" / Key (p)=(5) is not present in table "p".`, "insert into c values (13, 5, null)")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "c_q_fkey" / Key (q)=(z) is not present in table "p".`, "update c set q = 'z' where id = 10")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "c_p_fkey" on table "c" / Key (id)=(1) is still referenced from table "c".`, "delete from p where id = 1")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "c_q_fkey" on table "c" / Key (a)=(y) is still referenced from table "c".`, "update p set a = 'w' where id = 2")
	c.want("UPDATE 2", "update p set n = 1")
	c.want("UPDATE 1", "update p set a = 'xx' where id = 1")
	c.want("DELETE 2", "delete from c where p = 1")
	c.want("DELETE 2", "delete from p")
}

func TestCascades(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key)")
	c.run("create table c (id int primary key, p int references p on delete cascade on update cascade)")
	c.run("create table g (id int primary key, c int default 7 references c on delete set null on update cascade, d int references p on delete set default on update cascade)")
	c.run("insert into p values (1), (2)")
	c.run("insert into c values (10, 1), (20, 2), (21, 2)")
	c.run("insert into g values (100, 10, 1), (200, 20, 2)")
	c.want("UPDATE 1", "update p set id = 3 where id = 2")
	c.wantSorted("10|1\n20|3\n21|3\nSELECT 3", "select id, p from c")
	c.want("DELETE 1", "delete from p where id = 1")
	c.wantSorted("100|NULL|NULL\n200|20|3\nSELECT 2", "select id, c, d from g")
}

func TestSelfReferences(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key, up int references t)")
	c.want("INSERT 0 3", "insert into t values (1, 2), (2, 3), (3, null)")
	c.want(`23503 update or delete on table "t" violates foreign key constraint "t_up_fkey" on table "t" / Key (id)=(3) is still referenced from table "t".`, "delete from t where id = 3")
	c.want("DELETE 3", "delete from t")
	c.run("create table u (id int primary key, up int references u on delete cascade)")
	c.want("INSERT 0 3", "insert into u values (1, 3), (2, 1), (3, 2)")
	c.want("DELETE 1", "delete from u where id = 2")
	c.want("SELECT 0", "select id from u")
}

// TestReferencedTablesAreBound: ranges are told of a new foreign key before anybody sees it,
// and a transaction that comes to nothing leaves the table that it would have referenced
// with the version that they ask for.
func TestReferencedTablesAreBound(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("create table p (id int primary key, n int)")
	other.want("INSERT 0 1", "insert into p values (1, 0)")
	was := f.tableVersion("p")
	c.run("begin")
	c.run("create table c (id int primary key, p int references p)")
	c.want("INSERT 0 1", "insert into p values (2, 0)")
	c.want("INSERT 0 2", "insert into c values (10, 1), (20, 2)")
	other.want("INSERT 0 1", "insert into p values (3, 0)")
	c.want("COMMIT", "commit")
	if now := f.tableVersion("p"); now != was+1 || f.db.fences[f.tableID("p")] != now {
		t.Errorf("version %d after %d, ranges ask for %d", now, was, f.db.fences[f.tableID("p")])
	}
	other.want(`23503 update or delete on table "p" violates foreign key constraint "c_p_fkey" on table "c" / Key (id)=(2) is still referenced from table "c".`, "delete from p where id = 2")
	f.db.before = func([]kv.Mutation) error { return &txn.ConflictError{Reason: "a test says so"} }
	c.run("begin")
	c.run("create table d (id int primary key, p int references p)")
	c.run("insert into d values (1, 1)")
	c.want("40001 could not serialize access due to concurrent update / A test says so.", "commit")
	f.db.before = nil
	if now := f.tableVersion("p"); now != was+2 || f.db.fences[f.tableID("p")] != now {
		t.Errorf("version %d after %d and a failure, ranges ask for %d", now, was, f.db.fences[f.tableID("p")])
	}
	other.want("INSERT 0 1", "insert into p values (4, 0)")
}

func (f *fixture) tableID(name string) cluster.ObjectID {
	for id, o := range f.meta.View().Objects {
		if o.Name == name && o.Collection != nil {
			return id
		}
	}
	return 0
}

func (f *fixture) tableVersion(name string) uint64 {
	return f.meta.View().Objects[f.tableID(name)].Version
}

func TestForeignKeyDefinitions(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key, a text, b int, unique (a, b))")
	c.run("create view v as select id from p")
	for _, s := range []struct{ text, want string }{
		{"create table c (x int references nope)", `42P01 relation "nope" does not exist`},
		{"create table c (x int references v)", `42809 referenced relation "v" is not a table`},
		{"create table c (x int references p (a))", `42830 there is no unique constraint matching given keys for referenced table "p"`},
		{"create table c (x int references p (nope))", `42703 column "nope" referenced in foreign key constraint does not exist`},
		{"create table c (x int, foreign key (y) references p)", `42703 column "y" referenced in foreign key constraint does not exist`},
		{"create table c (x int, y int, foreign key (x, y) references p)", "42830 number of referencing and referenced columns for foreign key disagree"},
		{"create table c (x text references p)", `42804 foreign key constraint "c_x_fkey" cannot be implemented / Key columns "x" and "id" are of incompatible types: text and integer.`},
		{"create table c (x int references p match partial)", "0A000 MATCH PARTIAL not yet implemented"},
		{"create table c (x int, y int, foreign key (x) references p on delete set null (y))", `42P10 column "y" referenced in ON DELETE SET action must be part of foreign key`},
		{"create table c (x bigint references p, y int, z text, foreign key (y, z) references p (b, a) match full)", "CREATE TABLE"},
		{"insert into p values (1, 'a', 7)", "INSERT 0 1"},
		{"insert into c values (1, 7, 'a')", "INSERT 0 1"},
		{"insert into c values (1, 7, null)", `23503 insert or update on table "c" violates foreign key constraint "c_y_z_fkey" / MATCH FULL does not allow mixing of null and nonnull key values.`},
		{"insert into c values (1, 8, 'a')", `23503 insert or update on table "c" violates foreign key constraint "c_y_z_fkey" / Key (y, z)=(8, a) is not present in table "p".`},
		{"insert into c values (5000000000)", `23503 insert or update on table "c" violates foreign key constraint "c_x_fkey" / Key (x)=(5000000000) is not present in table "p".`},
		{"drop table p", "2BP01 cannot drop table p because other objects depend on it / constraint c_x_fkey on table c depends on table p\nconstraint c_y_z_fkey on table c depends on table p\nview v depends on table p"},
		{"drop view v", "DROP VIEW"},
		{"drop table p", "2BP01 cannot drop table p because other objects depend on it / constraint c_x_fkey on table c depends on table p\nconstraint c_y_z_fkey on table c depends on table p"},
		{"alter table p drop column a", "2BP01 cannot drop column a of table p because other objects depend on it / constraint c_y_z_fkey on table c depends on column a of table p"},
		{"alter table c drop constraint c_y_z_fkey", "ALTER TABLE"},
		{"alter table c rename constraint c_x_fkey to fk", "ALTER TABLE"},
		{"insert into c values (9)", `23503 insert or update on table "c" violates foreign key constraint "fk" / Key (x)=(9) is not present in table "p".`},
		{"alter table c drop column x", "ALTER TABLE"},
		{"delete from p", "DELETE 1"},
		{"drop table p", "DROP TABLE"},
	} {
		c.want(s.want, s.text)
	}
}

func TestTruncateOfReferencedTables(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key)")
	c.run("create table c (id int primary key, p int references p)")
	c.run("create table s (id int primary key, up int references s)")
	c.run("insert into p values (1)")
	c.run("insert into c values (1, 1)")
	c.want(`0A000 cannot truncate a table referenced in a foreign key constraint / Table "c" references "p".`, "truncate p")
	was := f.tableVersion("p")
	c.want("TRUNCATE TABLE", "truncate c")
	if now := f.tableVersion("p"); now != was+1 || f.db.fences[f.tableID("p")] != now {
		t.Errorf("version %d after %d, ranges ask for %d", now, was, f.db.fences[f.tableID("p")])
	}
	c.want("INSERT 0 1", "insert into c values (2, 1)")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "c_p_fkey" on table "c" / Key (id)=(1) is still referenced from table "c".`, "delete from p")
	c.want("TRUNCATE TABLE", "truncate p cascade")
	c.want("SELECT 0", "select id from c")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "c_p_fkey" / Key (p)=(1) is not present in table "p".`, "insert into c values (1, 1)")
	c.want("INSERT 0 1", "insert into p values (1)")
	c.want("INSERT 0 1", "insert into c values (1, 1)")
	c.want("TRUNCATE TABLE", "truncate p, c")
	c.want("INSERT 0 1", "insert into s values (1, 1)")
	c.want("TRUNCATE TABLE", "truncate s")
	c.want("INSERT 0 1", "insert into s values (2, 2)")
	c.want("DELETE 1", "delete from s")
	c.want("DROP TABLE", "drop table p, c, s")
}

// TestForeignKeysInPsql: what psql's \d and information_schema tell.
func TestForeignKeysInPsql(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table p (id int primary key, a int, b text, unique (b, a))")
	c.run(`create table c (x int references p on delete cascade, "Y" int, z text, foreign key ("Y", z) references p (a, b) match full on update set null on delete set default)`)
	oid := strings.TrimSuffix(c.run("select oid from pg_class where relname = 'p' and relhastriggers"), "\nSELECT 1")
	c.want(`c_Y_z_fkey|c|FOREIGN KEY ("Y", z) REFERENCES p(a, b) MATCH FULL ON UPDATE SET NULL ON DELETE SET DEFAULT
c_x_fkey|c|FOREIGN KEY (x) REFERENCES p(id) ON DELETE CASCADE
SELECT 2`, `SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef
  FROM pg_catalog.pg_constraint c
 WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('`+oid+`') UNION ALL VALUES ('`+oid+`'::pg_catalog.regclass))
       AND contype = 'f' AND conparentid = 0 ORDER BY conname`)
	c.want("c_Y_z_fkey|p_b_a_key|FULL|SET NULL|SET DEFAULT\nc_x_fkey|p_pkey|NONE|NO ACTION|CASCADE\nSELECT 2",
		"select constraint_name, unique_constraint_name, match_option, update_rule, delete_rule from information_schema.referential_constraints order by 1")
	c.want("c_Y_z_fkey|Y|1|2\nc_Y_z_fkey|z|2|1\nc_x_fkey|x|1|1\nSELECT 3",
		"select constraint_name, column_name, ordinal_position, position_in_unique_constraint from information_schema.key_column_usage where table_name = 'c' order by 1, 3")
	c.want("c_Y_z_fkey|{2,3}|{2,3}|f|n|d\nc_x_fkey|{1}|{1}|s|a|c\nSELECT 2", "select conname, conkey, confkey, confmatchtype, confupdtype, confdeltype from pg_constraint where contype = 'f' order by 1")
	c.want("c_Y_z_fkey|FOREIGN KEY\nc_x_fkey|FOREIGN KEY\nSELECT 2", "select constraint_name, constraint_type from information_schema.table_constraints where table_name = 'c' order by 1")
}

func TestCascadesFireTriggers(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key)")
	c.run("create table c (id int primary key, p int references p on delete cascade on update cascade)")
	c.run("create table log (n int primary key, what text)")
	c.run("create trigger a after delete or update on c for each row begin insert into log values (old.id, tg_op); end")
	c.run("create trigger b before update on c for each row when (new.id = 3) begin return null; end")
	c.run("insert into p values (1), (2), (3)")
	c.run("insert into c values (1, 1), (2, 2), (3, 3)")
	c.want("DELETE 1", "delete from p where id = 1")
	c.want("UPDATE 1", "update p set id = 20 where id = 2")
	c.wantSorted("1|DELETE\n2|UPDATE\nSELECT 2", "select n, what from log")
	c.want("20\nSELECT 1", "select p from c where id = 2")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "c_p_fkey" on table "c" / Key (id)=(3) is still referenced from table "c".`, "update p set id = 30 where id = 3")
}

// referringRows has sessions refer to rows that others take away, and tells of a row that
// refers to nothing in the end.
func referringRows(t *testing.T, seed uint64, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	c := f.open()
	c.run("create table p (id int primary key, a int unique, n int default 0)")
	c.run("create table c (id int primary key, p int references p, q int references p (a) on delete cascade on update cascade)")
	var wg sync.WaitGroup
	for i := range 4 {
		rnd := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a test's
		own := f.open()
		wg.Go(func() {
			for range 60 {
				id, key := rnd.IntN(30), rnd.IntN(4)
				block := rnd.IntN(2) == 0
				if block {
					own.run("begin")
				}
				own.run([]string{
					fmt.Sprintf("insert into p values (%d, %d)", key, key+10),
					fmt.Sprintf("insert into c values (%d, %d, %d)", id, key, key+10),
					fmt.Sprintf("insert into c values (%d, null, %d)", id, key+10),
					fmt.Sprintf("update c set p = %d where id = %d", key, id),
					fmt.Sprintf("update p set n = n + 1 where id = %d", key),
					fmt.Sprintf("update p set a = %d where id = %d", rnd.IntN(4)+10, key),
					fmt.Sprintf("delete from c where p = %d", key),
					fmt.Sprintf("delete from p where id = %d", key),
				}[rnd.IntN(8)])
				if block {
					for range rnd.IntN(200) {
						runtime.Gosched() // others come first
					}
					own.run("commit")
				}
			}
		})
	}
	wg.Wait()
	for _, column := range []string{"p", "q"} {
		for _, value := range strings.Split(c.run("select "+column+" from c where "+column+" is not null"), "\n") {
			of := map[string]string{"p": "id", "q": "a"}[column]
			if _, err := strconv.Atoi(value); err == nil && c.run("select n from p where "+of+" = "+value) == "SELECT 0" {
				return fmt.Errorf("a row has %s = %s, and there is no such row", column, value)
			}
		}
	}
	return nil
}

func TestRowsReferToRows(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		if err := referringRows(t, seed, Planted{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestForeignKeysOfTablesThatAreThere(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key, a int unique)")
	c.run("create table c (id int primary key, p int)")
	c.run("insert into p values (1, 1)")
	c.run("insert into c values (1, 1), (2, 2), (3, null)")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "c_p_fkey" / Key (p)=(2) is not present in table "p".`, "alter table c add foreign key (p) references p")
	if o := f.meta.View().Objects[f.tableID("p")]; len(o.Collection.ReferencedBy) != 0 {
		t.Error("what was taken back is remembered")
	}
	c.want("DELETE 1", "delete from p where id = 1")
	c.want("INSERT 0 1", "insert into p values (1, 1)")
	c.want("ALTER TABLE", "alter table c add constraint k foreign key (p) references p not valid")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "k" / Key (p)=(3) is not present in table "p".`, "insert into c values (4, 3)")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "k" on table "c" / Key (id)=(1) is still referenced from table "c".`, "delete from p where id = 1")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "k" / Key (p)=(2) is not present in table "p".`, "alter table c validate constraint k")
	c.want("INSERT 0 1", "insert into p values (2, 2)")
	c.want("ALTER TABLE", "alter table c validate constraint k")
	c.want("ALTER TABLE", "alter table c validate constraint k")
	c.want(`42704 constraint "nope" of relation "c" does not exist`, "alter table c validate constraint nope")
	k, _ := f.meta.View().Objects[f.tableID("c")].Collection.ForeignKey("k")
	if k.State != "" || k.NotValid || f.db.fences[f.tableID("p")] == 0 {
		t.Errorf("%+v, ranges ask for %d", k, f.db.fences[f.tableID("p")])
	}
	c.want("ALTER TABLE", "alter table c drop constraint k")
	c.want("DELETE 1", "delete from p where id = 1")
	c.want("ALTER TABLE", "alter table c add column q int references p (a) on delete set null")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "c_q_fkey" / Key (q)=(3) is not present in table "p".`, "insert into c values (5, null, 3)")
	c.run("begin")
	c.run("create table d (id int primary key, p int)")
	c.run("insert into d values (1, 2), (2, 7)")
	c.run("savepoint s")
	c.want(`23503 insert or update on table "d" violates foreign key constraint "d_p_fkey" / Key (p)=(7) is not present in table "p".`, "alter table d add foreign key (p) references p")
	c.run("rollback to s")
	c.run("delete from d where p = 7")
	c.want("ALTER TABLE", "alter table d add foreign key (p) references p")
	c.run("create table e (a int unique)")
	c.want("ALTER TABLE", "alter table d add constraint e foreign key (id) references e (a) not valid")
	c.run("savepoint s")
	c.want("2BP01 cannot drop constraint e_a_key on table e because other objects depend on it / constraint e on table d depends on index e_a_key", "alter table e drop constraint e_a_key")
	c.run("rollback to s")
	c.want("COMMIT", "commit")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "d_p_fkey" on table "d" / Key (id)=(2) is still referenced from table "d".`, "delete from p where id = 2")
}

func TestDeferredForeignKeys(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int primary key)")
	c.run("create table c (id int primary key, p int, constraint k foreign key (p) references p deferrable, constraint late foreign key (id) references p deferrable initially deferred)")
	missing := `23503 insert or update on table "c" violates foreign key constraint "late" / Key (id)=(1) is not present in table "p".`
	c.want(missing, "insert into c values (1, null)")
	c.run("begin")
	c.want("INSERT 0 1", "insert into c values (1, null)")
	c.want(missing, "commit")
	c.want("SELECT 0", "select id from c")
	c.run("begin")
	c.want("INSERT 0 1", "insert into c values (1, null)")
	c.want("INSERT 0 1", "insert into p values (1)")
	c.want("COMMIT", "commit")
	c.run("begin")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "k" / Key (p)=(5) is not present in table "p".`, "update c set p = 5")
	c.run("rollback")
	c.run("begin")
	c.want("SET CONSTRAINTS", "set constraints all deferred")
	c.want("UPDATE 1", "update c set p = 5")
	c.want("DELETE 1", "delete from p where id = 1")
	c.run("savepoint s")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "k" / Key (p)=(5) is not present in table "p".`, "set constraints k immediate")
	c.run("rollback to s")
	c.want("INSERT 0 2", "insert into p values (5), (1)")
	c.want("SET CONSTRAINTS", "set constraints all immediate")
	c.want("COMMIT", "commit")
	c.run("begin")
	c.want("DELETE 1", "delete from p where id = 1")
	c.want(`23503 update or delete on table "p" violates foreign key constraint "late" on table "c" / Key (id)=(1) is still referenced from table "c".`, "commit")
	c.want("ALTER TABLE", "alter table c alter constraint late not deferrable")
	c.run("begin")
	c.want(`42809 constraint "late" is not deferrable`, "set constraints late deferred")
	c.run("rollback")
	c.run("begin")
	c.want(`42704 constraint "nope" does not exist`, "set constraints nope deferred")
	c.run("rollback")
	c.want(`42704 constraint "nope" of relation "c" does not exist`, "alter table c alter constraint nope deferrable")
}

// TestAKeyAddedBesideValidation: a foreign key that is added in the statement that validates
// another one goes with it if a row is wrong; the one that was there stays as it was.
func TestAKeyAddedBesideValidation(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table p (id int8 primary key)")
	c.run("create table c (id int8 primary key, p int8, q int8)")
	c.run("insert into c values (1, 7, null)")
	c.want("ALTER TABLE", "alter table c add constraint old foreign key (p) references p not valid")
	c.want(`23503 insert or update on table "c" violates foreign key constraint "old" / Key (p)=(7) is not present in table "p".`,
		"alter table c add constraint fresh foreign key (q) references p, validate constraint old")
	if keys := f.meta.View().Objects[f.tableID("c")].Collection.ForeignKeys; len(keys) != 1 || keys[0].Name != "old" || !keys[0].NotValid || keys[0].State != "" {
		t.Errorf("%+v", keys)
	}
	c.want("INSERT 0 1", "insert into c values (2, null, 8)")
}
