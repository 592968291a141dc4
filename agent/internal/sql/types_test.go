package sql

import (
	"slices"
	"testing"
)

// What these tests expect was compared with PostgreSQL 15, but for what is 0A000.

func TestEnums(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create type mood as enum ('sad', 'ok', 'happy')", "CREATE TYPE"},
		{"create type mood as enum ()", `42710 type "mood" already exists`},
		{"create table mood (id int)", `42710 type "mood" already exists`},
		{"create table t (id int primary key, m mood not null default 'ok', ms mood[], check (m <> 'sad'::mood))", "CREATE TABLE"},
		{"create type t as enum ('a')", `42710 type "t" already exists`},
		{"insert into t (id, m) values (1, 'happy'), (2, 'ok'::mood), (3, default)", "INSERT 0 3"},
		{"insert into t (id, m) values (4, 'none')", `22P02 invalid input value for enum mood: "none"`},
		{"insert into t (id, m) values (4, 'sad')", `23514 new row for relation "t" violates check constraint "t_m_check" / Failing row contains (4, sad, null).`},
		{"select id, m from t where m > 'ok'", "1|happy\nSELECT 1"},
		{"select id from t where m = 'ok' order by id", "2\n3\nSELECT 2"},
		{"select m::text || '!' from t where id = 1", "happy!\nSELECT 1"},
		{"select 'sad'::mood < 'ok'::mood, 'happy'::mood < 'ok'", "t|f\nSELECT 1"},
		{"alter type mood add value 'fine' before 'happy'", "ALTER TYPE"},
		{"alter type mood add value 'ecstatic'", "ALTER TYPE"},
		{"alter type mood add value 'grim' before 'sad'", "ALTER TYPE"},
		{"alter type mood add value 'so so' after 'sad'", "ALTER TYPE"},
		{"alter type mood add value 'grim'", `42710 enum label "grim" already exists`},
		{"alter type mood add value if not exists 'grim'", "ALTER TYPE"},
		{"alter type mood add value 'x' after 'none'", `22023 "none" is not an existing enum label`},
		{"alter type mood rename value 'happy' to 'glad'", "ALTER TYPE"},
		{"alter type mood rename value 'none' to 'x'", `22023 "none" is not an existing enum label`},
		{"insert into t (id, m, ms) values (5, 'fine', '{ok,fine}')", "INSERT 0 1"},
		{"select id, m, ms from t where m >= 'fine' order by id", "1|glad|NULL\n5|fine|{ok,fine}\nSELECT 2"},
		{"create table k (m mood primary key)", "CREATE TABLE"},
		{"insert into k values ('glad'), ('so so'), ('grim'), ('ok'), ('sad'), ('fine')", "INSERT 0 6"},
		{"insert into k values ('ok')", `23505 duplicate key value violates unique constraint "k_pkey" / Key (m)=(ok) already exists.`},
		{"select m from k order by m", "grim\nsad\nso so\nok\nfine\nglad\nSELECT 6"},
		{"select m from k where m between 'so so' and 'fine' order by m", "so so\nok\nfine\nSELECT 3"},
		{"drop type mood", "2BP01 cannot drop type mood because other objects depend on it / column m of table k depends on type mood\ncolumn m of table t depends on type mood\ncolumn ms of table t depends on type mood[]"},
		{"drop type nope", `42704 type "nope" does not exist`},
		{"drop type if exists nope", "DROP TYPE"},
		{"drop table k", "DROP TABLE"},
		{"alter type mood rename to feeling", "ALTER TYPE"},
		{"insert into t (id, m) values (6, 'none')", `22P02 invalid input value for enum feeling: "none"`},
		{"drop domain feeling", `42809 "feeling" is not a domain`},
		{"alter type none rename to x", `42704 type "none" does not exist`},
		{"begin", "BEGIN"},
		{"create type e as enum ('b', 'a')", "CREATE TYPE"},
		{"create table te (id int, e e)", "CREATE TABLE"},
		{"insert into te values (1, 'a'), (2, 'b')", "INSERT 0 2"},
		{"commit", "COMMIT"},
		{"select id from te where e < 'a'", "2\nSELECT 1"},
		{"drop type feeling cascade", "DROP TYPE"},
		{"select * from t where id = 1", "1\nSELECT 1"},
	}...)
	want := []string{`NOTICE: enum label "grim" already exists, skipping`, `NOTICE: type "nope" does not exist, skipping`,
		"NOTICE: drop cascades to 2 other objects"}
	if !slices.Equal(c.notices, want) {
		t.Errorf("notices: %q", c.notices)
	}
}

func TestDomains(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.steps([][2]string{
		{"create domain d as int default 5 not null check (value > 0) constraint small check (value < 100)", "CREATE DOMAIN"},
		{"create domain d as text", `42710 type "d" already exists`},
		{"create domain e as int check (value > 'x')", `22P02 invalid input syntax for type integer: "x"`},
		{"create domain e as int check (value)", "42804 argument of CHECK must be type boolean, not type integer"},
		{"create domain e as int check (other > 1)", `42703 column "other" does not exist`},
		{"create domain code as varchar(3) check (length(value) > 1)", "CREATE DOMAIN"},
		{"create table t (id int primary key, n d, c code)", "CREATE TABLE"},
		{"insert into t (id) values (1)", "INSERT 0 1"},
		{"insert into t values (2, 0, null)", `23514 value for domain d violates check constraint "d_check"`},
		{"insert into t values (2, 100, null)", `23514 value for domain d violates check constraint "small"`},
		{"insert into t values (2, null, null)", "23502 domain d does not allow null values"},
		{"insert into t values (2, 1, 'a')", `23514 value for domain code violates check constraint "code_check"`},
		{"insert into t values (2, 1, 'abcd')", "22001 value too long for type character varying(3)"},
		{"insert into t values (2, 1, 'ab')", "INSERT 0 1"},
		{"update t set n = -1 where id = 2", `23514 value for domain d violates check constraint "d_check"`},
		{"select * from t order by id", "1|5|NULL\n2|1|ab\nSELECT 2"},
		{"select 7::d, '8'::d", "7|8\nSELECT 1"},
		{"select 0::d", `23514 value for domain d violates check constraint "d_check"`},
		{"select null::d", "23502 domain d does not allow null values"},
		{"alter domain d add check (value <> 7)", "0A000 ALTER DOMAIN ... ADD CONSTRAINT while columns are of the domain is not supported"},
		{"alter domain d drop constraint none", `42704 constraint "none" of domain "d" does not exist`},
		{"alter domain d drop constraint small", "ALTER DOMAIN"},
		{"alter domain d rename constraint d_check to positive", "ALTER DOMAIN"},
		{"insert into t values (3, 100, null)", "INSERT 0 1"},
		{"insert into t values (4, 0, null)", `23514 value for domain d violates check constraint "positive"`},
		{"alter domain d drop not null", "ALTER DOMAIN"},
		{"alter domain d set default 6", "ALTER DOMAIN"},
		{"insert into t (id) values (4)", "INSERT 0 1"},
		{"insert into t values (5, null)", "INSERT 0 1"},
		{"select n from t where id in (4, 5) order by id", "6\nNULL\nSELECT 2"},
		{"alter domain d set not null", "0A000 ALTER DOMAIN ... SET NOT NULL while columns are of the domain is not supported"},
		{"drop domain d", "2BP01 cannot drop type d because other objects depend on it / column n of table t depends on type d"},
		{"alter domain d rename to dd", "ALTER DOMAIN"},
		{"drop domain d", `42704 type "d" does not exist`},
		{"drop domain dd cascade", "DROP DOMAIN"},
		{"select * from t where id = 2", "2|ab\nSELECT 1"},
	}...)
}
