package sql

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestViewCorpus: views of all shapes, over all types and under renames, give what
// PostgreSQL 15 gave when testdata/views.txt was made: by psql -At, with \pset null NULL.
func TestViewCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().corpus("testdata/views.txt"); n < 80 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// corpus runs the statements of a file and compares what they give, rows in any order.
func (c *client) corpus(file string) (statements int) {
	c.t.Helper()
	return c.compared(file, func(rows []string) { slices.Sort(rows) })
}

// compared runs the statements of a file, and compares what they give once order has been
// applied to both: rows, or the tag of what gives none. Without order both are as they come,
// with notices in front.
func (c *client) compared(file string, order func(rows []string)) (statements int) {
	c.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	var statement string
	var want []string
	check := func() {
		if statement == "" {
			return
		}
		statements++
		c.notices = nil
		got := strings.Split(c.run(statement), "\n")
		selected := strings.HasPrefix(statement, "select") || order == nil && !strings.HasPrefix(statement, "create")
		if strings.HasPrefix(got[len(got)-1], "SELECT ") && selected || strings.HasPrefix(got[len(got)-1], "FETCH ") {
			got = got[:len(got)-1]
		}
		if order == nil {
			got = append(slices.Clone(c.notices), got...)
		} else {
			order(got)
			order(want)
		}
		if !slices.Equal(got, want) {
			c.t.Errorf("%s\n got: %s\nwant: %s", statement, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch row, ok := strings.CutPrefix(line, "    "); {
		case strings.HasPrefix(line, "#") || line == "":
		case ok:
			want = append(want, row)
		default:
			check()
			statement, want = line, nil
		}
	}
	check()
	return statements
}

// TestKeyCorpus: keys, constraints and indexes, and what ALTER TABLE makes of them, are as
// PostgreSQL 15 had them when testdata/keys.txt was made.
func TestKeyCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().corpus("testdata/keys.txt"); n < 50 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestFunctionCorpus: functions are made, called and dropped as PostgreSQL 15 did when
// testdata/functions.txt was made: by psql -At with \pset null NULL, notices first, errors as
// SQLSTATE, message and DETAIL.
func TestFunctionCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().compared("testdata/functions.txt", nil); n < 80 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestBodyCorpus: DO and functions in PL/pgSQL do what PostgreSQL 15 did when
// testdata/bodies.txt was made, as functions.txt.
func TestBodyCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().compared("testdata/bodies.txt", nil); n < 80 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestRoutineCorpus: triggers, functions and procedures as migrations have them do what
// PostgreSQL 15 did when testdata/routines.txt was made, as functions.txt.
func TestRoutineCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().compared("testdata/routines.txt", nil); n < 130 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestInsteadOfCorpus: statements that change views by their triggers are as PostgreSQL 15 had
// them when testdata/insteadof.txt was made.
func TestInsteadOfCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().corpus("testdata/insteadof.txt"); n < 90 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// TestMeetingCorpus: where two features meet statements are as PostgreSQL 15 had them when
// testdata/meetings.txt was made.
func TestMeetingCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().corpus("testdata/meetings.txt"); n < 150 {
		t.Errorf("the corpus has %d statements only", n)
	}
}
