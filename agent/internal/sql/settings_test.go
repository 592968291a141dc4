package sql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestSettingsAsPostgreSQL holds statements and what PostgreSQL 15 answers; a
// difference that is meant says so.
func TestSettingsAsPostgreSQL(t *testing.T) {
	c := newFixture(t, nil).open()
	const noon = "select (timestamptz '2024-06-01 12:00:00+00')::text, (timestamptz '2024-06-01 12:00:00')::text, timestamptz '2024-06-01 12:00:00' = timestamptz '2024-06-01 08:30:00+00'"
	for _, s := range []struct{ set, name, shown string }{
		{"set time zone '+00:00'", "timezone", "+00:00"},
		{"set time zone '-03:30'", "timezone", "-03:30"},
		{"set time zone 2", "timezone", "<+02>-02"},
		{"set time zone '+2'", "timezone", "<+02>-02"},
		{"set time zone '-5.5'", "timezone", "<-05:30>+05:30"},
		{"set time zone -3.5", "timezone", "<-03:30>+03:30"},
		{"set time zone 'UTC+3'", "timezone", "UTC+3"},
		{"set time zone '<+05>-5'", "timezone", "<+05>-5"},
		{"set time zone interval '+00:00' hour to minute", "timezone", "<+00>-00"},
		{"set time zone interval '-08:30' hour to minute", "timezone", "<-08:30>+08:30"},
		{"set time zone interval '5' hour", "timezone", "<+05>-05"},
		{"set timezone = 'interval ''05:30'''", "timezone", "<+05:30>-05:30"},
		{"set timezone to 'europe/berlin'", "timezone", "Europe/Berlin"},
		{"set time zone local", "timezone", "UTC"},
		{"set time zone 'Zulu'", "timezone", "Zulu"},
		{"set time zone default", "timezone", "UTC"},
		{"set client_encoding = 'utf-8'", "client_encoding", "UTF8"},
		{"set client_encoding = '''utf-8'''", "client_encoding", "UTF8"},
		{"set client_encoding = 'UTF_8'", "client_encoding", "UTF8"},
		{"set names 'unicode'", "client_encoding", "UTF8"},
		{"set client_encoding to SQL_ASCII", "client_encoding", "SQL_ASCII"},
		{"set names default", "client_encoding", "UTF8"},
		{"set intervalstyle = ISO_8601", "intervalstyle", "iso_8601"},
		{"set intervalstyle to default", "intervalstyle", "postgres"},
		{"set bytea_output = 'ESCAPE'", "bytea_output", "escape"},
		{"set session extra_float_digits = 0", "extra_float_digits", "0"},
		{"set datestyle = 'ISO, DMY'", "datestyle", "ISO, DMY"},
		{"set application_name = 'x y'", "application_name", "x y"},
		{"set standard_conforming_strings = on", "standard_conforming_strings", "on"},
		{"set search_path = a, b", "search_path", "a, b"},
		{"set work_mem = '8MB'", "work_mem", "8MB"},
	} {
		if got := c.run(s.set); got != "SET" {
			t.Errorf("%s: %s", s.set, got)
		}
		c.want(s.shown+"\nSHOW", "show "+s.name)
		c.want(s.shown+"\nSELECT 1", "select current_setting('"+s.name+"')")
	}
	c.want("RESET", "reset all")
	for _, s := range []struct{ set, want string }{
		{"set timezone to '200'", `22023 invalid value for parameter "TimeZone": "200"`},
		{"set timezone to '+169:00'", `22023 invalid value for parameter "TimeZone": "+169:00"`},
		{"set timezone to ''", `22023 invalid value for parameter "TimeZone": ""`},
		{"set timezone to 'nope/nope'", `22023 invalid value for parameter "TimeZone": "nope/nope"`},
		{"set timezone to 'local'", `22023 invalid value for parameter "TimeZone": "local"`},
		{"set timezone to 'PST'", `22023 invalid value for parameter "TimeZone": "PST"`},
		{"set time zone interval '1 month'", `22023 invalid value for parameter "TimeZone": "INTERVAL '1 month'"`},
		{"set client_encoding = 'foo'", `22023 invalid value for parameter "client_encoding": "foo"`},
		{"set client_encoding = 'latin1'", `0A000 conversion from "latin1" to UTF8 is not supported`}, // PostgreSQL converts
		{"set intervalstyle = 'foo'", `22023 invalid value for parameter "IntervalStyle": "foo"`},
		{"set bytea_output = 'foo'", `22023 invalid value for parameter "bytea_output": "foo"`},
		{"set extra_float_digits = 4", `22023 invalid value for parameter "extra_float_digits": "4"`},
		{"set nope = 4", `42704 unrecognized configuration parameter "nope"`},
		{"set session authorization bob", `22023 role "bob" does not exist`},
		{"set session authorization root", "42501 permission denied to set session authorization"},
		{"set role root", `42501 permission denied to set role "root"`},
		{"select current_setting('nope')", `42704 unrecognized configuration parameter "nope"`},
		{"select current_setting('nope', true)", "NULL\nSELECT 1"},
		{"show timezone", "UTC\nSHOW"},
	} {
		c.want(s.want, s.set)
	}
	c.run("set time zone 'UTC-3:30'")
	c.want("2024-06-01 15:30:00+03:30|2024-06-01 12:00:00+03:30|t\nSELECT 1", noon)
}

// TestSettingsEnd: what a transaction set ends with it, as it ended.
func TestSettingsEnd(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("set time zone 'Europe/Berlin'")
	for _, s := range []struct{ text, want string }{
		{"begin", "BEGIN"}, {"set local time zone 'Asia/Tokyo'", "SET"}, {"show timezone", "Asia/Tokyo\nSHOW"}, {"commit", "COMMIT"}, {"show timezone", "Europe/Berlin\nSHOW"},
		{"begin", "BEGIN"}, {"set time zone 'Asia/Tokyo'", "SET"}, {"rollback", "ROLLBACK"}, {"show timezone", "Europe/Berlin\nSHOW"},
		{"begin", "BEGIN"}, {"select set_config('timezone', 'UTC', true)", "UTC\nSELECT 1"}, {"show timezone", "UTC\nSHOW"}, {"commit", "COMMIT"}, {"show timezone", "Europe/Berlin\nSHOW"},
		{"begin", "BEGIN"}, {"reset timezone", "RESET"}, {"show timezone", "UTC\nSHOW"}, {"rollback", "ROLLBACK"}, {"show timezone", "Europe/Berlin\nSHOW"},
		{"begin", "BEGIN"}, {"set time zone 'Asia/Tokyo'", "SET"}, {"set local time zone 'UTC'", "SET"}, {"commit", "COMMIT"}, {"show timezone", "Asia/Tokyo\nSHOW"},
		{"set local time zone 'UTC'", "SET"}, {"show timezone", "Asia/Tokyo\nSHOW"},
		{"select pg_catalog.set_config('search_path', '', false)", "\nSELECT 1"}, {"show search_path", "\nSHOW"},
		{"select set_config('app.user', 'x', false), current_setting('app.user')", "x|x\nSELECT 1"},
		{"select set_config('timezone', null, false)", "UTC\nSELECT 1"},
		// The scripts of pools between two clients.
		{"set session authorization default", "SET"}, {"reset role", "RESET"},
		{"select pg_advisory_unlock_all()", "\nSELECT 1"}, {"close all", "CLOSE CURSOR ALL"}, {"unlisten *", "UNLISTEN"}, {"reset all", "RESET"},
		{"show search_path", "\"$user\", public\nSHOW"},
		{"set time zone 'Asia/Tokyo'", "SET"},
		{"discard temp", "DISCARD TEMP"}, {"discard plans", "DISCARD PLANS"}, {"discard sequences", "DISCARD SEQUENCES"}, {"show timezone", "Asia/Tokyo\nSHOW"},
		{"discard all", "DISCARD ALL"}, {"show timezone", "UTC\nSHOW"},
		{"begin", "BEGIN"}, {"discard all", "25001 DISCARD ALL cannot run inside a transaction block"},
	} {
		c.want(s.want, s.text)
	}
	if c.told["TimeZone"] != "UTC" {
		t.Errorf("the client was told %v", c.told)
	}
}

// TestSettingsOfTheStartup: a startup packet may say what SET may.
func TestSettingsOfTheStartup(t *testing.T) {
	f := newFixture(t, nil)
	var style datum.Style
	c := f.open(func(o *SessionOptions) {
		o.Params = map[string]string{"client_encoding": "'utf-8'", "TimeZone": "-03:30", "intervalstyle": "iso_8601", "bytea_output": "escape", "extra_float_digits": "0"}
		o.OnStyleChange = func(s datum.Style) { style = s }
	})
	c.want("UTF8\nSHOW", "show client_encoding")
	c.run("set time zone 'Asia/Tokyo'")
	c.want("RESET", "reset timezone")
	c.want("-03:30\nSHOW", "show timezone")
	if style.Location.String() != "-03:30" || !style.ByteaEscape || style.Interval != datum.IntervalISO || style.FloatDigits != 15 {
		t.Errorf("got %+v", style)
	}
	for _, p := range []struct{ name, value, code string }{{"nope", "1", "42704"}, {"TimeZone", "nope", "22023"}, {"client_encoding", "big5", "0A000"}, {"server_version", "9", "55P02"}} {
		_, err := f.server.Open(t.Context(), SessionOptions{User: "alice", Params: map[string]string{p.name: p.value}})
		var e *Error
		if !errors.As(err, &e) || e.Code != p.code || e.Severity != "FATAL" {
			t.Errorf("%s: got %v, want FATAL %s", p.name, err, p.code)
		}
	}
}

// TestDatabases: a typing error in the name of the database must not connect.
func TestDatabases(t *testing.T) {
	f := newFixture(t, nil)
	for name, want := range map[string]string{"nodedb": "nodedb", "postgres": "postgres", "alice": "nodedb", "": "nodedb"} {
		c := f.open(func(o *SessionOptions) { o.Database = name })
		c.want(want+"\nSELECT 1", "select current_database()")
		c.run("create table " + want + "_t (id int primary key)")
	}
	c := f.open(func(o *SessionOptions) { o.Database = "postgres" })
	c.want(`42P01 relation "nodedb_t" does not exist`, "delete from nodedb_t")
	c.want("0\nSELECT 1", "select count(*) from postgres_t where id = 1")
	c.session.Close()
	for _, name := range []string{"nope", "NodeDB", "template1", "bob"} {
		_, err := f.server.Open(t.Context(), SessionOptions{User: "alice", Database: name})
		var e *Error
		if !errors.As(err, &e) || e.Code != "3D000" || e.Severity != "FATAL" || !strings.Contains(e.Hint, "nodedb") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := len(f.server.Sessions()); n != 4 {
		t.Errorf("%d sessions are open", n)
	}
}

// TestSearchPath: names are looked for along the path, and made in its first schema.
func TestSearchPath(t *testing.T) {
	c := newFixture(t, nil).open()
	c.run("create table t (id int primary key)")
	for _, s := range []struct{ text, want string }{
		{"select current_schema()", "public\nSELECT 1"},
		{"select count(*) from public.t where id = 1", "0\nSELECT 1"},
		{"delete from nope.t", `42P01 relation "nope.t" does not exist`},
		{`set search_path = "No", '$user', b2`, "SET"},
		{"show search_path", "\"No\", \"$user\", b2\nSHOW"},
		{"select current_schema()", "NULL\nSELECT 1"},
		{"delete from t", `42P01 relation "t" does not exist`},
		{"create table t (id int primary key)", "3F000 no schema has been selected to create in"},
		{"create table nope.t (id int primary key)", `3F000 schema "nope" does not exist`},
		{"set search_path = ''", "SET"},
		{"delete from t", `42P01 relation "t" does not exist`},
		{"set search_path = a, public", "SET"},
		{"select count(*) from t where id = 1", "0\nSELECT 1"},
		{"select set_config('search_path', 'a b', false)", `22023 invalid value for parameter "search_path": "a b"`},
	} {
		c.want(s.want, s.text)
	}
}

// TestPlansFollowSettings: what planning read of the settings is read anew after a
// change, also in a statement that was prepared before.
func TestPlansFollowSettings(t *testing.T) {
	_, c := slowFixture(t)
	c.run("create table z (id int8 primary key, at timestamptz)")
	const text = "select current_setting('app.x', true) as x from generate_series(1, 1) g group by 1"
	c.want("NULL\nSELECT 1", text)
	p, err := c.session.Prepare(t.Context(), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.run("set app.x = 'a'")
	c.want("a\nSELECT 1", text)
	sink := &textSink{}
	if _, err := c.session.Execute(t.Context(), p, nil, sink); err != nil || strings.Join(sink.rows, ",") != "a" {
		t.Errorf("got %v, %v", sink.rows, err)
	}
	for zone, want := range map[string]string{
		"+00:00":    "2024-06-01 12:00:00|2024-06-01 12:00:00+00",
		"UTC+3":     "2024-06-01 09:00:00|2024-06-01 15:00:00+00", // the sink shows UTC
		"<+14>-14":  "2024-06-02 02:00:00|2024-05-31 22:00:00+00",
		"Etc/GMT+3": "2024-06-01 09:00:00|2024-06-01 15:00:00+00",
	} {
		c.run("set time zone '" + zone + "'")
		c.want(want+"\nSELECT 1", "select max(timestamptz '2024-06-01 12:00:00+00')::timestamp, max(timestamp '2024-06-01 12:00:00')::timestamptz from generate_series(1, 1) g")
	}
	// DuckDB would drop the minutes.
	c.run("set time zone '-03:30'")
	for _, text := range []string{
		"select max(timestamptz '2024-06-01 12:00:00+00') from generate_series(1, 1) g", "select current_date, max(g) from generate_series(1, 1) g",
		"select max(z.at) from z, z y", "select to_timestamp(g) from generate_series(1, 1) g", "select max($1::timestamptz) from generate_series(1, 1) g",
		"select clock_timestamp()::timestamp from generate_series(1, 1) g",
	} {
		if got := c.run(text, "2024-06-01 12:00:00+00"); !strings.HasPrefix(got, "0A000 this statement with timestamps") {
			t.Errorf("%s: %s", text, got)
		}
	}
	c.want("1|2024-06-01 12:00:00\nSELECT 1", "select max(g), max(timestamp '2024-06-01 12:00') from generate_series(1, 1) g")
}

// TestSettingsAreBounded wants what a session keeps of settings to stay small: an
// application's own can have any name.
func TestSettingsAreBounded(t *testing.T) {
	c := newFixture(t, nil).open()
	const most, all = 64 << 10, 256 << 10 // of a value, of all of an application's
	long := strings.Repeat("x", most)
	c.want("SET", "set app.a = '"+long+"'")
	for _, name := range []string{"app.a", "application_name", "search_path"} {
		c.want(`54000 a value of parameter "`+name+`" may have at most 64 KiB`, "set "+name+" = '"+long+"x'")
	}
	refused := ""
	for i := range 2 * all / most {
		if got := c.run(fmt.Sprintf("set app.b%d = '%s'", i, long)); got != "SET" {
			refused = got
		}
	}
	if want := "53400 the settings app.* and the like of a session may take at most 256 KiB"; refused != want {
		t.Errorf("got %q, want %q", refused, want)
	}
	c.want("SET", "set app.b0 = ''") // makes room
	c.want("SET", "set app.b1 = '"+long[:100]+"'")
}
