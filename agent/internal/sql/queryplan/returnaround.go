package queryplan

import (
	"context"
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// errReturning refuses what RETURNING has beside simple expressions of the row.
var errReturning = &syntax.Error{Code: "0A000", Message: "this expression in RETURNING is not supported",
	Hint: "Simple expressions of the row are; or SELECT afterwards."}

// planReturning plans a query. What RETURNING computes and only the engine can is a query around
// it, over the rows that it returns.
func (p *Planner) planReturning(ctx context.Context, q *syntax.Query, out *Plan) error {
	before, announced := *p, slices.Clone(p.params.Types)
	err := p.planQuery(ctx, q, out)
	if !errors.Is(err, errReturning) {
		return err
	}
	changed, around := returnedAround(q)
	if changed == nil {
		return err
	}
	*p, *out = before, Plan{}
	p.params.Types = announced
	p.parts = nil
	part := &pg.CommonTableExpr{Ctename: returnedPart, Ctequery: changed, Location: -1}
	if p.part(ctx, part) != nil {
		return err
	}
	w := &With{Parts: p.parts, Main: &Plan{}}
	if p.onePlan(ctx, &syntax.Query{Select: around}, w.Main) != nil || w.Main.Slow == nil || p.refuseWith(w) != nil {
		return err
	}
	out.With, out.Columns = w, w.Main.Columns
	return nil
}

// returnedPart is the name of the rows that are returned.
const returnedPart = "nd_returned"

// returnedAround is a query that returns all columns of its rows, and the one that computes its
// RETURNING of them; nil: there are columns of others.
func returnedAround(q *syntax.Query) (*pg.Node, *pg.SelectStmt) {
	_, rest := withOf(q)
	every := []*pg.Node{resTarget(&pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}, Location: -1}}})}
	var list []*pg.Node
	var relation *pg.RangeVar
	changed := &pg.Node{}
	switch {
	case rest.Insert != nil:
		s := rest.Insert
		s.WithClause = q.Insert.GetWithClause()
		list, relation, s.ReturningList = s.GetReturningList(), s.GetRelation(), every
		changed.Node = &pg.Node_InsertStmt{InsertStmt: s}
	case rest.Update != nil && len(rest.Update.GetFromClause()) == 0:
		s := rest.Update
		s.WithClause = q.Update.GetWithClause()
		list, relation, s.ReturningList = s.GetReturningList(), s.GetRelation(), every
		changed.Node = &pg.Node_UpdateStmt{UpdateStmt: s}
	case rest.Delete != nil && len(rest.Delete.GetUsingClause()) == 0:
		s := rest.Delete
		s.WithClause = q.Delete.GetWithClause()
		list, relation, s.ReturningList = s.GetReturningList(), s.GetRelation(), every
		changed.Node = &pg.Node_DeleteStmt{DeleteStmt: s}
	default:
		return nil, nil
	}
	alias := relation.GetAlias().GetAliasname()
	if alias == "" {
		alias = relation.GetRelname()
	}
	from := &pg.RangeVar{Relname: returnedPart, Alias: &pg.Alias{Aliasname: alias}, Inh: true, Relpersistence: "p", Location: -1}
	return changed, &pg.SelectStmt{TargetList: list, FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: from}}}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
}
