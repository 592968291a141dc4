package rewrite

import (
	"strings"
	"testing"
)

// TestNestedSubqueriesAreTriedSeldom ends: what subqueries give is found out beforehand for so
// many of a statement and no more.
func TestNestedSubqueriesAreTriedSeldom(t *testing.T) {
	const levels = 100
	sql := "SELECT " + strings.Repeat("(SELECT max(a) + ", levels) + "1" + strings.Repeat(" FROM t)", levels)
	if _, _, err := rewriteText(sql); err != nil {
		t.Error(err)
	}
}
