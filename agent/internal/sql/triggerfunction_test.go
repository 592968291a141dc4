package sql

import (
	"slices"
	"testing"
)

// TestTriggerFunctions: functions that triggers call. What they answer and tell is what
// PostgreSQL 15 does.
func TestTriggerFunctions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, v varchar(8), n numeric, updated_at timestamptz)", "CREATE TABLE"},
		{"create table audit (seq bigint generated always as identity primary key, op text, was jsonb, is_now json)", "CREATE TABLE"},
		{"create function stamp() returns trigger language plpgsql as $$ begin new.updated_at := '2020-02-03 04:05:06+00'; return new; end $$", "CREATE FUNCTION"},
		{"create function note() returns trigger as $$ begin insert into audit (op, was, is_now) values (tg_op, to_jsonb(old), row_to_json(new)); return null; end; $$ language plpgsql", "CREATE FUNCTION"},
		{"create function tell() returns trigger language plpgsql as $$ begin raise notice '% % % % % %', tg_op, tg_when, tg_level, tg_nargs, tg_argv[0], tg_argv[tg_nargs - 1]; raise notice '% % %', new, old, new is null; return coalesce(null, null); end $$", "CREATE FUNCTION"},
		{"create trigger stamp before insert or update on t for each row execute function stamp()", "CREATE TRIGGER"},
		{"create trigger note after insert or update or delete on t for each row execute procedure note()", "CREATE TRIGGER"},
		{"create trigger tell after insert on t for each row when (new.id > 1) execute function tell('a', 'b c', 3)", "CREATE TRIGGER"},
		{"create trigger tells before delete on t execute function tell()", "CREATE TRIGGER"},
		{"insert into t values (1, 'a', 2.50) returning updated_at", "2020-02-03 04:05:06+00\nINSERT 0 1"},
		{"insert into t values (2, 'b\"')", "INSERT 0 1"},
		{"update t set n = 3 where id = 2", "UPDATE 1"},
		{"delete from t where id = 2", "DELETE 1"},
		{"select op, was, is_now from audit order by seq", `INSERT|NULL|{"id":1,"v":"a","n":2.50,"updated_at":"2020-02-03T04:05:06+00:00"}
INSERT|NULL|{"id":2,"v":"b\"","n":null,"updated_at":"2020-02-03T04:05:06+00:00"}
UPDATE|{"n": null, "v": "b\"", "id": 2, "updated_at": "2020-02-03T04:05:06+00:00"}|{"id":2,"v":"b\"","n":3,"updated_at":"2020-02-03T04:05:06+00:00"}
DELETE|{"n": 3, "v": "b\"", "id": 2, "updated_at": "2020-02-03T04:05:06+00:00"}|NULL
SELECT 4`},
		{"select stamp()", "0A000 trigger functions can only be called as triggers"},
		{"drop function stamp()", "2BP01 cannot drop function stamp() because other objects depend on it / trigger stamp on table t depends on function stamp()"},
		{"drop function tell cascade", "DROP FUNCTION"},
		{"create function g() returns int language sql as 'select 1'", "CREATE FUNCTION"},
		{"create trigger w before insert on t execute function g()", "42P17 function g must return type trigger"},
		{"create trigger w before insert on t execute function nope(1)", "42883 function nope() does not exist"},
		{"create trigger w before insert on t execute function nowhere.nope(1)", `3F000 schema "nowhere" does not exist`},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin new.nope := 1; return new; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", `42703 record "new" has no field "nope"`},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin new.v := 'too long a text'; return new; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", "22001 value too long for type character varying(8)"},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin perform 1; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", "2F005 control reached end of trigger procedure without RETURN"},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin return 1; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", "42804 cannot return non-composite value from function returning composite type"},
		{"create or replace function stamp() returns trigger language plpgsql as $$ declare r record; begin select 1, 2 into r; return r; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", "42804 returned row structure does not match the structure of the triggering table / Number of returned columns (2) does not match expected column count (4)."},
		{"create or replace function stamp() returns trigger language plpgsql as $$ declare r t%rowtype; begin r := new; r.id = 77; select 'q' into r.v; if new <> r then r.n = 5; end if; return r; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c') returning *", "77|q|5|NULL\nINSERT 0 1"},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin if tg_op = 'UPDATE' and old.* is not distinct from new.* then return null; end if; new := row(4, 'x'::varchar(8), 1.5, null::timestamptz); return new; end $$", "CREATE FUNCTION"},
		{"update t set n = n where id = 1", "UPDATE 0"},
		{"create or replace function stamp() returns trigger language plpgsql as $$ begin begin insert into t values (new.id + 1); exception when others then raise exception 'no % in %', new.id, tg_table_name using errcode = 'check_violation', hint = 'h'; end; return new; end $$", "CREATE FUNCTION"},
		{"insert into t values (3, 'c')", "23514 no 3 in t"},
		{"alter function stamp() rename to stamps", "ALTER FUNCTION"},
		{"select tgname, tgfoid::regproc, tgnargs, pg_get_triggerdef(oid, true) from pg_trigger order by 1", `note|note|0|CREATE TRIGGER note AFTER INSERT OR DELETE OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()
stamp|stamps|0|CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamps()
SELECT 2`},
		{"begin", "BEGIN"}, {"drop function stamps() cascade", "DROP FUNCTION"}, {"insert into t values (3, 'c')", "INSERT 0 1"}, {"rollback", "ROLLBACK"},
		{"drop table t", "DROP TABLE"},
		{"drop function stamps(), note()", "DROP FUNCTION"},
	}...)
	want := []string{"NOTICE: INSERT AFTER ROW 3 a 3", `NOTICE: (2,"b""",,"2020-02-03 04:05:06+00") <NULL> f`, "NOTICE: DELETE BEFORE STATEMENT 0 <NULL> <NULL>", "NOTICE: <NULL> <NULL> t", "NOTICE: drop cascades to 2 other objects", "NOTICE: drop cascades to trigger stamp on table t"}
	if !slices.Equal(c.notices, want) {
		t.Errorf("notices\n%q, want\n%q", c.notices, want)
	}
}
