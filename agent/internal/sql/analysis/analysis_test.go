package analysis_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/analysis"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// check looks at a statement over t (id int primary key, a int, b text, j jsonb).
func check(t *testing.T, sql string) string {
	t.Helper()
	s, err := syntax.Parse(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	table := &analysis.Relation{Key: []int{0}, Columns: []analysis.Column{{Name: "id", Type: datum.Int4}, {Name: "a", Type: datum.Int4}, {Name: "b", Type: datum.Text}, {Name: "j", Type: datum.JSONB}}}
	err = analysis.Check(s.Node.(*syntax.Query), analysis.Input{ //nolint:forcetypeassert // they all are
		Resolve: func(_, name string) (*analysis.Relation, bool) { return table, name == "t" || name == "u" },
		Type:    func(syntax.TypeName) (datum.Type, bool) { return 0, false },
		Made:    func(name string) bool { return name == "made" },
	})
	if err == nil {
		return ""
	}
	var wrong *syntax.Error
	if !errors.As(err, &wrong) {
		t.Fatalf("%s: %v", sql, err)
	}
	return wrong.Code + " " + wrong.Message
}

// TestOrder: of several faults the one that PostgreSQL says.
func TestOrder(t *testing.T) {
	for sql, want := range map[string]string{
		"select x.a, 1/0 from t order by 7":                                                 `42P01 missing FROM-clause entry for table "x"`,
		"select c from t where d order by 7":                                                `42703 column "c" does not exist`,
		"select 'x'::int from t where d":                                                    `22P02 invalid input syntax for type integer: "x"`,
		"select 'x'::text::int from t where d":                                              `42703 column "d" does not exist`,
		"select a from t group by 9 order by 8":                                             `42P10 ORDER BY position 8 is not in select list`,
		"select 1 from t group by false":                                                    `42601 non-integer constant in GROUP BY`,
		"select a, sum(id) from t":                                                          `42803 column "t.a" must appear in the GROUP BY clause or be used in an aggregate function`,
		"select (select t.a from u limit 1) from t group by b":                              `42803 subquery uses ungrouped column "t.a" from outer query`,
		"select 1 from t where sum(a) > 1 order by 3":                                       `42803 aggregate functions are not allowed in WHERE`,
		"select sum((select sum(t.a) from u)) from t":                                       `42803 aggregate function calls cannot be nested`,
		"select 1 union select 'a', 2":                                                      `42601 each UNION query must have the same number of columns`,
		"select 1 from t except select now() from u order by 9":                             `42804 EXCEPT types integer and timestamp with time zone cannot be matched`,
		"select string_agg(distinct b, '-' order by 'x'::text) from t":                      `42P10 in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list`,
		"select array_agg('x')":                                                             `42725 function array_agg(unknown) is not unique`,
		"select array[1] <> all(array[array[1]])":                                           `42883 operator does not exist: integer[] <> integer`,
		"select (1, 2)::int":                                                                `42846 cannot cast type record to integer`,
		"select * from t, u join t x on t.a = x.a":                                          `42P01 invalid reference to FROM-clause entry for table "t"`,
		"select t.a from t x":                                                               `42P01 invalid reference to FROM-clause entry for table "t"`,
		"insert into t values (1) on conflict (id) do update set a = a + 1":                 `42702 column reference "a" is ambiguous`,
		"with recursive r(x) as (select 1 union all select x + 1.5 from r) select x from r": `42804 recursive query "r" column 1 has type integer in non-recursive term but type numeric overall`,
		"insert into t (id, a) values (1, b)":                                               `42703 column "b" does not exist`,
		"insert into t (id) values (1, 2)":                                                  `42601 INSERT has more expressions than target columns`,
		"update t set a = b":                                                                `42804 column "a" is of type integer but expression is of type text`,
		"delete from t where id":                                                            `42804 argument of WHERE must be type boolean, not type integer`,
	} {
		if got := check(t, sql); got != want {
			t.Errorf("%s\n got: %s\nwant: %s", sql, got, want)
		}
	}
}

// TestNothingIsWrong: what PostgreSQL takes.
func TestNothingIsWrong(t *testing.T) {
	for _, sql := range []string{
		"select a, b, j->'x', made(a, 1) + 'x' from t where id in (1, 2) or a is null",
		"select t.id, t.a, sum(u.a) from t join u using (id) group by t.id",
		"select a + 1 as x, count(*) from t group by a + 1 having count(*) > 1 order by x, count(*)",
		"select sum(a) over (partition by b order by id rows 2 preceding), rank() over w from t window w as (order by b)",
		"with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select n, n::text || 'x' from r",
		"select percentile_cont(0.5) within group (order by a), mode() within group (order by b) from t",
		"select x.*, ordinality from t, lateral (select t.a as c) x, unnest(array[1,2]) with ordinality",
		"select id from t where (a, b) = (select 1, 'x')",
		"select 'a' union select b from t order by 1 limit '3'",
		"insert into t values (1, '2', 3, '{}'), (default, null, 'x', '[]') on conflict (id) do update set a = excluded.a returning *",
		"update t set (a, b) = (1, 'x') from u where t.id = u.id",
		"select int4range(1, 5) @> 3, int4range(1, 5) && int4range(2, 3)",
		"select coalesce(a, '1'), case b when 'x' then 1 else 2.5 end, greatest(1, 2.5), nullif(b, 'x'), (array[1,2])[1] from t",
	} {
		if got := check(t, sql); got != "" {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// TestNestedSubqueries ends: each level of subqueries is looked at once, not twice for each
// that is around it.
func TestNestedSubqueries(t *testing.T) {
	const levels = 100
	sql := "select " + strings.Repeat("(select max(a) + ", levels) + "1" + strings.Repeat(" from t)", levels)
	if got := check(t, sql); got != "" {
		t.Error(got)
	}
}
