package sql

import (
	"slices"
	"testing"
)

// TestProcedures: what CALL answers is what PostgreSQL 15 does.
func TestProcedures(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table tt (id int, v text)", "CREATE TABLE"},
		{"create procedure p1(a int, inout b text default null) language plpgsql as $$ begin b := 'r' || a; end $$", "CREATE PROCEDURE"},
		{"create procedure p2() language sql as $$ insert into tt values (1, 'p2') $$", "CREATE PROCEDURE"},
		{"call p1(1)", "r1\nCALL"}, {"call p1(1, null)", "r1\nCALL"}, {"call p1(b => 'z', a => 1 + 2)", "r3\nCALL"},
		{"call p2()", "CALL"}, {"select * from tt", "1|p2\nSELECT 1"},
		{"begin", "BEGIN"}, {"call p2()", "CALL"}, {"rollback", "ROLLBACK"}, {"select count(*) from tt", "1\nSELECT 1"},
		{"call p3()", "42883 procedure p3() does not exist"},
		{"call p1('x')", `22P02 invalid input syntax for type integer: "x"`},
		{"call p1((select 1))", "0A000 cannot use subquery in CALL argument"},
		{"create function f1(a int) returns int language sql as 'select a'", "CREATE FUNCTION"},
		{"call f1(1)", "42883 procedure f1(integer) does not exist"},
		{"select p1(1)", "42809 p1(integer) is a procedure"},
		{"select * from p2()", "42809 p2() is a procedure"},
		{"drop function p1", `42883 could not find a function named "p1"`},
		{"drop procedure f1", `42883 could not find a procedure named "f1"`},
		{"drop procedure if exists p9", "DROP PROCEDURE"},
		{"drop routine p1", "DROP ROUTINE"},
		{"create procedure p1(a int, out b text, out c int) language plpgsql as $$ begin b := 'r' || a; c := a; end $$", "CREATE PROCEDURE"},
		{"call p1(1, null, null)", "r1|1\nCALL"},
		{"call p1(1)", "42883 procedure p1(integer) does not exist"},
		{"do $$ declare r text; n int; begin call p1(5, r, n); raise notice '% %', r, n; call p2(); end $$", "DO"},
		{"do $$ declare r text; begin call p1(5, r, 1); end $$", `42601 procedure parameter "c" is an output parameter but corresponding argument is not writable`},
		{"create or replace procedure p5(x int default 3) language plpgsql as $$ begin raise notice 'x %', x; return; end $$", "CREATE PROCEDURE"},
		{"call p5()", "CALL"}, {"call p5(9)", "CALL"}, {"call p5('4')", "CALL"},
		{"create or replace procedure p5(x int) language plpgsql as $$ begin return 1; end $$", "42P13 cannot remove parameter defaults from existing function"},
		{"create or replace function p5(x int) returns int language sql as 'select 1'", `42809 cannot change routine kind / "p5" is a procedure.`},
		{"create procedure p6(x int) language plpgsql as $$ begin return 1; end $$", "CREATE PROCEDURE"},
		{"call p6(1)", "42804 RETURN cannot have a parameter in a procedure"},
		{"create procedure p7() language plpgsql as $$ begin commit; end $$", "0A000 COMMIT in a body is not supported"},
	}...)
	want := []string{"NOTICE: procedure p9() does not exist, skipping", "NOTICE: r5 5", "NOTICE: x 3", "NOTICE: x 9", "NOTICE: x 4"}
	if !slices.Equal(c.notices, want) {
		t.Errorf("notices\n%q, want\n%q", c.notices, want)
	}
}

// TestRoutineCatalogs: what catalogs tell of functions and procedures is what PostgreSQL 15's
// do.
func TestRoutineCatalogs(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create type mood as enum ('a', 'b')", "CREATE TYPE"},
		{"create table tt (id int, v text)", "CREATE TABLE"},
		{"create function f1(a int, b text default 'x', out c int, inout d numeric default 1.5) language plpgsql as $$ begin c := 1; end $$", "CREATE FUNCTION"},
		{"create function f2(int, varchar(5)[], mood) returns setof tt language sql stable strict security definer as 'select * from tt'", "CREATE FUNCTION"},
		{"create function f3() returns table(x int, y text) language sql immutable parallel safe cost 10 rows 5 as $$ select 1, 'a'::text $$", "CREATE FUNCTION"},
		{"create function f4(p mood default 'a') returns void language sql as 'select 1'", "CREATE FUNCTION"},
		{"create function f5() returns trigger language plpgsql as $$ begin return new; end $$", "CREATE FUNCTION"},
		{"create procedure p1(a int, inout b text default null) language plpgsql as $$ begin b := 'r' || a; end $$", "CREATE PROCEDURE"},
		{"select proname, pg_get_function_arguments(oid), pg_get_function_identity_arguments(oid), pg_get_function_result(oid) from pg_proc where pronamespace = 'public'::regnamespace order by 1", `f1|a integer, b text DEFAULT 'x'::text, OUT c integer, INOUT d numeric DEFAULT 1.5|a integer, b text, OUT c integer, INOUT d numeric|record
f2|integer, character varying[], mood|integer, character varying[], mood|SETOF tt
f3|||TABLE(x integer, y text)
f4|p mood DEFAULT 'a'::mood|p mood|void
f5|||trigger
p1|IN a integer, INOUT b text DEFAULT NULL::text|IN a integer, INOUT b text|NULL
SELECT 6`},
		{"select proname, prokind, provolatile, proparallel, procost, prorows, pronargs, pronargdefaults, prorettype, proargmodes, proargnames, proretset, proisstrict, prosecdef from pg_proc where pronamespace = 'public'::regnamespace order by 1", `f1|f|v|u|100|0|3|2|2249|{i,i,o,b}|{a,b,c,d}|f|f|f
f2|f|s|u|100|1000|3|0|2249|NULL|NULL|t|t|t
f3|f|i|s|10|5|0|0|2249|{t,t}|{x,y}|t|f|f
f4|f|v|u|100|0|1|1|2278|NULL|{p}|f|f|f
f5|f|v|u|100|0|0|0|2279|NULL|NULL|f|f|f
p1|p|v|u|100|0|2|1|2249|{i,b}|{a,b}|f|f|f
SELECT 6`},
		{"select pg_get_functiondef('f2'::regproc)", `CREATE OR REPLACE FUNCTION public.f2(integer, character varying[], mood)
 RETURNS SETOF tt
 LANGUAGE sql
 STABLE STRICT SECURITY DEFINER
AS $function$select * from tt$function$

SELECT 1`},
		{"select pg_get_functiondef('p1(int,text)'::regprocedure)", `CREATE OR REPLACE PROCEDURE public.p1(IN a integer, INOUT b text DEFAULT NULL::text)
 LANGUAGE plpgsql
AS $procedure$ begin b := 'r' || a; end $procedure$

SELECT 1`},
		{"select routine_name, routine_type, data_type, type_udt_name, routine_body, external_language, is_deterministic, security_type from information_schema.routines where specific_schema = 'public' order by 1", `f1|FUNCTION|record|record|EXTERNAL|PLPGSQL|NO|INVOKER
f2|FUNCTION|USER-DEFINED|tt|SQL|SQL|NO|DEFINER
f3|FUNCTION|record|record|SQL|SQL|YES|INVOKER
f4|FUNCTION|void|void|SQL|SQL|NO|INVOKER
f5|FUNCTION|trigger|trigger|EXTERNAL|PLPGSQL|NO|INVOKER
p1|PROCEDURE|NULL|NULL|EXTERNAL|PLPGSQL|NO|INVOKER
SELECT 6`},
		{"select specific_name ~ '^f[14]_', ordinal_position, parameter_mode, parameter_name, data_type, udt_name, parameter_default from information_schema.parameters where specific_schema = 'public' and specific_name ~ '^(f1|f2|f4)' order by specific_name, 2", `t|1|IN|a|integer|int4|NULL
t|2|IN|b|text|text|'x'::text
t|3|OUT|c|integer|int4|NULL
t|4|INOUT|d|numeric|numeric|1.5
f|1|IN|NULL|integer|int4|NULL
f|2|IN|NULL|ARRAY|_varchar|NULL
f|3|IN|NULL|USER-DEFINED|mood|NULL
t|1|IN|p|USER-DEFINED|mood|'a'::mood
SELECT 8`},
	}...)
}
