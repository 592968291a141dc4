package rewrite

import (
	"cmp"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// keepOrder has the rows that functions beside a table give come in their order for each
// row of the table, FROM t, unnest(t.list), which nobody has to keep, though PostgreSQL does,
// and array_agg and the like show it. DuckDB joins the table to the elements by a table of
// hashes, which has the last one first: it is given the elements backwards. Only where there
// is nothing else in the statement, no condition and no third item, does it take a list that
// is a column apart in the place of the join, which keeps all in order.
func keepOrder(tree *pg.SelectStmt) {
	o := &listOrder{}
	syntax.EachSelect(tree, func(s *pg.SelectStmt) {
		if s == tree && o.alone(s) { // into others go conditions of those around them
			return
		}
		for i, item := range s.FromClause {
			s.FromClause[i] = fromBackwards(item, i > 0)
		}
	})
}

// listOrder numbers the lists that become columns.
type listOrder struct{ lists int }

// alone takes a query of a table and a list, and nothing else; false: it is none.
func (o *listOrder) alone(s *pg.SelectStmt) bool {
	if s.WhereClause != nil {
		return false
	}
	if len(s.FromClause) == 1 {
		j := s.FromClause[0].GetJoinExpr()
		if j == nil || j.Jointype != pg.JoinType_JOIN_INNER || j.Quals != nil || j.Larg.GetJoinExpr() != nil || listCall(j.Rarg) == nil {
			return false
		}
		s.FromClause = []*pg.Node{j.Larg, j.Rarg}
	}
	if len(s.FromClause) != 2 || s.FromClause[0].GetJoinExpr() != nil {
		return false
	}
	table, item := s.FromClause[0], s.FromClause[1]
	f := listCall(item)
	if f == nil || f.Args[0].GetColumnRef() == nil && selectsStar(s) {
		return false
	}
	s.FromClause = []*pg.Node{table}
	if list := o.column(f); list != nil {
		s.FromClause = append(s.FromClause, list)
	}
	if rf := item.GetRangeFunction(); rf.GetOrdinality() {
		item = numberedList(f.Args[0], rf.Alias, false)
	}
	s.FromClause = append(s.FromClause, item)
	return true
}

func selectsStar(s *pg.SelectStmt) bool {
	return slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool {
		fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
	})
}

// listCall is the unnest(list) that a FROM item is, of columns beside it; nil: it is none.
func listCall(item *pg.Node) *pg.FuncCall {
	var n *pg.Node
	f, sub := item.GetRangeFunction(), item.GetRangeSubselect()
	switch s := sub.GetSubquery().GetSelectStmt(); {
	case f != nil && len(f.Functions) == 1:
		n = f.Functions[0].GetList().GetItems()[0]
	case sub.GetLateral() && len(s.GetFromClause()) == 0 && len(s.GetTargetList()) == 1:
		n = s.TargetList[0].GetResTarget().GetVal()
	}
	if call := n.GetFuncCall(); call != nil && lastName(call.Funcname) == "generate_series" && hasColumn(call) {
		n.Node = ownCall("unnest", &pg.Node{Node: n.Node}).Node
	}
	call := n.GetFuncCall()
	if call == nil || lastName(call.Funcname) != "unnest" || len(call.Args) != 1 || !hasColumn(call) {
		return nil
	}
	return call
}

// column makes the list of a call a column of a FROM item; nil: it is one.
func (o *listOrder) column(f *pg.FuncCall) *pg.Node {
	if f.Args[0].GetColumnRef() != nil {
		return nil
	}
	o.lists++
	name := "nd_list" + strconv.Itoa(o.lists)
	out := lateral(&pg.Alias{Aliasname: name}, pg.MakeResTargetNodeWithNameAndVal("nd_list", f.Args[0], -1))
	f.Args[0] = pg.MakeColumnRefNode([]*pg.Node{str(name), str("nd_list")}, -1)
	return out
}

func lateral(alias *pg.Alias, targets ...*pg.Node) *pg.Node {
	sub := &pg.SelectStmt{TargetList: targets, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub), Alias: alias}}}
}

// numberedList is unnest(list) WITH ORDINALITY of a column.
func numberedList(list *pg.Node, alias *pg.Alias, backwards bool) *pg.Node {
	numbers := call("generate_subscripts", clone(list), integer(1))
	if backwards {
		numbers = ownCall("unnest", call("generate_series", call("len", clone(list)), integer(1), integer(-1)))
		list = call("list_reverse", list)
	}
	return lateral(alias, pg.MakeResTargetNodeWithVal(ownCall("unnest", list), -1), pg.MakeResTargetNodeWithVal(numbers, -1))
}

// fromBackwards has the lists in a FROM item come backwards, if others are before it.
func fromBackwards(n *pg.Node, others bool) *pg.Node {
	if x := n.GetJoinExpr(); x != nil {
		x.Larg = fromBackwards(x.Larg, others)
		x.Rarg = fromBackwards(x.Rarg, true)
		return n
	}
	f := listCall(n)
	switch rf := n.GetRangeFunction(); {
	case f == nil || !others:
	case rf == nil:
		return listFunction(f, n.GetRangeSubselect())
	case !rf.GetOrdinality():
		f.Args[0] = call("list_reverse", f.Args[0])
	case f.Args[0].GetColumnRef() != nil:
		return numberedList(f.Args[0], rf.Alias, true)
	}
	return n
}

// listFunction is (SELECT unnest(list)) as a function in FROM, which is always joined, with the
// list backwards.
func listFunction(f *pg.FuncCall, sub *pg.RangeSubselect) *pg.Node {
	alias := sub.Alias
	if len(alias.GetColnames()) == 0 {
		name := cmp.Or(sub.Subquery.GetSelectStmt().TargetList[0].GetResTarget().GetName(), "unnest")
		alias = &pg.Alias{Aliasname: alias.GetAliasname(), Colnames: []*pg.Node{str(name)}}
	}
	out := rangeFunction(ownCall("unnest", call("list_reverse", f.Args[0])), alias)
	out.GetRangeFunction().Lateral = true
	return out
}
