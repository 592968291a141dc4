package rewrite

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Names of what a subquery gives that a row is compared with.
const (
	rowsName   = "nd_rows"
	rowsColumn = "nd_row_"
)

// filters notes the subqueries whose answer may be false where it is unknown: those of
// conditions that keep rows, behind nothing but AND and OR.
func (x *rowExpander) filters(n *pg.Node) {
	switch {
	case n.GetBoolExpr() != nil && n.GetBoolExpr().Boolop != pg.BoolExprType_NOT_EXPR:
		for _, a := range n.GetBoolExpr().Args {
			x.filters(a)
		}
	case n.GetSubLink() != nil:
		x.filter[n.GetSubLink()] = true
	}
}

// noteFilters notes the conditions that m has itself.
func (x *rowExpander) noteFilters(m protoreflect.Message) {
	switch y := m.Interface().(type) {
	case *pg.SelectStmt:
		x.filters(y.WhereClause)
		x.filters(y.HavingClause)
	case *pg.JoinExpr:
		x.filters(y.Quals)
	}
	children(m, x.noteFilters)
}

// one makes (a, b) = (SELECT x, y ...) a subquery of that comparison; false: x, y have aggregates
// of the query around, which they would not be within.
func (x *rowExpander) one(n *pg.Node, op string, left []*pg.Node, l *pg.SubLink) bool {
	from, right := rowsFrom(l, len(left))
	if from == nil || addsUp(left) {
		return false
	}
	c := x.compare(op, left, right)
	if c == nil {
		return false
	}
	n.Node = rowsQuery(c, from).Node
	return true
}

// any makes (a, b) op ANY (SELECT x, y ...), or ALL, a subquery that tells unknown from false: the
// engine takes rows for structs, which are equal or not as a whole.
func (x *rowExpander) any(n *pg.Node, l *pg.SubLink) {
	left, op := l.Testexpr.GetRowExpr().GetArgs(), lastName(l.OperName)
	if op == "" {
		op = "="
	}
	if len(left) < 2 || hasStar(l.Testexpr) || l.SubLinkType == pg.SubLinkType_ANY_SUBLINK && op == "=" && x.filter[l] || addsUp(left) {
		return
	}
	from, right := rowsFrom(l, len(left))
	if from == nil {
		return
	}
	c := x.compare(op, left, right)
	if c == nil {
		return
	}
	decides, answer := clone(c), boolean(true)
	if l.SubLinkType == pg.SubLinkType_ALL_SUBLINK {
		decides, answer = not(decides), boolean(false)
	}
	counted := func(f *pg.FuncCall) *pg.Node { return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}} }
	rows := counted(&pg.FuncCall{Funcname: []*pg.Node{str("count")}, AggStar: true, Location: -1})
	known := counted(&pg.FuncCall{Funcname: []*pg.Node{str("count")}, Args: []*pg.Node{c}, Location: -1})
	when := func(condition, result *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: condition, Result: result, Location: -1}}}
	}
	n.Node = rowsQuery(&pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Location: -1, Defresult: not(clone(answer)), Args: []*pg.Node{
		when(ownCall("bool_or", decides), answer),
		when(comparison(">", rows, known), castTo(null(), "bool")),
	}}}}, from).Node
}

// rowsFrom is FROM of a subquery of so many columns, and these; nil: it has others.
func rowsFrom(l *pg.SubLink, columns int) (from *pg.Node, refs []*pg.Node) {
	s := l.GetSubselect().GetSelectStmt()
	if s == nil {
		return nil, nil
	}
	alias := &pg.Alias{Aliasname: rowsName}
	for i := range columns {
		name := str(rowsColumn + strconv.Itoa(i+1))
		alias.Colnames = append(alias.Colnames, name)
		refs = append(refs, pg.MakeColumnRefNode([]*pg.Node{str(rowsName), clone(name)}, -1))
	}
	if n, ok := width(s); !ok || n != columns {
		return nil, nil
	}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: l.Subselect, Alias: alias}}}, refs
}

// width is how many columns a query gives, if that is written.
func width(s *pg.SelectStmt) (int, bool) {
	for s.Op != pg.SetOperation_SETOP_NONE {
		s = s.Larg
	}
	if len(s.ValuesLists) > 0 {
		return len(s.ValuesLists[0].GetList().GetItems()), true
	}
	for _, t := range s.TargetList {
		if _, star := fieldNames(&pg.ColumnRef{Fields: t.GetResTarget().GetVal().GetColumnRef().GetFields()}); star {
			return 0, false
		}
	}
	return len(s.TargetList), true
}

// rowsQuery is the subquery of one value.
func rowsQuery(v, from *pg.Node) *pg.Node {
	s := &pg.SelectStmt{TargetList: []*pg.Node{pg.MakeResTargetNodeWithNameAndVal("?column?", v, -1)}, FromClause: []*pg.Node{from},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	return &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Subselect: selectNode(s), Location: -1}}}
}

// addsUp reports whether some of what is compared has an aggregate or a function over a window.
func addsUp(l []*pg.Node) bool {
	adds, _ := inCalls(l)
	return adds
}

// inCalls reports whether expressions call aggregates, or functions over a window, and whether
// they call functions of several rows.
func inCalls(l []*pg.Node) (adds, sets bool) {
	visit(pg.MakeListNode(l).ProtoReflect(), func(n *pg.Node) {
		if f := n.GetFuncCall(); f != nil {
			name := lastName(f.Funcname)
			adds = adds || f.Over != nil || f.AggWithinGroup || aggregates[name]
			sets = sets || setReturning[name] != nil || setsOf[name] != ""
		}
	})
	return adds, sets
}
