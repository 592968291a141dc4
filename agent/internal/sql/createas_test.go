package sql

import "testing"

func TestTruncate(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, v int)")
	c.run("create table u (id int primary key)")
	c.run("insert into t values (1, 1), (2, 2)")
	c.run("alter table t add column w int default 5")
	c.run("insert into u values (1)")
	c.steps([][2]string{
		{"truncate none", `42P01 relation "none" does not exist`},
		{"truncate t, none", `42P01 relation "none" does not exist`},
		{"begin", "BEGIN"},
		{"update t set v = 7 where id = 1", "UPDATE 1"},
		{"truncate table t, u", "TRUNCATE TABLE"},
		{"select * from t", "SELECT 0"},
		{"insert into t (id) values (2)", "INSERT 0 1"},
		{"select * from t", "2|NULL|5\nSELECT 1"},
	}...)
	other.want("1|1|5\n2|2|5\nSELECT 2", "select * from t order by id")
	c.want("ROLLBACK", "rollback")
	c.want("1|1|5\n2|2|5\nSELECT 2", "select * from t order by id")
	other.run("begin")
	other.run("insert into t values (3, 3, 3)")
	c.want("TRUNCATE COLLECTION", "truncate collection t")
	other.want(`40001 could not serialize access: relation "t" was dropped while the transaction ran`, "commit")
	c.want("SELECT 0", "select * from t")
	c.want("INSERT 0 1", "insert into t (id) values (1)")
	other.want("1|NULL|5\nSELECT 1", "select * from t")
}

func TestCreateTableLike(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int8 primary key, v varchar(5) not null default 'x', n numeric(6,2))")
	c.run("alter table t add column w int default 5")
	c.steps([][2]string{
		{"create table a (like t)", "CREATE TABLE"},
		{"insert into a values (1, 'y', 2, 3), (1, 'y', 2, 3)", "INSERT 0 2"},
		{"insert into a (id) values (1)", `23502 null value in column "v" of relation "a" violates not-null constraint / Failing row contains (1, null, null, null).`},
		{"create table b (x int, like t including all, y int default 4)", "CREATE TABLE"},
		{"insert into b (x, id) values (9, 1)", "INSERT 0 1"},
		{"select * from b where id = 1", "9|1|x|NULL|5|4\nSELECT 1"},
		{"insert into b (id) values (1)", `23505 duplicate key value violates unique constraint "b_pkey" / Key (id)=(1) already exists.`},
		{"insert into b (id, v) values (2, 'longer')", "22001 value too long for type character varying(5)"},
		{"create table d (id int, like t)", `42701 column "id" specified more than once`},
		{"create table d (x int primary key, like t including indexes)", `42P16 multiple primary keys for table "d" are not allowed`},
		{"create table d (like none)", `42P01 relation "none" does not exist`},
	}...)
}

func TestCreateTableAs(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, v varchar(5), n numeric(6,2))")
	c.run("insert into t values (1, 'a', 1.5), (2, 'b', 2.5), (3, null, null)")
	c.steps([][2]string{
		{"create table a as select id, upper(v) as u, n from t where id < 3", "SELECT 2"},
		{"select * from a where id = 2", "2|B|2.50\nSELECT 1"},
		{`create table "b ""x" (k, total) as select v, count(*) from t group by v`, "SELECT 3"},
		{`select total from "b ""x" where k = 'a'`, "1\nSELECT 1"},
		{"create table a as select 1 as x", `42P07 relation "a" already exists`},
		{"create table if not exists a as select 1 as x", "CREATE TABLE AS"},
		{"create table d as select 1 as x, 2 as x", `42701 column "x" specified more than once`},
		{"create table d (a, b) as select 1 as x", "42601 too many column names were specified"},
		{"create table d as select id from none", `42P01 relation "none" does not exist`},
		{"create table d as select 1 / (id - 3) as x from t", "22012 division by zero"},
		{"create table d as select id, v from t with no data", "CREATE TABLE AS"},
		{"select count(*) from d", "0\nSELECT 1"},
		{"select id, v into e from t where id = 1", "SELECT 1"},
		{"select * from e", "1|a\nSELECT 1"},
		{"create collection g with (pool = 'default') as select id from t", "SELECT 3"},
		{"begin", "BEGIN"},
		{"insert into t values (4, 'd', 4)", "INSERT 0 1"},
		{"create table h as select id, 'x' as label from t", "SELECT 4"},
		{"select count(*) from h where label = 'x'", "4\nSELECT 1"},
	}...)
	other.want(`42P01 relation "h" does not exist`, "select count(*) from h")
	c.want("COMMIT", "commit")
	other.want("4\nSELECT 1", "select count(*) from h")
	if c.session.TxStatus() != 'I' {
		t.Error("a transaction is left open")
	}
}
