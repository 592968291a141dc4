package sql

import (
	"fmt"
	"strings"
	"testing"
)

// TestLongConditions: lists of OR and AND are as long, and parentheses nest as deep, as
// PostgreSQL takes them, on both paths.
func TestLongConditions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.steps([][2]string{{"create table t (a int, b int, v text, primary key (a, b))", "CREATE TABLE"}, {"insert into t select g, g % 7, 'v' || g from generate_series(1, 100) g", "INSERT 0 100"}}...)
	chain := func(n int, format, by string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i, i%7)
		}
		return strings.Join(parts, by)
	}
	for path, n := range map[string]int{"on": 3000, "off": 300} { // the engine takes a minute to plan thousands of them
		c.run("set nodedb.fast_path = " + path)
		for _, x := range []struct{ query, want string }{
			{"select count(*) from t where " + chain(2*n, "a = %d and b = %d", " or "), "100"},
			{"select count(*) from t where " + chain(n, "(a = %d and b = %d)", " or "), "100"},
			{"select count(*) from t where " + chain(n, "(a <> %d or b <> %d)", " and "), "0"},
			{"select count(*) from t where " + chain(n, "not (a <> %d or b <> %d)", " or "), "100"},
			{"select " + strings.Repeat("(", 4000) + "7" + strings.Repeat(")", 4000), "7"},
		} {
			if got := c.run(x.query); got != x.want+"\nSELECT 1" {
				t.Errorf("fast_path %s, %.60s...: %.200s", path, x.query, got)
			}
		}
		if got := c.run("delete from t where " + chain(n, "(a = %d and b = %d)", " or ")); got != "DELETE 100" {
			t.Errorf("fast_path %s: DELETE: %.200s", path, got)
		}
		c.run("insert into t select g, g % 7, 'v' || g from generate_series(1, 100) g")
	}
}
