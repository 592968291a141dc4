package sql

import (
	"os"
	"strings"
	"testing"
)

// TestJSONBCorpus: operators and functions of jsonb give on both paths what PostgreSQL 15
// gave when testdata/jsonb.txt was made.
func TestJSONBCorpus(t *testing.T) {
	runExpressions(t, "testdata/jsonb.txt", 1200)
}

// runExpressions compares the expressions of a file with what is written below them, by
// the fast path and by the slow one.
func runExpressions(t *testing.T, file string, least int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := newFixture(t, startDuck(t)).open()
	c.run("create table one (x int4 primary key)")
	c.run("insert into one values (1)")
	expressions := 0
	var expression string
	var want []string
	check := func() {
		if expression == "" {
			return
		}
		expressions++
		for _, from := range []string{"", " from (select x from one) y"} {
			got := c.run("select " + expression + from)
			if rest, ok := strings.CutPrefix(strings.Join(want, "\n"), "ERROR "); ok {
				if !strings.HasPrefix(got, rest) {
					t.Errorf("select %s%s\n got: %s\nwant: %s", expression, from, got, rest)
				}
				continue
			}
			rows := strings.Split(got, "\n")
			if got = strings.Join(rows[:len(rows)-1], "\n"); got != strings.Join(want, "\n") {
				t.Errorf("select %s%s\n got: %s\nwant: %s", expression, from, strings.Join(rows, "\n      "), strings.Join(want, "\n      "))
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch row, ok := strings.CutPrefix(line, "    "); {
		case strings.HasPrefix(line, "#"):
		case ok:
			want = append(want, row)
		default:
			check()
			expression, want = line, nil
		}
	}
	check()
	if expressions < least {
		t.Errorf("the corpus has %d expressions only", expressions)
	}
}
