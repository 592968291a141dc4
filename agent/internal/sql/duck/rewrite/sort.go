package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// beforeSort has values be ordered as PostgreSQL's where the engine's order is another.
func (r *rewriter) beforeSort(s *pg.SortBy) (finish, error) {
	if r.given[s] {
		return nil, nil
	}
	if after := r.sortsWritten(s); after != nil {
		return after, nil
	}
	t := r.typeOf(s.Node)
	switch {
	case t.Elem() == datum.JSON:
		return nil, errorf("42883", s.Location, "could not identify an ordering operator for type %s", t.SQLName())
	case len(s.UseOp) > 0 || r.scope.distinct:
	case t == datum.JSONB:
		return func(n *pg.Node) (*pg.Node, error) {
			n.GetSortBy().Node = ordered(n.GetSortBy().Node)
			return n, nil
		}, nil
	case t == datum.Interval:
		return func(n *pg.Node) (*pg.Node, error) {
			n.GetSortBy().Node = call("nd_span", n.GetSortBy().Node)
			return n, nil
		}, nil
	}
	return nil, nil
}

// sortsDocuments has ORDER BY say which jsonb it means by the number or the name of a column of
// the result: the engine has texts there, and orders them as such.
func (r *rewriter) sortsDocuments(s *pg.SelectStmt, out columns) error {
	for _, n := range s.SortClause {
		by := n.GetSortBy()
		i := int(by.GetNode().GetAConst().GetIval().GetIval()) - 1
		if ref := by.GetNode().GetColumnRef(); ref != nil {
			names, _ := fieldNames(ref)
			i = slices.IndexFunc(out.list, func(c column) bool { return len(names) == 1 && c.name == names[0] })
		}
		r.sortsFloats(s, by, i, out)
		if i < 0 || i >= len(out.list) || out.list[i].typ.Elem() != datum.JSONB && out.list[i].typ.Elem() != datum.JSON {
			continue
		}
		if out.list[i].typ.Elem() == datum.JSON {
			return errorf("42883", by.GetLocation(), "could not identify an ordering operator for type %s", out.list[i].typ.SQLName())
		}
		if out.list[i].typ.IsArray() {
			continue
		}
		if s.Op != pg.SetOperation_SETOP_NONE || len(s.DistinctClause) > 0 || i >= len(s.TargetList) || len(s.TargetList) != len(out.list) {
			err := unsupported(by.GetLocation(), "ORDER BY of a jsonb behind DISTINCT, UNION and the like")
			err.Hint = "Order in a query around it, by the name of its column."
			return err
		}
		by.Node = clone(s.TargetList[i].GetResTarget().GetVal())
	}
	return nil
}

// sortedValues makes VALUES with an ORDER BY a query of its rows, which can be ordered by what is
// none of its columns.
func sortedValues(s *pg.SelectStmt) {
	if len(s.ValuesLists) == 0 || len(s.SortClause) == 0 {
		return
	}
	const name = "*VALUES*"
	rows := &pg.SelectStmt{ValuesLists: s.ValuesLists, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	s.ValuesLists = nil
	s.FromClause = []*pg.Node{{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(rows), Alias: &pg.Alias{Aliasname: name}}}}}
	s.TargetList = []*pg.Node{pg.MakeResTargetNodeWithVal(pg.MakeColumnRefNode([]*pg.Node{pg.MakeAStarNode()}, -1), -1)}
}

// sortsFloats has floats be ordered by what they are less their sign of zero, which the engine
// loses of values by which it orders.
func (r *rewriter) sortsFloats(s *pg.SelectStmt, by *pg.SortBy, i int, out columns) {
	if s.Op != pg.SetOperation_SETOP_NONE || len(s.DistinctClause) > 0 || len(s.ValuesLists) > 0 || len(s.TargetList) != len(out.list) || len(by.UseOp) > 0 {
		return
	}
	n := by.Node
	if i >= 0 && i < len(out.list) {
		n = s.TargetList[i].GetResTarget().GetVal()
	}
	t := r.typeOf(n)
	if !t.IsFloat() || n.GetSubLink() != nil || n.GetFuncCall().GetOver() != nil {
		return
	}
	of := "DOUBLE"
	if t == datum.Float4 {
		of = "FLOAT4"
	}
	if by.Node = clone(n); r.keyed == nil {
		r.keyed = map[*pg.Node]func(*pg.Node) *pg.Node{}
	}
	r.keyed[by.Node] = func(n *pg.Node) *pg.Node { return call("nd_plus", cast(n, of), cast(integer(0), of)) }
}

// withinGroup leaves the values that an aggregate orders as they are: it gives one of them.
func (r *rewriter) withinGroup(f *pg.FuncCall) error {
	if !f.AggWithinGroup {
		return nil
	}
	for _, n := range f.AggOrder {
		s := n.GetSortBy()
		name := lastName(f.Funcname)
		if t := r.typeOf(s.Node); name == "percentile_cont" && t.IsNumber() && !t.IsFloat() {
			s.Node = castTo(s.Node, "float8")
		} else if name != "percentile_cont" && r.writes(s.Node) {
			err := unsupported(f.Location, "%s of numerics with scales of their own", name)
			err.Hint = "Cast the values to numeric(precision, scale)."
			return err
		}
		if name == "mode" && hasSubquery(n) {
			err := unsupported(f.Location, "mode of a subquery")
			err.Hint = "Compute it in a query around which this one is."
			return err
		}
		if t := r.typeOf(s.Node); t == datum.Interval || name != "mode" && (t == datum.JSONB || t == datum.Interval || t.IsEnum()) {
			return unsupported(f.Location, "%s of %s", name, t.SQLName())
		}
		if r.given == nil {
			r.given = map[*pg.SortBy]bool{}
		}
		r.given[s] = true
	}
	return nil
}

// sortNames refuses expressions in ORDER BY that name what only an output column is called:
// the engine knows those within expressions too.
func (r *rewriter) sortNames(s *pg.SelectStmt) error {
	for outer := r.scope; outer != nil; outer = outer.parent {
		if !known(outer.relations) {
			return nil
		}
	}
	var wrong error
	for _, n := range s.SortClause {
		by := n.GetSortBy().GetNode()
		if by.GetColumnRef() != nil || r.made[by] || hasSubquery(by) {
			continue
		}
		visit(n.ProtoReflect(), func(n *pg.Node) {
			names, star := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
			if len(names) != 1 || star || r.scope.names(names[0]) || wrong != nil {
				return
			}
			wrong = errorf("42703", n.GetColumnRef().Location, "column \"%s\" does not exist", names[0])
		})
	}
	return wrong
}

// names reports whether a name is that of a column or a relation, here or in a query around.
func (s *scope) names(name string) bool {
	for ; s != nil; s = s.parent {
		if _, merged := s.merged[name]; merged || s.has(name) || s.relation(name) != nil {
			return true
		}
	}
	return false
}
