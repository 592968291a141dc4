package syntax

import (
	"regexp"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// places are what differs between trees of equal statements.
var places = regexp.MustCompile(`"(location|stmt_len|stmt_location|list_start|list_end|rexpr_list_start|rexpr_list_end)":-?\d+,?`)

func treeOf(sql string) (string, error) {
	tree, err := pg.ParseToJSON(sql)
	return strings.ReplaceAll(places.ReplaceAllString(tree, ""), ",}", "}"), err
}

// TestDeparseKeepsParentheses puts each expression in each place of others, and reads the text of
// that again.
func TestDeparseKeepsParentheses(t *testing.T) {
	inner := []string{"a = b", "a < b", "a + b", "a || b", "a is null", "a is true", "a is distinct from b", "a in (1,2)", "a between 1 and 2", "a like b", "a ilike b",
		"a similar to b", "a and b", "a or b", "not a", "a = any(b)", "a = any(array[1])", "exists (select 1)", "a in (select 1)", "case when a then b end", "a::int", "-a",
		"a at time zone b", `a collate "C"`, "a[1]", "(a).b", "f(a)", "(select 1)", "a not in (1)", "a not between 1 and 2", "array[a]", "row(a,b)", "interval '1'",
		"a operator(pg_catalog.+) b", "a <-> b", "-1", "@ a", "a ~ b", "nullif(a,b)", "(a,b) = (1,2)", "position(a in b)", "$1", "a not like b", "a <> all (select 1)"}
	outer := []string{"X = c", "c = X", "X < c", "X + c", "c - X", "c * X", "X || c", "c || X", "X is null", "X is not null", "X is true", "X is not false", "X is unknown",
		"X is distinct from c", "c is distinct from X", "X in (1,2)", "c in (X, 2)", "X between 1 and 2", "c between X and 2", "c between 1 and X", "X not in (1)",
		"X not between 1 and 2", "X between symmetric 1 and 2", "X like c", "c like X", "X ilike c", "c ilike X", "X similar to c", "X not like c", "X like c escape 'x'",
		"X and c", "c or X", "not X", "X = any(c)", "c = any(X)", "X in (select 1)", "X = any(select 1)", "X::int", "-X", "@ X", "X at time zone c", "c at time zone X",
		`X collate "C"`, "(X)[1]", "(X).f", "f(X)", "f(variadic X)", "case X when 1 then 2 end", "case when X then X else X end", "coalesce(X, c)", "array[X]", "row(X)",
		"X operator(pg_catalog.=) c", "X <-> c", "c <-> X", "X ~ c", "(select X)", "count(*) filter (where X)", "sum(c) over (partition by X order by X)", "nullif(X, c)",
		"c[X]", "c[X:X]", "extract(year from X)", "substring(X from 1)", "position(X in c)", "trim(X from c)", "(X, c) = (1, 2)"}
	for _, o := range outer {
		for _, i := range inner {
			sql := "select " + strings.ReplaceAll(o, "X", "("+i+")")
			want, err := treeOf(sql)
			if err != nil {
				continue // there is no such statement
			}
			tree, err := pg.Parse(sql)
			if err != nil {
				t.Fatal(err)
			}
			text, err := Deparse(tree)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if got, err := treeOf(text); err != nil || got != want {
				t.Errorf("%s came out as %s", sql, text)
			}
			if again, err := Deparse(tree); err != nil || again != text {
				t.Errorf("%s: the tree was changed", sql)
			}
		}
	}
}
