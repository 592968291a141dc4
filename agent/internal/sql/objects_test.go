package sql

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// TestObjectsInTransactions: what a transaction makes and drops is its own until COMMIT,
// together with the rows that it writes.
func TestObjectsInTransactions(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("create table old (id int primary key)")
	c.run("insert into old values (1)")
	for _, end := range []string{"rollback", "commit"} {
		c.run("begin")
		c.want("CREATE TABLE", "create table made (id int primary key, v text)")
		c.want("42P07 relation \"made\" already exists", "create table made (id int primary key)")
		c.run("rollback")
		c.run("begin")
		c.run("create table made (id int primary key, v text)")
		c.want("CREATE TABLE", "create table if not exists made (id int)")
		c.want("INSERT 0 2", "insert into made values (1, 'a'), (2, 'b')")
		c.want("UPDATE 1", "update made set v = 'c' where id = 2")
		c.want("1|a\n2|c\nSELECT 2", "select id, v from made")
		c.want("INSERT 0 1", "insert into old values (2)")
		c.want("DROP TABLE", "drop table old")
		c.want("42P01 relation \"old\" does not exist", "delete from old")
		other.want("42P01 relation \"made\" does not exist", "delete from made")
		other.want("1\nSELECT 1", "select id from old")
		c.run("rollback")
		c.run("begin")
		c.run("drop table old")
		c.run("create table old (name text primary key)")
		c.run("insert into old values ('x')")
		c.run("create table made (id int primary key, v text)")
		c.run("insert into made values (1, 'a')")
		other.want("1\nSELECT 1", "select id from old")
		c.run(end)
		if end == "rollback" {
			other.want("1\nSELECT 1", "select id from old")
			other.want("42P01 relation \"made\" does not exist", "delete from made")
		} else {
			other.want("x\nSELECT 1", "select name from old")
			other.want("1|a\nSELECT 1", "select id, v from made")
		}
	}
}

// TestObjectsAtSavepoints: ROLLBACK TO takes back what was made since, and what was
// written to it.
func TestObjectsAtSavepoints(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("begin")
	c.run("create table a (id int primary key)")
	c.run("savepoint s")
	c.run("create table b (id int primary key)")
	c.run("insert into b values (1)")
	c.run("drop table a")
	c.run("rollback to s")
	c.run("insert into a values (7)")
	c.run("savepoint s2")
	c.want("42P01 relation \"b\" does not exist", "delete from b")
	c.run("rollback to s2")
	c.want("COMMIT", "commit")
	other.want("7\nSELECT 1", "select id from a")
	other.want("42P01 relation \"b\" does not exist", "delete from b")
}

// TestObjectsThatCameTogether: the statements of one message are one transaction, those
// that change objects, too.
func TestObjectsThatCameTogether(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.wantMessage("CREATE TABLE; INSERT 0 1; 22012 division by zero", "create table u (id int8 primary key); insert into u values (1); select 1/0")
	other.want("42P01 relation \"u\" does not exist", "delete from u")
	c.wantMessage("CREATE TABLE; INSERT 0 1; CREATE TABLE; DROP TABLE", "create table u (id int8 primary key); insert into u values (1); create table v (id int8 primary key); drop table v")
	other.want("1\nSELECT 1", "select id from u")
	other.want("42P01 relation \"v\" does not exist", "delete from v")
}

// TestWhoChangesObjectsSecond has another session change the same objects in the middle
// of a transaction.
func TestWhoChangesObjectsSecond(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("begin")
	c.run("create table a (id int primary key)")
	other.run("create table a (id int primary key)")
	c.want("40001 could not serialize access: relation \"a\" already exists", "commit")
	c.run("begin")
	c.run("drop table a")
	other.run("drop table a")
	other.run("create table a (id int primary key, other text)")
	c.want("40001 could not serialize access: what the change rests on was dropped meanwhile (object 101)", "commit")
	c.run("begin")
	c.run("insert into a values (1, 'x')")
	other.run("drop table a")
	other.run("create table a (id int primary key, other text)")
	c.want("40001 could not serialize access: relation \"a\" was dropped while the transaction ran", "commit")
	other.want("SELECT 0", "select id from a")
	c.run("begin")
	c.run("insert into a values (1, 'x')")
	c.run("drop table a")
	c.run("create table b (id int primary key)")
	c.run("insert into b values (3)")
	c.want("COMMIT", "commit")
	other.want("3\nSELECT 1", "select id from b")
}

// TestRefusedForEver: a statement that the meta range refuses whatever it says gives up.
func TestRefusedForEver(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	asked := 0
	f.meta.before = func(cmd *metastate.Command) {
		if cmd.ChangeObjects != nil {
			asked++
			cmd.ChangeObjects.Seen[0].Version += 1000
		}
	}
	got := c.run("create table t (id int primary key)")
	if !strings.HasPrefix(got, "40001 could not serialize access: ") || asked != publishTries {
		t.Errorf("after %d tries the statement is told %q", asked, got)
	}
	f.meta.before = nil
	c.want("CREATE TABLE", "create table t (id int primary key)")
}
