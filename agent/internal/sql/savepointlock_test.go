package sql

import (
	"strings"
	"testing"
)

// TestRollbackToEndsLocks: what was locked since a savepoint is free when it is gone back
// to, unless it was locked before, too; RELEASE keeps all.
func TestRollbackToEndsLocks(t *testing.T) {
	_, a, b := oneRange(t)
	a.run("insert into t values (1, 'a', 1), (2, 'a', 2), (3, 'a', 3), (4, 'a', 4), (5, 'a', 5), (6, 'a', 6)")
	free := func(want string) {
		t.Helper()
		b.run("begin")
		b.want(want, "select id from t order by id for update skip locked")
		b.run("rollback")
	}
	a.run("begin")
	a.run("savepoint first")
	a.run("update t set n = 0 where id = 1")
	a.run("savepoint second")
	a.run("update t set n = 9 where id <= 2")
	a.run("select * from t where id = 3 for update")
	a.run("delete from t where id = 4")
	a.run("insert into t values (7, 'a', 7)")
	free("5\n6\nSELECT 2")
	a.want("ROLLBACK", "rollback to second")
	free("2\n3\n4\n5\n6\nSELECT 5")
	b.want("INSERT 0 1", "insert into t values (7, 'b', 7)")
	a.want("0\nSELECT 1", "select n from t where id = 1")

	a.run("savepoint third")
	a.run("update t set n = 9 where id = 5")
	a.want("RELEASE", "release third")
	free("2\n3\n4\n6\n7\nSELECT 5")
	a.want("ROLLBACK", "rollback to second") // what was released goes with what it is in
	free("2\n3\n4\n5\n6\n7\nSELECT 6")
	a.want("22012 division by zero", "update t set n = 1 / (n - 6) where id = 6")
	free("2\n3\n4\n5\n7\nSELECT 5") // as far as the client may go back
	a.want("ROLLBACK", "rollback to first")
	free("1\n2\n3\n4\n5\n6\n7\nSELECT 7")
	a.want("UPDATE 1", "update t set n = n + 1 where id = 7")
	a.want("COMMIT", "commit")
	a.want("1|1\n7|8\nSELECT 2", "select id, n from t where id in (1, 7) order by id")
}

// TestFailedTransactionHoldsNothing: nobody waits for a client to notice that its
// transaction has failed, if it cannot go on.
func TestFailedTransactionHoldsNothing(t *testing.T) {
	_, a, b := oneRange(t)
	a.run("insert into t values (1, 'a', 1)")
	a.run("begin")
	a.run("update t set n = 0 where id = 1")
	a.run("select pg_advisory_xact_lock(1)")
	a.run("select pg_advisory_lock(2)")
	b.want("f\nSELECT 1", "select pg_try_advisory_lock(1)")
	a.want("22012 division by zero", "select 1/0 from t")
	b.want("UPDATE 1", "update t set n = 5 where id = 1")
	b.want("t\nSELECT 1", "select pg_try_advisory_lock(1)")
	b.want("f\nSELECT 1", "select pg_try_advisory_lock(2)")
	a.want("ROLLBACK", "commit")
	a.want("5\nSELECT 1", "select n from t")
}

// TestAdvisoryLocksAndSavepoints: those of the transaction go back, those of the session
// do not.
func TestAdvisoryLocksAndSavepoints(t *testing.T) {
	_, a, b := oneRange(t)
	const yes, no = "t\nSELECT 1", "f\nSELECT 1"
	a.run("begin")
	a.run("select pg_advisory_xact_lock(1)")
	a.run("savepoint a")
	a.run("select pg_advisory_xact_lock(1)")
	a.run("select pg_advisory_xact_lock_shared(2)")
	a.run("select pg_advisory_lock(3)")
	a.run("select pg_advisory_lock(4)")
	a.run("select pg_advisory_xact_lock(4)")
	a.want("ROLLBACK", "rollback to a")
	for key, want := range map[string]string{"1": no, "2": yes, "3": no, "4": no} {
		b.want(want, "select pg_try_advisory_lock("+key+")")
	}
	a.want("COMMIT", "commit")
	for key, want := range map[string]string{"1": yes, "3": no, "4": no} {
		b.want(want, "select pg_try_advisory_lock("+key+")")
	}
}

// TestCirclesOfAdvisoryLocks: sessions that wait for each other are a deadlock, whatever
// of advisory locks, rows, and statements outside of transactions it is made of.
func TestCirclesOfAdvisoryLocks(t *testing.T) {
	for _, x := range []struct{ name, a, b, waits, closes string }{
		{"sessions'", "select pg_advisory_lock(1)", "select pg_advisory_lock(2)", "select pg_advisory_lock(2)", "select pg_advisory_lock_shared(1)"},
		{"transactions'", "begin; select pg_advisory_xact_lock(1)", "begin; select pg_advisory_xact_lock(2)", "select pg_advisory_xact_lock(2)", "select pg_advisory_xact_lock(1)"},
		{"and rows", "begin; update t set n = 0 where id = 1", "select pg_advisory_lock(2)", "select pg_advisory_lock(2)", "update t set n = 0 where id = 1"},
		{"and rows, the other way", "select pg_advisory_lock(2)", "begin; update t set n = 0 where id = 1", "update t set n = 0 where id = 1", "select pg_advisory_lock(2)"},
		{"to be exclusive", "select pg_advisory_lock_shared(1)", "select pg_advisory_lock_shared(1)", "select pg_advisory_lock(1)", "select pg_advisory_lock(1)"},
	} {
		t.Run(x.name, func(t *testing.T) {
			f, a, b := oneRange(t)
			a.run("insert into t values (1, 'a', 1)")
			for c, does := range map[*client]string{a: x.a, b: x.b} {
				for text := range strings.SplitSeq(does, "; ") {
					c.run(text)
				}
			}
			waits := a.blocks(f, x.waits)
			if got := b.run(x.closes); !strings.HasPrefix(got, "40P01") {
				t.Errorf("the circle: %s", got)
			}
			b.run("rollback")
			b.run("select pg_advisory_unlock_all()")
			if got := <-waits; strings.HasPrefix(got, "40") {
				t.Errorf("the other one: %s", got)
			}
		})
	}
}
