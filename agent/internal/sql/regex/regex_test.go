package regex

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestFind: what PostgreSQL 15 finds (regexp_match, with a group around the pattern).
func TestFind(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{"a|ab", "abc", `["ab"]`},
		{"Y*([0-9]{1,3})", "XY1234Z", `["Y123" "123"]`},
		{"Y*?([0-9]{1,3})", "XY1234Z", `["Y1" "1"]`},
		{"(a|ab)(c|bcd)(d*)", "abcd", `["abcd" "ab" "c" "d"]`},
		{"(a*(ab)?)b*", "aab", `["aab" "aab" "ab"]`},
		{"([^a]|[^a](.+)){1,2}", "cb", `["cb" "b" NULL]`},
		{"<(.*?)>(.*)", "<a><b>", `["<a>" "a" ""]`},
		{`(l)(x)?`, "Hello", `["l" "l" NULL]`},
		{`\mwör\w*\M`, "ein wört da", `["wört"]`},
		{`[[:alpha:]]+\Z`, "a äb", `["äb"]`},
		{"(?i)AB", "xab", `["ab"]`},
		{"***=a.b", "a.b", `["a.b"]`},
		{"a.c", "a\nc", "[\"a\\nc\"]"},
		{"x", "abc", "none"},
		{"(", "", "2201B"}, {"a)", "", "2201B"}, {"[a", "", "2201B"}, {"*a", "", "2201B"}, {"a{2,1}", "", "2201B"}, {`\q`, "", "2201B"},
		{`(a)\1`, "", "0A000"}, {"(?=a)", "", "0A000"}, {"(a*)*", "", "0A000"},
	} {
		if got := find(c.pattern, c.text); got != c.want {
			t.Errorf("%s in %q: %s, want %s", c.pattern, c.text, got, c.want)
		}
	}
}

func find(pattern, text string) string {
	re, err := Compile(pattern, "")
	var failed *datum.Error
	if errors.As(err, &failed) {
		return failed.Code
	}
	found := re.Find(text, 0)
	if found == nil {
		return "none"
	}
	out := "["
	for i := 0; i < len(found); i += 2 {
		if i > 0 {
			out += " "
		}
		if found[i] < 0 {
			out += "NULL"
			continue
		}
		out += fmt.Sprintf("%q", text[found[i]:found[i+1]])
	}
	return out + "]"
}
