package sql

import (
	"strings"
	"testing"
)

// What client libraries ask the catalogs in their first hour, which psql does not.
func TestCatalogsOfClients(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table u (a int2, b int2, l int2[], unique (b, a))")
	c.run("create type mood as enum ('glad')")
	// An int2vector has a text of its own, also as a result.
	c.want("2 1|2 1|int2vector|0 0\nSELECT 1", "select indkey, indkey::varchar, pg_typeof(indkey), indoption::text from pg_index where indnkeyatts = 2")
	// ANY of an array in the condition of an outer join.
	c.want("u_b_a_key|a\nu_b_a_key|b\nSELECT 2", `select i.relname, a.attname from pg_class t join pg_index x on t.oid = x.indrelid
		join pg_class i on i.oid = x.indexrelid left outer join pg_attribute a on t.oid = a.attrelid and a.attnum = any(x.indkey)
		where t.relname = 'u' and x.indisunique and x.indnkeyatts = 2 order by 2`)
	c.run("insert into u values (1, 1, '{1,2}'), (3, 2, '{1}'), (3, 3, '{1,null}'), (null, 4, '{1}'), (null, 5, '{}'), (1, 6, null)")
	c.want("1|t\n2|f\n3|NULL\n4|NULL\n5|f\n6|NULL\nSELECT 6", "select b, a = any(l) from u group by b, a, l order by 1")
	// Names of types that a query makes.
	c.want("smallint\nsmallint\nsmallint[]\nSELECT 3",
		`select ('"' || udt_schema || '"."' || udt_name || '"')::regtype::text from information_schema.columns where table_name = 'u' order by ordinal_position`)
	c.want("integer[]\nmood\nmood[]\nNULL\nSELECT 4", "select (v || '')::regtype::text from (values ('_int4'), ('public.mood'), ('_mood'), (null)) t(v) order by 1")
	c.want(`42704 type "nope" does not exist`, "select (v || '')::regtype from (values ('nope')) t(v)")
	c.want("23\nSELECT 1", `select '"pg_catalog"."int4"'::regtype::oid`)
	c.want("u\nSELECT 1", "select relname from pg_statio_all_tables where schemaname = 'public'")
}

// A USING that only casts the column says what its new type says.
func TestTypeUsingItself(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table w (id int8 primary key, name varchar(5))")
	c.run("insert into w values (1, 'abc')")
	c.want("ALTER TABLE", "alter table w alter column name type varchar(80) using name::varchar(80)")
	c.want("ALTER TABLE", `alter table w alter column name type varchar(80) using ("name"::varchar(80))`)
	for _, using := range []string{"id::varchar(90)", "name::varchar(3)", "upper(name)::varchar(90)"} {
		if got := c.run("alter table w alter column name type varchar(90) using " + using); !strings.HasPrefix(got, "0A000") {
			t.Errorf("using %s: %s", using, got)
		}
	}
}
