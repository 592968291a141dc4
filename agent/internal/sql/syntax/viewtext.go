package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// ViewText is the query of a view as PostgreSQL shows it, near enough to be read by people.
// columns are the names that the view has for what it gives, plain says that a name of a
// table is found without its schema.
func ViewText(s *pg.SelectStmt, columns []string, plain func(schema, name string) bool) (string, error) {
	s = proto.CloneOf(s)
	_ = WalkQuery(s, func(n *pg.Node) (bool, error) {
		if r := n.GetRangeVar(); r != nil {
			Shown{Relation: plain}.relation(r)
		}
		return true, nil
	})
	var out prettyQuery
	out.query(s, columns)
	return out.b.String() + ";", out.err
}

// prettyQuery collects the lines.
type prettyQuery struct {
	b      strings.Builder
	indent string // of all lines but the first
	err    error
}

// list writes items behind lead.
func (t *prettyQuery) list(lead, between string, items []string) {
	if len(items) == 0 {
		return
	}
	t.b.WriteString(strings.ReplaceAll(lead, "\n", "\n"+t.indent))
	t.b.WriteString(strings.Join(items, strings.ReplaceAll(between, "\n", "\n"+t.indent)))
}

func (t *prettyQuery) query(s *pg.SelectStmt, columns []string) {
	if s.GetWithClause() != nil || len(s.GetValuesLists()) > 0 || len(s.GetWindowClause()) > 0 || len(s.GetDistinctClause()) > 0 {
		text, err := QueryText(s)
		if err != nil {
			t.err = err
		}
		t.b.WriteString(" " + text)
		return
	}
	if s.GetOp() != pg.SetOperation_SETOP_NONE {
		t.query(s.GetLarg(), columns)
		t.b.WriteString("\n" + map[pg.SetOperation]string{pg.SetOperation_SETOP_UNION: "UNION", pg.SetOperation_SETOP_INTERSECT: "INTERSECT", pg.SetOperation_SETOP_EXCEPT: "EXCEPT"}[s.GetOp()])
		if s.GetAll() {
			t.b.WriteString(" ALL")
		}
		t.b.WriteString("\n")
		t.query(s.GetRarg(), nil)
	} else {
		t.block(s, columns)
	}
	t.list("\n  ORDER BY ", ", ", t.each(s.GetSortClause()))
	t.list("\n LIMIT ", "", t.each(some(s.GetLimitCount())))
	t.list("\n OFFSET ", "", t.each(some(s.GetLimitOffset())))
}

func some(n *pg.Node) []*pg.Node {
	if n == nil {
		return nil
	}
	return []*pg.Node{n}
}

func (t *prettyQuery) block(s *pg.SelectStmt, columns []string) {
	var targets []string
	for i, n := range s.GetTargetList() {
		target := n.GetResTarget()
		text := t.expression(target.GetVal())
		name := target.GetName()
		if i < len(columns) {
			name = columns[i]
		}
		fields := texts(target.GetVal().GetColumnRef().GetFields())
		if name != "" && (len(fields) == 0 || fields[len(fields)-1] != name) {
			text += " AS " + QuoteIdent(name)
		}
		targets = append(targets, text)
	}
	t.list(" SELECT ", ",\n    ", targets)
	var from []string
	for _, n := range s.GetFromClause() {
		from = append(from, t.from(n))
	}
	t.list("\n   FROM ", ",\n    ", from)
	t.list("\n  WHERE ", "", t.each(some(s.GetWhereClause())))
	t.list("\n  GROUP BY ", ", ", t.each(s.GetGroupClause()))
	t.list("\n HAVING ", "", t.each(some(s.GetHavingClause())))
}

func (t *prettyQuery) each(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		if by := n.GetSortBy(); by != nil {
			text := t.expression(by.GetNode())
			if by.GetSortbyDir() == pg.SortByDir_SORTBY_DESC {
				text += " DESC"
			}
			switch by.GetSortbyNulls() {
			case pg.SortByNulls_SORTBY_NULLS_FIRST:
				text += " NULLS FIRST"
			case pg.SortByNulls_SORTBY_NULLS_LAST:
				text += " NULLS LAST"
			}
			out = append(out, text)
			continue
		}
		out = append(out, t.expression(n))
	}
	return out
}

func (t *prettyQuery) expression(n *pg.Node) string {
	text, err := deparse(n)
	if err != nil {
		t.err = err
	}
	return text
}

// joins are the words of the joins.
var joins = map[pg.JoinType]string{pg.JoinType_JOIN_LEFT: "LEFT JOIN ", pg.JoinType_JOIN_RIGHT: "RIGHT JOIN ", pg.JoinType_JOIN_FULL: "FULL JOIN "}

func (t *prettyQuery) from(n *pg.Node) string {
	j := n.GetJoinExpr()
	if j == nil || j.GetRarg().GetJoinExpr() != nil || j.GetAlias() != nil {
		return t.item(n)
	}
	word := "JOIN "
	if w, ok := joins[j.GetJointype()]; ok {
		word = w
	}
	on := ""
	switch {
	case len(j.GetUsingClause()) > 0:
		var using []string
		for _, name := range texts(j.GetUsingClause()) {
			using = append(using, QuoteIdent(name))
		}
		on = " USING (" + strings.Join(using, ", ") + ")"
	case j.GetQuals() != nil:
		on = " ON " + t.expression(j.GetQuals())
	default:
		word = "CROSS JOIN "
	}
	return t.from(j.GetLarg()) + "\n     " + t.indent + word + t.item(j.GetRarg()) + on
}

// item is a FROM item on one line.
func (t *prettyQuery) item(n *pg.Node) string {
	const lead = "SELECT FROM "
	text, err := deparseStatement(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		FromClause: []*pg.Node{n}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}})
	if err != nil {
		t.err = err
		return ""
	}
	return strings.TrimPrefix(strings.Replace(text, "SELECT  FROM", "SELECT FROM", 1), lead)
}
