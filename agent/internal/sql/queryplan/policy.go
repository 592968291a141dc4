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

// RowCheck is a policy that a row has to fulfil that is to be written. Name is that of a
// restrictive one, "" of all others together.
type RowCheck struct {
	Name      string
	Condition Expr
}

// secured is a table, and the role whose policies count for its rows; "": the session's.
type secured struct {
	table *catalog.Table
	role  string
}

// ofTarget is a table whose rows a statement changes, by a view maybe.
func (p *Planner) ofTarget(table *catalog.Table) secured {
	if p.view != nil {
		return secured{table, p.view.role}
	}
	return secured{table: table}
}

// Guarded is a table that the slow path reads, and whose policies hide rows.
type Guarded struct {
	Table cluster.ObjectID
	Role  string
}

// policy is the condition that row level security puts on rows of a table that are there, for
// one of the commands. nil: none.
func (p *Planner) policy(of secured, command string) (Expr, error) {
	checks, err := p.rowChecks(of, command, false)
	switch len(checks) {
	case 0:
		return nil, err
	case 1:
		return checks[0].Condition, err
	}
	all := &andExpr{}
	for _, k := range checks {
		all.args = append(all.args, k.Condition)
	}
	return all, err
}

// rowChecks are the parts of that, or with isNew of what is asked of rows that are written, in
// the order in which they are looked at: the permissive ones, the last by name first, of which one has to hold, and each of the restrictive ones.
func (p *Planner) rowChecks(of secured, command string, isNew bool) ([]RowCheck, error) {
	if p.Policies == nil {
		return nil, nil
	}
	list, applies, err := p.Policies(of.table, of.role)
	if err != nil || !applies {
		return nil, err
	}
	var permissive []Expr
	var restrictive []RowCheck
	for i := range list {
		if list[i].Command != "ALL" && list[i].Command != command {
			continue
		}
		e, err := p.compilePolicy(of.table, &list[i], isNew)
		switch {
		case err != nil:
			return nil, err
		case list[i].Restrictive:
			restrictive = append(restrictive, RowCheck{list[i].Name, e})
		default:
			permissive = append([]Expr{e}, permissive...)
		}
	}
	switch len(permissive) {
	case 0:
		return []RowCheck{{Condition: &Const{Value: datum.MakeBool(false)}}}, nil
	case 1:
		return append([]RowCheck{{Condition: permissive[0]}}, restrictive...), nil
	}
	return append([]RowCheck{{Condition: &andExpr{args: permissive, or: true}}}, restrictive...), nil
}

// compilePolicy compiles what a policy says; without WITH CHECK, USING is for new rows,
// too. One that says nothing lets all rows pass.
func (p *Planner) compilePolicy(table *catalog.Table, policy *cluster.Policy, isNew bool) (Expr, error) {
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
	c := &compiler{scope: tableScope(table, ""), params: &Params{}, elsewhere: true, functions: p.Functions, called: p.called, calls: &p.ruled}
	e, err := c.where(node)
	if err == nil && e != nil {
		err = ofOneReading(e)
	}
	if isSlow(err) {
		if err := c.unknownFunction(node); err != nil {
			return nil, err
		}
		return nil, syntax.Unsupported("this expression of a policy", "Expressions of the row are, such as comparisons, current_user and current_setting('app.name'), without subqueries.")
	}
	return e, err
}

// CheckPolicy refuses a policy whose expressions cannot be computed.
func CheckPolicy(table *catalog.Table, policy *cluster.Policy, find RoutineFinder) error {
	p := &Planner{Functions: find}
	for _, isNew := range []bool{false, true} {
		e, err := p.compilePolicy(table, policy, isNew)
		if err == nil {
			err = ofOneZone(e) // or each session would be shown rows of its own
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// guardSelect puts the policies of a table before what a SELECT asks of its rows.
func (p *Planner) guardSelect(s *Select, role string) error {
	policy, err := p.policy(secured{s.Table, role}, "SELECT")
	if err != nil {
		return err
	}
	s.Filter = guarded(policy, s.Filter)
	if s.Lock != nil {
		if policy, err = p.policy(secured{s.Table, role}, "UPDATE"); err != nil {
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
	using, err := p.policy(p.ofTarget(ch.Table), command)
	if err != nil {
		return err
	}
	var seen Expr
	if reads {
		if seen, err = p.policy(p.ofTarget(ch.Table), "SELECT"); err != nil {
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
	checks, err := p.rowChecks(p.ofTarget(table), command, true)
	if err != nil || len(checks) == 0 {
		return rules, err
	}
	out := *rules
	if out.Policies = checks; seen != nil {
		out.Policies = append(out.Policies, RowCheck{Condition: seen})
	}
	return &out, nil
}

// guardInsert puts the policies before the rows of an INSERT.
func (p *Planner) guardInsert(ins *Insert, returns bool) error {
	var seen Expr
	var err error
	if returns || ins.Conflict != nil && ins.Conflict.Set != nil {
		if seen, err = p.policy(p.ofTarget(ins.Table), "SELECT"); err != nil {
			return err
		}
	}
	plain := ins.Rules
	if ins.Rules, err = p.guardRules(ins.Table, plain, "INSERT", seen); err != nil || ins.Conflict == nil {
		return err
	}
	using, err := p.policy(p.ofTarget(ins.Table), "UPDATE")
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
func (p *Planner) slowPolicy(table *catalog.Table, role string) error {
	policy, err := p.policy(secured{table, role}, "SELECT")
	if err != nil || policy == nil {
		return err
	}
	if p.guards == nil {
		p.guards = map[Guarded]Expr{}
	}
	p.guards[Guarded{table.ObjectID(), role}] = policy
	return nil
}

// Columns marks the columns that e needs.
func Columns(e Expr, wanted []bool) { markColumns(e, wanted) }
