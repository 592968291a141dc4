package sql

import (
	"fmt"
	"strings"
	"testing"
)

// TestMergesWait: who comes second merges into what the first has left, by the clause that is
// for the row as it is then.
func TestMergesWait(t *testing.T) {
	f := newFixture(t, startDuck(t))
	a, b := f.open(), f.open()
	a.run("create table t (id int8 primary key, n int8)")
	a.run("insert into t values (1, 1), (2, 2)")
	const add = "merge into t using (values (1, 10), (2, 20), (3, 30)) s (id, n) on s.id = t.id when matched and t.n > 100 then delete when matched then update set n = t.n + s.n when not matched then insert values (s.id, s.n)"

	a.run("begin")
	a.want("UPDATE 1", "update t set n = 200 where id = 1")
	waits := b.blocks(f, add)
	a.want("COMMIT", "commit")
	b.wantLater("MERGE 3", waits)
	a.want("2|22\n3|30\nSELECT 2", "select * from t order by id")

	a.run("begin") // a row that is gone matches no more
	a.want("DELETE 1", "delete from t where id = 2")
	b.run("begin")
	waits = b.blocks(f, add)
	a.want("COMMIT", "commit")
	b.wantLater("MERGE 3", waits)
	b.want("COMMIT", "commit")
	a.want("1|10\n2|20\n3|60\nSELECT 3", "select * from t order by id")

	a.run("delete from t where id = 3")
	a.run("begin") // MERGE does not look for rows that others add
	a.want("INSERT 0 1", "insert into t values (3, 3)")
	b.run("begin")
	waits = b.blocks(f, add)
	a.want("COMMIT", "commit")
	b.wantLater(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(3) already exists.`, waits)
	b.want("ROLLBACK", "rollback")
	b.want("MERGE 3", add)
	a.want("1|20\n2|40\n3|33\nSELECT 3", "select * from t order by id")

	b.run("begin isolation level repeatable read")
	b.want("3\nSELECT 1", "select count(*) from t")
	a.want("UPDATE 1", "update t set n = 0 where id = 1")
	b.want("40001 could not serialize access due to concurrent update / A row changed since it was read.", add)
	b.want("ROLLBACK", "rollback")
	if f.db.locked() != 0 {
		t.Errorf("%d rows are locked", f.db.locked())
	}
}

// TestMergesRace: many sessions count by MERGE, and no count is lost.
func TestMergesRace(t *testing.T) {
	const sessions, rounds = 4, 15
	f := newFixture(t, startDuck(t))
	a := f.open()
	a.run("create table t (id int8 primary key, n int8)")
	a.run("insert into t values (0, 0), (1, 0), (2, 0)")
	done := make(chan string, sessions)
	for i := range sessions {
		c := f.open()
		go func() {
			for k := range rounds {
				got := c.run(fmt.Sprintf("merge into t using (values (%d), (%d)) s (id) on s.id = t.id when matched then update set n = n + 1", (i+k)%3, (i+k+1)%3))
				if got != "MERGE 2" {
					done <- got
					return
				}
			}
			done <- ""
		}()
	}
	for range sessions {
		if got := <-done; got != "" {
			t.Errorf("a session: %s", got)
		}
	}
	a.want(fmt.Sprintf("%d\nSELECT 1", 2*sessions*rounds), "select sum(n) from t")
}

// TestMergeFires: each clause fires the triggers of what it does.
func TestMergeFires(t *testing.T) {
	c := newFixture(t, startDuck(t)).open()
	c.run("create table t (id int8 primary key, n int8)")
	c.run("create table log (id int8 generated always as identity primary key, what text)")
	c.run("insert into t values (1, 1), (2, 2)")
	for _, when := range []string{"before", "after"} {
		for _, event := range []string{"insert", "update", "delete"} {
			c.want("CREATE TRIGGER", fmt.Sprintf("create trigger s_%s_%s %s %s on t for each statement begin insert into log (what) values ('%s %s'); end", when, event, when, event, when, event))
		}
	}
	c.want("CREATE TRIGGER", "create trigger r_insert before insert on t for each row begin new.n := new.n + 100; return new; end")
	c.want("CREATE TRIGGER", "create trigger r_update after update on t for each row begin insert into log (what) values ('row ' || old.n || ' ' || new.n); end")
	c.want("MERGE 3", "merge into t using (values (1), (2), (3)) s (id) on s.id = t.id when matched and s.id = 1 then delete when matched then update set n = 20 when not matched then insert values (s.id, 3)")
	c.want("2|20\n3|103\nSELECT 2", "select * from t order by id")
	got := strings.ReplaceAll(c.run("select what from log order by id"), "\n", ", ")
	if want := "before insert, before update, before delete, row 2 20, after delete, after update, after insert, SELECT 7"; got != want {
		t.Errorf("got: %s\nwant: %s", got, want)
	}
	c.run("create table other (id int8 primary key)")
	c.want("MERGE 0", "merge into t using other s on s.id = t.id when not matched then insert values (s.id, 1)")
}

// TestMergeRepeatsNothingRandom: each clause looks at the source and the conditions, which
// are to say the same each time.
func TestMergeRepeatsNothingRandom(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	const refused = "0A000 MERGE with a source or a condition that calls random is not supported"
	c.steps([][2]string{
		{"create table t (id int primary key, a float8)", "CREATE TABLE"},
		{"insert into t select g, 0 from generate_series(1, 100) g", "INSERT 0 100"},
		{"create view v as select g as id, random() as r from generate_series(1, 100) g", "CREATE VIEW"},
		{"create function r() returns float8 language sql as 'select random()'", "CREATE FUNCTION"},
		{"merge into t using (values (1)) s(x) on true when matched and random() < 0.5 then update set a = 1 when matched then update set a = 2", refused},
		{"merge into t using (values (1)) s(x) on true when matched and r() < 0.5 then delete when matched then do nothing", refused},
		{"merge into t using v s on t.id = s.id when matched and r < 0.5 then update set a = 1 when matched then update set a = 2", refused},
		{"merge into t using v s on t.id = s.id when not matched then insert values (s.id, 1)", refused},
		{"merge into t using (select random() as x) s on true when matched then delete", refused},
		{"merge into t using (values (1), (200)) s(id) on t.id = s.id when matched then delete when not matched and r() < 2 then insert values (s.id, 1)", refused},
		{"merge into t using (values (1), (200)) s(id) on t.id = s.id when matched and a < 0 then delete when matched then update set a = random() + 1 when not matched then insert values (s.id, r() + 1)", "MERGE 2"},
		{"select count(*) from t where a >= 1", "2\nSELECT 1"},
	}...)
}
