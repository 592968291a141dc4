package sql

import "testing"

// LOCK TABLE in the mode of pg_dump.
func TestLockTable(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table t (id int primary key)")
	c.steps([][2]string{
		{"lock table t in access share mode", "25P01 LOCK TABLE can only be used in transaction blocks"},
		{"begin", "BEGIN"},
		{"lock table public.t in access share mode", "LOCK TABLE"},
		{"lock table t", "0A000 LOCK TABLE ... IN ACCESS EXCLUSIVE MODE is not supported"},
		{"rollback", "ROLLBACK"},
		{"begin", "BEGIN"},
		{"lock table nope in access share mode", `42P01 relation "nope" does not exist`},
		{"rollback", "ROLLBACK"},
	}...)
}

// Objects by their numbers and names, as the search path finds them.
func TestRegistryTypes(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create schema app")
	c.run("create table app.t (id int primary key)")
	c.run(`create table "T x" (id int)`)
	c.steps([][2]string{
		{"select 'app.t'::regclass, '\"T x\"'::regclass, 'app.t_pkey'::regclass, 'pg_class'::regclass::oid", "app.t|\"T x\"|app.t_pkey|1259\nSELECT 1"},
		{"set search_path = app", "SET"},
		{"select 't'::regclass, 'public.\"T x\"'::regclass::text, pg_table_is_visible('public.\"T x\"'::regclass)", "t|public.\"T x\"|f\nSELECT 1"},
		{"select 'app'::regnamespace, 'array_in'::regproc, 'lower(text)'::regprocedure, 0::regclass, 'int4[]'::regtype", "app|array_in|lower(text)|-|integer[]\nSELECT 1"},
		{"select pg_typeof(oid), pg_typeof(relname), pg_typeof(relkind), pg_typeof(oid::regclass) from pg_class where relname = 't'", "oid|name|\"char\"|regclass\nSELECT 1"},
		{"select 'none'::regrole", `42704 role "none" does not exist`},
		{"select 'none'::regnamespace", `3F000 schema "none" does not exist`},
		{"select tableoid::regclass from pg_namespace where nspname = 'app'", "pg_namespace\nSELECT 1"},
		{"create table n (c regclass)", "0A000 a column of type regclass is not supported"},
	}...)
}
