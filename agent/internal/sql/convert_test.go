package sql

import (
	"testing"
)

// TestChangeTypes: a column becomes of a type for which its values have to be computed, or
// nothing is changed.
func TestChangeTypes(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a int not null default 7, s text, v varchar(10), n numeric(8,3), at timestamp, b text unique, check (a > 0))", "CREATE TABLE"},
		{"create index on t (id, b)", "CREATE INDEX"},
		{"insert into t values (1, 10, '11', 'abc', 12.345, '2026-01-02 03:04:05', 'x'), (2, 20, null, '999999', null, null, null)", "INSERT 0 2"},
		{"alter table t alter s type int", `42804 column "s" cannot be cast automatically to type integer`},
		{"alter table t alter s type int using id > 1", `42804 result of USING clause for column "s" cannot be cast automatically to type integer`},
		{"alter table t alter s type int using s::int", "ALTER TABLE"},
		{"select id, a, s, v, n, at, b from t where s + 1 = 12", "1|10|11|abc|12.345|2026-01-02 03:04:05|x\nSELECT 1"},
		{"alter table t alter v type varchar(5)", "22001 value too long for type character varying(5)"},
		{"alter table t alter v type varchar(5) using v::varchar(5)", "ALTER TABLE"},
		{"alter table t alter v type int using v::int", `22P02 invalid input syntax for type integer: "abc"`},
		{"insert into t (id, v) values (3, 'toolong')", "22001 value too long for type character varying(5)"},
		{"alter table t alter n type numeric(3,2)", "22003 numeric field overflow / A field with precision 3, scale 2 must round to an absolute value less than 10^1."},
		{"alter table t alter n type numeric(6,1), alter s type text", "ALTER TABLE"},
		{"select n, s || '!', v from t order by id", "12.3|11!|abc\nNULL|NULL|99999\nSELECT 2"},
		{"set timezone to 'Europe/Berlin'", "SET"},
		{"alter table t alter at type timestamptz", "ALTER TABLE"},
		{"set timezone to 'UTC'", "SET"},
		{"select at from t where id = 1", "2026-01-02 02:04:05+00\nSELECT 1"},
		{"alter table t alter a type text", "0A000 this expression in CHECK is not supported"},
		{"alter table t alter s type int using (select 1)", "0A000 cannot use subquery in transform expression"},
		{"alter table t alter s type int using count(*)", "42803 aggregate functions are not allowed in transform expressions"},
		{"alter table t alter a type int using null", `23502 column "a" of relation "t" contains null values`},
		{"alter table t alter a type bigint using -a", `23514 check constraint "t_a_check" of relation "t" is violated by some row`},
		{"alter table t alter a type bigint using a * 10, alter a set default 9", "ALTER TABLE"},
		{"insert into t (id) values (3)", "INSERT 0 1"},
		{"select a from t order by id", "100\n200\n9\nSELECT 3"},
		{"alter table t alter b type varchar(5)", `0A000 changing the type of column "b", which index "t_b_key" is over, is not supported`},
		{"select id from t where b = 'x'", "1\nSELECT 1"},
		{"alter table t alter s set default 'none'", "ALTER TABLE"},
		{"alter table t alter s type int using s::int", `42804 default for column "s" cannot be cast automatically to type integer`},
		{"alter table t alter s drop default, alter s type int using s::int", "ALTER TABLE"},
		{"alter table t alter s type jsonb using to_jsonb(s)", "ALTER TABLE"},
		{"select s from t order by id", "11\nNULL\nNULL\nSELECT 3"},
		{"create view w as select s from t", "CREATE VIEW"},
		{"alter table t alter s type text", `0A000 cannot alter type of a column used by a view or rule / rule _RETURN on view w depends on column "s"`},
		{"begin", "BEGIN"},
		{"alter table t alter v type int using v::int", `22P02 invalid input syntax for type integer: "abc"`},
		{"rollback", "ROLLBACK"},
		{"begin", "BEGIN"},
		{"alter table t alter v type int using length(v)", "ALTER TABLE"},
		{"create table marks (id int)", "CREATE TABLE"},
		{"insert into marks values (1)", "INSERT 0 1"},
		{"commit", "COMMIT"},
		{"select v + 1 from t order by id", "4\n6\nNULL\nSELECT 3"},
		{"begin", "BEGIN"},
		{"alter table t alter v type text", "ALTER TABLE"},
		{"select v from t", `55006 columns of table "t" are becoming of other types`},
		{"rollback", "ROLLBACK"},
		{"create type mood as enum ('sad', 'ok')", "CREATE TYPE"},
		{"alter table t add m text default 'ok'", "ALTER TABLE"},
		{"alter table t alter m type mood using m::mood", `42804 default for column "m" cannot be cast automatically to type mood`},
		{"alter table t alter m drop default, alter m type mood using m::mood", "ALTER TABLE"},
		{"drop type mood", "2BP01 cannot drop type mood because other objects depend on it / column m of table t depends on type mood"},
		{"select id from t where m > 'sad' order by id", "1\n2\n3\nSELECT 3"},
		{"alter table t alter m type nope", `42704 type "nope" does not exist`},
		{"insert into t (id, v) values (4, 4)", "INSERT 0 1"},
		{"update t set v = v + 1 where id = 4", "UPDATE 1"},
		{"select v from t where id = 4", "5\nSELECT 1"},
	}...)
	for _, o := range f.meta.View().Objects {
		if o.Collection != nil && o.Collection.Move != nil {
			t.Errorf("%s is left half-way", o.Name)
		}
	}
}

// TestChangeTypesWhileRowsChange: nothing is lost or garbled, whoever writes or reads in any
// phase.
func TestChangeTypesWhileRowsChange(t *testing.T) {
	if found := moveModel(t, 10, toTypes, nil); found != nil {
		t.Error(found)
	}
}
