package sql

import (
	"strings"
	"testing"
)

// TestTriggers: a trigger sees rows as they were and are, and its writes go with the
// statement.
func TestTriggers(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, v text, n int)", "CREATE TABLE"},
		{"create table audit (seq bigint generated always as identity primary key, op text, id int, was int, is_now int)", "CREATE TABLE"},
		{"create trigger au after insert or update or delete on t for each row begin insert into audit (op, id, was, is_now) values (tg_op, coalesce(new.id, old.id), old.n, new.n); end", "CREATE TRIGGER"},
		{"insert into t values (1, 'a', 10), (2, 'b', 20)", "INSERT 0 2"},
		{"update t set n = n + 1 where id = 1", "UPDATE 1"},
		{"update t set n = n + 1 where id = 7", "UPDATE 0"},
		{"delete from t where id = 2 returning v", "b\nDELETE 1"},
		{"select op, id, was, is_now from audit order by seq", "INSERT|1|NULL|10\nINSERT|2|NULL|20\nUPDATE|1|10|11\nDELETE|2|20|NULL\nSELECT 4"},
		{"begin", "BEGIN"}, {"insert into t values (5, 'e', 5)", "INSERT 0 1"}, {"select count(*) from audit", "5\nSELECT 1"}, {"rollback", "ROLLBACK"},
		{"select count(*) from audit", "4\nSELECT 1"},
		{"insert into t values (1, 'a', 10)", `23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(1) already exists.`},
		{"select count(*) from audit", "4\nSELECT 1"},
		{"insert into t select 100 + g, 'x', g from generate_series(1, 50) g", "INSERT 0 50"},
		{"select count(*) from audit", "54\nSELECT 1"},
	}...)
}

// logging makes triggers of t of all kinds that log how they were fired. What they log is
// what PostgreSQL 15 gives, with functions in plpgsql that do the same.
func logging(c *client) {
	c.want("CREATE TABLE", "create table t (id int primary key, v text, n int)")
	c.want("CREATE TABLE", "create table log (seq bigint generated always as identity primary key, m text)")
	const body = ` begin insert into log (m) select tg_name||' '||tg_when||' '||tg_level||' '||tg_op||' '||coalesce(old.id::text,'-')||' '||coalesce(new.id::text,'-')||' '||(select count(*) from t); end`
	for _, head := range []string{"b_s before %s on t", "a_s after %s on t", "b_r2 before %s on t for each row", "b_r1 before %s on t for each row", "a_r2 after %s on t for each row", "a_r1 after %s on t for each row"} {
		c.want("CREATE TRIGGER", "create trigger "+replaceEvents(head)+body)
	}
}

func replaceEvents(head string) string {
	return strings.Replace(head, "%s", "insert or update or delete", 1)
}

func TestTriggersFireAsInPostgres(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	logging(c)
	const read = "select m from log order by seq"
	for _, s := range []struct{ text, tag, logged string }{
		{"insert into t values (1,'a',1),(2,'b',2)", "INSERT 0 2", `b_s BEFORE STATEMENT INSERT - - 0
b_r1 BEFORE ROW INSERT - 1 0
b_r2 BEFORE ROW INSERT - 1 0
b_r1 BEFORE ROW INSERT - 2 1
b_r2 BEFORE ROW INSERT - 2 1
a_r1 AFTER ROW INSERT - 1 2
a_r2 AFTER ROW INSERT - 1 2
a_r1 AFTER ROW INSERT - 2 2
a_r2 AFTER ROW INSERT - 2 2
a_s AFTER STATEMENT INSERT - - 2
SELECT 10`},
		{"update t set n = n+1 where id in (1, 2)", "UPDATE 2", `b_s BEFORE STATEMENT UPDATE - - 2
b_r1 BEFORE ROW UPDATE 1 1 2
b_r2 BEFORE ROW UPDATE 1 1 2
b_r1 BEFORE ROW UPDATE 2 2 2
b_r2 BEFORE ROW UPDATE 2 2 2
a_r1 AFTER ROW UPDATE 1 1 2
a_r2 AFTER ROW UPDATE 1 1 2
a_r1 AFTER ROW UPDATE 2 2 2
a_r2 AFTER ROW UPDATE 2 2 2
a_s AFTER STATEMENT UPDATE - - 2
SELECT 10`},
		{"update t set n = n+1 where id=99", "UPDATE 0", "b_s BEFORE STATEMENT UPDATE - - 2\na_s AFTER STATEMENT UPDATE - - 2\nSELECT 2"},
		{"delete from t where id=1", "DELETE 1", `b_s BEFORE STATEMENT DELETE - - 2
b_r1 BEFORE ROW DELETE 1 - 2
b_r2 BEFORE ROW DELETE 1 - 2
a_r1 AFTER ROW DELETE 1 - 1
a_r2 AFTER ROW DELETE 1 - 1
a_s AFTER STATEMENT DELETE - - 1
SELECT 6`},
		{"insert into t values (2,'x',7),(3,'c',3) on conflict (id) do update set n = excluded.n", "INSERT 0 2", `b_s BEFORE STATEMENT INSERT - - 1
b_s BEFORE STATEMENT UPDATE - - 1
b_r1 BEFORE ROW INSERT - 2 1
b_r2 BEFORE ROW INSERT - 2 1
b_r1 BEFORE ROW UPDATE 2 2 1
b_r2 BEFORE ROW UPDATE 2 2 1
b_r1 BEFORE ROW INSERT - 3 1
b_r2 BEFORE ROW INSERT - 3 1
a_r1 AFTER ROW UPDATE 2 2 2
a_r2 AFTER ROW UPDATE 2 2 2
a_r1 AFTER ROW INSERT - 3 2
a_r2 AFTER ROW INSERT - 3 2
a_s AFTER STATEMENT UPDATE - - 2
a_s AFTER STATEMENT INSERT - - 2
SELECT 14`},
		{"insert into t values (2,'x',7) on conflict do nothing", "INSERT 0 0", `b_s BEFORE STATEMENT INSERT - - 2
b_r1 BEFORE ROW INSERT - 2 2
b_r2 BEFORE ROW INSERT - 2 2
a_s AFTER STATEMENT INSERT - - 2
SELECT 4`},
	} {
		c.want("TRUNCATE TABLE", "truncate table log")
		c.want(s.tag, s.text)
		c.want(s.logged, read)
	}
	c.want("2|b|7\n3|c|3\nSELECT 2", "select * from t order by id")
}
