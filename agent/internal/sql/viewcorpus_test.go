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
	text, err := os.ReadFile("testdata/views.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := newFixture(t, startDuck(t)).open()
	statements := 0
	var statement string
	var want []string
	check := func() {
		if statement == "" {
			return
		}
		statements++
		got := strings.Split(c.run(statement), "\n")
		if strings.HasPrefix(statement, "select") && strings.HasPrefix(got[len(got)-1], "SELECT ") {
			got = got[:len(got)-1]
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got: %s\nwant: %s", statement, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
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
			statement, want = line, nil
		}
	}
	check()
	if statements < 80 {
		t.Errorf("the corpus has %d statements only", statements)
	}
}
