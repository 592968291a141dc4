package rewrite

import (
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
	case t == datum.JSON:
		return nil, errorf("42883", s.Location, "could not identify an ordering operator for type json")
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

// withinGroup leaves the values that an aggregate orders as they are: it gives one of them.
func (r *rewriter) withinGroup(f *pg.FuncCall) error {
	if !f.AggWithinGroup {
		return nil
	}
	for _, n := range f.AggOrder {
		s := n.GetSortBy()
		if t := r.typeOf(s.Node); lastName(f.Funcname) != "mode" && (t == datum.JSONB || t == datum.Interval || t.IsEnum()) {
			return unsupported(f.Location, "%s of %s", lastName(f.Funcname), t.SQLName())
		}
		if r.given == nil {
			r.given = map[*pg.SortBy]bool{}
		}
		r.given[s] = true
	}
	return nil
}
