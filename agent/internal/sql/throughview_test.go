package sql

import "testing"

func TestChangesThroughViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, name text default 'none', n int check (n < 1000))")
	c.run("insert into t values (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")
	c.run("create table u (id int primary key)")
	c.run("insert into u values (2), (3)")
	c.steps([][2]string{
		{"create view v (key, label, n, twice) as select id, name, n, n * 2 from t where n >= 20", "CREATE VIEW"},
		{"insert into v (key, label, n) values (4, 'd', 40)", "INSERT 0 1"},
		{"insert into v values (5, 'e', 5) returning key, label, twice", "5|e|10\nINSERT 0 1"},
		{"insert into v select 6, 'f', 60", "INSERT 0 1"},
		{"insert into v (key) values (7) returning *", "7|none|NULL|NULL\nINSERT 0 1"},
		{"insert into v values (8, 'h', 80, 160)", `0A000 cannot insert into column "twice" of view "v" / View columns that are not columns of their base relation are not updatable.`},
		{"insert into v (none) values (8)", `42703 column "none" of relation "v" does not exist`},
		{"insert into v values (2, 'x', 20)", `23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(2) already exists.`},
		{"insert into v values (9, 'x', 2000)", `23514 new row for relation "t" violates check constraint "t_n_check" / Failing row contains (9, x, 2000).`},
		{"update v set label = label || key where key in (1, 2) returning *", "2|b2|20|40\nUPDATE 1"},
		{"update v set n = twice where label = 'c'", "UPDATE 1"},
		{"update v set twice = 1", `0A000 cannot update column "twice" of view "v" / View columns that are not columns of their base relation are not updatable.`},
		{"update v as x set label = 'u' || x.label from u where u.id = x.key", "UPDATE 2"},
		{"update v set label = 'max' where n = (select max(n) from v)", "UPDATE 2"},
		{"update v set key = key + 100 where key = 6", "UPDATE 1"},
		{"select * from t order by id", "1|a|10\n2|ub2|20\n3|max|60\n4|d|40\n5|e|5\n7|none|NULL\n106|max|60\nSELECT 7"},
		{"delete from v where key < 3", "DELETE 1"},
		{"delete from v using u where u.id = v.key returning v.key", "3\nDELETE 1"},
		{"delete from v where key in (select id from t where id > 100)", "DELETE 1"},
		{"delete from v where key = 1", "DELETE 0"},
		{"select * from t order by id", "1|a|10\n4|d|40\n5|e|5\n7|none|NULL\nSELECT 4"},
		{"create view w as select key as k, n from v where n < 50", "CREATE VIEW"},
		{"update w set n = n + 1", "UPDATE 1"},
		{"insert into w values (20, 25)", "INSERT 0 1"},
		{"delete from w where k = 20", "DELETE 1"},
		{"alter table t rename id to ident", "ALTER TABLE"},
		{"update w set n = n + 1 where k = 4 returning k, n", "4|42\nUPDATE 1"},
		{"update w set n = n + 1 where k = (select 4)", "UPDATE 1"},
		{"select key, n from v for update", "4|43\nSELECT 1"},
		{"explain update w set n = 0 where k = 4", "Update t\n  Key lookup in t\n    Filter\nEXPLAIN"},
		{"insert into v (key) values (1) on conflict do nothing", "0A000 ON CONFLICT of an INSERT into a view is not supported"},
	}...)
}

func TestViewsThatTakeNoChanges(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, n int)")
	for view, why := range map[string]string{
		"select distinct n from t": "Views containing DISTINCT", "select n from t group by n": "Views containing GROUP BY", "select 1 as n from t having true": "Views containing HAVING",
		"select n from t union select 1": "Views containing UNION, INTERSECT, or EXCEPT", "with x as (select 1) select n from t": "Views containing WITH",
		"select n from t limit 1": "Views containing LIMIT or OFFSET", "select count(*) as n from t": "Views that return aggregate functions",
		"select row_number() over () as n from t": "Views that return window functions", "select a.n from t a, t b": "Views that do not select from a single table or view",
		"select 1 as n": "Views that do not select from a single table or view",
	} {
		c.want("CREATE VIEW", "create or replace view v as "+view)
		c.want(`55000 cannot insert into view "v" / `+why+" are not automatically updatable.", "insert into v values (1)")
		c.want(`55000 cannot update view "v" / `+why+" are not automatically updatable.", "update v set n = 1")
		c.want(`55000 cannot delete from view "v" / `+why+" are not automatically updatable.", "delete from v")
		c.want("0A000 WITH CHECK OPTION is supported only on automatically updatable views", "create view w as "+view+" with check option")
		c.run("drop view v")
	}
	c.run("create view v as select n + 1 as n from t")
	c.want(`55000 cannot update view "v" / Views that have no updatable columns are not automatically updatable.`, "update v set n = 1")
	c.want("DELETE 0", "delete from v")
}

func TestCheckOption(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, n int)")
	c.run("create view a as select * from t where n > 0")
	c.run("create view b as select * from a where n < 100 with local check option")
	c.run("create view d as select * from b where n <> 50 with cascaded check option")
	const failing = ` / Failing row contains `
	c.steps([][2]string{
		{"insert into a values (1, -1)", "INSERT 0 1"},
		{"insert into b values (2, -1)", "INSERT 0 1"},
		{"insert into b values (3, 100)", `44000 new row violates check option for view "b"` + failing + "(3, 100)."},
		{"insert into d values (3, -1)", `44000 new row violates check option for view "a"` + failing + "(3, -1)."},
		{"insert into d values (3, 100)", `44000 new row violates check option for view "b"` + failing + "(3, 100)."},
		{"insert into d values (3, 50)", `44000 new row violates check option for view "d"` + failing + "(3, 50)."},
		{"insert into d values (3, null)", `44000 new row violates check option for view "a"` + failing + "(3, null)."},
		{"insert into d values (3, 1)", "INSERT 0 1"},
		{"update d set n = 50", `44000 new row violates check option for view "d"` + failing + "(3, 50)."},
		{"update d set n = 51", "UPDATE 1"},
		{"update d set n = x.n from (select 100 as n) x", `44000 new row violates check option for view "b"` + failing + "(3, 100)."},
		{"update a set n = -5 where id = 3", "UPDATE 1"},
	}...)
}

func TestViewsInCatalogs(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, name varchar(5), n int)")
	c.run("create schema app")
	c.run("create table app.u (id int primary key)")
	c.run("create view v as select *, n * 2 as m from t where n > 10 with check option")
	c.run("create view j as select t.id, count(*) from t left join app.u on t.id = u.id group by t.id order by t.id")
	c.run("comment on view v is 'a view'")
	c.run("comment on column v.m is 'a column'")
	c.steps([][2]string{
		{"select relname, relkind from pg_class where relkind = 'v' and oid > 16384 order by 1", "j|v\nv|v\nSELECT 2"},
		{"select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'v'::regclass order by attnum", "id|integer\nname|character varying(5)\nn|integer\nm|integer\nSELECT 4"},
		{"select pg_get_viewdef('v'::regclass, true)", " SELECT t.id,\n    t.name,\n    t.n,\n    t.n * 2 AS m\n   FROM t\n  WHERE t.n > 10;\nSELECT 1"},
		{"select definition from pg_views where viewname = 'j'", " SELECT t.id,\n    count(*) AS count\n   FROM t\n     LEFT JOIN app.u ON t.id = u.id\n  GROUP BY t.id\n  ORDER BY t.id;\nSELECT 1"},
		{"select table_name, check_option, is_updatable from information_schema.views order by 1", "j|NONE|NO\nv|CASCADED|YES\nSELECT 2"},
		{"select table_name, table_type from information_schema.tables where table_schema = 'public' order by 1", "j|VIEW\nt|BASE TABLE\nv|VIEW\nSELECT 3"},
		{"select column_name, data_type from information_schema.columns where table_name = 'j' order by ordinal_position", "id|integer\ncount|bigint\nSELECT 2"},
		{"select obj_description('v'::regclass), col_description('v'::regclass, 4)", "a view|a column\nSELECT 1"},
		{"select v.oid::regclass from pg_class v where relname = 'v'", "v\nSELECT 1"},
		{"select distinct d.refobjid::regclass from pg_depend d join pg_rewrite r on d.objid = r.oid where r.ev_class = 'j'::regclass and d.refobjid <> r.ev_class order by 1", "t\napp.u\nSELECT 2"},
	}...)
}
