package queryplan

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Instead is an INSERT, UPDATE or DELETE of a view whose triggers do what is to be done.
type Instead struct {
	// View is the view as a table (catalog.View.Rows).
	View  *catalog.Table
	Event string // cluster.OnInsert, ...
	// Insert gives the new rows; or Slow those that are to be changed: all columns of the
	// view, then the value of each column in SetColumns.
	Insert     *Insert
	Slow       duck.Prepared
	SetColumns []int
	Returning  []Expr // over the new row, or the deleted one
}

// instead finds the view whose triggers do what a statement asks for; nil: none does.
func (p *Planner) instead(r *pg.RangeVar, event string) *Instead {
	if _, ok := p.Lookup(r.GetSchemaname(), r.GetRelname()); ok {
		return nil
	}
	v, ok := p.View(r.GetSchemaname(), r.GetRelname())
	if !ok || !v.InsteadOf(event) {
		return nil
	}
	return &Instead{View: v.Rows(), Event: event}
}

func (p *Planner) insertInstead(ctx context.Context, s *pg.InsertStmt, to *Instead, out *Plan) error {
	// Nothing is in conflict with what triggers do.
	if on := s.GetOnConflictClause(); on != nil && (on.GetInfer() != nil || on.GetAction() != pg.OnConflictAction_ONCONFLICT_NOTHING) {
		return syntax.Unsupported("ON CONFLICT of an INSERT into a view", "Insert into the table.")
	}
	ins := &Insert{Table: to.View}
	for _, c := range to.View.Columns {
		ins.Defaults = append(ins.Defaults, &Const{Value: datum.MakeNull(c.Type)})
	}
	targets, err := p.insertColumns(s, to.View)
	if err != nil {
		return err
	}
	if err := p.insertSource(ctx, s, ins, targets); err != nil {
		return err
	}
	to.Insert = ins
	return p.returnInstead(s.GetReturningList(), s.GetRelation(), nil, to, out)
}

func (p *Planner) updateInstead(ctx context.Context, s *pg.UpdateStmt, to *Instead, out *Plan) error {
	ch := &Change{Table: to.View}
	err := p.setColumns(s, ch)
	if err == nil {
		_, _, err = p.slowUpdate(ctx, s, ch)
	}
	if err != nil {
		return err
	}
	to.Slow, to.SetColumns = ch.Slow, ch.SetColumns
	return p.returnInstead(s.GetReturningList(), s.GetRelation(), s.GetFromClause(), to, out)
}

func (p *Planner) deleteInstead(ctx context.Context, s *pg.DeleteStmt, to *Instead, out *Plan) error {
	var err error
	if to.Slow, _, err = p.slow(ctx, p.rowsOf(to.View, changeSource{s.GetRelation(), s.GetWithClause(), s.GetUsingClause(), s.GetWhereClause()})); err != nil {
		return err
	}
	return p.returnInstead(s.GetReturningList(), s.GetRelation(), s.GetUsingClause(), to, out)
}

func (p *Planner) returnInstead(list []*pg.Node, r *pg.RangeVar, others []*pg.Node, to *Instead, out *Plan) error {
	var err error
	s := tableScope(to.View, r.GetAlias().GetAliasname())
	s.more = len(others) > 0
	to.Returning, out.Columns, err = p.returning(list, s)
	for i := range out.Columns {
		out.Columns[i].Table = nil
	}
	out.Instead = to
	return err
}

// refuseInstead refuses a view over one whose triggers do what is to be done.
func refuseInstead(v *catalog.View, verb string) error {
	event := map[string]string{"insert into": cluster.OnInsert, "update": cluster.OnUpdate, "delete from": cluster.OnDelete}[verb]
	if v.InsteadOf(event) {
		return syntax.Unsupported("to "+verb+" a view over a view with INSTEAD OF triggers", "Name the view that has them.")
	}
	return nil
}
