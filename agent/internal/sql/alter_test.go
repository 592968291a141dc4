package sql

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// steps runs statements, each with what it is to answer.
func (c *client) steps(steps ...[2]string) {
	c.t.Helper()
	for _, s := range steps {
		c.want(s[1], s[0])
	}
}

func TestAlterNames(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, v text, w int)", "CREATE TABLE"},
		{"create table u (id int primary key)", "CREATE TABLE"},
		{"insert into t values (1, 'a', 2)", "INSERT 0 1"},
		{"alter table t rename to u", `42P07 relation "u" already exists`},
		{"alter table none rename to x", `42P01 relation "none" does not exist`},
		{"alter table t rename v to w", `42701 column "w" of relation "t" already exists`},
		{"alter table t rename column none to x", `42703 column "none" does not exist`},
		{"alter table t set schema none", `3F000 schema "none" does not exist`},
		{"alter table t set schema public", "ALTER TABLE"},
		{"alter table t owner to nobody", `42704 role "nobody" does not exist`},
		{"alter table t owner to root", `42501 must be member of role "root"`},
		{"alter table t owner to alice", "ALTER TABLE"},
		{"alter collection t rename to s", "ALTER COLLECTION"},
		{"alter table s rename v to text", "ALTER TABLE"},
		{"select id, text, w from s", "1|a|2\nSELECT 1"},
		{"select v from s", `42703 column "v" does not exist`},
		{"delete from t", `42P01 relation "t" does not exist`},
	}...)
	if o, _ := c.session.scope().Table("", "s"); o.Desc.Owner != "alice" {
		t.Errorf("the owner is %q", o.Desc.Owner)
	}
	c.steps([][2]string{{"alter table if exists none rename to x", "ALTER TABLE"}, {"alter table if exists none add column x int", "ALTER TABLE"}, {"alter table if exists none set schema public", "ALTER TABLE"}}...)
	if want := slices.Repeat([]string{`NOTICE: relation "none" does not exist, skipping`}, 3); !slices.Equal(c.notices, want) {
		t.Errorf("notices: %q", c.notices)
	}
}

func TestAlterColumns(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, v text)", "CREATE TABLE"},
		{"insert into t values (1, 'a')", "INSERT 0 1"},
		{"alter table t add column n int not null default 7, add d text default 'x' || 'y', add column empty int8", "ALTER TABLE"},
		{"select * from t", "1|a|7|xy|NULL\nSELECT 1"},
		{"alter table t alter column n set default 8, alter d drop default", "ALTER TABLE"},
		{"insert into t (id) values (2)", "INSERT 0 1"},
		{"insert into t (id, n) values (3, null)", `23502 null value in column "n" of relation "t" violates not-null constraint / Failing row contains (3, null, null, null, null).`},
		{"select * from t where id in (1, 2) order by id", "1|a|7|xy|NULL\n2|NULL|8|NULL|NULL\nSELECT 2"},
		{"update t set v = 'b' where n = 7", "UPDATE 1"},
		{"alter table t alter n drop not null", "ALTER TABLE"},
		{"update t set n = null where id = 1", "UPDATE 1"},
		{"select * from t where id = 1", "1|b|NULL|xy|NULL\nSELECT 1"},
		{"alter table t add column v int", `42701 column "v" of relation "t" already exists`},
		{"alter table t add column if not exists v int", "ALTER TABLE"},
		{"alter table t drop column none", `42703 column "none" of relation "t" does not exist`},
		{"alter table t drop column if exists none", "ALTER TABLE"},
		{"alter table t drop column id", `0A000 dropping column "id" of the primary key is not supported`},
		{"alter table t alter id drop not null", `42P16 column "id" is in a primary key`},
		{"alter table t add column x int not null", `23502 column "x" of relation "t" contains null values`},
		{"alter table t add column x uuid default gen_random_uuid()", `0A000 adding column "x" with a default that has another value for each row is not supported`},
		{"alter table t add column x nonsense", `42704 type "nonsense" does not exist`},
		{"alter table t add column x int default 'a'", `22P02 invalid input syntax for type integer: "a"`},
		{"alter table t alter v set default 1/0", `22012 division by zero`},
		{"alter table t add column x int unique, drop column x", "42703 column \"x\" of relation \"t\" does not exist"},
		{"alter table t alter v set not null", `23502 column "v" of relation "t" contains null values`},
		{"alter table t drop column v, add column v int default 5", "ALTER TABLE"},
		{"select v from t order by id", "5\n5\nSELECT 2"},
		{"alter table t add column a int, add column a int", `42701 column "a" of relation "t" already exists`},
		{"alter table t drop n, drop d, drop empty, drop v", "ALTER TABLE"},
		{"select * from t order by id", "1\n2\nSELECT 2"},
	}...)
	if got := c.notices; len(got) != 2 || got[0] != `NOTICE: column "v" of relation "t" already exists, skipping` || got[1] != `NOTICE: column "none" of relation "t" does not exist, skipping` {
		t.Errorf("notices: %q", got)
	}
}

func TestAlterTypes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int2 primary key, v varchar(3), n numeric(4,2), r real)", "CREATE TABLE"},
		{"alter table t add column s int2 default 5", "ALTER TABLE"},
		{"insert into t (id, v, n, r) values (1, 'abc', 12.50, 1.5)", "INSERT 0 1"},
		{"insert into t (id) values (100000)", "22003 smallint out of range"},
		{"alter table t alter id type int4, alter v type varchar(5), alter n type numeric(8,2), alter r type float8, alter s type int8", "ALTER TABLE"},
		{"insert into t values (100000, 'abcde', 123456.789, 1e300, 1000000000000)", "INSERT 0 1"},
		{"select * from t order by id", "1|abc|12.50|1.5|5\n100000|abcde|123456.79|1e+300|1000000000000\nSELECT 2"},
		{"select s from t where id = 1", "5\nSELECT 1"},
		{"alter table t alter v type text, alter n type numeric", "ALTER TABLE"},
		{"alter table t alter v type text", "ALTER TABLE"},
		{"alter table t alter id type int2", `0A000 changing the type of column "id", by whose values rows are stored, as of the primary key, is not supported`},
		{"begin", "BEGIN"},
		{"create table own (id int primary key, v text)", "CREATE TABLE"},
		{"alter table own alter v type int, add column x int not null, add column u uuid default gen_random_uuid(), alter v set not null", "ALTER TABLE"},
		{"insert into own values (1, 2, 3)", "INSERT 0 1"},
		{"alter table own add column y int not null", "ALTER TABLE"}, // COMMIT tells
		{"rollback", "ROLLBACK"},
	}...)
}

// TestAlterInTransactions: a changed table is the transaction's own until COMMIT.
func TestAlterInTransactions(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, v text)")
	c.run("insert into t values (1, 'a'), (2, 'b')")
	for _, end := range []string{"rollback", "commit"} {
		c.steps([][2]string{
			{"begin", "BEGIN"},
			{"update t set v = 'c' where id = 1", "UPDATE 1"},
			{"alter table t add column n int default 3", "ALTER TABLE"},
			{"select id, v, n from t order by id", "1|c|3\n2|b|3\nSELECT 2"},
			{"update t set n = id where id = 2", "UPDATE 1"},
			{"savepoint s", "SAVEPOINT"},
			{"alter table t rename to u", "ALTER TABLE"},
			{"alter table u drop column v", "ALTER TABLE"},
			{"insert into u values (3, 9)", "INSERT 0 1"},
			{"select * from u order by id", "1|3\n2|2\n3|9\nSELECT 3"},
			{"rollback to s", "ROLLBACK"},
			{"alter table t rename v to w", "ALTER TABLE"},
			{"insert into t values (3, 'd', 9)", "INSERT 0 1"},
		}...)
		other.want("1|a\n2|b\nSELECT 2", "select * from t order by id")
		c.run(end)
	}
	other.want("1|c|3\n2|b|2\n3|d|9\nSELECT 3", "select id, w, n from t order by id")
	c.run("begin")
	c.run("alter table t add column x int")
	other.run("alter table t add column y int")
	c.want(`40001 could not serialize access: table "t" was changed meanwhile`, "commit")
	c.run("begin")
	c.run("update t set w = 'z' where id = 1")
	other.run("alter table t add column z int default 4, drop column n")
	c.want("COMMIT", "commit")
	other.want("1|z|NULL|4\nSELECT 1", "select * from t where id = 1")
}

// laggingMeta is the meta range as a node sees it that has not heard of changes.
type laggingMeta struct {
	*fakeMeta
	view  *metastate.View
	hears bool // of what it waits for
}

func (m *laggingMeta) View() *metastate.View { return m.view }

func (m *laggingMeta) Wait(context.Context, uint64) error {
	if !m.hears {
		return errCutOff
	}
	m.view = m.fakeMeta.View()
	return nil
}

// TestAlterBehindOnesBack: a node that knows an older form of a table keeps what rows
// hold of columns that were added since, whichever way it writes them.
func TestAlterBehindOnesBack(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, v int, gone text)")
	lagging := &laggingMeta{fakeMeta: f.meta, view: f.meta.View()}
	server, err := NewServer(Config{DB: f.db, Meta: lagging, Duck: f.server.cfg.Duck, Views: fakeViews{meta: f.meta}, Node: 2, Version: "v1", Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	server.cfg.Views = fakeViews{meta: f.meta, server: server}
	behind := (&fixture{t: t, db: f.db, meta: f.meta, server: server}).open()
	c.run("alter table t add column n int default 3, add column m text default 'm', drop column gone")
	c.run("insert into t values (1, 1, 11, 'a'), (2, 2, 22, 'b'), (3, 3, 33, 'c'), (4, 4, 44, 'd'), (5, 5, 55, null)")
	behind.steps([][2]string{
		{"update t set v = v * 10 where id = 1", "UPDATE 1"},
		{"update t set v = v * 10 where id in (2, 3)", "UPDATE 2"},
		{"insert into t values (4, 0, 'x') on conflict (id) do update set v = t.v * 10", "INSERT 0 1"},
		{"begin", "BEGIN"},
		{"update t set v = v + 1 where v >= 10", "UPDATE 4"},
		{"update t set v = v + 1 where id = 1", "UPDATE 1"},
		{"update t set v = (select max(v) from t as o) where id = 5", "UPDATE 1"},
		{"update t set id = 6 where id = 5", "UPDATE 1"},
		{"insert into t values (7, 7, 'x')", "INSERT 0 1"},
		{"commit", "COMMIT"},
	}...)
	want := []string{"1|12|11|a", "2|21|22|b", "3|31|33|c", "4|41|44|d", "6|41|55|NULL", "7|7|3|m", "SELECT 6"}
	if got := c.sorted("select * from t"); got != strings.Join(want, "\n") {
		t.Errorf("rows: %s", got)
	}
	c.run("alter table t alter v type int8, alter id type int8")
	c.run("update t set v = 3000000000 where id = 1")
	c.run("insert into t values (5000000000, 1)")
	const retry = "40001 could not serialize access: a row holds %d, which is no integer: its column has been made wider meanwhile"
	behind.want(fmt.Sprintf(retry, 3000000000), "select v from t where id = 1")
	behind.want(fmt.Sprintf(retry, 3000000000), "update t set v = v + 1 where id = 1")
	behind.want(fmt.Sprintf(retry, 5000000000), "select max(id) from t")
	behind.want("21\nSELECT 1", "select v from t where id = 2")
}

// TestPlansOutliveOthersChanges: a plan is made anew if what it touches has changed, and
// not otherwise; a prepared statement never returns other columns than it said.
func TestPlansOutliveOthersChanges(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, v int)")
	c.run("insert into t values (1, 1)")
	const text = "select * from t where id = 1"
	c.want("1|1\nSELECT 1", text)
	plan := c.session.plans[text].plan
	same := func(want bool, what string) {
		t.Helper()
		if got := c.session.plans[text].plan == plan; got != want {
			t.Errorf("%s: the plan is the same: %v", what, got)
		}
		plan = c.session.plans[text].plan
	}
	other.run("create table u (id int primary key)")
	c.want("1|1\nSELECT 1", text)
	same(true, "another table")
	c.run("begin")
	c.run("alter table u add column v int")
	c.want("1|1\nSELECT 1", text)
	same(true, "another table, in a transaction")
	c.run("alter table t add column w int default 5")
	c.want("1|1|5\nSELECT 1", text)
	same(false, "its table, in a transaction")
	c.run("rollback")
	c.want("1|1\nSELECT 1", text)
	same(false, "rolled back")
	p, err := c.session.Prepare(t.Context(), text, []uint32{})
	if err != nil {
		t.Fatal(err)
	}
	prepared, once := *p, *p // as the protocols keep it
	other.run("alter table t add column w int")
	if _, err := c.session.Execute(t.Context(), &prepared, nil, &textSink{}); errorText(t, err) != "0A000 cached plan must not change result type" {
		t.Errorf("the prepared statement: %v", err)
	}
	sink := &tellingSink{}
	if tag, err := c.session.Execute(t.Context(), &once, nil, sink); err != nil || tag != "SELECT 1" || strings.Join(sink.rows, ",") != "1|1|NULL" {
		t.Errorf("a statement whose columns nobody was told: %v, %v, %v", sink.rows, tag, err)
	}
	c.want("1|1|NULL\nSELECT 1", text)
	other.run("alter table t rename to old")
	other.run("alter table u rename to t")
	c.want("SELECT 0", text)
}

// tellingSink is one that tells the columns with the rows, as the simple protocol's.
type tellingSink struct{ textSink }

func (*tellingSink) Tells() bool { return true }

func TestAddIdentity(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int not null, n int, d int not null default 1)")
	c.run("insert into t values (1, 1)")
	c.steps([][2]string{
		{"alter table t alter n add generated always as identity", `55000 column "n" of relation "t" must be declared NOT NULL before identity can be added`},
		{"alter table t alter d add generated always as identity", `55000 column "d" of relation "t" already has a default value`},
		{"alter table t alter none add generated always as identity", `42703 column "none" of relation "t" does not exist`},
		{"begin", "BEGIN"},
		{"alter table t alter id add generated by default as identity (sequence name numbers start 5)", "ALTER TABLE"},
		{"rollback", "ROLLBACK"},
		{"insert into t (n) values (2)", `23502 null value in column "id" of relation "t" violates not-null constraint / Failing row contains (null, 2, 1).`},
		{"alter table t alter id add generated always as identity (sequence name numbers start 5)", "ALTER TABLE"},
		{"alter table t alter id add generated always as identity", `55000 column "id" of relation "t" is already an identity column`},
		{"insert into t (n) values (2)", "INSERT 0 1"},
		{"insert into t (id, n) values (3, 2)", `428C9 cannot insert a non-DEFAULT value into column "id" / Column "id" is an identity column defined as GENERATED ALWAYS.`},
		{"select id from t order by 1", "1\n5\nSELECT 2"},
		{"select pg_get_serial_sequence('t', 'id')", "public.numbers\nSELECT 1"},
		{"drop table t", "DROP TABLE"},
		{"select nextval('numbers')", `42P01 relation "numbers" does not exist`},
	}...)
}

// What pg_dump asks and restores, as PostgreSQL answers it.
func TestDumping(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create type mood as enum ('sad', 'ok')")
	c.run("create table a (id int primary key, m mood default 'ok')")
	c.run("create table b (id int references a)")
	c.run("create index b_id on b (id)")
	c.run("create sequence sq")
	c.steps([][2]string{
		{"comment on index b_id is 'an index'", "COMMENT"},
		{"comment on sequence sq is 'a sequence'", "COMMENT"},
		{"alter table sq owner to alice", "ALTER TABLE"},
		{"select description, objoid::regclass from pg_description where objoid >= 16384 order by 1", "a sequence|sq\nan index|b_id\nSELECT 2"},
		{"select * from pg_options_to_table(array['a=b=c', 'd', 'e='])", "a|b=c\nd|NULL\ne|\nSELECT 3"},
		{"select count(*) from pg_options_to_table(null)", "0\nSELECT 1"},
		{"select typname, typname[0] = '_' as is_array, typstorage from pg_type where typname in ('_mood', 'text', 'numeric') order by 1", "_mood|t|x\nnumeric|f|m\ntext|f|x\nSELECT 3"},
		{"select count(*) from pg_language", "4\nSELECT 1"},
		{"select pg_get_constraintdef(oid) from pg_constraint where contype = 'f'", "FOREIGN KEY (id) REFERENCES a(id)\nSELECT 1"},
		{"set search_path = ''", "SET"},
		{"select pg_get_constraintdef(oid) from pg_constraint where contype = 'f'", "FOREIGN KEY (id) REFERENCES public.a(id)\nSELECT 1"},
		{"select pg_get_expr(adbin, adrelid) from pg_attrdef", "'ok'::public.mood\nSELECT 1"},
		{"create trigger own after insert on public.b for each row as 'delete from public.b where ''$$'' = ''x'''", "CREATE TRIGGER"},
		{"select pg_get_triggerdef(oid) from pg_trigger where tgname = 'own'", "CREATE TRIGGER own AFTER INSERT ON public.b FOR EACH ROW AS $body1$BEGIN delete from public.b where '$$' = 'x'; END$body1$\nSELECT 1"},
		{"create table public.s (id serial)", "CREATE TABLE"},
		{"alter table public.s_id_seq owner to alice", "ALTER TABLE"},
	}...)
	f.as("root").want(`0A000 cannot change owner of sequence "s_id_seq" / Sequence "s_id_seq" is linked to table "s".`, "alter table s_id_seq owner to root")
}

func TestComments(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.run("create table t (id int primary key, v int)")
	c.steps([][2]string{
		{"comment on table t is 'a table'", "COMMENT"},
		{"comment on column t.v is 'a column'", "COMMENT"},
		{"comment on schema public is 'a schema'", "COMMENT"},
		{"comment on database nodedb is 'a database'", "COMMENT"},
		{"comment on table none is 'x'", `42P01 relation "none" does not exist`},
		{"comment on column t.none is 'x'", `42703 column "none" of relation "t" does not exist`},
		{"comment on schema none is 'x'", `3F000 schema "none" does not exist`},
		{"comment on view v is 'x'", `42P01 relation "v" does not exist`},
		{"comment on index none is 'x'", `42P01 relation "none" does not exist`},
		{"comment on index t is 'x'", `42809 "t" is not an index`},
		{"comment on index t_pkey is 'x'", "0A000 COMMENT ON INDEX of a primary key is not supported"},
		{"comment on sequence none is 'x'", `42P01 relation "none" does not exist`},
		{"comment on sequence t is 'x'", `42809 "t" is not a sequence`},
		{"select obj_description(oid, 'pg_class') from pg_class where relname = 't'", "a table\nSELECT 1"},
		{"select attname, col_description(attrelid, attnum) from pg_attribute a join pg_class c on c.oid = a.attrelid where relname = 't' order by attnum", "id|NULL\nv|a column\nSELECT 2"},
		{"select shobj_description(oid, 'pg_database') from pg_database where datname = 'nodedb'", "a database\nSELECT 1"},
		{"select objsubid, description from pg_description where classoid = 'pg_class'::regclass order by objsubid", "0|a table\n2|a column\nSELECT 2"},
		{"select n.nspname, description from pg_description d join pg_namespace n on n.oid = objoid and classoid = 'pg_namespace'::regclass order by 1", "pg_catalog|system catalog schema\npublic|a schema\nSELECT 2"},
		{"begin", "BEGIN"},
		{"comment on table t is null", "COMMENT"},
		{"select obj_description(oid, 'pg_class') from pg_class where relname = 't'", "NULL\nSELECT 1"},
	}...)
	const said = "select obj_description(oid, 'pg_class') from pg_class where relname = 't'"
	other.want("a table\nSELECT 1", said)
	c.run("commit")
	other.want("NULL\nSELECT 1", said)
}
