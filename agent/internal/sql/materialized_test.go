package sql

import (
	"sync"
	"testing"
)

func TestMaterializedViews(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, n int)")
	c.run("insert into t values (1, 10), (2, 20)")
	c.steps([][2]string{
		{"create materialized view m as select id as key, n * 2 as twice from t", "SELECT 2"},
		{"create materialized view m as select 1", `42P07 relation "m" already exists`},
		{"create materialized view if not exists m as select 1", "CREATE MATERIALIZED VIEW"},
		{"create view v as select twice from m where key > 1", "CREATE VIEW"},
		{"insert into t values (3, 30)", "INSERT 0 1"},
		{"select * from m order by key", "1|20\n2|40\nSELECT 2"},
		{"refresh materialized view m", "REFRESH MATERIALIZED VIEW"},
		{"select * from v order by 1", "40\n60\nSELECT 2"},
		{"begin", "BEGIN"},
		{"delete from t where id > 1", "DELETE 2"},
		{"refresh materialized view concurrently m", "REFRESH MATERIALIZED VIEW"},
		{"select * from m", "1|20\nSELECT 1"},
		{"savepoint s", "SAVEPOINT"},
		{"refresh materialized view m with no data", "REFRESH MATERIALIZED VIEW"},
		{"select * from v", `55000 materialized view "m" has not been populated`},
		{"rollback to s", "ROLLBACK"},
		{"select * from v", "SELECT 0"},
	}...)
	other.want("1|20\n2|40\n3|60\nSELECT 3", "select * from m order by key")
	c.want("COMMIT", "commit")
	other.want("1|20\nSELECT 1", "select * from m order by key")
	c.steps([][2]string{
		{"insert into m values (1, 2)", `42809 cannot change materialized view "m"`},
		{"update m set twice = 1", `42809 cannot change materialized view "m"`},
		{"delete from m", `42809 cannot change materialized view "m"`},
		{"truncate m", `42809 "m" is not a table`},
		{"refresh materialized view t", `0A000 "t" is not a materialized view`},
		{"refresh materialized view v", `0A000 "v" is not a materialized view`},
		{"refresh materialized view none", `42P01 relation "none" does not exist`},
		{"drop view m", `42809 "m" is not a view`},
		{"drop table m", `42809 "m" is not a table`},
		{"drop materialized view v", `42809 "v" is not a materialized view`},
		{"drop materialized view m", "2BP01 cannot drop materialized view m because other objects depend on it / view v depends on materialized view m"},
		{"drop table t", "2BP01 cannot drop table t because other objects depend on it / materialized view m depends on table t\nview v depends on materialized view m"},
		{"alter table t drop column n", "2BP01 cannot drop column n of table t because other objects depend on it / materialized view m depends on column n of table t\nview v depends on materialized view m"},
		{"alter materialized view m rename to mm", "ALTER MATERIALIZED VIEW"},
		{"alter materialized view mm rename column twice to double", "ALTER MATERIALIZED VIEW"},
		{"alter view mm rename to x", `42809 "mm" is not a view`},
		{"alter table t rename n to m", "ALTER TABLE"},
		{"insert into t values (5, 50)", "INSERT 0 1"},
		{"refresh materialized view mm", "REFRESH MATERIALIZED VIEW"},
		{"select key, double from mm order by 1", "1|20\n5|100\nSELECT 2"},
		{"select * from v", "100\nSELECT 1"},
		{"select relname, relkind, relispopulated from pg_class where relname = 'mm'", "mm|m|t\nSELECT 1"},
		{"select matviewname, ispopulated, definition from pg_matviews", "mm|t| SELECT t.id AS key,\n    t.n * 2 AS double\n   FROM t t(id, n);\nSELECT 1"},
		{"select tablename from pg_tables where schemaname = 'public'", "t\nSELECT 1"},
		{"drop materialized view mm cascade", "DROP MATERIALIZED VIEW"},
		{"create materialized view m as select count(*) from t with no data", "CREATE MATERIALIZED VIEW"},
		{"select * from m", `55000 materialized view "m" has not been populated`},
		{"refresh materialized view concurrently m", "0A000 CONCURRENTLY cannot be used when the materialized view is not populated"},
		{"refresh materialized view m", "REFRESH MATERIALIZED VIEW"},
		{"select * from m", "2\nSELECT 1"},
	}...)
}

// TestRefreshesAtOnce: refreshes that meet are made one after the other, and none fails.
func TestRefreshesAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("create table t (id int primary key)")
	c.run("insert into t values (1)")
	c.want("SELECT 1", "create materialized view m as select id from t")
	var wait sync.WaitGroup
	for range 3 {
		other := f.open()
		wait.Go(func() {
			for range 10 {
				other.want("REFRESH MATERIALIZED VIEW", "refresh materialized view m")
				other.want("1\nSELECT 1", "select * from m")
			}
		})
	}
	wait.Wait()
}

// TestRefreshIsByTheOwner: whoever refreshes a materialized view, what its query calls has the
// rights of the owner and no others.
func TestRefreshIsByTheOwner(t *testing.T) {
	f := newFixture(t, nil)
	root := f.as("root")
	root.want("CREATE ROLE", "create role o1 login")
	root.want("GRANT", "grant create, usage on schema public to o1")
	owner := f.as("o1")
	owner.steps([][2]string{
		{"create table mine (who text)", "CREATE TABLE"},
		{"create function secret() returns text language plpgsql volatile as 'begin return current_user; end'", "CREATE FUNCTION"},
		{"create materialized view m as select secret() as who", "SELECT 1"},
		{"select who from m", "o1\nSELECT 1"},
	}...)
	root.want("REFRESH MATERIALIZED VIEW", "refresh materialized view m")
	root.want("o1\nSELECT 1", "select who from m")
	root.want("root\nSELECT 1", "select current_user")
}
