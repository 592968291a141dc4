package rewrite

import (
	"cmp"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// groupedConstants has constants and subqueries that stand among grouping sets be columns of an
// item of FROM: they are null in the groups of other sets, as is the one column of the result that
// they are. The same elsewhere stay what they are, as in PostgreSQL.
func (r *rewriter) groupedConstants(s *pg.SelectStmt) error {
	name := "nd_constants" + strconv.Itoa(len(r.scope.relations))
	var found []*pg.Node
	column := func(of *pg.Node) *pg.Node {
		i := slices.IndexFunc(found, func(o *pg.Node) bool { return proto.Equal(placeless(o), placeless(of)) })
		if i < 0 {
			i, found = len(found), append(found, clone(of))
		}
		return pg.MakeColumnRefNode([]*pg.Node{str(name), str("nd_constant" + strconv.Itoa(i+1))}, -1)
	}
	var wrong error
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			r.eachGrouped(n, func(n *pg.Node) {
				target, of := r.groupedTarget(s, n)
				constant := constantExpression(of)
				if !constant && !hasSubquery(of) || givesSet(of) || of == n && n.GetAConst() != nil {
					return
				}
				by := column(of)
				if constant || !r.ofRows(of) {
					wrong = cmp.Or(wrong, r.sortedConstant(s, target, of))
				}
				sameArgument(s, of, by)
				if target != nil {
					target.Name, target.Val = cmp.Or(target.Name, FigureName(target.Val)), clone(by)
				}
				n.Node = by.Node
			})
		}
	}
	if len(found) == 0 || wrong != nil {
		return wrong
	}
	sub := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for i, n := range found {
		if _, isText := literal(n); isText {
			n = castTo(n, "text")
		}
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithNameAndVal("nd_constant"+strconv.Itoa(i+1), n, -1))
	}
	return r.besideRows(s, name, sub, "a constant among grouping sets")
}

// ofRows reports whether an expression surely names a column of this very query: by an item of
// FROM that no subquery in it has, too.
func (r *rewriter) ofRows(n *pg.Node) bool {
	within, own := map[string]bool{}, false
	list := pg.MakeListNode([]*pg.Node{n}).ProtoReflect()
	visit(list, func(n *pg.Node) {
		within[cmp.Or(n.GetRangeVar().GetAlias().GetAliasname(), n.GetRangeVar().GetRelname())] = true
	})
	visit(list, func(n *pg.Node) {
		if names, _ := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()}); len(names) > 1 && !within[names[len(names)-2]] {
			_, _, found := r.scope.own(n.GetColumnRef())
			own = own || found
		}
	})
	return own
}

// eachGrouped calls fn with the expressions of a grouping set.
func (r *rewriter) eachGrouped(n *pg.Node, fn func(*pg.Node)) {
	within := n.GetGroupingSet().GetContent()
	if row := n.GetRowExpr(); row != nil && row.RowFormat == pg.CoercionForm_COERCE_IMPLICIT_CAST {
		within = row.Args
	} else if n.GetGroupingSet() == nil {
		fn(n)
	}
	for _, n := range within {
		r.eachGrouped(n, fn)
	}
}

// groupedTarget is the column of the result that an item of GROUP BY is, if it is one, and what
// the item means.
func (r *rewriter) groupedTarget(s *pg.SelectStmt, n *pg.Node) (*pg.ResTarget, *pg.Node) {
	if at := int(n.GetAConst().GetIval().GetIval()); at >= 1 && at <= len(s.TargetList) {
		t := s.TargetList[at-1].GetResTarget()
		return t, t.GetVal()
	}
	names, _ := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
	for _, target := range s.TargetList {
		t := target.GetResTarget()
		switch {
		case len(names) == 1 && !r.scope.has(names[0]) && cmp.Or(t.GetName(), FigureName(t.GetVal())) == names[0]:
			return t, t.GetVal()
		case n.GetColumnRef() == nil && proto.Equal(placeless(t.GetVal()), placeless(n)):
			return t, n
		}
	}
	return nil, n
}

// sortedConstant refuses to order by a constant among grouping sets, and DISTINCT, EXCEPT and
// INTERSECT beside one: PostgreSQL takes all its rows for equal, though it is null in some.
func (r *rewriter) sortedConstant(s *pg.SelectStmt, target *pg.ResTarget, of *pg.Node) error {
	sorted := len(s.DistinctClause) > 0 || r.subtracted[s]
	for _, n := range s.SortClause {
		t, by := r.groupedTarget(s, n.GetSortBy().GetNode())
		sorted = sorted || t != nil && t == target || proto.Equal(placeless(by), placeless(of))
	}
	if !sorted {
		return nil
	}
	err := unsupported(0, "ORDER BY, DISTINCT, EXCEPT or INTERSECT of a constant among grouping sets")
	err.Hint = "Leave it out, or order in a query around this one."
	return err
}

// sameArgument has GROUPING name the column that a constant has become.
func sameArgument(s *pg.SelectStmt, of, by *pg.Node) {
	for _, l := range [][]*pg.Node{s.TargetList, s.SortClause, {s.HavingClause}} {
		visit(pg.MakeListNode(l).ProtoReflect(), func(n *pg.Node) {
			for i, a := range n.GetGroupingFunc().GetArgs() {
				if proto.Equal(placeless(a), placeless(of)) {
					n.GetGroupingFunc().Args[i] = clone(by)
				}
			}
		})
	}
}

// besideRows puts a query beside the rows of another one, whose columns are in its scope then.
func (r *rewriter) besideRows(s *pg.SelectStmt, name string, sub *pg.SelectStmt, what string) error {
	for _, n := range s.TargetList {
		if ref := n.GetResTarget().GetVal().GetColumnRef(); ref != nil {
			if _, star := fieldNames(ref); star {
				return unsupported(ref.Location, "* beside %s", what)
			}
		}
	}
	item := &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub), Alias: &pg.Alias{Aliasname: name}}}}
	item, rels, err := r.from(item)
	if err != nil {
		return err
	}
	s.FromClause = append(s.FromClause, item)
	r.scope.relations = append(r.scope.relations, rels...)
	return nil
}
