package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// gathering are the engine's aggregates that show the order in which rows come.
var gathering = map[string]bool{"array_agg": true, "list": true, "string_agg": true}

// keepTurns has array_agg and the like find the rows of UNION ALL in its order, which nobody has
// to keep, though PostgreSQL does. DuckDB computes the parts beside each other, unless rows are
// skipped of them: none are. Conditions go below that, or whole parts would be read.
func keepTurns(s *pg.SelectStmt) {
	if len(s.FromClause) != 1 || !gathers(s) {
		return
	}
	item := s.FromClause[0]
	query := item.GetRangeSubselect().GetSubquery().GetSelectStmt()
	if name := item.GetRangeVar(); name != nil && name.Schemaname == "" && !s.GetWithClause().GetRecursive() {
		if name.Alias == nil {
			name.Alias = &pg.Alias{Aliasname: name.Relname}
		}
		for _, n := range s.GetWithClause().GetCtes() {
			if c := n.GetCommonTableExpr(); c.GetCtename() == name.Relname {
				query = c.GetCtequery().GetSelectStmt()
			}
		}
	}
	switch {
	case !appends(query) || aliasOf(item) == "":
	case s.WhereClause == nil:
		skipNone(query)
	default:
		s.FromClause[0] = narrowedTable(item, s.WhereClause)
		s.WhereClause = nil
		skipNone(s.FromClause[0].GetRangeSubselect().Subquery.GetSelectStmt())
	}
}

func skipNone(s *pg.SelectStmt) {
	s.LimitOption, s.LimitOffset = pg.LimitOption_LIMIT_OPTION_COUNT, integer(0)
}

// appends reports whether a query is UNION ALL, in no order.
func appends(s *pg.SelectStmt) bool {
	return s.GetOp() == pg.SetOperation_SETOP_UNION && s.All && len(s.SortClause) == 0 && s.LimitCount == nil && s.LimitOffset == nil
}

// gathers reports whether a query has an aggregate that shows the order of its rows.
func gathers(s *pg.SelectStmt) bool {
	out := false
	for _, t := range s.TargetList {
		syntax.EachCall(t, func(f *pg.FuncCall) {
			out = out || gathering[lastName(f.Funcname)] && len(f.AggOrder) == 0 && f.Over == nil
		})
	}
	return out
}
