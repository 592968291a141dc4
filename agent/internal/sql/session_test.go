package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

const createT = "create table t (id int8 primary key, name text not null, n int4 default 7, price numeric(10,2), at timestamptz)"

func TestCreateAndDrop(t *testing.T) {
	c := newFixture(t, nil).open()
	c.want("CREATE TABLE", createT)
	c.want(`42P07 relation "t" already exists`, createT)
	c.want("CREATE COLLECTION", "create collection if not exists t (x int4)")
	c.want("CREATE COLLECTION", "create collection docs (doc jsonb)")
	c.want("docs|101|1|1|(generated)\nt|100|1|5|id\nSHOW", "show collections")
	c.want(`3F000 schema "x" does not exist`, "create table x.t (a int)")
	c.want(`42703 column "b" named in key does not exist`, "create table u (a int, primary key (b))")
	c.want(`42701 column "a" specified more than once`, "create table u (a int, a text)")
	c.want(`0A000 type money is not supported`, "create table u (a money)")
	c.want(`0A000 type tstzmultirange is not supported`, "create table u (a tstzmultirange[])")
	c.want(`0A000 type point is not supported`, "create table u (a pg_catalog.point)")
	c.want(`42704 type "nope" does not exist`, "create table u (a nope)")
	c.want(`42704 data type json has no default operator class for access method "btree"`, "create table u (a json primary key)")
	c.want(`22P02 invalid input syntax for type integer: "x"`, "create table u (a int default 'x')")
	c.want(`42883 function random_thing() does not exist`, "create table u (a int default random_thing())")
	c.want("DROP TABLE", "drop table t")
	c.want(`42P01 table "t" does not exist`, "drop table t")
	c.want("DROP COLLECTION", "drop collection if exists t, docs")
	if got := strings.Join(c.notices, "; "); got != `NOTICE: relation "t" already exists, skipping; NOTICE: table "t" does not exist, skipping` {
		t.Error(got)
	}
}

func TestFastPath(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run(createT)
	c.want("INSERT 0 3", "insert into t (id, name, price) values (1, 'one', 1.5), (2, 'two', null), (3, 'three', 2.005)")
	c.want("1|one|7|1.50|NULL\nSELECT 1", "select * from t where id = 1")
	c.want("two\nSELECT 1", "select name from t where id = $1", "2")
	c.want("SELECT 0", "select name from t where id = $1", "NULL")
	c.want("1\n3\nSELECT 2", "select id from t where id in (3, 1, 1, 9)")
	c.want("3\n1\nSELECT 2", "select id from t where id = any($1) order by price desc", "{1,3}")
	c.want("2|two\nSELECT 1", "select id, name from t where name like 't_o'")
	c.want("3\n2\n1\nSELECT 3", "select id from t order by id desc")
	c.want("2\nSELECT 1", "select id from t where id > 1 order by id limit 1")
	c.want("3\nSELECT 1", "select id from t order by id offset 2")
	c.want("3\nSELECT 1", "select count(*) from t")
	c.want("2\nSELECT 1", "select count(*) as c from t where price is not null")
	c.want("2\nSELECT 1", "select id from t where id between 2 and 2 and not (name = 'one')")
	c.want("3.01|14|ONE!|t\nSELECT 1", "select price * 2 + 0.01 as x, n + n, upper(name) || '!', price > 1 and true from t where id = 1")
	c.want("alice|nodedb|15.18\nSELECT 1", "select current_user, current_database(), '15.18'")
	c.want("1|2.5000000000000000|3|0.33333333333333333333\nSELECT 1", "select 1, 5 / 2.0, 7 / 2, 1 / 3.0")
	c.want("SELECT 0", "select id from t limit 0")
	c.want("UPDATE 1", "update t set n = n + 1, name = name || 'x' where id = 1")
	c.want("onex|8\nSELECT 1", "select name, n from t where id = 1")
	c.want("UPDATE 2", "update t set n = $1 where id >= 2", "20")
	c.want("two\nDELETE 1", "delete from t where id = 2 returning name")
	c.want("DELETE 2", "delete from t")
	c.want("INSERT 0 1", "insert into t values ($1, $2)", "5", "five")
	c.want("five|7\nSELECT 1", "select name, n from t where id = 5")
}

func TestErrors(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run(createT)
	c.run("insert into t (id, name) values (1, 'one')")
	for _, x := range []struct{ want, text string }{
		{`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(1) already exists.`, "insert into t (id, name) values (1, 'x')"},
		{`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(2) already exists.`, "insert into t (id, name) values (2, 'x'), (2, 'y')"},
		{`23502 null value in column "name" of relation "t" violates not-null constraint / Failing row contains (2, null, 7, null, null).`, "insert into t (id) values (2)"},
		{`42703 column "nope" does not exist`, "select nope from t"},
		{`42703 column "nope" of relation "t" does not exist`, "update t set nope = 1"},
		{`42P01 relation "nope" does not exist`, "insert into nope values (1)"},
		{`42P01 missing FROM-clause entry for table "u"`, "select u.id from t"},
		{`22P02 invalid input syntax for type bigint: "x"`, "select * from t where id = 'x'"},
		{`22012 division by zero`, "select 1 / 0"},
		{`22003 integer out of range`, "select 2147483647 + 1"},
		{`22003 numeric field overflow / A field with precision 10, scale 2 must round to an absolute value less than 10^8.`, "insert into t (id, name, price) values (3, 'x', 123456789)"},
		{`42804 column "n" is of type integer but expression is of type text`, "update t set n = name"},
		{`42601 INSERT has more expressions than target columns`, "insert into t (id) values (1, 2)"},
		{`42601 INSERT has more target columns than expressions`, "insert into t (id, name) values (1)"},
		{`42601 syntax error at or near "selec"`, "selec 1"},
		{`42804 argument of WHERE must be type boolean, not type integer`, "select id from t where 1"},
		{`2201W LIMIT must not be negative`, "select id from t limit -1"},
		{`42701 column "id" specified more than once`, "insert into t (id, id) values (1, 2)"},
		{`0A000 this statement needs the SQL engine, which is not running on this node`, "select count(distinct id) from t"},
		{`0A000 two-phase commit in SQL is not supported`, "prepare transaction 'x'"},
	} {
		c.want(x.want, x.text)
	}
	_, err := c.session.Prepare(t.Context(), "select 'ä', nope from t", nil)
	var e *Error
	if !errors.As(err, &e) || e.Position != 13 {
		t.Errorf("got %+v, want position 13", err)
	}
}

func TestUpsert(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table k (a int4, b text, v int4 default 0, primary key (a, b))")
	c.want("INSERT 0 2", "insert into k values (1, 'x', 10), (2, 'y', 20)")
	c.want("INSERT 0 1", "insert into k values (1, 'x', 11), (3, 'z', 30), (3, 'z', 31) on conflict do nothing")
	c.want("1|x|21\n4|w|5\nINSERT 0 2", "insert into k as o values (1, 'x', 11), (4, 'w', 5) on conflict (a, b) do update set v = o.v + excluded.v returning *")
	c.want("INSERT 0 0", "insert into k values (1, 'x', 1) on conflict on constraint k_pkey do update set v = 1 where k.v < 3")
	c.want("21000 ON CONFLICT DO UPDATE command cannot affect row a second time", "insert into k values (9, 'x'), (9, 'x') on conflict (b, a) do update set v = 1")
	c.want("42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification", "insert into k values (9, 'x') on conflict (a) do nothing")
	c.want("x|21\nSELECT 1", "select b, v from k where a = 1")
	c.want("3|30\nSELECT 1", "select a, v from k where a = 3 and b >= 'a' order by b")
	c.want("1|x|21\nSELECT 1", "select * from k where b is not null and a = 1 and b = 'x'")
}

func TestHiddenKey(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create collection docs (doc jsonb)")
	c.want("INSERT 0 2", `insert into docs values ('{"b":1,"a":2}'), ('{"b":1,"a":2}')`)
	c.want(`{"a": 2, "b": 1}`+"\n"+`{"a": 2, "b": 1}`+"\nSELECT 2", "select * from docs")
	if got := c.run("select _rowid from docs limit 1"); len(got) != len("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\nSELECT 1") {
		t.Error(got)
	}
	c.want("DELETE 2", "delete from docs")
}

// Rows that others change while a statement looks for them are changed once, as they are
// then, if they still match.
func TestRowsThatChangedAreLookedAtAgain(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run(createT)
	var values []string
	for i := range 200 {
		values = append(values, fmt.Sprintf("(%d, 'x', 0)", i))
	}
	c.want("INSERT 0 200", "insert into t (id, name, n) values "+strings.Join(values, ","))
	for _, x := range []struct{ text, want string }{
		{"update t set n = n + 1 where n < 100", "UPDATE 198"},
		{"update t set n = t.n + 1 from (select 100 as m) x where t.n < x.m", "UPDATE 198"},
	} {
		c.run("delete from t where id >= 200")
		c.run("insert into t (id, name, n) select id, 'x', 0 from t on conflict (id) do update set n = 0")
		c.run("insert into t (id, name, n) values (1, 'x', 0) on conflict (id) do nothing")
		once := true
		f.db.beforeLock = func() {
			if !once {
				return
			}
			once = false
			other.want("UPDATE 1", "update t set n = 100 where id = 0")
			other.want("DELETE 1", "delete from t where id = 1")
			other.want("UPDATE 1", "update t set n = 50 where id = 2")
		}
		c.want(x.want, x.text)
		f.db.beforeLock = nil
		c.want("100\nSELECT 1", "select n from t where id = 0")
		c.want("51\nSELECT 1", "select n from t where id = 2")
		c.want("197\nSELECT 1", "select count(*) from t where n = 1")
	}
}

func TestTransactions(t *testing.T) {
	f := newFixture(t, nil)
	f.db.span = cluster.VShards // one range
	a, b := f.open(), f.open()
	a.run(createT)
	a.run("insert into t (id, name, n) values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)")
	a.want("BEGIN", "begin isolation level repeatable read")
	a.want("1\nSELECT 1", "select n from t where id = 1")
	b.want("UPDATE 1", "update t set n = 50 where id = 2")
	a.want("2\nSELECT 1", "select n from t where id = 2") // one snapshot
	a.want("UPDATE 1", "update t set n = 10 where id = 1")
	a.want("INSERT 0 1", "insert into t (id, name) values (4, 'four')")
	a.want("DELETE 1", "delete from t where id = 3")
	a.want("1|10\n2|2\n4|7\nSELECT 3", "select id, n from t order by id")
	a.want("4|7\n2|2\n1|10\nSELECT 3", "select id, n from t order by id desc")
	a.want("1|10\n2|2\nSELECT 2", "select id, n from t order by id limit 2")
	if got := a.sorted("select id from t"); got != "1\n2\n4\nSELECT 3" {
		t.Error(got)
	}
	a.want(`23505 duplicate key value violates unique constraint "t_pkey" / Key (id)=(4) already exists.`, "insert into t (id, name) values (4, 'again')")
	if got := a.session.TxStatus(); got != 'E' {
		t.Errorf("status %c", got)
	}
	a.want("25P02 current transaction is aborted, commands ignored until end of transaction block", "select 1")
	a.want("ROLLBACK", "commit")
	b.want("1|1\n2|50\n3|3\nSELECT 3", "select id, n from t order by id")

	a.run("begin")
	a.run("update t set n = n + 1 where id = 1")
	a.run("insert into t (id, name) values (5, 'five')")
	a.run("delete from t where id = 5")
	a.run("delete from t where id = 3")
	a.run("insert into t (id, name) values (3, 'new')")
	a.want("COMMIT", "commit")
	b.want("1|one|2\n2|two|50\n3|new|7\nSELECT 3", "select id, name, n from t order by id")
}

func TestTransactionOfSeveralRanges(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run(createT)
	c.run("begin")
	for i := range 50 {
		c.want("INSERT 0 1", "insert into t (id, name) values ($1, 'x')", fmt.Sprint(i))
	}
	other.want("0\nSELECT 1", "select count(*) from t")
	c.want("COMMIT", "commit")
	other.want("50\nSELECT 1", "select count(*) from t")
	if f.db.wrote != 1 || f.db.locked() != 0 {
		t.Errorf("%d commits, %d rows locked", f.db.wrote, f.db.locked())
	}
	c.run("begin read only")
	c.want("25006 cannot execute INSERT in a read-only transaction", "insert into t (id, name) values (1, 'x')")
	c.run("rollback")
	c.run("begin read only")
	c.want("25006 cannot execute CREATE TABLE in a read-only transaction", "create table u (a int)")
	c.run("rollback")
}

func TestKeyChange(t *testing.T) {
	f := newFixture(t, nil)
	f.db.span = cluster.VShards
	c := f.open()
	c.run("create table k (id int8 primary key, v text)")
	c.run("insert into k values (1, 'a'), (2, 'b')")
	c.want("UPDATE 1", "update k set id = 10 where id = 1")
	c.want(`23505 duplicate key value violates unique constraint "k_pkey" / Key (id)=(2) already exists.`, "update k set id = 2 where id = 10")
	c.run("begin")
	c.want("UPDATE 1", "update k set id = 11, v = 'c' where id = 10")
	c.want("2|b\n11|c\nSELECT 2", "select * from k order by id")
	c.want("COMMIT", "commit")
	c.want("2|b\n11|c\nSELECT 2", "select * from k order by id")
	f.db.span = 1
	c.want("UPDATE 1", "update k set id = 12 where id = 11")
	c.want("UPDATE 2", "update k set id = id + 100")
	c.want("102|b\n112|c\nSELECT 2", "select * from k order by id")
}

func TestStoreErrors(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	for _, x := range []struct {
		err  error
		want string
	}{
		{&store.AmbiguousError{Cause: errors.New("gone")}, "40003 it is not known whether the statement was applied"},
		{&kv.UnavailableError{Range: 3, Cause: errors.New("no leader")}, "08006 no leader could be reached for rows of this statement"},
		{&kv.UnavailableError{Range: 2, Cause: context.DeadlineExceeded}, "08006 no leader could be reached for rows of this statement"},
		{store.ErrOverloaded, "53200 a node that has rows of this statement has no room for more requests"},
		{store.ErrDiskFull, "53100 the disks of most nodes that have rows of this statement are full"},
		{store.ErrTooLarge, "54000 the rows are too large to be written together"},
		{txn.ErrLockTimeout, "55P03 canceling statement due to lock timeout"},
		{txn.ErrLockNotAvailable, "55P03 could not obtain lock on row"},
		{txn.ErrClosed, "57P01 the node is stopping"},
		{store.ErrStopped, "57P01 the node is stopping"},
		{&kv.BlockedError{}, "40001 could not serialize access: a transaction that has not ended is in the way"},
		{&store.IntentsError{Range: 2}, "40001 could not serialize access: a transaction that has not ended is in the way"},
		{errors.New("secret"), "XX000 internal error"},
	} {
		f.db.before = func([]kv.Mutation) error { return fmt.Errorf("write: %w", x.err) }
		c.want(x.want, "insert into t (id, name) values (1, 'x')")
	}
	f.db.before = func([]kv.Mutation) error { return &kv.UnavailableError{Range: 3, Cause: errors.New("no leader")} }
	c.want("08006 no leader could be reached for rows of this statement", "insert into t (id, name) values (1,''),(2,''),(3,''),(4,''),(5,''),(6,''),(7,''),(8,'')")
	c.want("0\nSELECT 1", "select count(*) from t")
}

func TestSettings(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open(func(o *SessionOptions) {
		o.Params = map[string]string{"TimeZone": "Europe/Berlin", "extra_float_digits": "3"}
		o.ApplicationName = "app"
	})
	c.want("Europe/Berlin\nSHOW", "show timezone")
	c.want("SET", "set timezone = 'utc'")
	if c.told["TimeZone"] != "UTC" {
		t.Error(c.told)
	}
	c.want("RESET", "reset timezone")
	c.want("Europe/Berlin\nSHOW", "show time zone")
	c.want("app\nSHOW", "show application_name")
	c.want("BEGIN", "begin")
	c.want("SET", "set application_name to b")
	c.want("SET", "set local statement_timeout to '2s'")
	c.want("2s\nSHOW", "show statement_timeout")
	c.want("ROLLBACK", "rollback")
	c.want("app\nSHOW", "show application_name")
	c.want("0\nSHOW", "show statement_timeout")
	c.want(`42704 unrecognized configuration parameter "nope"`, "set nope = 1")
	c.want(`22023 invalid value for parameter "TimeZone": "Mars"`, "set timezone = 'Mars'")
	c.want(`0A000 conversion from "latin1" to UTF8 is not supported`, "set client_encoding = latin1")
	c.want(`55P02 parameter "server_version" cannot be changed`, "set server_version = '9'")
	c.want("SET", "set my.app = 'x'")
	c.want("x\nSHOW", "show my.app")
	c.want("read committed\nSHOW", "show transaction isolation level")
	c.want("DISCARD ALL", "discard all")
	c.want("DEALLOCATE ALL", "deallocate all")
	if got := c.run("show all"); !strings.Contains(got, "server_version|15.18|") {
		t.Error(got)
	}
	_, err := f.server.Open(t.Context(), SessionOptions{User: "alice", Params: map[string]string{"nope": "1"}})
	if got := errorText(t, err); got != `42704 unrecognized configuration parameter "nope"` {
		t.Error(got)
	}
	c.run(createT)
	c.want("INSERT 0 1", "insert into t (id, name, at) values (1, 'x', '2024-07-01 12:00')")
	c.want("2024-07-01 10:00:00+00\nSELECT 1", "select at from t where id = 1") // the sink shows UTC
}

func TestTimeoutAndCancel(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	c.run("insert into t (id, name) values (1, 'x')")
	f.db.before = func([]kv.Mutation) error { return fmt.Errorf("write: %w", context.DeadlineExceeded) }
	c.want("57014 canceling statement due to statement timeout", "update t set n = 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.runContext(ctx, "select count(*) from t"); got != "57014 canceling statement due to user request" {
		t.Error(got)
	}
}

func TestShowCluster(t *testing.T) {
	c := newFixture(t, nil).open(func(o *SessionOptions) { o.User = "root" })
	c.run(createT)
	c.want("n1|n1|127.0.0.1:6432|active|alive|ready|v1|17|17|1000|119|51|1|\nSHOW", "show nodes")
	got := strings.Split(c.run("show ranges"), "\n")
	if len(got) != 18 || got[0] != "r1|meta|n1|n1|–|10|7|3|2|9|0|healthy|1|NULL|NULL|NULL|unbound|NULL|NULL|NULL|NULL" || got[1] != "r2|0-63|n1|n1|–|10|7|3|2|9|0|healthy|1|default|0000|0040|unbound|NULL|NULL|NULL|NULL" {
		t.Errorf("%q", got)
	}
	c.want("2|5|n1\nSHOW", "show schema version")
	c.want("469|r9|n1|127.0.0.1:6432|n1|1\nSHOW", "show routing for t key 4711")
	c.want("22023 the primary key of \"t\" has 1 columns, not 2", "show routing for t key (1, 2)")
	c.want(`42P01 relation "u" does not exist`, "show routing for u key 1")
	c.want("SHOW", "show operations")
	if v, err := c.session.server.VShard("t", []string{"4711"}); err != nil || v != 469 {
		t.Errorf("%d, %v", v, err)
	}
}

func TestSessions(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run("begin")
	got := f.server.Sessions()
	if len(got) != 1 || got[0].User != "alice" || got[0].State != "idle in transaction" || got[0].Statement != "begin" || got[0].TransactionAt.IsZero() || got[0].PID != 7 {
		t.Errorf("%+v", got)
	}
	f.server.SetDraining(true)
	_, err := f.server.Open(t.Context(), SessionOptions{User: "alice"})
	if got := errorText(t, err); !strings.HasPrefix(got, "57P03 ") {
		t.Error(got)
	}
	f.server.SetDraining(false)
	f.server.cfg.MaxSessions = 1
	_, err = f.server.Open(t.Context(), SessionOptions{User: "alice"})
	if got := errorText(t, err); got != "53300 sorry, too many clients already" {
		t.Error(got)
	}
	c.session.Close()
	if n := len(f.server.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestPreparedStatements(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	p, err := c.session.Prepare(t.Context(), "select name, n from t where id = $1 and n > $2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.ParamOIDs) != 2 || p.ParamOIDs[0] != datum.Int8.OID() || p.ParamOIDs[1] != datum.Int4.OID() || len(p.Columns) != 2 || p.Columns[1].Attr != 3 || p.Columns[0].TableOID != 16484 {
		t.Errorf("%+v", p)
	}
	args := []datum.Datum{datum.MakeInt(datum.Int8, 1), datum.MakeInt(datum.Int4, 0)}
	if _, err := c.session.Execute(t.Context(), p, args[:1], &textSink{}); errorText(t, err) != "08P01 statement needs 2 parameters, 1 were given" {
		t.Error(err)
	}
	c.run("insert into t (id, name) values (1, 'x')")
	c.run("create table other (a int primary key)") // the schema changes, this table does not
	sink := &textSink{}
	if tag, err := c.session.Execute(t.Context(), p, args, sink); err != nil || tag != "SELECT 1" || sink.rows[0] != "x|7" {
		t.Error(tag, err, sink.rows)
	}
	sink = &textSink{after: func() error { return fmt.Errorf("closed: %w", ErrRowsUnread) }}
	c.run("begin")
	if _, err := c.session.Execute(t.Context(), p, args, sink); !errors.Is(err, ErrRowsUnread) || c.session.TxStatus() != 'T' {
		t.Error(err, c.session.TxStatus())
	}
	c.run("rollback")
	c.run("drop table t")
	if _, err := c.session.Execute(t.Context(), p, args, &textSink{}); errorText(t, err)[:5] != "42P01" && errorText(t, err)[:5] != "0A000" {
		t.Error(err)
	}
	c.run("create table t (id int8 primary key, name int4, n int4)")
	if _, err := c.session.Execute(t.Context(), p, args, &textSink{}); errorText(t, err) != "0A000 cached plan must not change result type" {
		t.Error(err)
	}
	empty, err := c.session.Prepare(t.Context(), "-- ping", nil)
	if err != nil || !empty.Empty {
		t.Error(empty, err)
	}
}

func TestPanicEndsTheStatementOnly(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.run(createT)
	f.db.before = func([]kv.Mutation) error { panic("planted") }
	c.want("XX000 internal error", "insert into t (id, name) values (1, 'x')")
	f.db.before = nil
	c.want("INSERT 0 1", "insert into t (id, name) values (1, 'x')")
}

// TestNowIsTheNodesTime: statements are told the time that the node goes by, whatever
// the machine's clock says, on both paths; a transaction the time of its beginning.
func TestNowIsTheNodesTime(t *testing.T) {
	f := newFixture(t, startDuck(t))
	at := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	f.server.cfg.Now = func() time.Time { return at }
	c := f.open()
	c.run("set timezone = 'UTC'")
	const fast, slow = "select now()", "select max(now()) from generate_series(1, 2)"
	c.want("2031-02-03 04:05:06+00\nSELECT 1", fast)
	c.want("2031-02-03 04:05:06+00\nSELECT 1", slow)
	c.run("begin")
	at = at.Add(-time.Hour)
	c.want("2031-02-03 04:05:06+00\nSELECT 1", fast)
	c.want("2031-02-03 03:05:06+00\nSELECT 1", "select statement_timestamp()")
	c.run("rollback")
	c.want("2031-02-03 03:05:06+00\nSELECT 1", slow)
}

// TestIdleTimeout: which of the settings the protocol layer goes by.
func TestIdleTimeout(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("set idle_in_transaction_session_timeout = '1s'")
	c.run("set idle_session_timeout = '2s'")
	for _, x := range []struct {
		text string
		want time.Duration
	}{{"select 1", 2 * time.Second}, {"begin", time.Second}, {"select 1/0", time.Second}, {"rollback", 2 * time.Second}} {
		c.run(x.text)
		if got := c.session.IdleTimeout(); got != x.want {
			t.Errorf("after %s: %s, want %s", x.text, got, x.want)
		}
	}
}
