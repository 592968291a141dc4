package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// takeJob is how a worker takes a job, and says what it was.
const takeJob = "with next as (select id, due, tries from jobs where state = 'new' order by due limit 1 for update skip locked) " +
	"update jobs set state = 'taken', tries = next.tries + 1 from next where jobs.id = next.id returning jobs.id, next.due, jobs.tries"

// TestJobQueueByWith: the rows that WITH locks are those that others do not have, and what
// it says of them can be used.
func TestJobQueueByWith(t *testing.T) {
	f := newFixture(t, startDuck(t))
	a, b := f.open(), f.open()
	a.run("create table jobs (id int8 primary key, state text, due int8, tries int8)")
	a.run("create table done (id int8 primary key, due int8)")
	a.run("insert into jobs select g, 'new', 100 - g, 0 from generate_series(1, 6) g")
	a.run("begin")
	a.want("6|94|1\nUPDATE 1", takeJob)
	b.want("5|95|1\nUPDATE 1", takeJob)
	a.want("4|96|1\nUPDATE 1", takeJob)
	b.run("begin")
	b.want("3|97\nINSERT 0 1", "with next as (select id, due from jobs where state = 'new' order by due limit 1 for update skip locked) insert into done select id, due from next returning *")
	a.want("2\nDELETE 1", "with next as (select id, due from jobs where state = 'new' order by due limit 1 for update skip locked) delete from jobs using next where next.id = jobs.id and next.due > 0 returning jobs.id")
	a.want("1\nSELECT 1", "with next as (select id from jobs where state = 'new' order by due for update skip locked) select count(*) from next")
	a.want("55P03 could not obtain lock on row in relation \"jobs\"", "with next as (select id, due from jobs where id = 3 for update nowait) update jobs set due = next.due from next where next.id = jobs.id")
	a.run("rollback")
	b.want("ROLLBACK", "rollback")
	a.want("6|new|0\n5|taken|1\n4|new|0\n3|new|0\n2|new|0\n1|new|0\nSELECT 6", "select id, state, tries from jobs order by due")
	if f.db.locked() != 0 {
		t.Errorf("%d rows are locked", f.db.locked())
	}
}

// TestWorkersRace: many workers take all jobs, each once.
func TestWorkersRace(t *testing.T) {
	const workers, jobs = 4, 60
	f := newFixture(t, startDuck(t))
	a := f.open()
	a.run("create table jobs (id int8 primary key, state text, due int8, tries int8)")
	a.run(fmt.Sprintf("insert into jobs select g, 'new', g %% 7, 0 from generate_series(1, %d) g", jobs))
	got := make(chan []int, workers)
	for range workers {
		c := f.open()
		go func() {
			var mine []int
			for {
				answer := c.run(takeJob)
				if answer == "UPDATE 0" {
					break
				}
				id, err := strconv.Atoi(strings.SplitN(answer, "|", 2)[0])
				if err != nil {
					t.Errorf("a worker: %s", answer)
					break
				}
				mine = append(mine, id)
			}
			got <- mine
		}()
	}
	var all []int
	for range workers {
		all = append(all, <-got...)
	}
	slices.Sort(all)
	if len(all) != jobs || len(slices.Compact(all)) != jobs {
		t.Errorf("the workers took %v, want each of %d jobs once", all, jobs)
	}
	a.want("60|60\nSELECT 1", "select count(*), sum(tries) from jobs where state = 'taken'")
}

// TestWithChangesWait: who comes second changes what the first has left, as by a FROM clause.
func TestWithChangesWait(t *testing.T) {
	f := newFixture(t, startDuck(t))
	a, b := f.open(), f.open()
	a.run("create table t (id int8 primary key, n int8)")
	a.run("create table s (id int8 primary key, n int8)")
	a.run("insert into t values (1, 1), (2, 2)")
	a.run("insert into s values (1, 10), (2, 20), (3, 30)")
	a.run("begin")
	a.want("UPDATE 2", "with x as (select id, n from s) update t set n = t.n + x.n from x where x.id = t.id")
	waits := b.blocks(f, "with x as (select id, n from s) update t set n = t.n * 2 from x where x.id = t.id and t.n > 0 returning t.id, t.n")
	a.want("COMMIT", "commit")
	if got := <-waits; got != "1|22\n2|44\nUPDATE 2" && got != "2|44\n1|22\nUPDATE 2" { // in no order
		t.Error(got)
	}

	a.run("begin")
	a.want("DELETE 1", "with x as (select id from s) delete from t using x where x.id = t.id and t.id = 1")
	b.run("begin")
	waits = b.blocks(f, "with x as (select id, n from s for update) update t set n = x.n from x where x.id = t.id")
	a.want("COMMIT", "commit")
	b.wantLater("UPDATE 1", waits)
	waits = a.blocks(f, "with x as (select id from s where id = 3 for update) select id from x")
	b.want("COMMIT", "commit")
	a.wantLater("3\nSELECT 1", waits)
	a.want("2|20\nSELECT 1", "select * from t")

	a.run("begin")
	a.want("INSERT 0 2", "with x as (select id, n from s where id <> 2) insert into t select * from x")
	waits = b.blocks(f, "with x as (select id, n from s) insert into t select * from x order by id on conflict (id) do update set n = t.n + excluded.n returning *")
	a.want("COMMIT", "commit")
	b.wantLater("1|20\n2|40\n3|60\nINSERT 0 3", waits)
	b.run("begin isolation level repeatable read")
	b.want("3\nSELECT 1", "select count(*) from t")
	a.want("UPDATE 3", "with x as (select 1 as one) update t set n = one from x")
	b.want("40001 could not serialize access due to concurrent update / A row changed since it was read.", "with x as (select 2 as two) update t set n = two from x")
}

// TestWithReadsOneTime: all queries of a statement read at one time, though one has waited
// for a row that has changed, and then looked again.
func TestWithReadsOneTime(t *testing.T) {
	f := newFixture(t, startDuck(t))
	a, b := f.open(), f.open()
	a.run("create table acc (id int8 primary key, n int8)")
	a.run("create table seen (id int8 primary key, n int8)")
	a.run("create table log (id int8 primary key, total int8)")
	a.run("insert into acc values (1, 100), (2, 0)")
	a.run("insert into seen values (1, 0)")
	a.run("insert into log values (1, 0)")
	transfer := func() {
		a.run("begin")
		a.want("UPDATE 2", "update acc set n = n + case id when 1 then -50 else 50 end")
		a.want("UPDATE 1", "update log set total = -1")
	}
	for _, statement := range []string{
		"with x as (update seen set n = a.n from acc a where a.id = 1 returning seen.n) update log set total = x.n + a.n from x, acc a where a.id = 2 returning total",
		"with x as (update seen set n = a.n from acc a where a.id = 1), y as (update log set total = a.n from acc a where a.id = 2) select n + (select n from acc where id = 2) from acc where id = 1",
	} {
		a.run("update acc set n = case id when 1 then 100 else 0 end")
		transfer()
		waits := b.blocks(f, statement)
		a.want("COMMIT", "commit")
		if got, _, _ := strings.Cut(<-waits, "\n"); got != "100" {
			t.Errorf("%s: %s", statement, got)
		}
	}
	a.want("50\nSELECT 1", "select n from seen")
	a.want("50\nSELECT 1", "select total from log")

	a.run("update acc set n = case id when 1 then 100 else 0 end")
	transfer()
	b.run("begin")
	waits := b.blocks(f, "with x as (insert into seen select 2, n from acc where id = 1 returning n) update log set total = x.n + a.n from x, acc a where a.id = 2 returning total")
	a.want("COMMIT", "commit")
	b.wantLater("100\nUPDATE 1", waits)
	b.run("commit")
	a.want("1|50\n2|50\nSELECT 2", "select * from seen order by id")
}
