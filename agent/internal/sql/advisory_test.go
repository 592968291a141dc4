package sql

import (
	"strings"
	"testing"
)

// TestAdvisoryLocks: PostgreSQL's functions, of the session and of the transaction.
func TestAdvisoryLocks(t *testing.T) {
	f, a, b := oneRange(t)
	const yes, no, done = "t\nSELECT 1", "f\nSELECT 1", "\nSELECT 1"
	a.want(done, "select pg_advisory_lock(1)")
	a.want(done, "select pg_catalog.pg_advisory_lock($1)", "1") // counts
	a.want(yes, "select pg_try_advisory_lock(1)")
	b.want(no, "select pg_try_advisory_lock(1)")
	b.want(no, "select pg_try_advisory_lock_shared(1)")
	b.want(yes, "select pg_try_advisory_lock(0, 1)") // another key
	b.want(yes, "select pg_try_advisory_lock(-1)")
	for range 3 {
		b.want(no, "select pg_try_advisory_lock(1)")
		a.want(yes, "select pg_advisory_unlock(1)")
	}
	a.want(no, "select pg_advisory_unlock(1)")
	a.wantNotice("WARNING: you don't own a lock of type ExclusiveLock")
	b.want(yes, "select pg_try_advisory_lock(1)")
	a.want(no, "select pg_advisory_unlock_shared(0, 1)") // b has it
	a.wantNotice("WARNING: you don't own a lock of type ShareLock")
	b.want(done, "select pg_advisory_unlock_all()")

	a.want(done, "select pg_advisory_lock_shared(1, -1)")
	b.want(yes, "select pg_try_advisory_lock_shared(1, -1)")
	b.want(no, "select pg_try_advisory_lock(1, -1)")
	waits := b.blocks(f, "select pg_advisory_lock(1, -1)")
	a.want(yes, "select pg_advisory_unlock_shared(1, -1)")
	b.wantLater(done, waits)
	b.want("DISCARD ALL", "discard all")

	a.run("begin")
	a.want(done, "select pg_advisory_xact_lock(2)")
	a.want(yes, "select pg_try_advisory_xact_lock_shared(2)")
	a.want(no, "select pg_advisory_unlock(2)") // those of the transaction stay
	b.want("SET", "set lock_timeout = '20ms'")
	b.want("55P03 canceling statement due to lock timeout", "select pg_advisory_lock(2)")
	b.want("SET", "set lock_timeout = 0")
	waits = b.blocks(f, "select pg_advisory_xact_lock(2)") // until the end of this statement
	a.want("COMMIT", "commit")
	b.wantLater(done, waits)
	a.want(yes, "select pg_try_advisory_lock(2)")

	a.run("begin")
	a.run("select pg_advisory_lock(3)")
	a.run("rollback")
	b.want(no, "select pg_try_advisory_lock(3)") // those of the session outlive a rollback
	a.session.Close()
	b.want(yes, "select pg_try_advisory_lock(2)")
	b.want(yes, "select pg_try_advisory_lock(3)")
	b.want("NULL\nSELECT 1", "select pg_try_advisory_lock(null)")
	for _, x := range f.db.begun {
		if x.durable == 0 && !x.ended {
			t.Error("an advisory lock does not outlive its range's leader")
		}
	}
	for _, text := range []string{"select pg_advisory_lock('x')", "select pg_advisory_lock(1.5)", "select pg_try_advisory_unlock(1)"} {
		if got := b.run(text); strings.HasSuffix(got, "SELECT 1") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestLostAdvisoryLocks: what a session is told whose node was silent for so long that others
// have its locks.
func TestLostAdvisoryLocks(t *testing.T) {
	f, a, b := oneRange(t)
	const yes, no, done = "t\nSELECT 1", "f\nSELECT 1", "\nSELECT 1"
	const lost = "40001 could not serialize access due to concurrent update"
	a.run("insert into t values (1, 'a', 1)")
	for _, lock := range []string{"pg_advisory_xact_lock", "pg_advisory_xact_lock_shared", "pg_try_advisory_xact_lock"} {
		for _, writes := range []bool{true, false} {
			a.run("begin")
			a.run("select " + lock + "(1)")
			a.run("select n from t where id = 1")
			if writes {
				a.want("UPDATE 1", "update t set n = 7 where id = 1")
			}
			f.db.abortAll()
			b.want(yes, "select pg_try_advisory_lock(1)")
			if got := a.run("commit"); !strings.HasPrefix(got, lost) {
				t.Errorf("%s, writes: %v: %s", lock, writes, got)
			}
			b.want(yes, "select pg_advisory_unlock(1)")
		}
	}
	a.want("1\nSELECT 1", "select n from t")

	a.want(done, "select pg_advisory_lock(1)")
	f.db.abortAll()
	b.want(yes, "select pg_try_advisory_lock(1)")
	a.want(no, "select pg_advisory_unlock(1)")
	a.wantNotice("WARNING: you don't own a lock of type ExclusiveLock any more: another transaction has aborted it")
	b.want(yes, "select pg_advisory_unlock(1)")

	// A transaction whose session has the lock shares it; the other way round it cannot.
	a.want(done, "select pg_advisory_lock(2)")
	a.run("begin")
	a.want(done, "select pg_advisory_xact_lock(2)")
	a.want(done, "select pg_advisory_xact_lock(3)")
	if got := a.run("select pg_advisory_lock(3)"); !strings.HasPrefix(got, "0A000 ") {
		t.Errorf("the session's lock after the transaction's: %s", got)
	}
	a.run("rollback")
	b.want(no, "select pg_try_advisory_lock(2)")
	b.want(yes, "select pg_try_advisory_lock(3)")
	a.want(yes, "select pg_advisory_unlock(2)")
	b.want(yes, "select pg_try_advisory_lock(2)")
}
