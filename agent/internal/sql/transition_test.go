package sql

import "testing"

// TestTransitionTables: the body of a trigger reads the rows that the statement has written,
// as they were and as they are.
func TestTransitionTables(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int)", "CREATE TABLE"},
		{"create table log (n serial primary key, what text, rows int, was int, now int)", "CREATE TABLE"},
		{"create table newtab (x int)", "CREATE TABLE"},
		{`create function ins() returns trigger language plpgsql as $$ begin
			insert into log (what, rows, now) select 'ins', count(*), sum(a) from newtab; return null; end $$`, "CREATE FUNCTION"},
		{`create function upd() returns trigger language plpgsql as $$ declare r record; begin
			for r in select o.id, o.a as was, n.a as now from o join n using (id) order by id loop
				insert into log (what, rows, was, now) values (tg_op || tg_level, r.id, r.was, r.now);
			end loop; return null; end $$`, "CREATE FUNCTION"},
		{`create function del() returns trigger language plpgsql as $$ begin
			insert into log (what, rows, was) values (tg_op, (select count(*) from gone), old.a); return null; end $$`, "CREATE FUNCTION"},
		{"create trigger i after insert on t referencing new table as newtab for each statement execute function ins()", "CREATE TRIGGER"},
		{"create trigger u after update on t referencing old table as o new table as n for each statement execute function upd()", "CREATE TRIGGER"},
		{"create trigger d after delete on t referencing old table as gone for each row execute function del()", "CREATE TRIGGER"},
		{"insert into t values (1, 10), (2, 20), (3, 30)", "INSERT 0 3"},
		{"insert into t select 9, 9 where false", "INSERT 0 0"},
		{"update t set a = a + 1 where id < 3", "UPDATE 2"},
		{"insert into t values (3, 0), (4, 40) on conflict (id) do update set a = t.a * 2", "INSERT 0 2"},
		{"delete from t where id > 2", "DELETE 2"},
		{"select what, rows, was, now from log order by what, rows, was", "DELETE|2|40|NULL\nDELETE|2|60|NULL\nUPDATESTATEMENT|1|10|11\nUPDATESTATEMENT|2|20|21\nUPDATESTATEMENT|3|30|60\nins|0|NULL|NULL\nins|1|NULL|40\nins|3|NULL|60\nSELECT 8"},
		{"select count(*) from newtab", "0\nSELECT 1"},
		{"select count(*) from gone", `42P01 relation "gone" does not exist`},
		{"select pg_get_triggerdef(oid) from pg_trigger where tgname = 'u'", "CREATE TRIGGER u AFTER UPDATE ON public.t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION upd()\nSELECT 1"},
		{"create trigger w after delete on t referencing new table as x for each statement execute function del()", "42P17 NEW TABLE can only be specified for an INSERT or UPDATE trigger"},
		{"create trigger w after insert on t referencing old table as x for each statement execute function del()", "42P17 OLD TABLE can only be specified for a DELETE or UPDATE trigger"},
		{"create trigger w after update on t referencing old table as x new table as x for each statement execute function del()", "42P17 OLD TABLE name and NEW TABLE name cannot be the same"},
		{"create trigger w after update of a on t referencing old table as x for each statement execute function del()", "0A000 transition tables cannot be specified for triggers with column lists"},
		{"create trigger w after update on t referencing old row as x for each row execute function del()", "0A000 ROW variable naming in the REFERENCING clause is not supported"},
	}...)
}

// TestConstraintTriggers: they are fired at the end of the statement, or by COMMIT, as
// SET CONSTRAINTS says.
func TestConstraintTriggers(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int)", "CREATE TABLE"},
		{`create function even() returns trigger language plpgsql as $$ begin
			if (select sum(a) from t) % 2 <> 0 then raise exception 'odd after % of %', tg_op, new.id using errcode = '23514'; end if; return null; end $$`, "CREATE FUNCTION"},
		{"create constraint trigger e after insert or update on t deferrable initially deferred for each row execute function even()", "CREATE TRIGGER"},
		{"insert into t values (1, 1)", "23514 odd after INSERT of 1"},
		{"insert into t values (1, 1), (2, 1)", "INSERT 0 2"},
		{"begin", "BEGIN"},
		{"update t set a = 2 where id = 1", "UPDATE 1"},
		{"update t set a = 2 where id = 2", "UPDATE 1"},
		{"commit", "COMMIT"},
		{"begin", "BEGIN"},
		{"update t set a = 3 where id = 1", "UPDATE 1"},
		{"commit", "23514 odd after UPDATE of 1"},
		{"begin", "BEGIN"},
		{"savepoint s", "SAVEPOINT"},
		{"update t set a = 3 where id = 1", "UPDATE 1"},
		{"rollback to s", "ROLLBACK"},
		{"insert into t values (3, 4)", "INSERT 0 1"},
		{"commit", "COMMIT"},
		{"begin", "BEGIN"},
		{"update t set a = 3 where id = 1", "UPDATE 1"},
		{"set constraints e immediate", "23514 odd after UPDATE of 1"},
		{"rollback", "ROLLBACK"},
		{"begin", "BEGIN"},
		{"set constraints all immediate", "SET CONSTRAINTS"},
		{"update t set a = 3 where id = 1", "23514 odd after UPDATE of 1"},
		{"rollback", "ROLLBACK"},
		{"select sum(a) from t", "8\nSELECT 1"},
		{"select pg_get_triggerdef(oid), tgdeferrable, tginitdeferred, tgconstraint <> 0 from pg_trigger where tgname = 'e'",
			"CREATE CONSTRAINT TRIGGER e AFTER INSERT OR UPDATE ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION even()|t|t|t\nSELECT 1"},
		{"drop trigger e on t", "DROP TRIGGER"},
		{"create constraint trigger e after insert on t for each row execute function even()", "CREATE TRIGGER"},
		{"insert into t values (4, 1)", "23514 odd after INSERT of 4"},
		{"set constraints e deferred", "SET CONSTRAINTS"},
		{"begin", "BEGIN"},
		{"set constraints e deferred", `42809 constraint "e" is not deferrable`},
		{"rollback", "ROLLBACK"},
		{"create or replace constraint trigger e after insert on t for each row execute function even()", "42601 CREATE OR REPLACE CONSTRAINT TRIGGER is not supported"},
	}...)
}
