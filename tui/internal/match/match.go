// Package match is the filter language of the dashboard's tables: words that
// must all hold.
//
//	n3            text of the row
//	state:dead    a field that begins so, any case
//	leader:n5     a name, whole
//	writes>500    a figure; also < and =
//	-state:ready  not
package match

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Fields is what can be asked of a row.
type Fields[T any] struct {
	Text    func([]byte, T) []byte          // appends what words without a field are looked for in
	Words   map[string]func(T) string       // begin so
	Whole   map[string]func(T, string) bool // is, or has, this name
	Numbers map[string]func(T) float64
}

// Hints lists the fields as one would type them.
func (f *Fields[T]) Hints() []string {
	out := make([]string, 0, len(f.Words)+len(f.Whole)+len(f.Numbers))
	for k := range maps.Keys(f.Words) {
		out = append(out, k+":")
	}
	for k := range maps.Keys(f.Whole) {
		out = append(out, k+":")
	}
	for k := range maps.Keys(f.Numbers) {
		out = append(out, k+">")
	}
	slices.Sort(out)
	return out
}

// Parse makes a test of a query; nil for an empty one. A figure that is still
// being typed does not count yet.
func (f *Fields[T]) Parse(query string) (func(T) bool, error) {
	var tests []func(T) bool
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		not := len(word) > 1 && word[0] == '-'
		if not {
			word = word[1:]
		}
		test, err := f.term(word)
		if err != nil {
			return nil, err
		}
		switch {
		case test == nil:
		case not:
			tests = append(tests, func(row T) bool { return !test(row) })
		default:
			tests = append(tests, test)
		}
	}
	if len(tests) == 0 {
		return nil, nil //nolint:nilnil // no test is how "everything" is said
	}
	return func(row T) bool {
		for _, test := range tests {
			if !test(row) {
				return false
			}
		}
		return true
	}, nil
}

func (f *Fields[T]) term(word string) (func(T) bool, error) {
	i := strings.IndexAny(word, ":<>=")
	if i <= 0 {
		var text []byte // kept for the next row: a filter is asked of 100,000 at a key
		return func(row T) bool {
			text = f.Text(text[:0], row)
			return contains(text, word)
		}, nil
	}
	field, op, value := word[:i], word[i], word[i+1:]
	if number, ok := f.Numbers[field]; ok && op != ':' {
		return numberTerm(number, op, value)
	}
	if text, ok := f.Words[field]; ok && (op == ':' || op == '=') {
		return func(row T) bool { return begins(text(row), value) }, nil
	}
	if has, ok := f.Whole[field]; ok && (op == ':' || op == '=') {
		if value == "" {
			return nil, nil //nolint:nilnil // still being typed
		}
		return func(row T) bool { return has(row, value) }, nil
	}
	return nil, fmt.Errorf("no field %s", word[:i+1])
}

func numberTerm[T any](number func(T) float64, op byte, value string) (func(T) bool, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // still being typed
	}
	limit, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", value)
	}
	switch op {
	case '>':
		return func(row T) bool { return number(row) > limit }, nil
	case '<':
		return func(row T) bool { return number(row) < limit }, nil
	}
	return func(row T) bool { return number(row) == limit }, nil
}

func begins(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// contains looks for a lower case word in any case of s, without a copy of s.
func contains(s []byte, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if (s[i]|0x20) == (word[0]|0x20) && strings.EqualFold(string(s[i:i+len(word)]), word) {
			return true
		}
	}
	return word == ""
}
