package datum

import (
	"bytes"
	"slices"
	"testing"
)

// jsonOrder are values in the order of PostgreSQL 15, as it sorted them.
var jsonOrder = []string{
	`[]`, `null`, `""`, `"a"`, `"a\u0001"`, `"aa"`, `"b"`, `-10.5`, `-1`, `0`, `0.5`, `2`, `10`, `1000000000000000000000`, `false`, `true`,
	`[null]`, `["z"]`, `[1]`, `[[]]`, `[1, 2]`, `[1, 3]`, `{}`, `{"a": 1}`, `{"a": 2}`, `{"b": 1}`, `{"aa": 1}`, `{"a": 1, "b": 2}`,
}

func TestJSONBOrder(t *testing.T) {
	for i, x := range jsonOrder {
		for j, y := range jsonOrder {
			a, err := ParseText(JSONB, x, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := ParseText(JSONB, y, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := min(max(i-j, -1), 1)
			if x == `{"b": 1}` && y == `{"aa": 1}` || x == `{"aa": 1}` && y == `{"b": 1}` {
				want = -want // keys are compared by their characters, though kept by their length
			}
			if got := min(max(Compare(a, b), -1), 1); got != want {
				t.Errorf("%s against %s: %d, want %d", x, y, got, want)
			}
			ka, _ := AppendKey(nil, a)
			kb, _ := AppendKey(nil, b)
			if got := bytes.Compare(ka, kb); got != want {
				t.Errorf("keys of %s against %s: %d, want %d", x, y, got, want)
			}
			back, rest, err := DecodeKey(JSONB, append(slices.Clone(ka), 7))
			if err != nil || back.S != a.S || len(rest) != 1 {
				t.Errorf("the key of %s came back as %v, %v", x, back, err)
			}
		}
	}
}
