package rewrite

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// outerInWindows has window functions of a subquery name columns of queries around it by an item of
// FROM that brings them in: the engine would take the function for one of the query whose
// columns they are.
func (r *rewriter) outerInWindows(s *pg.SelectStmt) error {
	if r.scope.parent == nil || len(s.GroupClause) > 0 || s.HavingClause != nil {
		return nil
	}
	var refs []*pg.Node
	for _, l := range [][]*pg.Node{s.TargetList, s.SortClause, s.DistinctClause, s.WindowClause} {
		for _, n := range l {
			r.outerRefs(n.ProtoReflect(), n.GetWindowDef() != nil, &refs)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	alias := "nd_outer" + strconv.Itoa(len(r.scans)) + "_" + strconv.Itoa(r.outers)
	r.outers++
	given := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	var distinct []*pg.Node
	for _, n := range refs {
		at := -1
		for i, d := range distinct {
			if proto.Equal(placeless(d), placeless(n)) {
				at = i
			}
		}
		if at < 0 {
			at, distinct = len(distinct), append(distinct, clone(n))
			given.TargetList = append(given.TargetList, pg.MakeResTargetNodeWithNameAndVal(outerName(at), clone(n), -1))
		}
		n.Node = pg.MakeColumnRefNode([]*pg.Node{str(alias), str(outerName(at))}, -1).Node
	}
	from := &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(given), Alias: &pg.Alias{Aliasname: alias}}}}
	out, rels, err := r.from(from)
	if err != nil {
		return err
	}
	for _, rel := range rels {
		for i := range rel.columns {
			rel.columns[i].hidden = true // from stars
		}
	}
	s.FromClause = append(s.FromClause, out)
	r.scope.relations = append(r.scope.relations, rels...)
	return nil
}

// outerInSets refuses grouping sets by columns of queries around: the engine has no row for the set
// of none where there are no rows.
func (r *rewriter) outerInSets(s *pg.SelectStmt) error {
	if r.scope.parent == nil {
		return nil
	}
	var refs []*pg.Node
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			r.outerRefs(n.ProtoReflect(), true, &refs)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return unsupported(refs[0].GetColumnRef().Location, "grouping sets by a column of a query around")
}

func outerName(at int) string { return "o" + strconv.Itoa(at+1) }

// outerRefs finds the names of columns of queries around within window functions; within says that
// m is below one.
func (r *rewriter) outerRefs(m protoreflect.Message, within bool, out *[]*pg.Node) {
	if _, query := m.Interface().(*pg.SelectStmt); query {
		return
	}
	if n, ok := m.Interface().(*pg.Node); ok {
		within = within || n.GetFuncCall().GetOver() != nil
		if ref := n.GetColumnRef(); ref != nil && within {
			if _, _, own := r.scope.own(ref); !own {
				if _, found := r.scope.find(ref); found {
					*out = append(*out, n)
				}
			}
			return
		}
	}
	children(m, func(c protoreflect.Message) { r.outerRefs(c, within, out) })
}
