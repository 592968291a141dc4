package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// A char(n) is a text without its blanks to the engine, and gets them when its column is shown.
// Where values of several lengths are one column of the result each has its own.

// showBlanks has the columns of the result that are char(n) of several lengths be texts with their
// blanks, where they can be told of each value.
func (r *rewriter) showBlanks(s *pg.SelectStmt, cols columns) {
	if s != r.top || len(s.DistinctClause) > 0 || !cols.known || len(cols.list) != len(s.TargetList) {
		return
	}
	for i, n := range s.TargetList {
		val := n.GetResTarget().GetVal()
		c := &cols.list[i]
		if c.typ != datum.Bpchar || c.modifier > 0 || c.scan != nil || r.groupedBy(s, val, c.name, i) {
			continue
		}
		shown := clone(val)
		if !r.tellsBlanks(shown) {
			continue
		}
		for _, by := range s.SortClause { // by what it is without them
			by := by.GetSortBy()
			names, _ := fieldNames(&pg.ColumnRef{Fields: by.GetNode().GetColumnRef().GetFields()})
			if at := by.GetNode().GetAConst().GetIval(); at != nil && int(at.Ival) == i+1 || len(names) == 1 && names[0] == c.name {
				by.Node = clone(val)
			}
		}
		n.GetResTarget().Val, c.blanks = shown, true
	}
}

// valuesWithBlanks is showBlanks of VALUES.
func (r *rewriter) valuesWithBlanks(s *pg.SelectStmt, cols columns) {
	if s != r.top {
		return
	}
	for k := range cols.list {
		c := &cols.list[k]
		if c.typ != datum.Bpchar || c.modifier > 0 {
			continue
		}
		c.blanks = true
		for _, row := range s.ValuesLists {
			c.blanks = r.tellsBlanks(row.GetList().GetItems()[k]) && c.blanks
		}
	}
}

func severalLengths() *Error {
	err := unsupported(0, "a char(n) of several lengths")
	err.Hint = "Cast the values to one char(n), or to text."
	return err
}

// groupedBy reports whether the query is grouped by a column of the result.
func (r *rewriter) groupedBy(s *pg.SelectStmt, val *pg.Node, name string, i int) bool {
	for _, g := range s.GroupClause {
		names, _ := fieldNames(&pg.ColumnRef{Fields: g.GetColumnRef().GetFields()})
		at := g.GetAConst().GetIval()
		if g.GetGroupingSet() != nil || at != nil && int(at.Ival) == i+1 || len(names) == 1 && names[0] == name || alike(g, val) {
			return true
		}
	}
	return false
}

// tellsBlanks has n give its value with its blanks, and reports whether it can; n may be half
// changed if it cannot.
func (r *rewriter) tellsBlanks(n *pg.Node) bool {
	if s, isText := literal(n); isText {
		return !strings.HasSuffix(s, " ")
	}
	if n == nil || n.GetAConst().GetIsnull() || n.GetTypeCast().GetArg().GetAConst().GetIsnull() {
		return true
	}
	if r.typeOf(n) != datum.Bpchar {
		return false
	}
	all := func(l []*pg.Node) bool {
		for _, n := range l {
			if !r.tellsBlanks(n) {
				return false
			}
		}
		return true
	}
	if width := r.widthOf(n); width >= 4 {
		r.afterwards(n, func(n *pg.Node) *pg.Node { return call("rpad", cast(n, "VARCHAR"), integer(int64(width-4)), text(" ")) })
		return true
	}
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef: // of no length
		c, ok := r.scope.find(x.ColumnRef)
		return ok && c.scan != nil
	case *pg.Node_TypeCast:
		s, isText := literal(x.TypeCast.Arg)
		if isText && strings.HasSuffix(s, " ") {
			r.afterwards(n, func(*pg.Node) *pg.Node { return cast(text(s), "VARCHAR") })
		}
		return true
	case *pg.Node_CaseExpr:
		return all(caseResults(x.CaseExpr))
	case *pg.Node_CoalesceExpr:
		return all(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		if len(x.MinMaxExpr.Args) > builtin.MaxArgs || !all(x.MinMaxExpr.Args) {
			return false
		}
		if r.blanks == nil {
			r.blanks = map[*pg.Node]bool{}
		}
		r.blanks[n] = true
		return true
	case *pg.Node_FuncCall:
		f := x.FuncCall
		if f.Over == nil || !givesRow(lastName(f.Funcname)) || len(f.Args) == 0 {
			return false
		}
		return r.tellsBlanks(f.Args[0]) && (len(f.Args) < 3 || r.tellsBlanks(f.Args[2]))
	}
	return false
}

// afterwards has what n becomes be changed.
func (r *rewriter) afterwards(n *pg.Node, form func(*pg.Node) *pg.Node) {
	if r.keyed == nil {
		r.keyed = map[*pg.Node]func(*pg.Node) *pg.Node{}
	}
	r.keyed[n] = form
}

// extremeBlanks is GREATEST or LEAST of texts with their blanks.
func (r *rewriter) extremeBlanks(n int) finish {
	forms := make([]func(*pg.Node) *pg.Node, n)
	for i := range forms {
		forms[i] = func(n *pg.Node) *pg.Node { return cast(n, "VARCHAR") }
	}
	return r.extreme(datum.Bpchar, "", forms)
}
