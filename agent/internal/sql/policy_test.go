package sql

import (
	"strings"
	"testing"
)

// TestRowSecurity: on both paths, and by every statement, who is under policies sees and
// writes what they say.
func TestRowSecurity(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob, carol := f.as("alice"), f.as("bob"), f.as("carol")
	alice.steps([][2]string{
		{"create table t (id int primary key, who text, n int)", "CREATE TABLE"},
		{"insert into t values (1, 'bob', 10), (2, 'carol', 20), (3, 'bob', 0)", "INSERT 0 3"},
		{"grant all on t to bob, carol", "GRANT"},
		{"alter table t enable row level security", "ALTER TABLE"},
		{"select count(*) from t", "3\nSELECT 1"},
	}...)
	bob.want("0\nSELECT 1", "select count(*) from t") // without a policy, nothing
	bob.want("SELECT 0", "select * from t where id = 1")
	bob.want(`42501 new row violates row-level security policy for table "t"`, "insert into t values (9, 'bob', 1)")
	bob.want("UPDATE 0", "update t set n = 1")
	alice.want("CREATE POLICY", "create policy own on t using (t.who = current_user)")
	alice.want(`42710 policy "own" for table "t" already exists`, "create policy own on t using (true)")
	bob.steps([][2]string{
		{"select id from t order by id", "1\n3\nSELECT 2"},
		{"select id from t where id = 2", "SELECT 0"},
		{"select id from t where id in (1, 2)", "1\nSELECT 1"},
		{"select count(*) from t", "2\nSELECT 1"},
		{"select sum(n) from t", "10\nSELECT 1"}, // the slow path
		{"select a.id from t a join t b on a.id <> b.id order by 1", "1\n3\nSELECT 2"},
		{"select max(id) from t where 100 / n >= 0 and n > 0", "1\nSELECT 1"},
		{"select id from t where id = 2 for update", "SELECT 0"},
		{"update t set n = 7 where id = 2", "UPDATE 0"},
		{"update t set n = n + 1", "UPDATE 2"},
		{"update t set n = x.n from t x where x.id = 2", "UPDATE 0"},
		{"delete from t where id = 2", "DELETE 0"},
		{"update t set who = 'carol' where id = 1", `42501 new row violates row-level security policy for table "t"`},
		{"insert into t values (4, 'carol', 1)", `42501 new row violates row-level security policy for table "t"`},
		{"insert into t values (4, 'bob', 1)", "INSERT 0 1"},
		{"insert into t select 5, 'carol', 1", `42501 new row violates row-level security policy for table "t"`},
		{"insert into t values (2, 'bob', 1) on conflict (id) do update set n = 0", `42501 new row violates row-level security policy (USING expression) for table "t"`},
		{"insert into t values (4, 'bob', 1) on conflict (id) do update set n = 5 returning n", "5\nINSERT 0 1"},
		{"insert into t values (4, 'bob', 1) on conflict (id) do update set who = 'carol'", `42501 new row violates row-level security policy for table "t"`},
		{"delete from t where id = 4", "DELETE 1"},
		{"create table copied as select * from t", "SELECT 2"},
		{"begin", "BEGIN"}, {"update t set n = 10", "UPDATE 2"}, {"select id from t order by n, id", "1\n3\nSELECT 2"}, {"rollback", "ROLLBACK"},
		{"set row_security = off", "SET"},
		{"select id from t", `42501 query would be affected by row-level security policy for table "t"`},
		{"set row_security = on", "SET"},
		{"alter table t disable row level security", "42501 must be owner of table t"},
		{"drop policy own on t", "42501 must be owner of table t"},
	}...)
	carol.want("2|20\nSELECT 1", "select id, n from t")
	alice.want("3\nSELECT 1", "select count(*) from t")
}

func TestPoliciesTogether(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob := f.as("alice"), f.as("bob")
	alice.steps([][2]string{
		{"create table t (id int primary key, a int, b int)", "CREATE TABLE"},
		{"insert into t values (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, null, 4)", "INSERT 0 4"},
		{"grant all on t to bob", "GRANT"},
		{"alter table t enable row level security", "ALTER TABLE"},
		{"create policy one on t for select to bob using (a <= 2)", "CREATE POLICY"},
		{"create policy two on t for select using (a = 3)", "CREATE POLICY"},
		{"create policy for_alice on t to alice using (true)", "CREATE POLICY"},
		{"create policy less on t as restrictive using (b > 1)", "CREATE POLICY"},
		{"create policy writes on t for insert with check (a < 100)", "CREATE POLICY"},
		{"create policy x on t for insert using (true)", "42601 only WITH CHECK expression allowed for INSERT"},
		{"create policy x on t for select with check (true)", "42601 WITH CHECK cannot be applied to SELECT or DELETE"},
		{"create policy x on t using (none = 1)", `42703 column "none" does not exist`},
		{"create policy x on t using (a)", "42804 argument of WHERE must be type boolean, not type integer"},
		{"create policy x on t using (id in (select id from t))", "0A000 this expression of a policy is not supported"},
		{"create policy x on t to none_such using (true)", `42704 role "none_such" does not exist`},
	}...)
	bob.want("2\n3\nSELECT 2", "select id from t order by id")
	bob.want("2|2\nSELECT 1", "select count(*), min(id) from t")
	bob.want("INSERT 0 1", "insert into t values (5, 50, 5)")
	bob.want(`42501 new row violates row-level security policy "less" for table "t"`, "insert into t values (6, 50, 0)")
	bob.want(`42501 new row violates row-level security policy for table "t"`, "insert into t values (6, 50, 6) returning id") // it could not be seen
	bob.want("UPDATE 0", "update t set b = 7")                                                                                 // nothing permits it
	alice.steps([][2]string{
		{"alter table t rename column a to a2", "ALTER TABLE"},
		{"alter table t rename to u", "ALTER TABLE"},
		{"select policyname, permissive, roles, cmd, qual, with_check from pg_policies order by 1", "for_alice|PERMISSIVE|{alice}|ALL|(true)|NULL\nless|RESTRICTIVE|{public}|ALL|(b > 1)|NULL\none|PERMISSIVE|{bob}|SELECT|(a2 <= 2)|NULL\ntwo|PERMISSIVE|{public}|SELECT|(a2 = 3)|NULL\nwrites|PERMISSIVE|{public}|INSERT|NULL|(a2 < 100)\nSELECT 5"},
		{"alter table u drop column b", "2BP01 cannot drop column b of table u because other objects depend on it / policy less on table u depends on column b of table u"},
		{"select count(*) from u", "5\nSELECT 1"},
		{"alter table u force row level security", "ALTER TABLE"},
		{"select count(*) from u", "4\nSELECT 1"},
		{"begin", "BEGIN"}, {"drop policy for_alice on u", "DROP POLICY"}, {"select count(*) from u", "1\nSELECT 1"}, {"rollback", "ROLLBACK"},
		{"select count(*) from u", "4\nSELECT 1"},
		{"alter policy two on u using (a2 = 2)", "ALTER POLICY"},
		{"alter policy none on u using (true)", `42704 policy "none" for table "u" does not exist`},
		{"drop policy if exists none on u", "DROP POLICY"},
		{"alter table u drop column b cascade", "ALTER TABLE"},
	}...)
	bob.want("1\n2\nSELECT 2", "select id from u order by id")
	root := f.as("root")
	root.want("5\nSELECT 1", "select count(*) from u")
	root.done("alter role bob bypassrls", "ALTER ROLE")
	bob.want("5\nSELECT 1", "select count(*) from u")
	root.done("alter role bob nobypassrls", "ALTER ROLE")
	bob.want("1\n2\nSELECT 2", "select id from u order by id")
	root.refused("drop role bob", "2BP01")
}

// TestPoliciesKeepSecrets: what a condition does with rows that are not seen tells nothing.
func TestPoliciesKeepSecrets(t *testing.T) {
	f := newFixture(t, startDuck(t))
	alice, bob := f.as("alice"), f.as("bob")
	alice.steps([][2]string{
		{"create table t (id int primary key, secret int, code text)", "CREATE TABLE"},
		{"insert into t values (1, 0, 'x'), (2, 5, '7')", "INSERT 0 2"},
		{"grant select, update, delete on t to bob", "GRANT"},
		{"create policy p on t using (id = 2)", "CREATE POLICY"},
		{"alter table t enable row level security", "ALTER TABLE"},
	}...)
	for _, s := range []string{"select id from t where 1 / secret = 0", "select id from t where code::int = 7 and secret = 5", "select max(id) from t where code::int > 0", "select count(*) from t a where 1 / a.secret >= 0 group by code",
		"select id from t where id = 1 or code::int = 7", "update t set secret = 5 where 10 / secret = 2", "select id from t order by 1 / secret", "select t.id from t join t u on u.code::int = t.code::int",
		"explain analyze select id from t where 1 / secret = 0"} {
		if got := bob.run(s); strings.HasPrefix(got, "22") {
			t.Errorf("%s: %s", s, got)
		}
	}
}
