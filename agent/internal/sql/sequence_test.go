package sql

import "testing"

// TestSequences: what CREATE SEQUENCE makes gives out numbers to all sessions, and nobody
// takes them back.
func TestSequences(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.want("CREATE SEQUENCE", "create sequence s")
	c.want("42P07 relation \"s\" already exists", "create sequence s")
	c.want("CREATE SEQUENCE", "create sequence if not exists s")
	c.want("1|f\nSELECT 1", "select last_value, is_called from s")
	c.want("55000 currval of sequence \"s\" is not yet defined in this session", "select currval('s')")
	c.want("55000 lastval is not yet defined in this session", "select lastval()")
	c.want("1\nSELECT 1", "select nextval('s')")
	c.want("2\nSELECT 1", "select nextval('public.s'::regclass)")
	other.want("3\nSELECT 1", "select nextval('S')")
	c.want("2|2\nSELECT 1", "select currval('s'), lastval()")
	c.want("3|t\nSELECT 1", "select last_value, is_called from s")
	c.run("begin")
	c.want("4\nSELECT 1", "select nextval('s')")
	c.run("rollback")
	c.want("5\nSELECT 1", "select nextval('s')")
	c.want("100\nSELECT 1", "select setval('s', 100)")
	other.want("101\nSELECT 1", "select nextval('s')")
	c.want("50\nSELECT 1", "select setval('s', 50, false)")
	other.want("50\nSELECT 1", "select nextval('s')")
	c.want("22003 setval: value 0 is out of bounds for sequence \"s\" (1..9223372036854775807)", "select setval('s', 0)")
	c.want("ALTER SEQUENCE", "alter sequence s increment by 10 restart with 7")
	c.want("7\nSELECT 1", "select nextval('s')")
	c.want("17\nSELECT 1", "select nextval('s')")
	c.want("42P01 relation \"none\" does not exist", "select nextval('none')")
	c.run("create table t (id int primary key)")
	c.want("42809 \"t\" is not a sequence", "select nextval('t')")
	c.want("42809 \"t\" is not a sequence", "drop sequence t")
	c.want("42809 \"s\" is not a table", "drop table s")
	c.run("begin read only")
	c.want("25006 cannot execute nextval() in a read-only transaction", "select nextval('s')")
	c.run("rollback")
	c.want("DROP SEQUENCE", "drop sequence s")
	c.want("42P01 relation \"s\" does not exist", "select nextval('s')")
	c.want("42P01 sequence \"s\" does not exist", "drop sequence s")
	c.want("DROP SEQUENCE", "drop sequence if exists s")
}

// TestSequenceOptions: bounds, directions and what PostgreSQL refuses.
func TestSequenceOptions(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	for text, want := range map[string]string{
		"create sequence x increment 0":               "22023 INCREMENT must not be zero",
		"create sequence x minvalue 5 maxvalue 5":     "22023 MINVALUE (5) must be less than MAXVALUE (5)",
		"create sequence x start 0":                   "22023 START value (0) cannot be less than MINVALUE (1)",
		"create sequence x as int2 maxvalue 40000":    "22023 MAXVALUE (40000) is out of range for sequence data type smallint",
		"create sequence x as text":                   "22023 sequence type must be smallint, integer, or bigint",
		"create sequence x cache 0":                   "22023 CACHE (0) must be greater than zero",
		"create sequence x owned by none.a":           "42P01 relation \"none\" does not exist",
		"create sequence x increment 1 increment 2":   "42601 conflicting or redundant options",
		"create sequence no_such_schema.x":            "3F000 schema \"no_such_schema\" does not exist",
		"create sequence x start 9 maxvalue 5":        "22023 START value (9) cannot be greater than MAXVALUE (5)",
		"create sequence x increment -1 start with 1": "22023 START value (1) cannot be greater than MAXVALUE (-1)",
	} {
		c.want(want, text)
	}
	c.run("create sequence few minvalue 3 maxvalue 6")
	for _, want := range []string{"3", "4", "5", "6"} {
		c.want(want+"\nSELECT 1", "select nextval('few')")
	}
	c.want("2200H nextval: reached maximum value of sequence \"few\" (6)", "select nextval('few')")
	c.run("alter sequence few cycle")
	c.want("3\nSELECT 1", "select nextval('few')")
	c.run("create sequence down increment -2 minvalue -5")
	for _, want := range []string{"-1", "-3", "-5"} {
		c.want(want+"\nSELECT 1", "select nextval('down')")
	}
	c.want("2200H nextval: reached minimum value of sequence \"down\" (-5)", "select nextval('down')")
	c.want("22023 RESTART value (-5) cannot be less than MINVALUE (-4)", "alter sequence down minvalue -4")
	c.run("create sequence high start 9223372036854775806")
	c.want("9223372036854775806\nSELECT 1", "select nextval('high')")
	c.want("9223372036854775807\nSELECT 1", "select nextval('high')")
	c.want("2200H nextval: reached maximum value of sequence \"high\" (9223372036854775807)", "select nextval('high')")
}

// TestSerial: a serial column takes its numbers from a sequence that goes with it.
func TestSerial(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.want("CREATE TABLE", "create table t (id bigserial primary key, v text)")
	c.want("1\n2\nINSERT 0 2", "insert into t (v) values ('a'), ('b') returning id")
	c.want("3\nINSERT 0 1", "insert into t values (default, 'c') returning id")
	c.want("2\nSELECT 1", "select count(*) from t where id < 3")
	c.want("3\nSELECT 1", "select currval(pg_get_serial_sequence('t', 'id'))")
	c.want("public.t_id_seq\nSELECT 1", "select pg_get_serial_sequence('t', 'id')")
	c.want("42P07 relation \"t_id_seq\" already exists", "create table t_id_seq (id int)")
	c.want("2BP01 cannot drop sequence t_id_seq because other objects depend on it / default value for column id of table t depends on sequence t_id_seq", "drop sequence t_id_seq")
	c.want("CREATE TABLE", "create table u (id smallserial, k int default nextval('t_id_seq'), v text)")
	c.want("1|4\nINSERT 0 1", "insert into u (v) values ('x') returning id, k")
	c.want("2BP01 cannot drop table t because other objects depend on it / default value for column k of table u depends on sequence t_id_seq", "drop table t")
	c.want("DROP TABLE", "drop table t cascade")
	c.want("2|NULL\nINSERT 0 1", "insert into u (v) values ('x') returning id, k")
	c.want("42P01 relation \"t_id_seq\" does not exist", "select nextval('t_id_seq')")
	c.want("DROP TABLE", "drop table u")
	c.want("42P01 relation \"u_id_seq\" does not exist", "select nextval('u_id_seq')")
	c.want("42601 multiple default values specified for column \"id\" of table \"w\"", "create table w (id serial default 4)")
	c.run("create sequence own")
	c.run("create table o (id int primary key default nextval('own'))")
	c.run("alter sequence own owned by o.id")
	c.run("drop table o")
	c.want("42P01 relation \"own\" does not exist", "select nextval('own')")
}

// TestIdentity: GENERATED AS IDENTITY, and who may give other values.
func TestIdentity(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int generated always as identity (start 10 increment 5) primary key, v text)")
	c.want("10\nINSERT 0 1", "insert into t (v) values ('a') returning id")
	c.want("428C9 cannot insert a non-DEFAULT value into column \"id\" / Column \"id\" is an identity column defined as GENERATED ALWAYS.", "insert into t values (1, 'b')")
	c.want("428C9 cannot insert a non-DEFAULT value into column \"id\" / Column \"id\" is an identity column defined as GENERATED ALWAYS.", "insert into t select 1, 'b'")
	c.want("1\nINSERT 0 1", "insert into t overriding system value values (1, 'b') returning id")
	c.want("15\nINSERT 0 1", "insert into t overriding user value values (2, 'c') returning id")
	c.want("428C9 column \"id\" can only be updated to DEFAULT / Column \"id\" is an identity column defined as GENERATED ALWAYS.", "update t set id = 3")
	c.want("2BP01 cannot drop sequence t_id_seq because column id of table t requires it", "drop sequence t_id_seq")
	c.run("create table d (id int generated by default as identity primary key)")
	c.want("7\nINSERT 0 1", "insert into d values (7) returning id")
	c.want("1\nINSERT 0 1", "insert into d values (default) returning id")
	c.want("22023 identity column type must be smallint, integer, or bigint", "create table e (id text generated always as identity)")
	c.want("42601 both default and identity specified for column \"id\" of table \"e\"", "create table e (id int default 1 generated always as identity)")
}

// TestSequencesInTransactions: a transaction numbers the rows of what it has made itself,
// and all goes on from there.
func TestSequencesInTransactions(t *testing.T) {
	f := newFixture(t, nil)
	c, other := f.open(), f.open()
	c.run("begin")
	c.run("create table t (id serial primary key, v text)")
	c.want("1\nINSERT 0 1", "insert into t (v) values ('a') returning id")
	c.run("savepoint a")
	c.want("2\nINSERT 0 1", "insert into t (v) values ('b') returning id")
	c.run("rollback to a")
	c.want("3\nINSERT 0 1", "insert into t (v) values ('c') returning id")
	other.want("42P01 relation \"t_id_seq\" does not exist", "select nextval('t_id_seq')")
	c.want("COMMIT", "commit")
	other.want("4\nINSERT 0 1", "insert into t (v) values ('d') returning id")
	c.want("3\nSELECT 1", "select currval('t_id_seq')")
	c.run("begin")
	c.run("alter sequence t_id_seq restart with 100")
	c.want("100\nSELECT 1", "select nextval('t_id_seq')")
	other.want("5\nSELECT 1", "select nextval('t_id_seq')")
	c.run("rollback")
	c.want("6\nSELECT 1", "select nextval('t_id_seq')")
	c.run("begin")
	c.run("alter sequence t_id_seq restart with 100")
	c.want("100\nSELECT 1", "select nextval('t_id_seq')")
	c.run("commit")
	other.want("101\nSELECT 1", "select nextval('t_id_seq')")
}

// TestSequencesInQueries: each row has its own number, whoever runs the query.
func TestSequencesInQueries(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id int primary key, v text)")
	c.run("insert into t values (1, 'a'), (2, 'b'), (3, 'c')")
	c.run("create sequence s")
	c.want("1|a\n2|b\n3|c\nSELECT 3", "select nextval('s'), v from t order by id")
	c.want("4|1\n5|2\n6|3\nSELECT 3", "select nextval('s') as n, row_number() over (order by id) from t order by 2")
	c.run("create table into_it (id int8 primary key default nextval('s'), k int8, v text)")
	c.want("INSERT 0 3", "insert into into_it (k, v) select nextval('s') * 10, a.v from t a join t b on a.id = b.id")
	c.want("3|3\nSELECT 1", "select count(distinct id), count(distinct k) from into_it")
	c.want("INSERT 0 1", "insert into into_it values (nextval('s'), 1, substr('xyz', 2, 1))")
	c.want("0A000 nextval and the like are not supported in this place of such a query", "select distinct nextval('s'), row_number() over () from t")
	c.want("UPDATE 3", "update t set v = 'n' || nextval('s')")
	c.want("3\nSELECT 1", "select count(distinct v) from t")
}

// TestTruncateAndSequences: the sequences of a table go with what TRUNCATE makes of it.
func TestTruncateAndSequences(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id serial primary key, v text)")
	c.want("1\nINSERT 0 1", "insert into t (v) values ('a') returning id")
	c.want("TRUNCATE TABLE", "truncate t")
	c.want("2\nINSERT 0 1", "insert into t (v) values ('a') returning id")
	c.want("TRUNCATE TABLE", "truncate t restart identity")
	c.want("1\nINSERT 0 1", "insert into t (v) values ('a') returning id")
	c.run("begin")
	c.run("truncate t restart identity")
	c.want("1\nINSERT 0 1", "insert into t (v) values ('b') returning id")
	c.run("savepoint s")
	c.run("truncate t restart identity")
	c.want("1\nINSERT 0 1", "insert into t (v) values ('c') returning id")
	c.run("rollback to s")
	c.want("2\nINSERT 0 1", "insert into t (v) values ('d') returning id")
	c.run("commit")
	c.want("3\nINSERT 0 1", "insert into t (v) values ('e') returning id")
	c.want("DROP TABLE", "drop table t")
	c.want("42P01 relation \"t_id_seq\" does not exist", "select nextval('t_id_seq')")
	c.run("create table i (id int generated always as identity, k serial)")
	c.want("CREATE TABLE", "create table l (like i including defaults)")
	c.want("5|1\nINSERT 0 1", "insert into l values (5, default) returning id, k")

}

// TestSequencesInCatalogs: what clients ask of sequences.
func TestSequencesInCatalogs(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table t (id serial primary key, i int generated always as identity, n int default 7)")
	c.run("create sequence \"My\" as int2 increment 2 maxvalue 9 cycle cache 3")
	c.run("select nextval('\"My\"')")
	c.want("My|S\nt_i_seq|S\nt_id_seq|S\nSELECT 3", "select relname, relkind from pg_class where relkind = 'S' order by 1")
	c.want("21|1|2|9|1|3|t\nSELECT 1", "select seqtypid, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle from pg_sequence where seqrelid = '\"My\"'::regclass")
	c.want("My|1\nt_i_seq|NULL\nt_id_seq|NULL\nSELECT 3", "select sequencename, last_value from pg_sequences order by 1")
	c.want("My|smallint|16|9|YES\nt_id_seq|integer|32|2147483647|NO\nSELECT 2",
		"select sequence_name, data_type, numeric_precision, maximum_value, cycle_option from information_schema.sequences order by 1")
	c.want("id||nextval('t_id_seq'::regclass)\ni|a|NULL\nn||7\nSELECT 3",
		`select a.attname, a.attidentity, pg_get_expr(d.adbin, d.adrelid) from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		 where a.attrelid = 't'::regclass order by attnum`)
	c.want("id|nextval('t_id_seq'::regclass)|NO|NULL\ni|NULL|YES|ALWAYS\nn|7|NO|NULL\nSELECT 3",
		"select column_name, column_default, is_identity, identity_generation from information_schema.columns where table_name = 't' order by ordinal_position")
	c.want("t_i_seq|2|i\nt_id_seq|1|a\nSELECT 2", `select s.relname, d.refobjsubid, d.deptype from pg_depend d join pg_class s on s.oid = d.objid
		 where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = 't'::regclass order by 1`)
}

// TestSequencesFollowTheirTable: ALTER TABLE takes the sequences of its columns along.
func TestSequencesFollowTheirTable(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run("create table t (id serial primary key, k serial, v text)")
	c.run("create sequence s")
	c.want("ALTER TABLE", "alter table t alter column v set default 'v' || nextval('s')")
	c.want("1|1|v1\nINSERT 0 1", "insert into t (id) values (default) returning id, k, v")
	c.want("2BP01 cannot drop sequence s because other objects depend on it / default value for column v of table t depends on sequence s", "drop sequence s")
	c.want("ALTER TABLE", "alter table t alter column v drop default")
	c.want("DROP SEQUENCE", "drop sequence s")
	c.want("ALTER TABLE", "alter table t drop column k")
	c.want("42P01 relation \"t_k_seq\" does not exist", "select nextval('t_k_seq')")
	c.run("create table i (id int generated always as identity)")
	c.want("42601 column \"id\" of relation \"i\" is an identity column", "alter table i alter column id set default 4")
}
