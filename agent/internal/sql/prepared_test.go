package sql

import "testing"

// TestPreparedInSQL: PREPARE, EXECUTE and DEALLOCATE, as PostgreSQL 15 has them.
func TestPreparedInSQL(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{
		{"create table t (id int primary key, a text, d date)", "CREATE TABLE"},
		{"prepare ins (int, text) as insert into t values ($1, $2, '2024-01-01') returning id", "PREPARE"},
		{"execute ins(1, 'x')", "1\nINSERT 0 1"},
		{"execute ins(1 + 1, upper('y'))", "2\nINSERT 0 1"},
		{"execute ins('3', null)", "3\nINSERT 0 1"},
		{"prepare \"Q\" as select a, d + $1::int from t where id = $2", "PREPARE"},
		{"execute \"Q\"(1, 2)", "Y|2024-01-02\nSELECT 1"},
		{"execute \"Q\"(1)", "42601 wrong number of parameters for prepared statement \"Q\" / Expected 2 parameters but got 1."},
		{"execute \"Q\"(true, 2)", "42804 parameter $1 of type boolean cannot be coerced to the expected type integer"},
		{"execute q(1, 2)", "26000 prepared statement \"q\" does not exist"},
		{"prepare ins as select 1", "42P05 prepared statement \"ins\" already exists"},
		{"prepare w as with n as (select 1 as x) select x as as_it_is from n;", "PREPARE"},
		{"execute w", "1\nSELECT 1"},
		{"select name, statement, prepare_time <= now(), parameter_types, from_sql from pg_prepared_statements where name like 'Q'",
			"Q|prepare \"Q\" as select a, d + $1::int from t where id = $2|t|{integer,integer}|t\nSELECT 1"},
		{"prepare d (date) as select count(*) from t where d >= $1", "PREPARE"},
		{"execute d('2024-01-01')", "3\nSELECT 1"},
		{"execute d(date '2024-01-01' + 1)", "0\nSELECT 1"},
		{"begin", "BEGIN"},
		{"execute ins(4, 'z')", "4\nINSERT 0 1"},
		{"rollback", "ROLLBACK"},
		{"execute d('2000-01-01')", "3\nSELECT 1"},
		{"prepare bad as select * from nothing", "42P01 relation \"nothing\" does not exist"},
		{"prepare bad as create table n (id int)", "42601 syntax error at or near \"create\""},
		{"deallocate d", "DEALLOCATE"},
		{"deallocate d", "26000 prepared statement \"d\" does not exist"},
		{"alter table t drop column d", "ALTER TABLE"},
		{"execute \"Q\"(1, 2)", "42703 column \"d\" does not exist"},
		{"deallocate all", "DEALLOCATE ALL"},
		{"execute w", "26000 prepared statement \"w\" does not exist"},
	}...)
}

// TestFetchPreparedBeforeItsCursor: what FETCH gives is not known when it is prepared.
func TestFetchPreparedBeforeItsCursor(t *testing.T) {
	s := newFixture(t, startDuck(t)).open().session
	p, err := s.Prepare(t.Context(), "fetch all in c", nil)
	if err != nil || p.Columns != nil {
		t.Fatalf("%v, %v", p, err)
	}
	for _, text := range []string{"begin", "declare c cursor for select n, n::text from generate_series(1, '3') n"} {
		q, err := s.Prepare(t.Context(), text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Execute(t.Context(), q, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if now := s.Redescribed(p); len(now.Columns) != 2 {
		t.Errorf("columns %v", now.Columns)
	}
}
