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
// is nothing else in the statement, no condition of the elements and no third item, does it take
// lists that are columns apart in the place of the join, which keeps all in order.
func keepOrder(tree *pg.SelectStmt) {
	o := &listOrder{}
	syntax.EachSelect(tree, func(s *pg.SelectStmt) {
		keepTurns(s)
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
	from := s.FromClause
	if len(from) == 1 {
		j := from[0].GetJoinExpr()
		if j == nil || j.Jointype != pg.JoinType_JOIN_INNER || j.Quals != nil || listCalls(j.Rarg) == nil {
			return false
		}
		from = []*pg.Node{j.Larg, j.Rarg}
	}
	if len(from) != 2 || from[0].GetJoinExpr() != nil {
		return false
	}
	table, item := from[0], from[1]
	calls := listCalls(item)
	if calls == nil || !allColumns(calls) && selectsStar(s) || s.WhereClause != nil && !without(s.WhereClause, item) {
		return false
	}
	s.FromClause = []*pg.Node{narrowedTable(table, s.WhereClause)}
	s.WhereClause = nil
	if lists := o.columns(calls); lists != nil {
		s.FromClause = append(s.FromClause, lists)
	}
	if rf := item.GetRangeFunction(); rf.GetOrdinality() {
		item = numberedList(calls[0].Args[0], rf.Alias, false)
	}
	s.FromClause = append(s.FromClause, item)
	return true
}

// narrowedTable is a FROM item with the rows alone of which a condition holds; nil: all.
func narrowedTable(table, where *pg.Node) *pg.Node {
	if where == nil {
		return table
	}
	star := pg.MakeColumnRefNode([]*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}, -1)
	of := &pg.SelectStmt{TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(star, -1)}, FromClause: []*pg.Node{table}, WhereClause: where,
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(of), Alias: &pg.Alias{Aliasname: aliasOf(table)}}}}
}

// without reports whether a condition names nothing of a FROM item.
func without(where, item *pg.Node) bool {
	alias := item.GetRangeFunction().GetAlias()
	if sub := item.GetRangeSubselect(); sub != nil {
		alias = sub.Alias
	}
	if len(alias.GetColnames()) == 0 {
		return false
	}
	names := map[string]bool{alias.Aliasname: true}
	for _, c := range alias.GetColnames() {
		names[c.GetString_().GetSval()] = true
	}
	out := true
	syntax.EachColumn(where, func(r *pg.ColumnRef) {
		out = out && !names[r.GetFields()[0].GetString_().GetSval()]
	})
	return out
}

func selectsStar(s *pg.SelectStmt) bool {
	return slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool {
		fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
	})
}

// listCalls are the unnest(list) that a FROM item is, beside each other, of columns of what is
// beside it; nil: it is none.
func listCalls(item *pg.Node) []*pg.FuncCall {
	var nodes []*pg.Node
	f, sub := item.GetRangeFunction(), item.GetRangeSubselect()
	switch s := sub.GetSubquery().GetSelectStmt(); {
	case f != nil && len(f.Functions) == 1:
		nodes = []*pg.Node{f.Functions[0].GetList().GetItems()[0]}
	case sub.GetLateral() && len(s.GetFromClause()) == 0 && s.GetWhereClause() == nil:
		for _, t := range s.GetTargetList() {
			nodes = append(nodes, t.GetResTarget().GetVal())
		}
	}
	var out []*pg.FuncCall
	columns := false
	for _, n := range nodes {
		if call := n.GetFuncCall(); len(nodes) == 1 && call != nil && lastName(call.Funcname) == "generate_series" && hasColumn(call) {
			n.Node = ownCall("unnest", &pg.Node{Node: n.Node}).Node
		}
		call := n.GetFuncCall()
		if call == nil || lastName(call.Funcname) != "unnest" || len(call.Args) != 1 {
			return nil
		}
		out, columns = append(out, call), columns || hasColumn(call)
	}
	if !columns {
		return nil
	}
	return out
}

// allColumns reports whether each list is a column.
func allColumns(calls []*pg.FuncCall) bool {
	return !slices.ContainsFunc(calls, func(f *pg.FuncCall) bool { return f.Args[0].GetColumnRef() == nil })
}

// columns makes the lists of calls columns of a FROM item; nil: they are.
func (o *listOrder) columns(calls []*pg.FuncCall) *pg.Node {
	if allColumns(calls) {
		return nil
	}
	o.lists++
	name := "nd_list" + strconv.Itoa(o.lists)
	var targets []*pg.Node
	for i, f := range calls {
		column := "nd_list" + strconv.Itoa(i+1)
		targets = append(targets, pg.MakeResTargetNodeWithNameAndVal(column, f.Args[0], -1))
		f.Args[0] = pg.MakeColumnRefNode([]*pg.Node{str(name), str(column)}, -1)
	}
	return lateral(&pg.Alias{Aliasname: name}, targets...)
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
	calls := listCalls(n)
	if calls == nil || !others {
		if s := n.GetRangeSubselect().GetSubquery().GetSelectStmt(); others && n.GetRangeSubselect().GetLateral() && givesRows(s) {
			s.FromClause[0] = fromBackwards(s.FromClause[0], true)
		}
		return n
	}
	f := calls[0]
	switch rf := n.GetRangeFunction(); {
	case len(calls) > 1:
		besideBackwards(calls)
	case rf == nil:
		return listFunction(f, n.GetRangeSubselect())
	case !rf.GetOrdinality():
		f.Args[0] = call("list_reverse", f.Args[0])
	case rf.GetOrdinality():
		return numberedList(f.Args[0], rf.Alias, true)
	}
	return n
}

// givesRows reports whether a query gives the rows of its FROM one by one, as they come.
func givesRows(s *pg.SelectStmt) bool {
	return s.GetOp() == pg.SetOperation_SETOP_NONE && len(s.GetFromClause()) > 0 && s.LimitCount == nil && s.LimitOffset == nil &&
		len(s.SortClause)+len(s.GroupClause)+len(s.DistinctClause) == 0 && s.HavingClause == nil && !slices.ContainsFunc(s.TargetList, ordersRows)
}

// ordersRows reports whether there is a window or an aggregate in an expression.
func ordersRows(n *pg.Node) bool {
	out := false
	syntax.EachCall(n, func(f *pg.FuncCall) {
		out = out || f.Over != nil || f.AggOrder != nil || aggregates[lastName(f.Funcname)]
	})
	return out
}

// besideBackwards has lists that stand beside each other come backwards, each as long as the
// longest of them. It is what is computed of columns, so that they are always joined.
func besideBackwards(calls []*pg.FuncCall) {
	var lengths []*pg.Node
	for _, f := range calls {
		lengths = append(lengths, call("len", clone(f.Args[0])))
	}
	for _, f := range calls {
		f.Args[0] = call("list_reverse", call("list_resize", f.Args[0], clone(call("greatest", lengths...))))
	}
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
