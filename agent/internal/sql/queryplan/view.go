package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// fromView is from of a view that shows rows of one table by simple expressions.
func (p *Planner) fromView(r *pg.RangeVar) (*catalog.Table, *scope, Expr, error) {
	if p.View == nil || len(r.GetAlias().GetColnames()) > 0 {
		return nil, nil, nil, errSlow
	}
	v, ok := p.View(r.GetSchemaname(), r.GetRelname())
	if !ok || !simpleView(v.Query) {
		return nil, nil, nil, errSlow
	}
	table, inner, condition, err := p.from(v.Query.GetFromClause()[0])
	if err != nil {
		return nil, nil, nil, err
	}
	c := p.compiler(inner)
	c.elsewhere = true
	where, err := c.where(v.Query.GetWhereClause())
	if err != nil {
		return nil, nil, nil, err
	}
	shown := make([]shownColumn, 0, len(v.Columns))
	for i, n := range v.Query.GetTargetList() {
		e, err := c.expr(n.GetResTarget().GetVal())
		if err == nil && e.Type() == datum.Unknown {
			e, err = coerce(e, datum.Text)
		}
		if err == nil && volatile(e) {
			err = errSlow // it would be computed wherever it is named
		}
		if err != nil {
			return nil, nil, nil, err
		}
		shown = append(shown, shownColumn{v.Columns[i].Name, e, -1})
	}
	s := tableScope(table, r.GetAlias().GetAliasname())
	if r.GetAlias() == nil {
		s.relations[0].alias = v.Name()
	}
	s.relations[0].shown, s.relations[0].role = shown, inner.relations[0].role
	return table, s, both(condition, where), nil
}

// simpleView reports whether a query gives a row for each row of the one thing that it
// reads, or for some.
func simpleView(s *pg.SelectStmt) bool {
	return s.GetOp() == pg.SetOperation_SETOP_NONE && s.GetWithClause() == nil && len(s.GetDistinctClause()) == 0 && len(s.GetGroupClause()) == 0 &&
		s.GetHavingClause() == nil && len(s.GetWindowClause()) == 0 && len(s.GetValuesLists()) == 0 && s.GetLimitCount() == nil && s.GetLimitOffset() == nil &&
		len(s.GetSortClause()) == 0 && len(s.GetFromClause()) == 1 && s.GetFromClause()[0].GetRangeVar() != nil
}

// both is the conjunction of two conditions, nil being none.
func both(a, b Expr) Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &andExpr{args: []Expr{a, b}}
}
