package sql

import (
	"fmt"
	"testing"
)

// TestPoliciesCallFunctions: row level security as multi-tenant applications have it, on both
// paths.
func TestPoliciesCallFunctions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob := f.as("alice"), f.as("bob")
	alice.steps([][2]string{
		{"create schema auth", "CREATE SCHEMA"},
		{"grant usage on schema auth to bob", "GRANT"},
		{"create function auth.uid() returns int language sql stable as $$ select nullif(current_setting('request.sub', true), '')::int $$", "CREATE FUNCTION"},
		{"create function tenant() returns int language plpgsql stable as $$ begin return current_setting('app.tenant', true)::int; end $$", "CREATE FUNCTION"},
		{"create table members (org int, who int, primary key (org, who))", "CREATE TABLE"},
		{"insert into members values (1, 10), (1, 20), (2, 20)", "INSERT 0 3"},
		{"create function is_member(o int) returns bool language plpgsql security definer as $$ begin return exists (select 1 from members where org = o and who = auth.uid()); end $$", "CREATE FUNCTION"},
		{"create table docs (id int primary key, org int, owner int)", "CREATE TABLE"},
		{"insert into docs values (1, 1, 10), (2, 2, 20), (3, 1, 20), (4, 3, 30)", "INSERT 0 4"},
		{"grant all on docs to bob", "GRANT"},
		{"alter table docs enable row level security", "ALTER TABLE"},
		{"create policy mem on docs using (is_member(org))", "CREATE POLICY"},
	}...)
	bob.steps([][2]string{
		{"select id from docs", "SELECT 0"},
		{"set request.sub = '20'", "SET"},
		{"select id from docs order by id", "1\n2\n3\nSELECT 3"},
		{"select a.id from docs a join docs b on a.id = b.id order by 1", "1\n2\n3\nSELECT 3"},
		{"select * from members", "42501 permission denied for table members"},
		{"insert into docs values (9, 3, 20)", `42501 new row violates row-level security policy for table "docs"`},
		{"update docs set org = 3 where id = 2", `42501 new row violates row-level security policy for table "docs"`},
		{"insert into docs values (9, 2, 20)", "INSERT 0 1"},
		{"delete from docs where id in (4, 9)", "DELETE 1"},
	}...)
	alice.steps([][2]string{
		{"create policy ten on docs as restrictive using (org = tenant())", "CREATE POLICY"},
		{"create policy own on docs using (owner = auth.uid())", "CREATE POLICY"},
	}...)
	bob.steps([][2]string{
		{"set app.tenant = '2'", "SET"},
		{"select id from docs", "2\nSELECT 1"},
		{"insert into docs values (9, 1, 20)", `42501 new row violates row-level security policy "ten" for table "docs"`},
		{"begin", "BEGIN"}, {"set local app.tenant = '1'", "SET"},
		{"select id from docs order by id", "1\n3\nSELECT 2"}, {"commit", "COMMIT"},
		{"select count(*) from docs", "1\nSELECT 1"},
	}...)
	alice.steps([][2]string{
		{"create or replace function auth.uid() returns int language sql stable as $$ select 10 $$", "CREATE FUNCTION"},
		{"alter function tenant() rename to current_tenant", "ALTER FUNCTION"},
		{"select polname, pg_get_expr(polqual, polrelid) from pg_policy order by 1", "mem|is_member(org)\nown|(owner = auth.uid())\nten|(org = current_tenant())\nSELECT 3"},
		{"drop function current_tenant()", "2BP01 cannot drop function current_tenant() because other objects depend on it / policy ten on table docs depends on function current_tenant()"},
		{"drop function current_tenant() cascade", "DROP FUNCTION"},
		{"revoke execute on function auth.uid() from public", "REVOKE"},
	}...)
	bob.want("42501 permission denied for function uid", "select id from docs order by id")
	alice.want("GRANT", "grant execute on function auth.uid() to bob")
	bob.want("1\n3\nSELECT 2", "select id from docs order by id")
}

// TestTablesCallFunctions: defaults, checks, generated columns and indexes.
func TestTablesCallFunctions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice := f.as("alice")
	alice.steps([][2]string{
		{"create function plus(x int) returns int language plpgsql stable as $$ begin return x + 1; end $$", "CREATE FUNCTION"},
		{"create function inc(x int) returns int language plpgsql immutable as $$ begin return x + 1; end $$", "CREATE FUNCTION"},
		{"create function dbl(x int) returns int language sql immutable as $$ select x * 2 $$", "CREATE FUNCTION"},
		{"create table no (a int generated always as (plus(1)) stored)", "42P17 generation expression is not immutable"},
		{"create table d (id int primary key, a int default plus(4), c int generated always as (dbl(id)) stored, e int generated always as (inc(id)) stored, constraint ck check (inc(a) > 0))", "CREATE TABLE"},
		{"insert into d (id) values (1), (2)", "INSERT 0 2"},
		{"insert into d values (3, -5)", `23514 new row for relation "d" violates check constraint "ck" / Failing row contains (3, -5, 6, 4).`},
		{"create index d_plus on d (plus(a))", "42P17 functions in index expression must be marked IMMUTABLE"},
		{"create index d_inc on d (inc(a))", "CREATE INDEX"},
		{"create unique index d_dbl on d (dbl(id)) where inc(id) > 0", "CREATE INDEX"},
		{"insert into d (id, a) values (3, 77)", "INSERT 0 1"},
		{"select * from d where inc(a) = 78", "3|77|6|4\nSELECT 1"},
		{"update d set id = id + 10 where inc(a) = 78", "UPDATE 1"},
		{"select * from d order by id", "1|5|2|2\n2|5|4|3\n13|77|26|14\nSELECT 3"},
		{"alter table d add f int default plus(9)", "ALTER TABLE"},
		{"alter table d add constraint ck2 check (inc(f) = 12)", `23514 check constraint "ck2" of relation "d" is violated by some row`},
		{"alter table d add constraint ck2 check (inc(f) = 11)", "ALTER TABLE"},
		{"create or replace function inc(x int) returns int language plpgsql immutable as $$ begin return x + 2; end $$", "0A000 cannot change function inc(integer), which index d_inc is over / The entries of the index are where the function as it is now puts them."},
		{"create or replace function plus(x int) returns int language plpgsql stable as $$ begin return x + 100; end $$", "CREATE FUNCTION"},
		{"insert into d (id, f) values (20, 10)", "INSERT 0 1"},
		{"select a from d where id = 20", "104\nSELECT 1"},
		{"drop function dbl(int)", "2BP01 cannot drop function dbl(integer) because other objects depend on it / column c of table d depends on function dbl(integer)\nindex d_dbl depends on function dbl(integer)"},
		{"drop function plus(int) cascade", "DROP FUNCTION"},
		{"insert into d (id) values (21)", "INSERT 0 1"},
		{"select a is null, f is null from d where id = 21", "t|t\nSELECT 1"},
		{"create function w() returns int language plpgsql stable as $$ begin insert into d (id) values (99); return 1; end $$", "CREATE FUNCTION"},
		{"select w()", "0A000 INSERT is not allowed in a non-volatile function"},
	}...)
}

// TestViewsCallFunctions: those that the session carries out, too.
func TestViewsCallFunctions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice := f.as("alice")
	alice.steps([][2]string{
		{"create table acc (id int primary key, org int, amt int)", "CREATE TABLE"},
		{"insert into acc select i, i % 3, i * 10 from generate_series(1, 6) i", "INSERT 0 6"},
		{"create function dbl(x int) returns int language sql as $$ select x * 2 $$", "CREATE FUNCTION"},
		{"create function plus(x int) returns int language plpgsql stable as $$ begin return x + 1; end $$", "CREATE FUNCTION"},
		{"create function tenant() returns int language plpgsql stable as $$ begin return current_setting('app.tenant', true)::int; end $$", "CREATE FUNCTION"},
		{"create view v1 as select id, dbl(amt), plus(amt) as p from acc where org = tenant()", "CREATE VIEW"},
		{"create view v2 as select a.id, b.amt from acc a join acc b on a.id = b.id where a.org = tenant()", "CREATE VIEW"},
		{"create view v3 as select * from plus(3)", "CREATE VIEW"},
		{"create materialized view mv as select id, dbl(amt) from acc", "SELECT 6"},
		{"set app.tenant = '2'", "SET"},
		{"select * from v1 order by id", "2|40|21\n5|100|51\nSELECT 2"},
		{"select * from v2 order by id", "2|20\n5|50\nSELECT 2"},
		{"select x.a from v2 as x (a) where x.amt = 50", "5\nSELECT 1"},
		{"select plus from v3", "4\nSELECT 1"},
		{"set app.tenant = '1'", "SET"},
		{"select sum(amt) from v2", "50\nSELECT 1"},
		{"alter function dbl(int) rename to twice", "ALTER FUNCTION"},
		{"create or replace function twice(x int) returns int language sql as $$ select x * 3 $$", "CREATE FUNCTION"},
		{"select * from v1 order by id", "1|30|11\n4|120|41\nSELECT 2"},
		{"select max(dbl) from mv", "120\nSELECT 1"},
		{"refresh materialized view mv", "REFRESH MATERIALIZED VIEW"},
		{"select max(dbl) from mv", "180\nSELECT 1"},
		{"select definition from pg_views where viewname = 'v1'", " SELECT acc.id,\n    twice(acc.amt) AS dbl,\n    plus(acc.amt) AS p\n   FROM acc\n  WHERE acc.org = tenant();\nSELECT 1"},
		{"drop function twice(int)", "2BP01 cannot drop function twice(integer) because other objects depend on it / view v1 depends on function twice(integer)\nmaterialized view mv depends on function twice(integer)"},
		{"drop function tenant() cascade", "DROP FUNCTION"},
		{"select count(*) from pg_views where schemaname = 'public'", "1\nSELECT 1"},
	}...)
}

// TestTemporaryFunctions: as Sequelize's findOrCreate makes one, which gives a row in a column.
func TestTemporaryFunctions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob := f.as("alice"), f.as("bob")
	const try = `create or replace function pg_temp.testfunc(out response u, out caught text) returns record as $f$ begin insert into u (id, name) values (5, 'z') returning * into response; exception when unique_violation then get stacked diagnostics caught = pg_exception_detail; end $f$ language plpgsql`
	const look = `select (testfunc.response)."id", (testfunc.response)."name", testfunc.caught from pg_temp.testfunc()`
	alice.steps([][2]string{
		{"create table u (id int primary key, name text)", "CREATE TABLE"},
		{"begin", "BEGIN"},
		{try, "CREATE FUNCTION"}, {look, "5|z|NULL\nSELECT 1"}, {"drop function if exists pg_temp.testfunc()", "DROP FUNCTION"},
		{try, "CREATE FUNCTION"}, {look, "NULL|NULL|Key (id)=(5) already exists.\nSELECT 1"},
		{"select (testfunc.response).*, caught is null from pg_temp.testfunc()", "NULL|NULL|f\nSELECT 1"},
		{"select * from pg_temp.testfunc()", "0A000 a row in a column of function testfunc is not supported: name its fields"},
		{"rollback", "ROLLBACK"},
		{"create function pg_temp.hello(x int) returns int language sql as 'select x + 1'", "CREATE FUNCTION"},
		{"select pg_temp.hello(1)", "2\nSELECT 1"},
		{"select hello(1)", "42883 function hello(integer) does not exist"},
		{"create function no(r u) returns int language sql as 'select 1'", "0A000 a parameter that is a row is not supported"},
	}...)
	bob.want("42883 function pg_temp.hello does not exist", "select pg_temp.hello(1)")
}

// callsHeard has a node that has not heard of it write after a change of a function that an
// expression of a table calls, by itself and in a transaction that began before. It returns
// what went by the old one.
func callsHeard(t *testing.T, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	c := f.open()
	c.run("create function inc(x int) returns int language sql immutable as 'select x + 1'")
	c.run("create function small(x int) returns bool language plpgsql immutable as 'begin return x < 1000; end'")
	c.run("create table t (id int primary key, d int default inc(0), g int generated always as (inc(id)) stored, check (small(id)))")
	c.run("create role w login")
	c.run("grant all on t to w")
	for i, change := range []struct{ text, row string }{
		{"create or replace function inc(x int) returns int language sql immutable as 'select x + 7'", "7|%d"},
		{"create or replace function small(x int) returns bool language plpgsql immutable as 'begin return x < 0; end'", ""},
		{"alter table t enable row level security", ""},
		{"create or replace function small(x int) returns bool language plpgsql immutable as 'begin return x < 1000; end'", ""},
		{"create policy p on t using (small(id))", "7|%d"},
		{"create or replace function small(x int) returns bool language plpgsql immutable as 'begin return x > 1000; end'", ""},
	} {
		single, _ := f.behind(true)
		block, _ := f.behind(true)
		ids := []int{10 + i, 100 + i}
		for _, s := range []*client{single, block} {
			s.run("set role w")
		}
		block.run("begin")
		block.run(fmt.Sprintf("insert into t values (%d)", ids[1]))
		c.run(change.text)
		single.run(fmt.Sprintf("insert into t values (%d)", ids[0]))
		block.run("commit")
		for _, id := range ids {
			got := c.run(fmt.Sprintf("select d, g from t where id = %d", id))
			want := "SELECT 0"
			if change.row != "" {
				want = fmt.Sprintf(change.row, id+7) + "\nSELECT 1"
			}
			if got != want && (id == ids[0] || got != "SELECT 0") {
				return fmt.Errorf("after %q row %d is %q, not %q", change.text, id, got, want)
			}
		}
	}
	return nil
}

func TestChangedFunctionsAreHeardOf(t *testing.T) {
	if err := callsHeard(t, Planted{}); err != nil {
		t.Error(err)
	}
}
