package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTriggerDDL has the errors that PostgreSQL 15 gives, but for where the body is.
func TestTriggerDDL(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	const body = " begin insert into log (m) values ('x'); end"
	c.steps([][2]string{
		{"create table t (id int primary key, v text, n int, g int generated always as (n + 1) stored)", "CREATE TABLE"},
		{"create table log (seq bigint generated always as identity primary key, m text)", "CREATE TABLE"},
		{"create view vw as select * from t", "CREATE VIEW"},
		{"create trigger w before update on t for each row when (old.nope is null)" + body, "42703 column old.nope does not exist"},
		{"create trigger w before insert on t for each row when (old.n is null)" + body, "42P17 INSERT trigger's WHEN condition cannot reference OLD values"},
		{"create trigger w before delete on t for each row when (new.n is null)" + body, "42P17 DELETE trigger's WHEN condition cannot reference NEW values"},
		{"create trigger w before update on t when (new.n is null)" + body, "42P17 statement trigger's WHEN condition cannot reference column values"},
		{"create trigger w before update on t for each row when ((select true))" + body, "0A000 cannot use subquery in trigger WHEN condition"},
		{"create trigger w before update on t for each row when (new.n)" + body, "42804 argument of WHEN must be type boolean, not type integer"},
		{"create trigger w before update on t for each row when (new.g > 1)" + body, `42P17 BEFORE trigger's WHEN condition cannot reference NEW generated columns / Column "g" is a generated column.`},
		{"create trigger w instead of insert on t for each row" + body, `42809 "t" is a table / Tables cannot have INSTEAD OF triggers.`},
		{"create trigger w before truncate on t for each row" + body, "0A000 TRUNCATE FOR EACH ROW triggers are not supported"},
		{"create trigger w before update of nope on t for each row" + body, `42703 column "nope" of relation "t" does not exist`},
		{"create trigger w before update of n, n on t for each row" + body, `42701 column "n" specified more than once`},
		{"create trigger w before insert on nope for each row" + body, `42P01 relation "nope" does not exist`},
		{"create trigger w before insert on vw for each row" + body, `42809 "vw" is a view / Views cannot have row-level BEFORE or AFTER triggers.`},
		{"create trigger w instead of insert on vw" + body, "0A000 INSTEAD OF triggers must be FOR EACH ROW"},
		{"create trigger w before insert on t for each row execute function f()", "42883 function f() does not exist"},
		{"create trigger w before insert on t referencing new table as x for each statement" + body, "42P17 transition table name can only be specified for an AFTER trigger"},
		{"create trigger w after insert or update on t referencing new table as x for each statement" + body, "0A000 transition tables cannot be specified for triggers with more than one event"},
		{"create trigger w before insert on t for each row begin insert into nope values (1); end", `42P01 relation "nope" does not exist`},
		{"create trigger w before insert on t for each row begin insert into log (m) values (new.nope); end", `42703 record "new" has no field "nope"`},
		{"create trigger w before insert on t for each row begin new.nope := 1; end", `42703 record "new" has no field "nope"`},
		{"create trigger w before update of n on t for each row when (new.v = 'q')" + body, "CREATE TRIGGER"},
		{"create trigger w before update of n on t for each row" + body, `42710 trigger "w" for relation "t" already exists`},
		{"create or replace trigger w before update of n on t for each row when (new.v = 'r')" + body, "CREATE TRIGGER"},
		{"create trigger w2 before update of n on t for each row" + body, "CREATE TRIGGER"},
		{"alter trigger w on t rename to w2", `42710 trigger "w2" for relation "t" already exists`},
		{"alter trigger nope on t rename to w3", `42704 trigger "nope" for table "t" does not exist`},
		{"drop trigger nope on t", `42704 trigger "nope" for table "t" does not exist`},
		{"drop trigger if exists nope on t", "DROP TRIGGER"},
		{"drop trigger if exists nope on nope", "DROP TRIGGER"},
		{"alter table t disable trigger nope", `42704 trigger "nope" for table "t" does not exist`},
		{"comment on trigger nope on t is 'x'", `42704 trigger "nope" for table "t" does not exist`},
		{"comment on trigger w on t is 'x'", "COMMENT"},
		{"alter table t drop column v", "2BP01 cannot drop column v of table t because other objects depend on it / trigger w on table t depends on column v of table t"},
		{"alter table t rename v to vv", "ALTER TABLE"},
		{"select obj_description(oid, 'pg_trigger'), tgtype, tgenabled, tgattr from pg_trigger where tgname = 'w'", "x|19|O|3\nSELECT 1"},
		{"select pg_get_triggerdef(oid, true) from pg_trigger where tgname = 'w'", "CREATE TRIGGER w BEFORE UPDATE OF n ON t FOR EACH ROW WHEN (new.vv = 'r') begin insert into log (m) values ('x'); end\nSELECT 1"},
		{"select trigger_name, event_manipulation, action_order, action_condition, action_orientation, action_timing from information_schema.triggers order by 1", "w|UPDATE|1|(new.vv = 'r')|ROW|BEFORE\nw2|UPDATE|2|NULL|ROW|BEFORE\nSELECT 2"},
		{"insert into t values (1, 'a', 1)", "INSERT 0 1"},
		{"update t set n = 2, vv = 'r'", "UPDATE 1"},
		{"update t set vv = 'r'", "UPDATE 1"}, // not of n
		{"select count(*) from log", "2\nSELECT 1"},
		{"alter table t disable trigger w", "ALTER TABLE"},
		{"update t set n = 3, vv = 'r'", "UPDATE 1"},
		{"select count(*) from log", "3\nSELECT 1"},
		{"alter table t disable trigger all", "ALTER TABLE"},
		{"update t set n = 3, vv = 'r'", "UPDATE 1"},
		{"alter table t enable trigger user", "ALTER TABLE"},
		{"update t set n = 3, vv = 'r'", "UPDATE 1"},
		{"select count(*) from log", "5\nSELECT 1"},
		{"alter trigger w on t rename to z", "ALTER TRIGGER"},
		{"begin", "BEGIN"}, {"drop trigger z on t", "DROP TRIGGER"}, {"rollback", "ROLLBACK"},
		{"select tgname from pg_trigger order by 1", "w2\nz\nSELECT 2"},
		{"alter table t drop column vv cascade", "ALTER TABLE"},
		{"select tgname from pg_trigger order by 1", "w2\nSELECT 1"},
	}...)
	want := []string{`NOTICE: trigger "nope" for relation "t" does not exist, skipping`, `NOTICE: relation "nope" does not exist, skipping`, "NOTICE: drop cascades to trigger z on table t", "NOTICE: drop cascades to view vw"}
	if !slices.Equal(c.notices, want) {
		t.Errorf("notices %q, want %q", c.notices, want)
	}
}

// TestTriggerBodies: what a body says of a row is what is written.
func TestTriggerBodies(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"begin", "BEGIN"},
		{"create table t (id int primary key, v varchar(5), n int check (n < 1000))", "CREATE TABLE"},
		{"create index on t (n)", "CREATE INDEX"},
		{"commit", "COMMIT"},
		{`create trigger b before insert or update on t for each row begin
			if new.n is null then new.n := 7; elsif new.n < 0 then return null; else new.n := new.n * 2; end if;
			if new.n = 26 then raise exception 'row % has %', new.id, new.n using errcode = 'XX123'; end if;
			raise notice 'n is % (%)', new.n, old.n;
		end`, "CREATE TRIGGER"},
		{"insert into t values (1, 'a', 1), (2, 'b', -1), (3, 'c', null)", "INSERT 0 2"},
		{"select id, n from t order by id", "1|2\n3|7\nSELECT 2"},
		{"insert into t values (4, 'd', 13)", "XX123 row 4 has 26"},
		{"insert into t values (4, 'd', 600)", `23514 new row for relation "t" violates check constraint "t_n_check" / Failing row contains (4, d, 1200).`},
		{"update t set n = 5 where id = 1 returning n", "10\nUPDATE 1"},
		{"update t set v = 'z' where id = 3", "UPDATE 1"},
		{"select id from t where n = 14", "3\nSELECT 1"}, // by the index
		{"select id from t where n = 7", "SELECT 0"},
		{"update t set n = -1 where id = 1", "UPDATE 0"},
		{"insert into t values (1, 'y', 3) on conflict (id) do update set n = excluded.n returning n", "12\nINSERT 0 1"},
		{"drop trigger b on t", "DROP TRIGGER"},
		{"create trigger k before update on t for each row begin new.id := new.id + 100; new.v := 'long'; end", "CREATE TRIGGER"},
		{"update t set n = 1 where id = 1", "UPDATE 1"},
		{"select id, v, n from t order by id", "3|z|14\n101|long|1\nSELECT 2"},
		{"create or replace trigger k before update on t for each row begin new.v := 'longer'; end", "CREATE TRIGGER"},
		{"update t set n = 1", "22001 value too long for type character varying(5)"},
		{"create or replace trigger k before update or delete on t for each row begin return old; end", "CREATE TRIGGER"},
		{"update t set n = 99", "UPDATE 2"},
		{"delete from t where id = 3", "DELETE 1"},
		{"create or replace trigger k before delete on t for each row begin return new; end", "CREATE TRIGGER"},
		{"delete from t", "DELETE 0"},
		{"create or replace trigger k before delete on t for each row begin select 1; end", "CREATE TRIGGER"},
		{"delete from t", "DELETE 1"},
		{"drop trigger k on t", "DROP TRIGGER"},
		{"create trigger d after update on t for each row when (old.* is distinct from new.*) begin insert into t values (new.*) on conflict do nothing; raise warning '%% %', tg_op; end", "CREATE TRIGGER"},
		{"insert into t values (1, 'a', 1)", "INSERT 0 1"},
		{"update t set n = 1", "UPDATE 1"}, {"update t set n = 2", "UPDATE 1"},
	}...)
	want := []string{"NOTICE: n is 2 (<NULL>)", "NOTICE: n is 7 (<NULL>)", "NOTICE: n is 1200 (<NULL>)", "NOTICE: n is 10 (2)", "NOTICE: n is 14 (7)", "NOTICE: n is 6 (<NULL>)", "NOTICE: n is 12 (10)", "WARNING: % UPDATE"}
	if !slices.Equal(c.notices, want) {
		t.Errorf("notices\n%q, want\n%q", c.notices, want)
	}
}

// TestTriggersFireEachOther: up to a depth, and never themselves on the row that they are
// fired for.
func TestTriggersFireEachOther(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, n int)", "CREATE TABLE"},
		{"create trigger a after insert on t for each row when (new.id < 1000) begin insert into t values (new.id + 1, new.n); end", "CREATE TRIGGER"},
		{"insert into t values (990, 1)", "INSERT 0 1"},
		{"select count(*) from t", "11\nSELECT 1"},
		{"insert into t values (1, 1)", "54001 stack depth limit exceeded"},
		{"select count(*) from t", "11\nSELECT 1"},
		{"drop trigger a on t", "DROP TRIGGER"},
		{"create trigger g before update on t for each row when (new.n <> 5) begin update t set n = 5 where id = old.id; end", "CREATE TRIGGER"},
		{"update t set n = 4 where id = 990", "27000 tuple to be updated was already modified by an operation triggered by the current command"},
		{"begin", "BEGIN"}, {"savepoint s", "SAVEPOINT"},
		{"update t set n = 4 where id = 990", "27000 tuple to be updated was already modified by an operation triggered by the current command"},
		{"rollback to s", "ROLLBACK"}, {"update t set n = 5 where id = 990", "UPDATE 1"}, {"commit", "COMMIT"},
		{"select n from t where id = 990", "5\nSELECT 1"},
		{"create or replace trigger g before truncate on t begin raise exception 'no'; end", "CREATE TRIGGER"},
		{"truncate t", "P0001 no"},
		{"select count(*) from t", "11\nSELECT 1"},
		// A code of its own is no reason to run the statement again.
		{"create or replace trigger g before insert on t begin raise exception 'again' using errcode = '40001'; end", "CREATE TRIGGER"},
		{"insert into t values (1, 1)", "40001 again"},
	}...)
}

// TestTriggersRunByWhoWrites: with the rights of who writes, as in PostgreSQL, and only who
// may make them makes them.
func TestTriggersRunByWhoWrites(t *testing.T) {
	f := newFixture(t, nil)
	alice, bob := f.as("alice"), f.as("bob")
	alice.steps([][2]string{
		{"create table t (id int primary key)", "CREATE TABLE"},
		{"create table log (id int primary key)", "CREATE TABLE"},
		{"grant insert on t to bob", "GRANT"},
		{"create trigger a after insert on t for each row begin insert into log values (new.id); end", "CREATE TRIGGER"},
	}...)
	bob.want("42501 permission denied for table log", "insert into t values (1)")
	bob.want("42501 permission denied for table t", "create trigger b after insert on t begin raise notice 'x'; end")
	bob.want("42501 must be owner of table t", "drop trigger a on t")
	bob.want("42501 must be owner of table t", "alter trigger a on t rename to b")
	alice.want("GRANT", "grant insert on log to bob")
	bob.want("INSERT 0 1", "insert into t values (1)")
	alice.want("GRANT", "grant trigger on t to bob")
	bob.want("CREATE TRIGGER", "create trigger b after insert on t begin raise notice 'x'; end")
	alice.want("1\nSELECT 1", "select count(*) from log")
}

// TestTriggersAreFenced: a change of triggers is answered behind the fence of the table's
// new version, unless the same transaction has made the table.
func TestTriggersAreFenced(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	raised := func(what string, want int) {
		t.Helper()
		view := f.server.catalog.View()
		if len(f.db.raised) != want {
			t.Fatalf("%s: %d fences are raised, want %d", what, len(f.db.raised), want)
		}
		for _, s := range f.db.raised {
			if o := view.Objects[s.Collection]; o != nil && s == f.db.raised[want-1] && s.Version != o.Version {
				t.Errorf("%s: the fence is at version %d, the table at %d", what, s.Version, o.Version)
			}
		}
	}
	const body = " before insert on t begin raise notice 'x'; end"
	c.steps([][2]string{{"create table t (id int primary key)", "CREATE TABLE"}, {"comment on table t is 'x'", "COMMENT"}}...)
	raised("no trigger", 0)
	for i, text := range []string{"create trigger a" + body, "alter table t disable trigger a", "alter trigger a on t rename to b", "create or replace trigger b" + body, "drop trigger b on t"} {
		c.run(text)
		raised(text, i+1)
	}
	c.steps([][2]string{{"begin", "BEGIN"}, {"create trigger a" + body, "CREATE TRIGGER"}, {"insert into t values (1)", "INSERT 0 1"}}...)
	raised("in a block", 5)
	c.want("COMMIT", "commit")
	raised("after COMMIT", 6)
	c.steps([][2]string{{"begin", "BEGIN"}, {"create table u (id int primary key)", "CREATE TABLE"}, {"create trigger a before insert on u begin raise notice 'x'; end", "CREATE TRIGGER"}, {"commit", "COMMIT"}}...)
	raised("on a new table", 6)
}

// TestTriggersOnManyRows: what a statement costs grows with its rows and no faster.
func TestTriggersOnManyRows(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, n int)", "CREATE TABLE"},
		{"create table audit (id int primary key, n int)", "CREATE TABLE"},
		{"create trigger b before insert on t for each row begin new.n := new.n + 1; end", "CREATE TRIGGER"},
		{"create trigger a after insert on t for each row begin insert into audit values (new.id, new.n); end", "CREATE TRIGGER"},
	}...)
	const rows = 5000
	c.want(fmt.Sprintf("INSERT 0 %d", rows), fmt.Sprintf("insert into t select g, g from generate_series(1, %d) g", rows))
	c.want(fmt.Sprintf("%d|%d\nSELECT 1", rows, rows*(rows+1)/2+rows), "select count(*), sum(n) from audit")
}

// triggersHeard has a table get a trigger and lose it, and the trigger's function change, and
// writers on other nodes that have heard of none of that; it tells of a row that was written
// by the old triggers.
func triggersHeard(t *testing.T, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	c := f.open()
	c.run("create table t (id int primary key)")
	c.run("create table audit (id int primary key)")
	const audits = " function f() returns trigger language plpgsql as 'begin insert into audit values (new.id); return new; end'"
	const nothing = "create or replace function f() returns trigger language plpgsql as 'begin return new; end'"
	for i, change := range []struct {
		text  string
		fires bool
	}{
		{"create trigger a after insert on t for each row begin insert into audit values (new.id); end", true},
		{"alter table t disable trigger a", false},
		{"alter table t enable trigger a", true},
		{"drop trigger a on t", false},
		{"create" + audits, false},
		{"create trigger a after insert on t for each row execute function f()", true},
		{nothing, false},
		{"create or replace" + audits, true},
		{"drop function f() cascade", false},
	} {
		single, _ := f.behind(true)
		block, _ := f.behind(true)
		block.run("begin")
		block.run(fmt.Sprintf("insert into t values (%d)", 100+i))
		c.want(tagOf(strings.Replace(change.text, "create or replace", "create", 1)), change.text)
		single.run(fmt.Sprintf("insert into t values (%d)", i))
		block.run("commit")
		for _, id := range []int{i, 100 + i} {
			row := c.run(fmt.Sprintf("select id from t where id = %d", id)) != "SELECT 0"
			audited := c.run(fmt.Sprintf("select id from audit where id = %d", id)) != "SELECT 0"
			if row && audited != change.fires {
				return fmt.Errorf("after %q row %d is there, and audited: %v", change.text, id, audited)
			}
		}
	}
	return nil
}

// tagOf is what a statement is answered with whose tag are its first two words.
func tagOf(statement string) string {
	words := strings.Fields(strings.ToUpper(statement))
	return words[0] + " " + words[1]
}

func TestTriggersAreHeardOf(t *testing.T) {
	if err := triggersHeard(t, Planted{}); err != nil {
		t.Error(err)
	}
}
