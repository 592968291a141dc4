package sql

import (
	"slices"
	"testing"
)

// What these tests expect was compared with PostgreSQL 15, but for what is 0A000.

func TestCheckConstraints(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int check (a > 0), b text check (length(b) < 4) not null, constraint two check (a < 10 and b <> 'no'), check (t.a <> 5), check (a + id < 100))", "CREATE TABLE"},
		{"insert into t values (1, 0, 'x')", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (1, 0, x).`},
		{"insert into t values (1, 5, 'x')", `23514 new row for relation "t" violates check constraint "t_a_check1" / Failing row contains (1, 5, x).`},
		{"insert into t values (99, 2, 'x')", `23514 new row for relation "t" violates check constraint "t_check" / Failing row contains (99, 2, x).`},
		{"insert into t values (1, 12, 'x')", `23514 new row for relation "t" violates check constraint "two" / Failing row contains (1, 12, x).`},
		{"insert into t values (1, 0, null)", `23502 null value in column "b" of relation "t" violates not-null constraint / Failing row contains (1, 0, null).`},
		{"insert into t values (1, null, 'x'), (2, 2, 'y'), (3, 3, 'z')", "INSERT 0 3"}, // null is not false
		{"update t set a = 0 where id = 2", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (2, 0, y).`},
		{"update t set a = a - 3 where id = 2", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (2, -1, y).`},
		{"insert into t values (2, 0, 'x') on conflict (id) do nothing", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (2, 0, x).`},
		{"insert into t values (2, 1, 'x') on conflict (id) do update set a = -1", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (2, -1, y).`},
		{"begin", "BEGIN"},
		{"update t set a = 9 where id = 2", "UPDATE 1"},
		{"savepoint s", "SAVEPOINT"},
		{"update t set a = 11 where id = 2", `23514 new row for relation "t" violates check constraint "two" / Failing row contains (2, 11, y).`},
		{"rollback to s", "ROLLBACK"},
		{"commit", "COMMIT"},
		{"select id, a from t order by id", "1|NULL\n2|9\n3|3\nSELECT 3"},
	}...)
}

func TestCheckIsSound(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (a int check (b > 0))", `42703 column "b" does not exist`},
		{"create table t (a int check (a))", "42804 argument of CHECK must be type boolean, not type integer"},
		{"create table t (a int check (a > (select 1)))", "0A000 cannot use subquery in check constraint"},
		{"create table t (a int check (sum(a) > 1))", "42803 aggregate functions are not allowed in check constraints"},
		{"create table t (a int check (row_number() over () > 1))", "42P20 window functions are not allowed in check constraints"},
		{"create table t (a int check (generate_series(1, a) > 1))", "0A000 set-returning functions are not allowed in check constraints"},
		{"create table t (a int check (nosuch(a, 'x', a > 1) > 1))", "42883 function nosuch(integer, unknown, boolean) does not exist"},
		{"create table t (a int, b int generated always as (nosuch(a)) stored)", "42883 function nosuch(integer) does not exist"},
		{"create table t (a int default nosuch(1))", "42883 function nosuch(integer) does not exist"},
		{"create table t (a int check (a::text similar to '1'))", "0A000 this expression in CHECK is not supported"},
		{"create table t (a timestamptz check (a > '2020-01-01'))", "0A000 a time without its time zone is not supported here"},
		{"create table t (a timestamptz check (a > '2020-01-01 00:00:00+01'))", "CREATE TABLE"},
		{"create table u (a int constraint k check (a > 0), constraint k check (a < 9))", `42710 check constraint "k" already exists`},
		{"insert into t values ('2019-12-31 23:30:00+00')", "INSERT 0 1"},
	}...)
}

func TestChecksFollowTheirTable(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int check (a > 0), b int, check (a < b), constraint k check (b < 100))", "CREATE TABLE"},
		{"create table l (like t including constraints)", "CREATE TABLE"},
		{"create table n (like t)", "CREATE TABLE"},
		{"insert into n values (1, -1, 0)", "INSERT 0 1"},
		{"insert into l values (1, -1, 0)", `23514 new row for relation "l" violates check constraint "t_a_check" / Failing row contains (1, -1, 0).`},
		{"alter table t rename column a to x", "ALTER TABLE"},
		{"alter table t rename to s", "ALTER TABLE"},
		{"insert into s values (1, 0, 5)", `23514 new row for relation "s" violates check constraint "t_a_check" / Failing row contains (1, 0, 5).`},
		{"alter table s rename constraint t_a_check to k", `42710 constraint "k" for relation "s" already exists`},
		{"alter table s rename constraint none to z", `42704 constraint "none" for table "s" does not exist`},
		{"alter table s rename constraint t_a_check to z", "ALTER TABLE"},
		{"insert into s values (1, 0, 5)", `23514 new row for relation "s" violates check constraint "z" / Failing row contains (1, 0, 5).`},
		{"alter table s drop constraint none", `42704 constraint "none" of relation "s" does not exist`},
		{"alter table s drop constraint if exists none", "ALTER TABLE"},
		{"alter table s drop constraint z", "ALTER TABLE"},
		{"insert into s values (1, 0, 5)", "INSERT 0 1"},
		{"insert into s values (2, 6, 5)", `23514 new row for relation "s" violates check constraint "t_check" / Failing row contains (2, 6, 5).`},
		{"alter table s drop column x", "ALTER TABLE"}, // t_check names it, too
		{"insert into s values (2, 5)", "INSERT 0 1"},
		{"insert into s values (3, 500)", `23514 new row for relation "s" violates check constraint "k" / Failing row contains (3, 500).`},
		{"truncate s", "TRUNCATE TABLE"},
		{"insert into s values (3, 500)", `23514 new row for relation "s" violates check constraint "k" / Failing row contains (3, 500).`},
		{"alter table s add constraint j check (b > 1)", "ALTER TABLE"},
		{"begin", "BEGIN"},
		{"create table o (a int)", "CREATE TABLE"},
		{"alter table o add check (a > 1), add column d int check (d > a)", "ALTER TABLE"},
		{"insert into o values (2, 2)", `23514 new row for relation "o" violates check constraint "o_check" / Failing row contains (2, 2).`},
		{"rollback", "ROLLBACK"},
	}...)
	if want := []string{`NOTICE: constraint "none" of relation "s" does not exist, skipping`}; !slices.Equal(c.notices, want) {
		t.Errorf("notices: %q", c.notices)
	}
}

func TestGeneratedColumns(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int, b int generated always as (a * 2) stored, c text generated always as (upper(d)) stored check (c <> 'NO'), d text)", "CREATE TABLE"},
		{"insert into t (id, a, d) values (1, 2, 'x')", "INSERT 0 1"},
		{"insert into t (id, a, b, d) values (2, 3, default, 'y') returning b, c", "6|Y\nINSERT 0 1"},
		{"insert into t (id, b) values (3, 3)", `428C9 cannot insert a non-DEFAULT value into column "b" / Column "b" is a generated column.`},
		{"insert into t (id, b) select 3, 3", `428C9 cannot insert a non-DEFAULT value into column "b" / Column "b" is a generated column.`},
		{"insert into t (id, d) values (3, 'no')", `23514 new row for relation "t" violates check constraint "t_c_check" / Failing row contains (3, null, null, NO, no).`},
		{"update t set b = 3", `428C9 column "b" can only be updated to DEFAULT / Column "b" is a generated column.`},
		{"update t set a = a + 1, b = default", "UPDATE 2"},
		{"insert into t values (1, 10) on conflict (id) do update set a = excluded.b", "INSERT 0 1"},
		{"select * from t order by id", "1|20|40|X|x\n2|4|8|Y|y\nSELECT 2"},
		{"alter table t drop column a", "2BP01 cannot drop column a of table t because other objects depend on it / column b of table t depends on column a of table t"},
		{"alter table t alter a type int8", `0A000 cannot alter type of a column used by a generated column / Column "a" is used by generated column "b".`},
		{"alter table t alter b set default 1", `42601 column "b" of relation "t" is a generated column`},
		{"alter table t rename a to n", "ALTER TABLE"},
		{"update t set n = 1 where id = 1", "UPDATE 1"},
		{"select b from t where id = 1", "2\nSELECT 1"},
		{"create table l (like t including generated)", "CREATE TABLE"},
		{"insert into l (id, n) values (1, 4) returning b", "8\nINSERT 0 1"},
		{"alter table t drop column n cascade", "ALTER TABLE"},
		{"select * from t order by id", "1|X|x\n2|Y|y\nSELECT 2"},
		{"create table u (a int, b int generated always as (a + 1) stored, c int generated always as (b + 1) stored)", `42P17 cannot use generated column "b" in column generation expression / A generated column cannot reference another generated column.`},
		{"create table u (a int, b text generated always as (a::text || now()::text) stored)", "42P17 generation expression is not immutable"},
		{"create table u (a int, b uuid generated always as (gen_random_uuid()) stored)", "42P17 generation expression is not immutable"},
		{"create table u (a date, b text generated always as (a::text) stored)", "42P17 generation expression is not immutable"},
		{"create table u (a int, b bool generated always as (a + 1) stored)", `42804 column "b" is of type boolean but default expression is of type integer`},
		{"create table u (a int, b int default 1 generated always as (a + 1) stored)", `42601 both default and generation expression specified for column "b" of table "u"`},
		{"create table u (a int, b int generated always as ((select 1)) stored)", "0A000 cannot use subquery in column generation expression"},
	}...)
	if want := []string{"NOTICE: drop cascades to column b of table t"}; !slices.Equal(c.notices, want) {
		t.Errorf("notices: %q", c.notices)
	}
}
