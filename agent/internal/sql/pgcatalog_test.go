package sql

import (
	"os"
	"strings"
	"testing"
)

// The queries that psql 15 sends for its \d commands all run; testdata/psql15.sql
// was captured with psql -E.
func TestPsqlCatalogQueries(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table t (id int8 primary key, name varchar(20) not null, n int4 default 7, price numeric(10,2))")
	text, err := os.ReadFile("testdata/psql15.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, query := range strings.Split(string(text), "\n\n----\n\n") {
		if got := c.run(query); !strings.Contains(got[strings.LastIndexByte(got, '\n')+1:], "SELECT ") {
			t.Errorf("query %d: %s\n%s", i, got, query)
		}
	}
}

// TestDefaultsAreShownAsPostgreSQLDoes: tools find values of defaults by their types.
func TestDefaultsAreShownAsPostgreSQLDoes(t *testing.T) {
	_, c := slowFixture(t)
	c.run(`create table t (a text default 'it''s', b varchar(5) default 'y', c int default 5, d int default -1, e numeric default 1.5, f date default '2024-1-1',
		g timestamptz default now(), h jsonb default '{}', i text[] default '{}', j bool default 't', k char(3) default 'a', l interval default '24 hours',
		m timestamp default '2024-01-01 10:00', n date default current_date, o text default null, p bytea default '\x00', q int default (1+2), r int default '-7')`)
	c.want(`'it''s'::text|'y'::character varying|5|'-1'::integer|1.5|'2024-01-01'::date|now()|'{}'::jsonb|'{}'::text[]|true|'a'::bpchar|'24:00:00'::interval|`+
		`'2024-01-01 10:00:00'::timestamp without time zone|CURRENT_DATE|'\x00'::bytea|(1 + 2)|'-7'::integer`+"\nSELECT 1",
		"select string_agg(column_default, '|' order by ordinal_position) from information_schema.columns where table_name = 't'")
}

func TestCatalogTables(t *testing.T) {
	f, c := slowFixture(t)
	c.run("create table t (id int8, k text, name varchar(20) not null, n int4 default 7, price numeric(10,2), primary key (k, id))")
	c.run("create collection docs (doc jsonb)")
	c.want("docs|r\nt|r\nt_pkey|i\nSELECT 3", "select relname, relkind from pg_class where relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) order by 1")
	c.want("id|bigint|t|NULL\nk|text|t|NULL\nname|character varying(20)|t|NULL\nn|integer|f|7\nprice|numeric(10,2)|f|NULL\nSELECT 5",
		`select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attribute a
		 left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = 't'::regclass order by attnum`)
	c.want("docs|doc|jsonb|NULL\nt|id|bigint|NULL\nt|k|text|NULL\nt|name|character varying|20\nt|n|integer|NULL\nt|price|numeric|NULL\nSELECT 6",
		"select table_name, column_name, data_type, character_maximum_length from information_schema.columns order by table_name, ordinal_position")
	c.want("k|1\nid|2\nSELECT 2", "select column_name, ordinal_position from information_schema.key_column_usage where table_name = 't' order by 2")
	c.want("UTC\nSELECT 1", "select setting from pg_settings where name = 'TimeZone'")
	c.run("set timezone = '-03:30'")
	c.want("-03:30|UTC|UTC|session|user\nSELECT 1", "select setting, boot_val, reset_val, source, context from pg_settings where name = 'TimeZone'")
	c.want("off|default|internal\nSELECT 1", "select setting, source, context from pg_settings where name = 'is_superuser'")
	c.run("reset timezone")
	c.want("alice|active|t|t|NULL\nSELECT 1", "select usename, state, xact_start = query_start, query_start >= backend_start, wait_event from pg_stat_activity where pid = pg_backend_pid()")
	c.want(`42501 permission denied: "pg_class" is a system table`, "delete from pg_class")
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("create user bob connection limit 7", "CREATE ROLE")
	root.done("create user carol", "CREATE ROLE")
	c.want("bob|7\ncarol|-1\nSELECT 2", "select rolname, rolconnlimit from pg_roles where rolname in ('bob', 'carol') order by 1")
	c.want("int8\nSELECT 1", "select typname from pg_type where oid = 20")
	c.want("UTC|public|7\nSELECT 1", "select current_setting('timezone'), current_schema(), pg_backend_pid()")
}
