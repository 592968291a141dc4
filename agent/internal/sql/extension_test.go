package sql

import "testing"

// TestExtensions: migrations ask for those whose functions are there.
func TestExtensions(t *testing.T) {
	newFixture(t, nil).open().steps([][2]string{
		{`create extension if not exists "uuid-ossp"`, "CREATE EXTENSION"},
		{"create extension if not exists pgcrypto with schema public", "CREATE EXTENSION"},
		{"create extension plpgsql", `42710 extension "plpgsql" already exists / The language is always there.`},
		{"create extension if not exists citext", `0A000 extension "citext" is not available`},
		{"drop extension plpgsql", "2BP01 cannot drop extension plpgsql because it is required by the database system"},
		{"drop extension citext", `42704 extension "citext" does not exist`},
		{"drop extension if exists citext cascade", "DROP EXTENSION"},
		{"create table t (id uuid primary key default uuid_generate_v4(), a int)", "CREATE TABLE"},
		{"insert into t (a) values (1)", "INSERT 0 1"},
		{"select length(id::text) from t", "36\nSELECT 1"},
		{"lock table t in share mode", "25P01 LOCK TABLE can only be used in transaction blocks"},
		{"create tablespace x location '/tmp'", "0A000 CREATE TABLESPACE is not supported"},
	}...)
}
