package frame

import (
	"strings"
	"testing"
)

// TestSpelling has names that differ in case alone differ to who does not look at case.
func TestSpelling(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "A", "map", "Map", "map^", "^map", "userId", "userid", "^a", "^^a", "a^", "A^", "^", "^^", "", "a^B", "a^b", "ÄÖ"} {
		spelled := Spelled(name)
		if got := Unspelled(spelled); got != name {
			t.Errorf("%q is spelled %q, which is %q", name, spelled, got)
		}
		if other, ok := seen[strings.ToLower(spelled)]; ok {
			t.Errorf("%q and %q are both spelled %q", name, other, spelled)
		}
		seen[strings.ToLower(spelled)] = name
	}
}
