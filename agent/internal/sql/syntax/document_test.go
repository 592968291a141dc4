package syntax

import (
	"errors"
	"testing"
)

// What is no document is a syntax error where it stops being one.
func TestDocumentErrors(t *testing.T) {
	for text, position := range map[string]int{
		"insert into c {": 16, "insert into c {a}": 17, "insert into c {a:}": 18, "insert into c {a: 1": 20, "insert into c {a: 1,, b: 2}": 21,
		"insert into c {a: 1}, 5": 23, "insert into c {a: [1, 2}": 24, "insert into c {5: 1}": 16, "insert into c {a: 1} nope": 22,
		"insert into c {} returning )": 28, "select {a: 1 + }": 16, "update c set a = {b: 'x'": 25, "select }": 8,
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || e.Code != codeSyntax || e.Position != position {
			t.Errorf("%s: %+v, want a syntax error at %d", text, err, position)
		}
	}
	for _, text := range []string{
		`insert into c {}`, `insert into c {"a\"b;": "x\"; y", 'it''s': null}, {n: -1.5e3, t: true}`, "insert into c as d {a: $1} on conflict do nothing returning a",
		"select * from c where doc @> {a: {b: [1, {c: lower('X')}]}}", "update c set a = {b: {}} where b = {}", "insert into c (doc) values ({a: 1}), ({})",
		"explain insert into c {a: 1}", "select '{1,2}'::int[], \"{\", E'\\'{'",
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got := Split(`insert into c {a: ";", "b\";": 1}; select 1`); len(got) != 2 {
		t.Errorf("split into %q", got)
	}
}
