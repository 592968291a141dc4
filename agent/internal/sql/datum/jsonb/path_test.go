package jsonb

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

var quoted = regexp.MustCompile(`'((?:[^']|'')*)'`)

// TestPathCorpus holds paths against what PostgreSQL 15 gave when testdata/jsonpath.txt
// was made: each line is a call, or an operator between two literals.
func TestPathCorpus(t *testing.T) {
	text, err := os.ReadFile("testdata/jsonpath.txt")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	lines := strings.Split(string(text), "\n")
	for i := 0; i+1 < len(lines); i++ {
		call := lines[i]
		if call == "" || call[0] == '#' {
			continue
		}
		i++
		want := strings.TrimPrefix(lines[i], "    ")
		calls++
		if got := runCall(t, call); got != want {
			t.Errorf("%s\n got: %s\nwant: %s", call, got, want)
		}
	}
	if calls < 500 {
		t.Errorf("the corpus has %d calls only", calls)
	}
}

// runCall calls the function of a line of the corpus.
func runCall(t *testing.T, call string) string {
	name, _, _ := strings.Cut(call, "(")
	if call[0] == '\'' {
		name = "jsonb_path_match_opr"
		if strings.Contains(call, "'::jsonb @?") {
			name = "jsonb_path_exists_opr"
		}
	}
	f := Named(name)[0]
	var args []datum.Datum
	for i, m := range quoted.FindAllStringSubmatch(call, -1) {
		s := strings.ReplaceAll(m[1], "''", "'")
		d, err := datum.ParseText(f.Args[i], s, nil)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, d)
	}
	if strings.HasSuffix(call, ", true)") {
		args = append(args, datum.MakeBool(true))
	}
	v, err := f.Eval(args)
	var e *datum.Error
	switch {
	case errors.As(err, &e):
		return "ERROR " + e.Code + " " + e.Message
	case err != nil:
		return err.Error()
	case v.Null:
		return "NULL"
	}
	return v.Text()
}

// FuzzPath reads and runs what may be no path: it may fail, and nothing else.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"$", "strict $.a[*] ? (@.b > 1).c", "$.**{1 to last} + 1", `$ like_regex "a" flag "q"`, "(1"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if p, err := ParsePath(text); err == nil {
			_, _ = p.Query(`{"a": [1, {"b": "x"}, null]}`, "{}", false)
		}
	})
}
