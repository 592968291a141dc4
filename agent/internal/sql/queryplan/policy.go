package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// guardExpr looks at what is asked of a row only if policies let the row be seen: so no
// condition of a statement, and no error of one, tells of others.
type guardExpr struct{ policy, condition Expr }

// Type is that of conditions.
func (e *guardExpr) Type() datum.Type { return datum.Bool }

// Eval satisfies Expr.
func (e *guardExpr) Eval(env *Env) (datum.Datum, error) {
	v, err := e.policy.Eval(env)
	if err != nil || v.Null || !v.Bool() {
		return datum.MakeBool(false), err
	}
	return e.condition.Eval(env)
}

// guarded is a condition behind a policy; nil is none of either.
func guarded(policy, condition Expr) Expr {
	switch {
	case policy == nil:
		return condition
	case condition == nil:
		return policy
	}
	return &guardExpr{policy, condition}
}

// RowChecks are policies that a row has to fulfil that is to be written.
type RowChecks struct{ Condition Expr }

// policy is the condition that row level security puts on rows of a table for one of the
// commands: on those that are there, or with isNew on those that are written. nil: none.
func (p *Planner) policy(table *catalog.Table, command string, isNew bool) (Expr, error) {
	if p.Policies == nil {
		return nil, nil
	}
	list, applies, err := p.Policies(table)
	if err != nil || !applies {
		return nil, err
	}
	var permissive, restrictive []Expr
	for i := range list {
		if list[i].Command != "ALL" && list[i].Command != command {
			continue
		}
		e, err := compilePolicy(table, &list[i], isNew)
		switch {
		case err != nil:
			return nil, err
		case e == nil:
		case list[i].Restrictive:
			restrictive = append(restrictive, e)
		default:
			permissive = append(permissive, e)
		}
	}
	if len(permissive) == 0 {
		return &Const{Value: datum.MakeBool(false)}, nil
	}
	var out Expr = permissive[0]
	if len(permissive) > 1 {
		out = &andExpr{args: permissive, or: true}
	}
	if len(restrictive) > 0 {
		out = &andExpr{args: append(restrictive, out)}
	}
	return out, nil
}

// compilePolicy compiles what a policy says; without WITH CHECK, USING is for new rows,
// too. nil: it says nothing, which lets all rows pass.
func compilePolicy(table *catalog.Table, policy *cluster.Policy, isNew bool) (Expr, error) {
	text := policy.Using
	if isNew && policy.Check != "" {
		text = policy.Check
	}
	if text == "" {
		return &Const{Value: datum.MakeBool(true)}, nil
	}
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return nil, err
	}
	c := &compiler{scope: tableScope(table, ""), params: &Params{}, elsewhere: true}
	e, err := c.where(node)
	if isSlow(err) {
		return nil, syntax.Unsupported("this expression of a policy", "Expressions of the row are, such as comparisons, current_user and current_setting('app.name'), without subqueries.")
	}
	return e, err
}

// CheckPolicy refuses a policy whose expressions cannot be computed.
func CheckPolicy(table *catalog.Table, policy *cluster.Policy) error {
	for _, isNew := range []bool{false, true} {
		if _, err := compilePolicy(table, policy, isNew); err != nil {
			return err
		}
	}
	return nil
}

// guardSelect puts the policies of a table before what a SELECT asks of its rows.
func (p *Planner) guardSelect(s *Select) error {
	policy, err := p.policy(s.Table, "SELECT", false)
	if err != nil {
		return err
	}
	s.Filter = guarded(policy, s.Filter)
	if s.Lock != nil {
		if policy, err = p.policy(s.Table, "UPDATE", false); err != nil {
			return err
		}
		s.Filter = guarded(policy, s.Filter)
	}
	return nil
}

// guardChange puts the policies of a table before what an UPDATE or DELETE does: the rows
// that it changes, those that it reads if reads says so, and those that it writes.
func (p *Planner) guardChange(ch *Change, reads bool) error {
	command := "UPDATE"
	if ch.Delete {
		command = "DELETE"
	}
	using, err := p.policy(ch.Table, command, false)
	if err != nil {
		return err
	}
	var seen Expr
	if reads {
		if seen, err = p.policy(ch.Table, "SELECT", false); err != nil {
			return err
		}
	}
	ch.Guard = guarded(using, seen)
	ch.Filter = guarded(ch.Guard, ch.Filter)
	if ch.Delete {
		return nil
	}
	ch.Rules, err = p.guardRules(ch.Table, ch.Rules, command, seen)
	return err
}

// guardRules adds the policies for new rows to the rules of a table.
func (p *Planner) guardRules(table *catalog.Table, rules *Rules, command string, seen Expr) (*Rules, error) {
	check, err := p.policy(table, command, true)
	if err != nil || check == nil {
		return rules, err
	}
	out := *rules
	out.Policies = &RowChecks{guarded(check, seen)}
	return &out, nil
}

// guardInsert puts the policies before the rows of an INSERT.
func (p *Planner) guardInsert(ins *Insert, returns bool) error {
	var seen Expr
	var err error
	if returns || ins.Conflict != nil && ins.Conflict.Set != nil {
		if seen, err = p.policy(ins.Table, "SELECT", false); err != nil {
			return err
		}
	}
	plain := ins.Rules
	if ins.Rules, err = p.guardRules(ins.Table, plain, "INSERT", seen); err != nil || ins.Conflict == nil {
		return err
	}
	using, err := p.policy(ins.Table, "UPDATE", false)
	if err != nil {
		return err
	}
	ins.Conflict.Guard = guarded(using, seen)
	ins.Conflict.Rules, err = p.guardRules(ins.Table, plain, "UPDATE", seen)
	return err
}

// readsRows reports whether an UPDATE or DELETE reads columns of the rows that it changes.
func readsRows(set []*pg.Node, rest ...any) bool {
	for _, r := range rest {
		switch r := r.(type) {
		case *pg.Node:
			if r != nil {
				return true
			}
		case []*pg.Node:
			if len(r) > 0 {
				return true
			}
		}
	}
	found := false
	for _, n := range set {
		syntax.EachColumn(n, func(*pg.ColumnRef) { found = true })
	}
	return found
}

// slowPolicy is the condition on rows of a table that the slow path reads.
func (p *Planner) slowPolicy(table *catalog.Table) error {
	policy, err := p.policy(table, "SELECT", false)
	if err != nil || policy == nil {
		return err
	}
	if p.guards == nil {
		p.guards = map[cluster.ObjectID]Expr{}
	}
	p.guards[table.ObjectID()] = policy
	return nil
}

// Columns marks the columns that e needs.
func Columns(e Expr, wanted []bool) { markColumns(e, wanted) }
