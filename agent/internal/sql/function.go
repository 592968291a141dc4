package sql

import (
	"context"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createFunction runs CREATE FUNCTION and CREATE PROCEDURE.
func (s *Session) createFunction(ctx context.Context, node *syntax.CreateFunction) (string, error) {
	tag := "CREATE FUNCTION"
	if node.Procedure {
		tag = "CREATE PROCEDURE"
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateFunction(ctx, in, node, s.user, func(in catalog.Scope, o *cluster.Object) error { return s.soundFunction(ctx, in, o) })
	})
}

// alterFunction runs ALTER FUNCTION with options.
func (s *Session) alterFunction(ctx context.Context, node *syntax.AlterFunction) (string, error) {
	tag := "ALTER " + string(node.Target.Kind)
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) { return s.server.catalog.AlterFunction(in, node) })
}

// dropFunction runs DROP FUNCTION, PROCEDURE and ROUTINE.
func (s *Session) dropFunction(ctx context.Context, node *syntax.DropFunction) (string, error) {
	kind := node.Targets[0].Kind
	tag := "DROP " + string(kind)
	var told catalog.Dropped
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropFunctions(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	for _, name := range told.Missing {
		s.notice("NOTICE", "00000", "%s %s does not exist, skipping", strings.ToLower(string(kind)), name)
	}
	s.noticeCascade(told.Cascades)
	return tag, nil
}

// moveFunction runs RENAME TO and SET SCHEMA of a function.
func (s *Session) changeFunction(ctx context.Context, target syntax.Target, change func(in catalog.Scope, o *cluster.Object) error) (string, error) {
	tag := "ALTER " + string(target.Kind)
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.ChangeFunction(in, target, func(o *cluster.Object) error { return change(in, o) })
	})
}

// isRoutine reports whether a kind is that of functions.
func isRoutine(k syntax.Kind) bool {
	return k == syntax.KindFunction || k == syntax.KindProcedure || k == syntax.KindRoutine
}

// soundFunction looks at what a function does before it is made.
func (s *Session) soundFunction(ctx context.Context, in catalog.Scope, o *cluster.Object) error {
	f, was := o.Function, s.draft
	s.draft = in.Draft // it may call itself
	defer func() { s.draft = was }()
	for _, p := range f.Inputs() {
		if p.Default == "" {
			continue
		}
		if e, err := syntax.ParseExpression(p.Default); err != nil {
			return err
		} else if t, ok := in.ValueType(p.ValueType); ok {
			if _, err := s.typedExpression(ctx, e, t); err != nil {
				return err
			}
		}
	}
	if check, _ := s.settings.Get("check_function_bodies"); check == "off" {
		return nil
	}
	if f.Language != "sql" {
		_, err := bodyOf(o.Name, f.Body)
		return err
	}
	c, err := s.compileSQL(ctx, in, o)
	if err != nil {
		return inContext(err, fmt.Sprintf("SQL function %q", o.Name))
	}
	return c.check(in, o)
}

// typedExpression plans an expression as one of the type.
func (s *Session) typedExpression(ctx context.Context, e *pg.Node, t datum.Type) (*Prepared, error) {
	text, err := syntax.ExpressionText(e)
	if err != nil {
		return nil, err
	}
	stmt, err := syntax.Parse("SELECT " + text)
	if err != nil {
		return nil, err
	}
	q := stmt.Node.(*syntax.Query) //nolint:forcetypeassert // it begins with SELECT
	target := q.Select.GetTargetList()[0].GetResTarget()
	target.Val = queryplan.CastTo(target.GetVal(), t)
	p := &Prepared{statement: &syntax.Statement{Text: text, Node: q}}
	return p, s.prepareQuery(ctx, p, q)
}

// routines are the functions that a name in a call may mean.
func (s *Session) routines(p *Prepared, scope catalog.Scope, name syntax.Name) []*queryplan.Routine {
	list := scope.Functions(name)
	p.found = append(p.found, found{schema: name.Schema, name: name.Name, functions: list, isFunction: true})
	var out []*queryplan.Routine
	for _, o := range list {
		if r, ok := routineOf(scope, o); ok {
			out = append(out, r)
		}
	}
	return out
}

// routineOf describes a function to plans.
func routineOf(scope catalog.Scope, o *cluster.Object) (*queryplan.Routine, bool) {
	f := o.Function
	r := &queryplan.Routine{Object: o}
	for _, p := range f.Given() {
		t, ok := scope.ValueType(p.ValueType)
		if !ok {
			return nil, false
		}
		arg := queryplan.RoutineArg{Name: p.Name, Type: t}
		if p.Default != "" {
			var err error
			if arg.Default, err = syntax.ParseExpression(p.Default); err != nil {
				return nil, false
			}
		}
		r.Args = append(r.Args, arg)
	}
	switch f.Returns.Type {
	case cluster.VoidType:
		r.Void, r.Result = true, datum.Text
		r.Columns = []queryplan.Column{{Name: o.Name, Type: datum.Text, Modifier: -1}}
	case cluster.TriggerType:
		return r, true
	case cluster.RecordType:
		r.Composite = true
		for i, p := range f.Outputs() {
			t, _ := scope.ValueType(p.ValueType)
			name := p.Name
			if name == "" {
				name = fmt.Sprintf("column%d", i+1)
			}
			r.Columns = append(r.Columns, queryplan.Column{Name: name, Type: t, Modifier: -1})
		}
	case cluster.RowType:
		r.Composite = true
		if row, ok := scope.Object(f.Returns.UserType); ok {
			if t, err := scope.TableOf(row); err == nil {
				for _, c := range t.Columns {
					if !c.Hidden {
						r.Columns = append(r.Columns, queryplan.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier})
					}
				}
			}
		}
	default:
		r.Result, _ = scope.ValueType(f.Returns)
		name := o.Name
		if out := f.Outputs(); len(out) == 1 && out[0].Name != "" {
			name = out[0].Name
		}
		r.Columns = []queryplan.Column{{Name: name, Type: r.Result, Modifier: -1}}
		r.Body = expressionBody(o)
	}
	return r, true
}

// expressionBody is the body of a function that is one expression, which can stand where it
// is called; nil: it is more than that.
func expressionBody(o *cluster.Object) *pg.Node {
	f := o.Function
	if f.Language != "sql" || f.SetOf || f.Definer || len(f.Settings) > 0 || f.Procedure || len(f.Outputs()) > 0 {
		return nil
	}
	texts := syntax.Split(f.Body)
	if len(texts) != 1 {
		return nil
	}
	stmt, err := syntax.Parse(texts[0])
	if err != nil {
		return nil
	}
	q, ok := stmt.Node.(*syntax.Query)
	if !ok || q.Select == nil || !syntax.IsExpression(q) {
		return nil
	}
	if err := q.AsParameters(argumentsOf(o, nil)); err != nil {
		return nil
	}
	body := q.Select.GetTargetList()[0].GetResTarget().GetVal()
	alone := true
	_ = syntax.Walk(body, func(n *pg.Node) (bool, error) {
		call := n.GetFuncCall()
		names := call.GetFuncname()
		last := ""
		if len(names) > 0 {
			last = names[len(names)-1].GetString_().GetSval()
		}
		own := last == o.Name // it calls itself, maybe
		if n.GetSubLink() != nil || call != nil && (own || call.GetOver() != nil || call.GetAggStar() || call.GetAggFilter() != nil || len(call.GetAggOrder()) > 0 || duck.OfRows(last)) {
			alone = false
		}
		return alone, nil
	})
	if !alone {
		return nil
	}
	syntax.Unplace(body)
	return body
}
