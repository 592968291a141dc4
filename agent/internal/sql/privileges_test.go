package sql

import (
	"fmt"
	"strings"
	"testing"
)

// as opens a session of a user.
func (f *fixture) as(user string) *client {
	f.t.Helper()
	return f.open(func(o *SessionOptions) { o.User = user })
}

// rightsFixture is a server with tables of alice, and users with nothing.
func rightsFixture(t *testing.T, slow bool) (f *fixture, alice, bob *client) {
	if f = newFixture(t, nil); slow {
		f = newFixture(t, startDuck(t))
	}
	alice = f.as("alice")
	alice.steps([][2]string{
		{"create table t (id int primary key, a int, secret text)", "CREATE TABLE"},
		{"insert into t values (1, 2, 'x')", "INSERT 0 1"},
		{"create sequence s", "CREATE SEQUENCE"},
		{"create schema own", "CREATE SCHEMA"},
		{"create table own.t (id int primary key)", "CREATE TABLE"},
	}...)
	return f, alice, f.as("bob")
}

func TestPrivilegesOnTables(t *testing.T) {
	_, alice, bob := rightsFixture(t, false)
	const denied = "42501 permission denied for table t"
	for _, s := range []string{"select * from t", "select 1 from t", "select count(*) from t", "insert into t values (2)", "update t set a = 1", "delete from t",
		"select id from t for update", "explain select * from t", "explain analyze delete from t", "truncate t", "create table u as select * from t"} {
		bob.want(denied, s)
	}
	for _, s := range []string{"alter table t add column b int", "drop table t", "alter table t rename to u", "alter table t rename a to b", "comment on table t is 'x'", "alter table t owner to bob", "alter table t set schema public"} {
		bob.want("42501 must be owner of table t", s)
	}
	bob.want("42501 must be owner of sequence s", "alter sequence s restart")
	bob.want("42501 must be owner of schema own", "drop schema own cascade")
	bob.want("42501 must be owner of database nodedb", "comment on database nodedb is 'x'")
	bob.want("42501 permission denied for schema own", "select * from own.t")
	bob.want("42501 permission denied for schema own", "select * from own.none")
	bob.want("42501 permission denied for schema own", "create table own.u (id int)")
	bob.want("42501 permission denied for database nodedb", "create schema mine")
	bob.want("42501 permission denied to create database", "create database mine")
	bob.want("42501 permission denied for sequence s", "select nextval('s')")
	bob.want("42501 permission denied for sequence s", "select setval('s', 7)")

	alice.want("GRANT", "grant select on t to bob")
	bob.want("1|2|x\nSELECT 1", "select * from t")
	bob.want(denied, "select id from t for update")
	bob.want(denied, "update t set a = 1")
	alice.want("GRANT", "grant update (a), insert on t to bob")
	bob.want("UPDATE 1", "update t set a = a + 1")
	bob.want(denied, "update t set secret = ''")
	bob.want(denied, "insert into t values (1, 1, '') on conflict (id) do update set secret = ''")
	bob.want("INSERT 0 1", "insert into t values (1, 1, '') on conflict (id) do update set a = excluded.a")
	bob.want("1\nSELECT 1", "select id from t for update")
	alice.want("REVOKE", "revoke all on t from bob")
	bob.want(denied, "select 1 from t")
	bob.want(denied, "update t set a = 1") // the columns' went with the table's
	alice.want("GRANT", "grant usage on schema own to public")
	bob.want(denied, "select * from own.t")
	alice.want("GRANT", "grant usage on sequence s to bob")
	bob.want("1\nSELECT 1", "select nextval('s')")
	bob.want("42501 permission denied for sequence s", "select setval('s', 7)")
}

func TestPrivilegesOnColumns(t *testing.T) {
	_, alice, bob := rightsFixture(t, true)
	alice.want("CREATE TABLE", "create table u (id int primary key, secret text)")
	alice.want("INSERT 0 1", "insert into u values (1, 'y')")
	alice.want("GRANT", "grant select (id, a) on t to bob")
	alice.want("GRANT", "grant select on u to bob")
	const denied = "42501 permission denied for table t"
	for _, s := range []string{"select id, a from t", "select count(*) from t", "select 1 from t where a = 2", "select id as secret from t order by secret",
		"with t as (select 1 as secret) select secret from t", "select t.id, u.secret from t join u on t.id = u.id", "select x.id from t x", "select (select secret from u where u.id = t.id) from t"} {
		if got := bob.run(s); !strings.HasSuffix(got, "SELECT 1") {
			t.Errorf("%s: %s", s, got)
		}
	}
	for _, s := range []string{"select * from t", "select secret from t", "select t.secret from t", "select public.t.secret from t", "select x.secret from t x", "select x.* from t x", "select 1 from t where secret = 'x'",
		"select id from t order by secret", "select 1 as secret from t order by secret || ''", "select count(*) from t group by secret", "select id from t group by id having max(secret) = 'x'",
		"select (select t.secret) from t", "select (select max(u.id) from u where u.secret = t.secret) from t", "select id from t natural join u", "select t.id from t join u using (secret)",
		"with x as (select secret from t) select * from x", "select * from (select secret from t) x", "select x.c from t x (a, b, c)", "select max(secret) from t",
		"select sum(id) over (order by secret) from t", "select distinct on (secret) id from t", "select id from t union select length(secret) from t", "select id from t limit (select length(secret) from t)",
		"select 1 from t, lateral (select t.secret) x", "insert into u select id + 1, secret from t", "update u set secret = t.secret from t", "delete from u using t where t.secret = 'x'",
		"update u set secret = (select secret from t)", "select case when secret = 'x' then 1 end from t", "select id from t where id in (select id from t where secret = 'x')"} {
		if got := bob.run(s); got != denied && !strings.HasPrefix(got, "42501 permission denied for table u") {
			t.Errorf("%s: %s", s, got)
		}
	}
	alice.want("GRANT", "grant insert (id, a) on t to bob")
	bob.want("INSERT 0 1", "insert into t (id, a) values (7, 8)")
	bob.want("INSERT 0 1", "insert into t values (8, 8)")
	bob.want(denied, "insert into t values (9, 8, 'x')")
	bob.want(denied, "insert into t (id, a) values (9, 9) returning secret")
	bob.want("9\nINSERT 0 1", "insert into t (id, a) values (9, 9) returning id")
	bob.want(denied, "insert into t select 10, 1, 'x'")
	alice.want("REVOKE", "revoke select (a) on t from bob")
	bob.want(denied, "select a from t")
}

// TestPrivilegesOfViews: who may read a view reads what its owner may.
func TestPrivilegesOfViews(t *testing.T) {
	f, alice, bob := rightsFixture(t, true)
	alice.want("CREATE VIEW", "create view v as select id, a from t")
	bob.want("42501 permission denied for view v", "select * from v")
	alice.want("GRANT", "grant select on v to bob")
	bob.want("1|2\nSELECT 1", "select * from v")
	bob.want("42501 permission denied for table t", "select * from v, t")
	bob.want("CREATE VIEW", "create view mine as select * from t")
	bob.want("42501 permission denied for table t", "select * from mine")
	bob.want("GRANT", "grant select on mine to alice")
	alice.want("42501 permission denied for table t", "select * from mine")
	f.as("root").want("42501 permission denied for table t", "select * from mine")
	bob.want("CREATE VIEW", "create view over as select * from v")
	bob.want("1|2\nSELECT 1", "select * from over")
	alice.want("REVOKE", "revoke select on v from bob")
	bob.want("42501 permission denied for view v", "select * from over")
	alice.want("GRANT", "grant select (id) on t to bob")
	bob.want("42501 permission denied for table t", "select id from mine")
	alice.want("GRANT", "grant select (a, secret) on t to bob")
	bob.want("1\nSELECT 1", "select id from mine")
	bob.want("42501 must be owner of view v", "drop view v")
	bob.want("42501 must be owner of view v", "create or replace view v as select 1 as id, 2 as a")
}

// TestChangesThroughViewsOfOthers: a view takes changes that its owner may make.
func TestChangesThroughViewsOfOthers(t *testing.T) {
	_, alice, bob := rightsFixture(t, true)
	alice.want("GRANT", "grant select on t to bob")
	bob.want("CREATE VIEW", "create view mine as select * from t")
	bob.want("CREATE VIEW", "create view over as select * from mine")
	for _, statement := range []string{"insert into mine values (5, 5, 'x')", "update mine set a = 1", "delete from mine", "update over set a = 1", "delete from over", "select * from mine for update"} {
		bob.want("42501 permission denied for table t", statement)
	}
	alice.want("CREATE VIEW", "create view v as select id, a from t")
	bob.want("42501 permission denied for view v", "update v set a = 7")
	alice.want("GRANT", "grant select, update on v to bob")
	bob.want("UPDATE 1", "update v set a = 7 where id = 1")
	bob.want("42501 permission denied for view v", "delete from v")
	alice.want("GRANT", "grant update on t to bob")
	bob.want("UPDATE 1", "update over set a = 8 where id = 1")
}

// TestRefreshAsOwner: whoever refreshes a materialized view, it gets what its owner may
// read, and nothing else.
func TestRefreshAsOwner(t *testing.T) {
	f, alice, bob := rightsFixture(t, true)
	bob.want("42501 permission denied for table t", "create materialized view m as select * from t")
	bob.want("CREATE MATERIALIZED VIEW", "create materialized view m as select * from t with no data")
	f.as("root").want("42501 permission denied for table t", "refresh materialized view m")
	alice.want("42501 must be owner of materialized view m", "refresh materialized view m")
	alice.want("GRANT", "grant select on t to bob")
	bob.want("REFRESH MATERIALIZED VIEW", "refresh materialized view m")
	alice.want("REVOKE", "revoke select on t from bob")
	bob.want("1\nSELECT 1", "select count(*) from m")
	bob.want("42501 permission denied for table t", "refresh materialized view m")
}

// TestPlansLoseTheirRights: a prepared statement is refused as soon as its rights are gone.
func TestPlansLoseTheirRights(t *testing.T) {
	f, alice, bob := rightsFixture(t, false)
	root := f.as("root")
	root.done("create role readers", "CREATE ROLE")
	alice.want("GRANT", "grant select on t to readers")
	root.done("grant readers to bob", "GRANT ROLE")
	const one = "1\nSELECT 1"
	bob.want(one, "select id from t")
	root.done("revoke readers from bob", "REVOKE ROLE")
	bob.want("42501 permission denied for table t", "select id from t")
	root.done("grant readers to bob", "GRANT ROLE")
	bob.want(one, "select id from t")
	alice.want("REVOKE", "revoke select on t from readers")
	bob.want("42501 permission denied for table t", "select id from t")
	alice.want("GRANT", "grant select on t to bob")
	bob.want(one, "select id from t")
	root.want("ALTER TABLE", "alter table t owner to root")
	bob.want(one, "select id from t")
	alice.want("42501 permission denied for table t", "select id from t")
	root.want("REVOKE", "revoke all on t from bob")
	bob.want("42501 permission denied for table t", "select id from t")
	root.done("grant readers to bob", "GRANT ROLE")
	root.want("GRANT", "grant select on t to readers")
	root.done("alter role bob noinherit", "ALTER ROLE")
	bob.want("42501 permission denied for table t", "select id from t")
	bob.want("SET", "set role readers")
	bob.want(one, "select id from t")
	bob.want("readers|bob\nSELECT 1", "select current_user, session_user")
	bob.want("RESET", "reset role")
	bob.want("42501 permission denied for table t", "select id from t")
}

func TestGrantsInTransactions(t *testing.T) {
	_, alice, bob := rightsFixture(t, false)
	const denied = "42501 permission denied for table t"
	alice.steps([][2]string{
		{"begin", "BEGIN"}, {"grant select on t to bob", "GRANT"}, {"savepoint a", "SAVEPOINT"}, {"grant insert on t to bob", "GRANT"},
		{"rollback to a", "ROLLBACK"},
	}...)
	bob.want(denied, "select id from t")
	alice.want("COMMIT", "commit")
	bob.want("1\nSELECT 1", "select id from t")
	bob.want(denied, "insert into t values (2)")
	alice.steps([][2]string{{"begin", "BEGIN"}, {"revoke select on t from bob", "REVOKE"}, {"rollback", "ROLLBACK"}}...)
	bob.want("1\nSELECT 1", "select id from t")
	bob.steps([][2]string{{"begin", "BEGIN"}, {"create table mine (id int primary key)", "CREATE TABLE"}, {"insert into mine values (1)", "INSERT 0 1"}, {"select id from mine", "1\nSELECT 1"}, {"commit", "COMMIT"}}...)
	alice.want("42501 permission denied for table mine", "select id from mine")
}

func TestGrantOptions(t *testing.T) {
	f, alice, bob := rightsFixture(t, false)
	carol, dave := f.as("carol"), f.as("dave")
	bob.want("42501 permission denied for table t", "grant select on t to carol")
	alice.want("GRANT", "grant select on t to bob with grant option")
	bob.want("GRANT", "grant select on t to carol with grant option")
	carol.want("GRANT", "grant select on t to dave")
	carol.want("0LP01 grant options cannot be granted back to your own grantor", "grant select on t to bob with grant option")
	dave.want("1\nSELECT 1", "select id from t")
	dave.want("GRANT", "grant select on t to bob")
	if fmt.Sprint(dave.notices) != `[WARNING: no privileges were granted for "t"]` {
		t.Errorf("%q", dave.notices)
	}
	alice.want("2BP01 dependent privileges exist", "revoke select on t from bob")
	alice.want("2BP01 dependent privileges exist", "revoke grant option for select on t from bob")
	alice.want("REVOKE", "revoke grant option for select on t from bob cascade")
	bob.want("1\nSELECT 1", "select id from t")
	carol.want("42501 permission denied for table t", "select id from t")
	dave.want("42501 permission denied for table t", "select id from t")
	alice.want("0LP01 grant options can only be granted to roles", "grant select on t to public with grant option")
	alice.want("0LP01 invalid privilege type USAGE for relation", "grant usage on t to bob")
	alice.want("0LP01 invalid privilege type DELETE for column", "grant delete (a) on t to bob")
	alice.want(`42703 column "none" of relation "t" does not exist`, "grant select (none) on t to bob")
	alice.want(`42704 role "none_such" does not exist`, "grant select on t to none_such")
	alice.want("0A000 grantor must be current user", "grant select on t to bob granted by bob")
}

func TestDefaultPrivileges(t *testing.T) {
	f, alice, bob := rightsFixture(t, false)
	alice.steps([][2]string{
		{"alter default privileges in schema public grant select on tables to bob", "ALTER DEFAULT PRIVILEGES"},
		{"alter default privileges grant usage on sequences to public", "ALTER DEFAULT PRIVILEGES"},
		{"create table later (id serial primary key)", "CREATE TABLE"},
		{"create table own.later (id int primary key)", "CREATE TABLE"},
		{"grant usage on schema own to bob", "GRANT"},
		{"create table with_grants as select id from t", "SELECT 1"},
	}...)
	bob.want("SELECT 0", "select id from later")
	bob.want("1\nSELECT 1", "select id from with_grants")
	bob.want("42501 permission denied for table later", "select id from own.later")
	bob.want("1\nSELECT 1", "select nextval('later_id_seq')")
	bob.want(`42501 must be member of role "alice"`, "alter default privileges for role alice grant select on tables to bob")
	root := f.as("root")
	root.refused("drop role bob", "2BP01")
	alice.want("ALTER DEFAULT PRIVILEGES", "alter default privileges in schema public revoke select on tables from bob")
	alice.want("CREATE TABLE", "create table last (id int primary key)")
	bob.want("42501 permission denied for table last", "select id from last")
}

func TestRolesOfRoles(t *testing.T) {
	f, alice, bob := rightsFixture(t, false)
	root := f.as("root")
	root.steps([][2]string{
		{"create role a", "CREATE ROLE"}, {"create role b in role a", "CREATE ROLE"}, {"create group c role b", "CREATE ROLE"},
		{"grant b to a", `0LP01 role "b" is a member of role "a"`}, {"grant a to a", `0LP01 role "a" is a member of role "a"`},
		{"grant b to bob with admin option", "GRANT ROLE"}, {"grant c to alice, bob", "GRANT ROLE"},
	}...)
	bob.want("GRANT ROLE", "grant b to alice")
	bob.refused("grant a to alice", "42501")
	bob.refused("create role x", "42501")
	bob.refused("set role alice", "42501")
	bob.want("SET", "set role a")
	bob.want(`42501 permission denied for table t`, "select * from t")
	alice.want("GRANT", "grant select on t to a")
	bob.want("1|2|x\nSELECT 1", "select * from t")
	bob.want("SET", "set role none")
	bob.want("1|2|x\nSELECT 1", "select * from t")
	root.want(`2BP01 role "a" cannot be dropped because some objects depend on it / privileges for table t`, "drop role a")
	root.want(`2BP01 role "alice" cannot be dropped because some objects depend on it / owner of database nodedb
owner of schema public
owner of database postgres
owner of schema public
owner of table t
owner of sequence s
owner of schema own
owner of table own.t`, "drop role alice")
	root.want("DROP OWNED", "drop owned by a")
	root.done("drop role a, c", "DROP ROLE")
	root.done("alter role bob createrole", "ALTER ROLE")
	bob.done("create role x", "CREATE ROLE")
	bob.refused("create role y superuser", "42501")
	bob.refused("alter role root password 'x'", "42501")
	bob.refused("grant nodedb_viewer to bob", "42501")
	bob.want("DROP ROLE", "drop role x")
	alice.refused("reassign owned by alice to root", "42501")
	root.want("REASSIGN OWNED", "reassign owned by alice to bob")
	bob.want("1|2|x\nSELECT 1", "select * from t")
	bob.want("DROP OWNED", "drop owned by bob cascade")
	bob.want(`42P01 relation "t" does not exist`, "delete from t")
}

func TestLogins(t *testing.T) {
	f, alice, _ := rightsFixture(t, false)
	root := f.as("root")
	root.done("create role nobody", "CREATE ROLE")
	open := func(user, database string) string {
		s, err := f.server.Open(t.Context(), SessionOptions{User: user, Database: database})
		if err != nil {
			return errorText(t, err)
		}
		s.Close()
		return "ok"
	}
	if got := open("nobody", "nodedb"); got != `28000 role "nobody" is not permitted to log in` {
		t.Error(got)
	}
	alice.want("REVOKE", "revoke connect on database postgres from public")
	if got := open("bob", "postgres"); got != `42501 permission denied for database postgres / User does not have CONNECT privilege.` {
		t.Error(got)
	}
	alice.want("GRANT", "grant connect on database postgres to bob")
	if got := open("bob", "postgres"); got != "ok" {
		t.Error(got)
	}
	if _, err := f.server.Open(t.Context(), SessionOptions{User: "bob", Database: "nodedb", Params: map[string]string{"role": "root"}}); err == nil {
		t.Error("a role came with the connection")
	}
	bob := f.as("bob")
	bob.refused("select set_config('role', 'root', false)", "42501")
	bob.refused("select set_config('session_authorization', 'root', true)", "42501")
	root.want("SET", "set session authorization bob")
	root.want("42501 permission denied for table t", "select * from t")
	root.want("bob|bob\nSELECT 1", "select current_user, session_user")
	root.want("RESET", "reset all")
	root.want("bob|bob\nSELECT 1", "select current_user, session_user")
	root.want(`42501 permission denied / The current role "bob" may not.`, "create role x")
	root.want("DISCARD ALL", "discard all")
	root.want("root|root\nSELECT 1", "select current_user, session_user")
}

// TestCatalogsOfPrivileges: psql, drivers and information_schema tell who may do what.
func TestCatalogsOfPrivileges(t *testing.T) {
	f, alice, bob := rightsFixture(t, true)
	alice.steps([][2]string{
		{"grant select, update on t to bob with grant option", "GRANT"}, {"grant insert (a) on t to bob", "GRANT"}, {"grant select on t to public", "GRANT"},
		{"select relacl from pg_class where oid = 't'::regclass", "{alice=arwdDxt/alice,bob=r*w*/alice,=r/alice}\nSELECT 1"},
		{"select attacl from pg_attribute where attname = 'a' and attrelid = 't'::regclass", "{bob=a/alice}\nSELECT 1"},
		{"select relacl from pg_class where relname = 's'", "NULL\nSELECT 1"},
		{"select nspacl from pg_namespace where nspname = 'public'", "{alice=UC/alice,=UC/alice}\nSELECT 1"},
		{"select pg_get_userbyid(relowner) from pg_class where oid = 't'::regclass", "alice\nSELECT 1"},
		{"alter default privileges in schema own grant select on tables to bob", "ALTER DEFAULT PRIVILEGES"},
		{"select defaclrole::regrole, n.nspname, defaclobjtype, defaclacl from pg_default_acl d join pg_namespace n on n.oid = defaclnamespace", "alice|own|r|{bob=r/alice}\nSELECT 1"},
		{"select has_table_privilege('bob', 't', 'select'), has_table_privilege('bob', 't', 'delete'), has_table_privilege('t', 'delete')", "t|f|t\nSELECT 1"},
		{"select has_column_privilege('bob', 't', 'a', 'insert'), has_column_privilege('bob', 't', 'id', 'insert'), has_any_column_privilege('bob', 't', 'insert')", "t|f|t\nSELECT 1"},
		{"select has_table_privilege('bob', 't', 'update with grant option'), has_table_privilege('bob', 't', 'insert, update')", "t|t\nSELECT 1"},
		{"select has_schema_privilege('bob', 'own', 'usage'), has_database_privilege('bob', 'nodedb', 'connect'), has_sequence_privilege('bob', 's', 'usage')", "f|t|f\nSELECT 1"},
		{"select has_table_privilege('t', 'nonsense')", `22023 unrecognized privilege type: "nonsense"`},
		{"select has_table_privilege('none', 'select')", `42P01 relation "none" does not exist`},
		{"select has_table_privilege('nobody_there', 't', 'select')", `42704 role "nobody_there" does not exist`},
		{"select pg_has_role('bob', 'alice', 'usage'), pg_has_role('alice', 'member')", "f|t\nSELECT 1"},
	}...)
	bob.steps([][2]string{
		{"select relname from pg_class c where relkind = 'r' and oid > 16384 and has_table_privilege(c.oid, 'select') order by 1", "t\nSELECT 1"},
		{"select relname from pg_class c where relkind = 'r' and oid > 16384 and has_table_privilege(c.oid, 'delete, truncate') order by 1", "SELECT 0"},
		{"select relname from pg_class c where relkind = 'r' and has_any_column_privilege(c.oid, 'insert') order by 1", "t\nSELECT 1"},
		{"select table_name from information_schema.tables where table_schema in ('public', 'own')", "t\nSELECT 1"},
		{"select privilege_type, grantee, is_grantable from information_schema.table_privileges where table_name = 't' order by 1, 2", "SELECT|PUBLIC|NO\nSELECT|bob|YES\nUPDATE|bob|YES\nSELECT 3"},
		{"select role_name from information_schema.enabled_roles", "bob\nSELECT 1"},
	}...)
	root := f.as("root")
	root.done("create role r superuser", "CREATE ROLE")
	root.done("grant r to bob with admin option", "GRANT ROLE")
	root.want("r|bob|root|t\nSELECT 1", "select roleid::regrole, member::regrole, grantor::regrole, admin_option from pg_auth_members where roleid > 1000")
	root.want("f|f|t|r\nt|t|t|root\nSELECT 2", "select rolcanlogin, rolname = 'root', rolsuper, rolname from pg_roles where rolsuper order by rolname")
}
