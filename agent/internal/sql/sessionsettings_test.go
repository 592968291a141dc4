package sql

import "testing"

// TestSessionSettings: what sessions begin with, the strongest last: of the database, of the
// role, of the role in the database, of the client.
func TestSessionSettings(t *testing.T) {
	f := newFixture(t, startDuck(t))
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("create database other", "CREATE DATABASE")
	root.done("alter database nodedb set statement_timeout = '10s'", "ALTER DATABASE")
	root.done("alter database nodedb set timezone to 'Asia/Tokyo'", "ALTER DATABASE")
	root.done("alter role alice set search_path to app, public", "ALTER ROLE")
	root.done("alter role alice set statement_timeout = 20000", "ALTER ROLE")
	root.done("alter user alice in database nodedb set lock_timeout = '3s'", "ALTER ROLE")
	root.done("alter user alice in database other set lock_timeout = '4s'", "ALTER ROLE")
	root.done("alter role alice set app.tenant = 'acme'", "ALTER ROLE")
	root.want("UTC\nSHOW", "show timezone") // sessions to come begin with them

	alice := f.open(func(o *SessionOptions) { o.User = "alice" })
	for name, want := range map[string]string{"timezone": "Asia/Tokyo", "statement_timeout": "20s", "search_path": "app, public", "lock_timeout": "3s", "app.tenant": "acme"} {
		alice.want(want+"\nSHOW", "show "+name)
	}
	alice.done("set search_path = x", "SET")
	alice.done("reset all", "RESET")
	alice.want("app, public\nSHOW", "show search_path")
	alice.want("TimeZone|Asia/Tokyo|database\nlock_timeout|3s|database user\nstatement_timeout|20s|user\nSELECT 3",
		"select name, reset_val, source from pg_settings where name in ('TimeZone', 'lock_timeout', 'statement_timeout') order by name")
	sent := f.open(func(o *SessionOptions) { o.User, o.Params = "alice", map[string]string{"statement_timeout": "5s"} })
	sent.want("5s\nSHOW", "show statement_timeout")
	other := f.open(func(o *SessionOptions) { o.User, o.Database = "alice", "other" })
	other.want("4s\nSHOW", "show lock_timeout")
	other.want("UTC\nSHOW", "show timezone")

	root.want("alice|nodedb|lock_timeout=3s\nalice|other|lock_timeout=4s\nalice|NULL|app.tenant=acme\nsearch_path=app, public\nstatement_timeout=20000\nNULL|nodedb|TimeZone=Asia/Tokyo\nstatement_timeout=10s\nSELECT 4",
		`select rolname, datname, array_to_string(setconfig, E'\n') from pg_db_role_setting s left join pg_database d on d.oid = setdatabase left join pg_roles r on r.oid = setrole order by 1, 2`)
	root.want(`{app.tenant=acme,"search_path=app, public",statement_timeout=20000}`+"\nSELECT 1", "select rolconfig from pg_roles where rolname = 'alice'")

	alice.done("alter role alice set work_mem = '8MB'", "ALTER ROLE") // everybody may for themselves
	alice.refused("alter role root set work_mem = '8MB'", "42501")
	alice.refused("alter database other set work_mem = '8MB'", "42501")
	root.refused("alter role alice set nope = 1", "42704")
	root.refused("alter role alice set statement_timeout = 'soon'", "22023")
	root.refused("alter role nobody set work_mem = '8MB'", "42704")
	root.refused("alter role alice in database nope set work_mem = '8MB'", "3D000")
	root.refused("alter database nope set work_mem = '8MB'", "3D000")
	root.refused("alter role alice set server_version = '1'", "55P02")
	root.refused("alter role all set work_mem = '8MB'", "0A000")

	root.done("alter role alice reset statement_timeout", "ALTER ROLE")
	root.done("alter role alice in database nodedb reset all", "ALTER ROLE")
	root.done("begin", "BEGIN")
	root.done("alter database nodedb reset timezone", "ALTER DATABASE")
	root.done("commit", "COMMIT")
	alice = f.open(func(o *SessionOptions) { o.User = "alice" })
	for name, want := range map[string]string{"timezone": "UTC", "statement_timeout": "10s", "lock_timeout": "0", "work_mem": "8MB"} {
		alice.want(want+"\nSHOW", "show "+name)
	}
}
