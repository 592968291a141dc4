package sql

import (
	"fmt"
	"strings"
	"testing"
)

func TestViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, name text, n int)")
	c.run("create table u (id int primary key, t_id int, at date)")
	c.run("insert into t values (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")
	c.run("insert into u values (1, 1, '2026-01-01'), (2, 1, '2026-01-02'), (3, 3, null)")
	c.steps([][2]string{
		{"create view v as select * from t where n > 10", "CREATE VIEW"},
		{"create view v as select 1", `42P07 relation "v" already exists`},
		{"create view d as select 1 as a, 2 as a", `42701 column "a" specified more than once`},
		{"create view d (x, y) as select 1", "42601 CREATE VIEW specifies more column names than columns"},
		{"create view d as select * from none", `42P01 relation "none" does not exist`},
		{"create view d as select none from t", `42703 column "none" does not exist`},
		{"create view d as select $1::int", "42P02 there is no parameter $1"},
		{"select * from v order by id", "2|b|20\n3|c|30\nSELECT 2"},
		{"select name from v where id = 2", "b\nSELECT 1"},
		{"select v.name, x.n from v join v as x using (id) order by v.id", "b|20\nc|30\nSELECT 2"},
		{"select count(*) from v", "2\nSELECT 1"},
		{"explain select name from v where id = 2", "Key lookup in t\n  Filter\nEXPLAIN"},
		{"create view j (id, name, n) as select t.id, name, count(u.id) from t left join u on t_id = t.id group by t.id, name", "CREATE VIEW"},
		{"select * from j order by id", "1|a|2\n2|b|0\n3|c|1\nSELECT 3"},
		{"create view w as select j.*, v.n as m from j join v using (id)", "CREATE VIEW"},
		{"select * from w order by 1", "2|b|0|20\n3|c|1|30\nSELECT 2"},
		{"with t as (select 5 as id) select * from w, t where w.id < t.id order by 1", "2|b|0|20|5\n3|c|1|30|5\nSELECT 2"},
		{"select * from v as x (a, b) where a = 3", "3|c|30\nSELECT 1"},
		{"select x.n from (select n from v) x order by 1", "20\n30\nSELECT 2"},
		{"select 1 where exists (select 1 from v where v.id = 2)", "1\nSELECT 1"},
		{"insert into t select id + 10, name, n from v", "INSERT 0 2"},
		{"delete from t using v where t.id = v.id and v.id > 10", "DELETE 2"},
		{"create view n as select * from u natural join (select id as t_id, name from t) x", "CREATE VIEW"},
		{"select * from n order by id", "1|1|2026-01-01|a\n1|2|2026-01-02|a\n3|3|NULL|c\nSELECT 3"},
		{"select column_name from information_schema.columns where table_name = 'n' order by ordinal_position", "t_id\nid\nat\nname\nSELECT 4"},
		{"create materialized view nm as select * from u natural join (select id as t_id, name from t) x", "SELECT 3"},
		{"select t_id, id from nm order by id", "1|1\n1|2\n3|3\nSELECT 3"},
	}...)
	other.want("2|b|20\n3|c|30\nSELECT 2", "select * from v order by id")
}

// TestViewsFollowNames: what a view shows stays the same, whatever is renamed, added,
// dropped or made later.
func TestViewsFollowNames(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create schema app")
	c.run("create table app.t (id int primary key, name text, n int, spare int)")
	c.run("insert into app.t values (1, 'a', 10), (2, 'b', 20)")
	c.run("set search_path to app, public")
	c.run("create view v as select id, name, n * 2 as m from t where n > 10")
	c.run("create view w as select x.*, row_number() over (order by p) from v as x (p)")
	const want = "2|b|40\nSELECT 1"
	for _, change := range []struct{ statement, name string }{
		{"select 1", "v"},
		{"alter table t rename to t2", "v"},
		{"create table t (id int, name text, n int)", "v"},
		{"insert into t values (7, 'x', 70)", "v"},
		{"alter table t2 rename column name to title", "v"},
		{"alter table t2 add column name text default 'other'", "v"},
		{"alter table t2 drop column spare", "v"},
		{"alter table t2 rename column n to id2", "v"},
		{"alter table t2 set schema public", "v"},
		{"alter schema app rename to app2", "app2.v"},
		{"set search_path to public", "app2.v"},
		{"alter view app2.v set schema public", "v"},
		{"alter view v rename to v2", "v2"},
		{"create view v as select 1", "v2"},
		{"alter view v2 rename column m to mm", "v2"},
		{"alter table v2 rename id to key", "v2"},
		{"truncate t2", ""},
		{"insert into t2 values (1, 'a', 10), (2, 'b', 20)", "v2"},
	} {
		c.run(change.statement)
		if change.name != "" {
			c.want(want, "select * from "+change.name)
			c.want(want, "select * from "+change.name+" limit 9 offset (select 0)")
		}
	}
	c.want("2|b|40|1\nSELECT 1", "select * from app2.w")
}

func TestDropWhatViewsRead(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, a int, b int)")
	c.run("create view v as select id, a from t order by a")
	c.run("create view w as select count(*) from v")
	c.steps([][2]string{
		{"drop table t", "2BP01 cannot drop table t because other objects depend on it / view v depends on table t\nview w depends on view v"},
		{"drop view v", "2BP01 cannot drop view v because other objects depend on it / view w depends on view v"},
		{"alter table t drop column a", "2BP01 cannot drop column a of table t because other objects depend on it / view v depends on column a of table t\nview w depends on view v"},
		{"alter table t alter column a type int8", `0A000 cannot alter type of a column used by a view or rule / rule _RETURN on view v depends on column "a"`},
		{"alter table t alter column b type int8", "ALTER TABLE"},
		{"alter table t drop column b", "ALTER TABLE"},
		{"drop table v", `42809 "v" is not a table`},
		{"drop view t", `42809 "t" is not a view`},
		{"drop view if exists none", "DROP VIEW"},
		{"drop view none", `42P01 view "none" does not exist`},
		{"begin", "BEGIN"},
		{"drop table t cascade", "DROP TABLE"},
		{"select * from v", `42P01 relation "v" does not exist`},
		{"rollback", "ROLLBACK"},
		{"select * from w", "0\nSELECT 1"},
		{"begin", "BEGIN"},
		{"create or replace view v as select id, a, 5 as five from t", "CREATE VIEW"},
		{"select * from v", "SELECT 0"},
		{"savepoint s", "SAVEPOINT"},
		{"drop view v cascade", "DROP VIEW"},
		{"rollback to s", "ROLLBACK"},
		{"commit", "COMMIT"},
		{"create or replace view v as select id from t", "42P16 cannot drop columns from view"},
		{"create or replace view v as select id, id as b, 5 as five from t", `42P16 cannot change name of view column "a" to "b"`},
		{"create or replace view v as select id, a::text as a, 5 as five from t", `42P16 cannot change data type of view column "a" from integer to text`},
		{"create or replace view t as select 1", `42809 "t" is not a view`},
		{"create or replace view v as select id, a, count::int as five from t, w", `42P17 infinite recursion detected in rules for relation "v"`},
		{"alter table t drop column a cascade", "ALTER TABLE"},
		{"select * from v", `42P01 relation "v" does not exist`},
	}...)
	other.want(`42P01 relation "w" does not exist`, "select * from w")
}

// TestPlansFollowViews: whoever has planned a statement plans it anew when a view that it
// went through, or what that reads, is another.
func TestPlansFollowViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, n int)")
	c.run("insert into t values (1, 10), (2, 20)")
	c.run("create view v as select id, n from t")
	c.run("create view w as select max(n) as top from v")
	for _, q := range []string{"select * from v order by id", "select * from w", "update v set n = n where id = 1"} {
		other.run(q)
	}
	c.run("create or replace view v as select id, n from t where n < 15")
	other.want("1|10\nSELECT 1", "select * from v order by id")
	other.want("10\nSELECT 1", "select * from w")
	c.run("create or replace view v as select id, n from t where n > 15")
	other.want("UPDATE 0", "update v set n = n where id = 1")
	c.run("alter table t rename to t2")
	c.run("create table t (id int primary key, n int)")
	other.want("2|20\nSELECT 1", "select * from v order by id")
	c.run("drop view v cascade")
	other.want(`42P01 relation "w" does not exist`, "select * from w")
	c.run("create table w (top int)")
	other.want("SELECT 0", "select * from w")
}

func TestManyViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create view v0 as select 1 as a")
	c.run("create view d0 as select 1 as a")
	last := ""
	for i := range 40 {
		last += c.run(fmt.Sprintf("create view v%d as select * from v%d", i+1, i))
	}
	if !strings.Contains(last, "54001") {
		t.Errorf("41 views within each other: %s", last)
	}
	c.want("1\nSELECT 1", "select * from v30")
	last = ""
	for i := range 12 {
		last += c.run(fmt.Sprintf("create view d%d as select x.a from d%d x, d%d y", i+1, i, i))
	}
	if !strings.Contains(last, "54001") {
		t.Errorf("views of 4096 others: %s", last)
	}
	c.want("1\nSELECT 1", "select * from d5")
}

// TestAlterViews: tools that dump schemas give views their owners by ALTER TABLE.
func TestAlterViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, a varchar(3))")
	c.run("create view v as select id, a from t")
	c.run("create materialized view m as select id from t")
	c.steps([][2]string{
		{"alter view v owner to alice", "ALTER VIEW"},
		{"alter table v owner to alice", "ALTER TABLE"},
		{"alter materialized view m owner to alice", "ALTER MATERIALIZED VIEW"},
		{"alter table m owner to alice", "ALTER TABLE"},
		{"alter view m owner to alice", `42809 "m" is not a view`},
		{"alter view t owner to alice", `42809 "t" is not a view`},
		{"alter view none owner to alice", `42P01 relation "none" does not exist`},
		{"alter view if exists none owner to alice", "ALTER VIEW"},
		{"alter materialized view v owner to alice", `42809 "v" is not a materialized view`},
		{"alter table v add column x int", `42809 "v" is not a table`},
		{"alter view v alter column id set default 5", "0A000 this form of ALTER VIEW is not supported"},
		{"create table l (like v, x int)", "CREATE TABLE"},
		{"insert into l values (1, 'long', 2)", "22001 value too long for type character varying(3)"},
		{"create recursive view nums (n) as values (1) union all select n + 1 from nums where n < 3", "CREATE VIEW"},
		{"select * from nums order by 1", "1\n2\n3\nSELECT 3"},
	}...)
}
