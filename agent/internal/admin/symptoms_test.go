package admin

import (
	"os"
	"regexp"
	"testing"
)

// TestRulesAreDocumented holds the table of docs/SYMPTOMS.md true: it has each
// rule, and no other.
func TestRulesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/SYMPTOMS.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllSubmatch(text, -1) {
		documented[string(row[1])] = true
	}
	for i := range rules {
		if code := rules[i].code; !documented[code] {
			t.Errorf("docs/SYMPTOMS.md does not say what %s means and what to do: add a row to its table of rules", code)
		} else {
			delete(documented, code)
		}
	}
	for code := range documented {
		t.Errorf("docs/SYMPTOMS.md has a rule %s that check does not know", code)
	}
}
