package sql

import "testing"

// TestBodiesAreBound: names in BEGIN ATOMIC and RETURN mean what they meant when the function was
// made, whatever is in the path of who calls it.
func TestBodiesAreBound(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob := f.as("alice"), f.as("bob")
	alice.steps([][2]string{
		{"create schema safe", "CREATE SCHEMA"},
		{"set search_path = safe", "SET"},
		{"create table secret (id int primary key, v text)", "CREATE TABLE"},
		{"insert into secret values (1, 'true one')", "INSERT 0 1"},
		{"create function mark(t text) returns text language sql immutable as $$ select t || '!' $$", "CREATE FUNCTION"},
		{"create function say(n int) returns text security definer begin atomic select mark(v) from secret where id = n; end", "CREATE FUNCTION"},
		{"create procedure put(n int, w text) security definer begin atomic insert into secret values (n, w) on conflict (id) do update set v = excluded.v || secret.v; update secret set v = mark(v) where id = n; delete from secret where id = n + 100; end", "CREATE PROCEDURE"},
		{"grant usage on schema safe to bob", "GRANT"},
	}...)
	f.open().want("GRANT", "grant create on database nodedb to bob")
	bob.steps([][2]string{
		{"create schema evil", "CREATE SCHEMA"},
		{"create table evil.secret (id int primary key, v text)", "CREATE TABLE"},
		{"insert into evil.secret values (1, 'false one'), (101, 'kept')", "INSERT 0 2"},
		{"create function evil.mark(t text) returns text language sql immutable as $$ select 'evil' $$", "CREATE FUNCTION"},
		{"set search_path = evil", "SET"},
		{"select safe.say(1)", "true one!\nSELECT 1"},
		{"call safe.put(1, 'x')", "CALL"},
		{"select safe.say(1)", "xtrue one!!\nSELECT 1"},
		{"select v from evil.secret order by id", "false one\nkept\nSELECT 2"},
		{"select * from safe.secret", "42501 permission denied for table secret"},
	}...)
	alice.run("create schema moved")
	alice.run("revoke usage on schema safe from bob")
	alice.steps([][2]string{
		{"alter table secret rename v to w", "ALTER TABLE"},
		{"alter table secret rename id to no", "ALTER TABLE"},
		{"alter table secret rename to hidden", "ALTER TABLE"},
		{"alter table hidden add v text default 'new'", "ALTER TABLE"},
		{"alter function mark(text) rename to stress", "ALTER FUNCTION"},
		{"alter function say(int) set schema moved", "ALTER FUNCTION"},
		{"alter procedure put(int, text) set schema moved", "ALTER PROCEDURE"},
		{"alter schema safe rename to strong", "ALTER SCHEMA"},
		{"grant usage on schema moved to bob", "GRANT"},
	}...)
	bob.steps([][2]string{ // as in PostgreSQL, schemas in the body are none of the caller's
		{"select moved.say(1)", "xtrue one!!\nSELECT 1"},
		{"call moved.put(2, 'two')", "CALL"},
		{"call moved.put(2, 'more ')", "CALL"},
		{"select moved.say(2)", "more two!!!\nSELECT 1"},
	}...)
	alice.steps([][2]string{
		{"set search_path = strong", "SET"},
		{"select no, w, v from hidden order by no", "1|xtrue one!|new\n2|more two!!|new\nSELECT 2"},
		{"select pg_get_functiondef('moved.say'::regproc)", "CREATE OR REPLACE FUNCTION moved.say(n integer)\n RETURNS text\n LANGUAGE sql\n SECURITY DEFINER\nBEGIN ATOMIC\n SELECT stress(secret.v) AS mark\n    FROM hidden secret(id, v, \"#3\")\n   WHERE secret.id = say.n;\nEND\n\nSELECT 1"},
		{"drop function stress", "2BP01 cannot drop function stress(text) because other objects depend on it / function moved.say(integer) depends on function stress(text)\nfunction moved.put(integer,text) depends on function stress(text)"},
		{"drop table hidden", "2BP01 cannot drop table hidden because other objects depend on it / function moved.say(integer) depends on table hidden\nfunction moved.put(integer,text) depends on table hidden"},
		{"alter table hidden alter w type varchar", "0A000 cannot alter type of a column used by a function or procedure / function moved.say(integer) depends on column \"w\""},
		{"alter table hidden drop w", "2BP01 cannot drop column w of table hidden because other objects depend on it / function moved.say(integer) depends on column w of table hidden\nfunction moved.put(integer,text) depends on column w of table hidden"},
		{"alter table hidden drop v", "ALTER TABLE"},
		{"truncate hidden", "TRUNCATE TABLE"},
		{"call moved.put(3, 'three')", "CALL"},
		{"select moved.say(3)", "three!!\nSELECT 1"},
		{"begin", "BEGIN"},
		{"drop table hidden cascade", "DROP TABLE"},
		{"select moved.say(3)", "42883 function moved.say does not exist"},
		{"rollback", "ROLLBACK"},
		{"select moved.say(3)", "three!!\nSELECT 1"},
		{"drop function stress cascade", "DROP FUNCTION"},
		{"call moved.put(3, 'three')", "42883 procedure moved.put(integer, unknown) does not exist"},
	}...)
}

// TestPlansFollowSequencesOfBodies: a body in a plan means the sequence that it was made with,
// whatever has its name since.
func TestPlansFollowSequencesOfBodies(t *testing.T) {
	f := newFixture(t, startDuck(t))
	f.open().steps([][2]string{
		{"create sequence s", "CREATE SEQUENCE"},
		{"create function n() returns bigint return nextval('s')", "CREATE FUNCTION"},
		{"create function nn() returns bigint return n()", "CREATE FUNCTION"},
		{"create function k() returns bigint begin atomic select nextval('s'); end", "CREATE FUNCTION"},
		{"select n(), nn(), k()", "1|2|3\nSELECT 1"},
		{"select nn()", "4\nSELECT 1"},
		{"select k()", "5\nSELECT 1"},
		{"alter sequence s rename to numbers", "ALTER SEQUENCE"},
		{"select n(), nn(), k()", "6|7|8\nSELECT 1"},
		{"create sequence s start 1000", "CREATE SEQUENCE"},
		{"select nn()", "9\nSELECT 1"},
		{"select k()", "10\nSELECT 1"},
	}...)
}

// TestBodiesAreLookedAt: what is wrong with a body is said when the function is made.
func TestBodiesAreLookedAt(t *testing.T) {
	f := newFixture(t, startDuck(t))
	f.open().steps([][2]string{
		{"create table t (a int primary key, b text)", "CREATE TABLE"},
		{"create sequence s", "CREATE SEQUENCE"},
		{"create type mood as enum ('sad', 'glad')", "CREATE TYPE"},
		{"create function f() returns int begin atomic select nosuch from t; end", `42703 column "nosuch" does not exist`},
		{"create function f() returns int begin atomic select a from nosuch; end", `42P01 relation "nosuch" does not exist`},
		{"create function f() returns int begin atomic select b from t; end", "42P13 return type mismatch in function declared to return integer / Actual return type is text."},
		{"create function f() returns int begin atomic end", "42P13 return type mismatch in function declared to return integer / Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING."},
		{"create function f() returns int return f()", "42883 function f() does not exist"},
		{"create function f() returns int language plpgsql return 1", "42P13 inline SQL function body only valid for language SQL"},
		{"create function n() returns bigint return nextval('s')", "CREATE FUNCTION"},
		{"create function m() returns text return ('glad'::mood)::text", "CREATE FUNCTION"},
		{"create function n2(x bigint default n()) returns bigint return x", "CREATE FUNCTION"},
		{"alter sequence s rename to numbers", "ALTER SEQUENCE"},
		{"alter type mood rename to feeling", "ALTER TYPE"},
		{"alter function n() rename to next", "ALTER FUNCTION"},
		{"select next(), m(), n2()", "1|glad|2\nSELECT 1"},
		{"select pg_get_functiondef('next'::regproc)", "CREATE OR REPLACE FUNCTION public.next()\n RETURNS bigint\n LANGUAGE sql\nRETURN nextval('numbers'::regclass)\n\nSELECT 1"},
		{"select pg_get_function_arguments('n2'::regproc)", "x bigint DEFAULT next()\nSELECT 1"},
		{"drop sequence numbers", "2BP01 cannot drop sequence numbers because other objects depend on it / function next() depends on sequence numbers\nfunction n2(bigint) depends on function next()"},
		{"drop type feeling", "2BP01 cannot drop type feeling because other objects depend on it / function m() depends on type feeling"},
		{"create function rows() returns setof t begin atomic select * from t; end", "CREATE FUNCTION"},
		{"insert into t values (1, 'x')", "INSERT 0 1"},
		{"select b from rows()", "x\nSELECT 1"},
		{"alter table t rename b to c", "ALTER TABLE"},
		{"select b from rows()", `42703 column "b" does not exist`},
		{"select c from rows()", "x\nSELECT 1"},
		{"create or replace function rec(n int) returns int return n", "CREATE FUNCTION"},
		{"create or replace function rec(n int) returns int return case when n <= 1 then 1 else n * rec(n - 1) end", "CREATE FUNCTION"},
		{"select rec(5)", "120\nSELECT 1"},
		{"create function plus(x int) returns int immutable return x + 1", "CREATE FUNCTION"},
		{"create function twice(x int) returns int immutable return plus(x) * 2", "CREATE FUNCTION"},
		{"create table c (a int primary key check (twice(a) < 100), g int generated always as (twice(a)) stored)", "CREATE TABLE"},
		{"alter function plus(int) rename to inc", "ALTER FUNCTION"},
		{"insert into c values (3)", "INSERT 0 1"},
		{"insert into c values (49)", `23514 new row for relation "c" violates check constraint "c_a_check" / Failing row contains (49, 100).`},
		{"create or replace function inc(x int) returns int immutable return x + 2", "CREATE FUNCTION"},
		{"insert into c values (4)", "INSERT 0 1"},
		{"select * from c order by a", "3|8\n4|12\nSELECT 2"},
		{"create index on c (twice(a))", "CREATE INDEX"},
		{"create or replace function inc(x int) returns int immutable return x + 3", "0A000 cannot change function inc(integer), which index c_twice_idx is over / The entries of the index are where the function as it is now puts them."},
	}...)
}
