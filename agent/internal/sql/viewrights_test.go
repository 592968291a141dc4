package sql

import (
	"fmt"
	"strings"
	"testing"
)

// TestRightsBehindViews: what a view reads is read by the rights and the policies of its owner,
// or with security_invoker of who reads it, on both paths, by itself, in joins, and in views of
// views. What is wanted here is what PostgreSQL 15 answers.
func TestRightsBehindViews(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprintf("slow=%v", slow), func(t *testing.T) { rightsBehindViews(t, slow) })
	}
}

func rightsBehindViews(t *testing.T, slow bool) {
	f := newFixture(t, startDuck(t))
	root := f.as("root")
	roles := map[string]*client{}
	for _, name := range []string{"o1", "o2", "o3", "r1"} {
		root.want("CREATE ROLE", "create role "+name+" login")
		root.want("GRANT", "grant create, usage on schema public to "+name)
		roles[name] = f.as(name)
		if slow {
			roles[name].want("SET", "set nodedb.fast_path = off")
		}
	}
	root.want("ALTER ROLE", "alter role o3 bypassrls")
	steps := func(role string, list ...[2]string) {
		t.Helper()
		roles[role].steps(list...)
	}
	// ids are what a role sees in a view, alone and in a join with a table of its own.
	ids := func(role, view, want string) {
		t.Helper()
		if strings.HasPrefix(want, "42501") {
			roles[role].want(want, "select id from "+view+" order by id")
			roles[role].want(want, "select a.id from "+view+" a join generate_series(1, 9) b on a.id = b order by 1")
			return
		}
		list := strings.Fields(want)
		tag := strings.Join(append(list, fmt.Sprintf("SELECT %d", len(list))), "\n")
		roles[role].want(tag, "select id from "+view+" order by id")
		roles[role].want(tag, "select a.id from "+view+" a join generate_series(1, 9) b on a.id = b order by 1")
	}
	steps("o1", [][2]string{
		{"create table t (id int primary key, who text, v int)", "CREATE TABLE"},
		{"insert into t values (1, 'o1', 10), (2, 'o2', 20), (3, 'r1', 30), (4, 'o3', 40)", "INSERT 0 4"},
		{"grant all on t to o2, o3", "GRANT"},
		{"alter table t enable row level security", "ALTER TABLE"},
		{"create policy p2 on t to o2 using (id in (2, 3)) with check (id > 1)", "CREATE POLICY"},
		{"create policy pr on t to r1 using (id = 3)", "CREATE POLICY"},
		{"create view v1 as select * from t", "CREATE VIEW"},
		{"create view vi with (security_invoker = true) as select * from t", "CREATE VIEW"},
		{"grant all on v1, vi to r1, o2", "GRANT"},
	}...)
	steps("o2", [][2]string{
		{"create view v2 as select * from t", "CREATE VIEW"},
		{"create view v2i with (security_invoker) as select id, who, v from t where v > 0", "CREATE VIEW"},
		{"create view v2over1 as select a.id, b.v from v1 a join t b on a.id = b.id", "CREATE VIEW"},
		{"create view v2on1 as select * from v1", "CREATE VIEW"},
		{"create view v2overi as select * from vi", "CREATE VIEW"},
		{"create view v2agg as select count(*)::int as id from t", "CREATE VIEW"},
		{"grant all on v2, v2i, v2over1, v2on1, v2overi, v2agg to r1", "GRANT"},
	}...)
	steps("o3", [][2]string{{"create view v3 as select * from t", "CREATE VIEW"}, {"grant all on v3 to r1", "GRANT"}}...)
	const denied = "42501 permission denied for table t"
	for _, c := range []struct{ view, before, granted string }{
		{"t", denied, "3"}, {"v1", "1 2 3 4", "1 2 3 4"}, {"vi", denied, "3"}, {"v2", "2 3", "2 3"}, {"v2i", denied, "3"}, {"v2over1", "2 3", "2 3"}, {"v2on1", "1 2 3 4", "1 2 3 4"},
		{"v2overi", denied, "3"}, {"v2agg", "2", "2"}, {"v3", "1 2 3 4", "1 2 3 4"},
	} {
		ids("r1", c.view, c.before)
		root.run("grant select on t to r1")
		ids("r1", c.view, c.granted)
		root.run("revoke select on t from r1")
	}
	steps("r1", [][2]string{
		{"select v1.id, v2.id, v3.id from v1 left join v2 using (id) left join v3 using (id) order by 1", "1|NULL|1\n2|2|2\n3|3|3\n4|NULL|4\nSELECT 4"},
		{"update v2 set v = v + 1", "UPDATE 2"},
		{"update v1 set v = v + 1 where id = 4", "UPDATE 1"},
		{"update vi set v = v + 1", denied},
		{"delete from v2 where id = 1", "DELETE 0"},
		{"update v2 set v = v + 1 from generate_series(1, 4) g where g = id and g > 2", "UPDATE 1"},
		{"insert into v2 values (0, 'x', 1)", `42501 new row violates row-level security policy for table "t"`},
		{"update v2 set id = 0 where id = 2", `42501 new row violates row-level security policy for table "t"`},
		{"insert into v2 values (5, 'x', 1)", "INSERT 0 1"},
		{"begin", "BEGIN"}, {"set local row_security = off", "SET"},
		{"select * from v2", `42501 query would be affected by row-level security policy for table "t"`}, {"rollback", "ROLLBACK"},
	}...)
	ids("r1", "v1", "1 2 3 4 5")
	root.run("grant select on t to r1")
	steps("o2", [2]string{"alter view v2 set (security_invoker = on)", "ALTER VIEW"})
	ids("r1", "v2", "3")
	steps("o2", [][2]string{
		{"select reloptions from pg_class where relname = 'v2'", "{security_invoker=on}\nSELECT 1"},
		{"alter view v2 set (security_invoker = what)", `22023 invalid value for boolean option "security_invoker": what`},
		{"alter view v2 reset (security_invoker)", "ALTER VIEW"},
		{"create or replace view v2i as select id, who, v from t where v > 0", "CREATE VIEW"},
		{"select pg_get_viewdef('v2i')", " SELECT t.id,\n    t.who,\n    t.v\n   FROM t\n  WHERE t.v > 0;\nSELECT 1"},
	}...)
	ids("r1", "v2", "2 3")
	ids("r1", "v2i", "2 3")
	steps("o1", [2]string{"alter table t force row level security", "ALTER TABLE"})
	ids("r1", "v1", "")
	root.run("alter role o2 bypassrls")
	ids("r1", "v2", "1 2 3 4 5")
}
