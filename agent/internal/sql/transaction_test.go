package sql

import (
	"context"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// message runs the statements of one simple query, as the protocol layer does, and
// returns their answers.
func (c *client) message(text string) string {
	c.t.Helper()
	texts, err := c.session.Parse(text)
	if err != nil {
		c.session.FailTx()
		return errorText(c.t, err)
	}
	c.session.BeginImplicit()
	var answers []string
	for _, one := range texts {
		answer := c.run(one)
		answers = append(answers, strings.ReplaceAll(answer, "\n", ","))
		if len(answer) > 6 && answer[5] == ' ' && strings.ToUpper(answer[:5]) == answer[:5] && answer[:6] != "BEGIN " {
			break // SQLSTATE
		}
	}
	if err := c.session.EndImplicit(context.Background()); err != nil {
		answers = append(answers, "end: "+errorText(c.t, err))
	}
	return strings.Join(answers, "; ")
}

func (c *client) wantMessage(want, text string) {
	c.t.Helper()
	if got := c.message(text); got != want {
		c.t.Errorf("%s\n got: %s\nwant: %s", text, got, want)
	}
}

func (c *client) wantNotice(want string) {
	c.t.Helper()
	if got := strings.Join(c.notices, "; "); got != want {
		c.t.Errorf("notices %q, want %q", got, want)
	}
	c.notices = nil
}

// oneRange is a fixture whose rows are all in one range, with a table t.
func oneRange(t *testing.T) (f *fixture, a, b *client) {
	t.Helper()
	f = newFixture(t, nil)
	f.db.span = cluster.VShards
	a, b = f.open(), f.open()
	a.want("CREATE TABLE", "create table t (id int8 primary key, name text, n int8)")
	return f, a, b
}

// TestImplicitTransaction: what PostgreSQL 15 answers to the same messages, and which
// rows are there then.
func TestImplicitTransaction(t *testing.T) {
	_, c, other := oneRange(t)
	const ids = "select id from t order by id"
	none := func() { t.Helper(); other.want("SELECT 0", ids) }
	c.wantMessage("INSERT 0 1; 22012 division by zero", "insert into t values (1, 'a', 1); select 1/0; insert into t values (2, 'a', 1)")
	none()
	c.wantMessage(`42601 syntax error at or near "selec"`, "insert into t values (1, 'a', 1); selec 1")
	none()
	c.wantMessage("INSERT 0 1; 25P01 SAVEPOINT can only be used in transaction blocks", "insert into t values (1, 'a', 1); savepoint a; select 1")
	none()
	c.wantMessage("INSERT 0 1; COMMIT; INSERT 0 1; 22012 division by zero", "insert into t values (2, 'a', 1); commit; insert into t values (3, 'b', 1); select 1/0")
	c.wantNotice("WARNING: there is no transaction in progress")
	other.want("2\nSELECT 1", ids)
	c.wantMessage("INSERT 0 1; ROLLBACK; INSERT 0 1", "insert into t values (3, 'a', 1); rollback; insert into t values (4, 'b', 1)")
	c.wantNotice("WARNING: there is no transaction in progress")
	other.want("2\n4\nSELECT 2", ids)

	c.wantMessage("INSERT 0 1; BEGIN; INSERT 0 1", "insert into t values (5, 'a', 1); begin; insert into t values (6, 'b', 1)")
	if got := c.session.TxStatus(); got != 'T' {
		t.Errorf("status %c after a BEGIN in the message", got)
	}
	other.want("2\n4\nSELECT 2", ids)
	c.want("ROLLBACK", "rollback")
	other.want("2\n4\nSELECT 2", ids)

	c.wantMessage("1,SELECT 1; 25P01 COMMIT AND CHAIN can only be used in transaction blocks", "select 1; commit and chain")
	c.wantMessage("1,SELECT 1; 25001 DISCARD ALL cannot run inside a transaction block", "select 1; discard all")
	c.wantMessage("SET; 1MB,SHOW", "set local work_mem = '1MB'; show work_mem")
	c.want("4MB\nSHOW", "show work_mem")
	c.wantMessage("SET; 22012 division by zero", "set work_mem = '1MB'; select 1/0")
	c.want("4MB\nSHOW", "show work_mem")
	if got := c.session.TxStatus(); got != 'I' {
		t.Errorf("status %c", got)
	}
}

// TestNoTransactionHoldsWhatStandsAlone: what came before a statement that no
// transaction can hold is committed before it.
func TestNoTransactionHoldsWhatStandsAlone(t *testing.T) {
	f, _, other := oneRange(t)
	c := f.open(func(o *SessionOptions) { o.User = "root" })
	c.wantMessage("INSERT 0 1; CREATE ROLE; INSERT 0 1; 22012 division by zero", "insert into t values (1, 'a', 1); create user u; insert into t values (2, 'b', 1); select 1/0")
	other.want("1\nSELECT 1", "select id from t")
	c.want("BEGIN", "begin")
	c.wantMessage("25001 DROP ROLE cannot run inside a transaction block", "drop user u")
	c.want("ROLLBACK", "rollback")
}

// TestImplicitConflict: what EndImplicit finds is an error of the message. Locks are lost
// with the leader that has given them, and then COMMIT finds what others wrote.
func TestImplicitConflict(t *testing.T) {
	f, c, other := oneRange(t)
	c.run("insert into t values (1, 'a', 1)")
	c.session.BeginImplicit()
	c.want("UPDATE 1", "update t set n = n + 1 where id = 1")
	f.db.loseLocks()
	other.want("UPDATE 1", "update t set n = n + 10 where id = 1")
	if got := errorText(t, c.session.EndImplicit(t.Context())); got != "40001 could not serialize access due to concurrent update / A row changed since it was read." {
		t.Error(got)
	}
	c.want("11\nSELECT 1", "select n from t")
	if got := c.session.TxStatus(); got != 'I' {
		t.Errorf("status %c", got)
	}
}

func TestSavepoints(t *testing.T) {
	_, c, _ := oneRange(t)
	const ids = "select id from t order by id"
	for _, text := range []string{"savepoint a", "rollback to a", "release a", "commit and chain", "rollback and chain"} {
		if got := c.run(text); !strings.HasPrefix(got, "25P01 ") || !strings.HasSuffix(got, " can only be used in transaction blocks") {
			t.Errorf("%s: %s", text, got)
		}
	}
	c.run("insert into t values (2, 'two', 2)")
	c.want("BEGIN", "begin")
	c.want("INSERT 0 1", "insert into t values (6, 'x', 1)")
	c.want("SAVEPOINT", "savepoint a")
	c.want("INSERT 0 1", "insert into t values (7, 'x', 1)")
	c.want("UPDATE 1", "update t set n = 100 where id = 6")
	c.want("SAVEPOINT", "savepoint a")
	c.want("DELETE 1", "delete from t where id = 2")
	c.want("DELETE 1", "delete from t where id = 7")
	c.want("22012 division by zero", "select 1/0")
	for _, text := range []string{"release a", "savepoint b", "select 1"} {
		c.want("25P02 current transaction is aborted, commands ignored until end of transaction block", text)
	}
	c.want(`3B001 savepoint "nope" does not exist`, "rollback to nope")
	c.want("ROLLBACK", "rollback to a") // the second one
	c.want("2|2\n6|100\n7|1\nSELECT 3", "select id, n from t order by id")
	c.want("RELEASE", "release a")
	c.want("UPDATE 1", "update t set n = 3 where id = 2")
	c.want("ROLLBACK", "rollback to savepoint a") // the first one, which stays
	c.want("2|2\n6|1\nSELECT 2", "select id, n from t order by id")
	c.want("INSERT 0 1", "insert into t values (8, 'x', 1)")
	c.want("ROLLBACK", "rollback work to a")
	c.want("INSERT 0 1", "insert into t values (9, 'x', 1)")
	c.want("SAVEPOINT", `savepoint "A"`)
	c.want("INSERT 0 1", "insert into t values (10, 'x', 1)")
	c.want("RELEASE", "release a") // and what came after it
	c.want(`3B001 savepoint "A" does not exist`, `rollback to "A"`)
	c.want("ROLLBACK", "commit")
	c.want("2\nSELECT 1", ids)

	c.run("begin")
	c.run("savepoint a")
	c.run("insert into t values (3, 'x', 1)")
	c.run("savepoint b")
	c.run("insert into t values (4, 'x', 1)")
	c.run("rollback to b")
	c.want("COMMIT", "commit")
	c.want("2\n3\nSELECT 2", ids)
}

// TestSavepointSettings: settings go back with the savepoint, and only so far.
func TestSavepointSettings(t *testing.T) {
	_, c, _ := oneRange(t)
	c.run("begin")
	c.run("set local statement_timeout = '2s'")
	c.run("savepoint a")
	c.run("set local statement_timeout = '3s'")
	c.run("set application_name to x")
	c.run("rollback to a")
	c.want("2s\nSHOW", "show statement_timeout")
	c.want("COMMIT", "commit")
	c.want("\nSHOW", "show application_name")
	c.want("0\nSHOW", "show statement_timeout")
}

// TestSavepointGivesMemoryBack: what was written since a savepoint is not held after
// it was taken back.
func TestSavepointGivesMemoryBack(t *testing.T) {
	_, c, _ := oneRange(t)
	c.run("begin")
	c.run("savepoint a")
	long := strings.Repeat("x", 1<<20)
	for range 10 { // ten times what a transaction may write
		c.want("INSERT 0 1", "insert into t values (1, $1, 1)", long)
		c.want("UPDATE 1", "update t set name = name where id = 1")
		c.want("ROLLBACK", "rollback to a")
	}
	c.want("COMMIT", "commit")
	c.want("SELECT 0", "select id from t")
}

func TestSavepointsOfSeveralRanges(t *testing.T) {
	f, c, _ := oneRange(t)
	f.db.span = 1
	c.run("begin")
	c.run("savepoint a")
	c.want("INSERT 0 1", "insert into t values (1, 'x', 1)")
	c.run("rollback to a")
	c.want("INSERT 0 1", "insert into t values (2, 'x', 1)")
	c.want("COMMIT", "commit")
}

func TestIsolationLevels(t *testing.T) {
	_, a, b := oneRange(t)
	a.run("insert into t values (1, 'a', 1)")
	const n = "select n from t where id = 1"
	a.want("read committed\nSHOW", "show transaction_isolation")
	a.run("begin")
	a.want("read committed\nSHOW", "show transaction isolation level")
	a.want("1\nSELECT 1", n)
	b.run("update t set n = 2")
	a.want("2\nSELECT 1", n) // each statement its own snapshot
	a.want("UPDATE 1", "update t set n = n + 1 where id = 1")
	a.want("COMMIT", "commit")
	b.want("3\nSELECT 1", n)

	a.run("begin isolation level repeatable read")
	a.want("repeatable read\nSHOW", "show transaction_isolation")
	a.want("3\nSELECT 1", n)
	b.run("update t set n = 4")
	a.want("3\nSELECT 1", n)
	a.want("40001 could not serialize access due to concurrent update / A row changed since it was read.", "update t set n = 5 where id = 1")
	a.want("ROLLBACK", "commit")

	a.want("SET", "set session characteristics as transaction isolation level repeatable read, read only, deferrable")
	a.want("on\nSHOW", "show default_transaction_deferrable")
	a.want("repeatable read\nSHOW", "show transaction_isolation")
	a.want("25006 cannot execute UPDATE in a read-only transaction", "update t set n = 1")
	a.run("begin read write")
	a.want("off\nSHOW", "show transaction_read_only")
	a.want("UPDATE 1", "update t set n = 5 where id = 1")
	a.want("COMMIT", "commit")
	a.want("SET", "set default_transaction_isolation = 'READ UNCOMMITTED'")
	a.want("read uncommitted\nSHOW", "show transaction_isolation")
	a.run("begin")
	a.want("5\nSELECT 1", n)
	b.run("update t set n = 6")
	a.want("6\nSELECT 1", n)
	a.run("rollback")
}

// TestModes are PostgreSQL's answers to changes of a transaction that come too late.
func TestModes(t *testing.T) {
	_, c, _ := oneRange(t)
	for _, x := range []struct{ before, text, want string }{
		{"begin; select 1", "set transaction isolation level repeatable read", "25001 SET TRANSACTION ISOLATION LEVEL must be called before any query"},
		{"begin; select 1", "set transaction isolation level read committed", "SET"},
		{"begin; savepoint a", "set transaction isolation level repeatable read", "25001 SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction"},
		{"begin read only; select 1", "set transaction read write", "25001 transaction read-write mode must be set before any query"},
		{"begin read only", "set transaction read write", "SET"},
		{"begin read only; savepoint a", "set transaction read write", "25001 cannot set transaction read-write mode inside a read-only transaction"},
		{"begin; select 1", "set transaction deferrable", "25001 SET TRANSACTION [NOT] DEFERRABLE must be called before any query"},
		{"begin; savepoint a", "set transaction deferrable", "25001 SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction"},
		{"begin read only", "select * from t for update", "25006 cannot execute SELECT FOR UPDATE in a read-only transaction"},
		{"begin; set transaction_read_only = on", "delete from t", "25006 cannot execute DELETE in a read-only transaction"},
		{"begin; begin isolation level repeatable read", "show transaction_isolation", "repeatable read\nSHOW"},
		{"begin isolation level repeatable read read only; commit and chain", "show transaction_isolation", "repeatable read\nSHOW"},
		{"begin isolation level repeatable read read only; select 1/0; commit and chain", "delete from t", "25006 cannot execute DELETE in a read-only transaction"},
		{"begin read only; rollback and chain", "delete from t", "25006 cannot execute DELETE in a read-only transaction"},
		{"begin read only; savepoint a", "set transaction_isolation = 'never'", `22023 invalid value for parameter "transaction_isolation": "never"`},
		{"begin", "set local transaction_read_only = 'never'", `22023 invalid value for parameter "transaction_read_only": "never"`},
		{"begin", "set default_transaction_isolation = 'never'", `22023 invalid value for parameter "default_transaction_isolation": "never"`},
	} {
		for text := range strings.SplitSeq(x.before, "; ") {
			c.run(text)
		}
		c.want(x.want, x.text)
		c.want("ROLLBACK", "rollback")
	}
	c.notices = nil
	c.want("SET", "set transaction read only")
	c.wantNotice("WARNING: SET TRANSACTION can only be used in transaction blocks")
	c.want("0\nSELECT 1", "select count(*) from t")
	c.want("DELETE 0", "delete from t")
}
