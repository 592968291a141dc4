package sql

import (
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func inDatabase(name string) func(*SessionOptions) {
	return func(o *SessionOptions) { o.Database = name }
}

// wantNotices compares the notices since the last time.
func (c *client) wantNotices(want ...string) {
	c.t.Helper()
	if !slices.Equal(c.notices, want) {
		c.t.Errorf("notices %q, want %q", c.notices, want)
	}
	c.notices = nil
}

func TestSchemas(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.want("CREATE SCHEMA", "create schema s")
	c.want(`42P06 schema "s" already exists`, "create schema s")
	c.want("CREATE SCHEMA", "create schema if not exists s")
	c.wantNotices(`NOTICE: schema "s" already exists, skipping`)
	c.want(`42939 unacceptable schema name "pg_x" / The prefix "pg_" is reserved for system schemas.`, "create schema pg_x")
	c.want(`42P06 schema "pg_catalog" already exists`, "create schema pg_catalog")
	c.want(`42704 role "nobody" does not exist`, "create schema x authorization nobody")
	c.want("CREATE TABLE", "create table s.t (id int primary key)")
	c.want("CREATE TABLE", "create table public.t (id int primary key)")
	c.want("INSERT 0 1", "insert into s.t values (7)")
	other.want("7\nSELECT 1", "select id from s.t")
	other.want("SELECT 0", "select id from t")
	other.want("SET", "set search_path = s, public")
	other.want("7\nSELECT 1", "select id from t")
	c.want("ALTER SCHEMA", "alter schema s rename to r")
	c.want(`3F000 schema "s" does not exist`, "alter schema s rename to q")
	c.want(`42P06 schema "public" already exists`, "alter schema r rename to public")
	c.want("7\nSELECT 1", "select id from r.t")
	other.want("SELECT 0", "select id from t")
	c.want("ALTER SCHEMA", "alter schema r owner to current_user")
	c.want("2BP01 cannot drop schema r because other objects depend on it / table r.t depends on schema r", "drop schema r")
	c.want("2BP01 cannot drop schema pg_catalog because it is required by the database system", "drop schema if exists pg_catalog")
	c.want("DROP SCHEMA", "drop schema if exists r, nothing cascade")
	c.wantNotices(`NOTICE: schema "nothing" does not exist, skipping`, "NOTICE: drop cascades to table r.t")
	c.want(`3F000 schema "r" does not exist`, "drop schema r")
	c.want(`42P01 relation "r.t" does not exist`, "delete from r.t")
	c.want("SELECT 0", "select id from t")
	c.want(`42P15 CREATE specifies a schema (public) different from the one being created (s)`, "create schema s create table public.t (id int)")
	c.want("CREATE SCHEMA", "create schema s create table a (id int primary key) create table s.b (id int primary key)")
	c.want("INSERT 0 1", "insert into s.b values (1)")
	c.want("DROP SCHEMA", "drop schema s cascade")
	c.wantNotices("NOTICE: drop cascades to 2 other objects")
}

// TestSchemasInTransactions: schemas are made and dropped with what is in them, or not.
func TestSchemasInTransactions(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	for _, end := range []string{"rollback", "commit"} {
		c.run("begin")
		c.want("CREATE SCHEMA", "create schema s")
		c.want("CREATE TABLE", "create table s.t (id int primary key)")
		c.want("INSERT 0 1", "insert into s.t values (1)")
		c.run("savepoint p")
		c.want("DROP SCHEMA", "drop schema s cascade")
		c.want("CREATE SCHEMA", "create schema s")
		c.run("rollback to p")
		c.want("ALTER SCHEMA", "alter schema s rename to r")
		c.want("1\nSELECT 1", "select id from r.t")
		other.want(`3F000 schema "s" does not exist`, "create table s.t (id int primary key)")
		c.want(map[string]string{"rollback": "ROLLBACK", "commit": "COMMIT"}[end], end)
	}
	other.want("1\nSELECT 1", "select id from r.t")
	// A table that another session makes meanwhile is neither lost nor orphaned.
	c.run("begin")
	c.want("DROP SCHEMA", "drop schema r cascade")
	other.run("create table r.u (id int primary key)")
	c.want("40001 could not serialize access: table \"u\" is in what is dropped", "commit")
	other.want("1\nSELECT 1", "select id from r.t")
}

func TestMakingDatabases(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE DATABASE", "create database d with owner = default encoding 'utf8' template template0 lc_collate 'C' connection limit -1")
	c.want(`42P04 database "d" already exists`, "create database d")
	c.want(`0A000 ENCODING "latin1" of a database is not supported`, "create database e encoding 'latin1'")
	c.want(`42601 option "colour" not recognized`, "create database e colour 'red'")
	c.want(`42704 role "nobody" does not exist`, "create database e owner nobody")
	c.run("begin")
	c.want("25001 CREATE DATABASE cannot run inside a transaction block", "create database e")
	c.run("rollback")
	c.run("begin")
	c.want("25001 DROP DATABASE cannot run inside a transaction block", "drop database d")
	c.run("rollback")
	inside := f.open(inDatabase("d"))
	inside.want("CREATE TABLE", "create table t (id int primary key)")
	inside.want("INSERT 0 1", "insert into t values (1)")
	c.want(`42P01 relation "t" does not exist`, "delete from t")
	c.want("55006 database \"d\" is being accessed by other users / There is 1 other session using the database.", "drop database d")
	c.want("55006 database \"d\" is being accessed by other users / There is 1 other session using the database.", "alter database d rename to e")
	inside.want("55006 cannot drop the currently open database", "drop database d")
	inside.want("0A000 current database cannot be renamed", "alter database d rename to e")
	inside.session.Close()
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server, silent: []cluster.NodeID{3}}
	c.want("55006 it is not known whether database \"d\" is being accessed by other users / No answer from n3.", "drop database d")
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server}
	c.want("ALTER DATABASE", "alter database d rename to e")
	c.want("ALTER DATABASE", "alter database e owner to current_user")
	c.want(`3D000 database "d" does not exist`, "drop database d")
	c.want("DROP DATABASE", "drop database if exists d")
	c.wantNotices(`NOTICE: database "d" does not exist, skipping`)
	c.want("DROP DATABASE", "drop database e")
	c.want("2BP01 cannot drop database postgres because it is required by the database system", "drop database postgres")
	if n := len(f.meta.View().Dropped); n != 1 {
		t.Errorf("%d dropped collections, want that of the database", n)
	}
}

// TestDropsOfSchemasLookAgain has a table be made between what DROP SCHEMA saw and its
// command.
func TestDropsOfSchemasLookAgain(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	for how, want := range map[string]string{
		"restrict": "2BP01 cannot drop schema s because other objects depend on it / table s.t depends on schema s",
		"cascade":  "DROP SCHEMA",
	} {
		c.run("create schema s")
		raced := false
		f.meta.before = func(cmd *metastate.Command) {
			if cmd.ChangeObjects != nil && !raced {
				raced = true
				other.want("CREATE TABLE", "create table s.t (id int primary key)")
			}
		}
		c.want(want, "drop schema s "+how)
		f.meta.before = nil
		if !raced {
			t.Error("nobody came between")
		}
		c.run("drop schema if exists s cascade")
	}
}
