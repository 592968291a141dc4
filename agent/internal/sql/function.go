package sql

import (
	"context"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createFunction runs CREATE FUNCTION and CREATE PROCEDURE.
func (s *Session) createFunction(ctx context.Context, node *syntax.CreateFunction) (string, error) {
	tag := "CREATE FUNCTION"
	if node.Procedure {
		tag = "CREATE PROCEDURE"
	}
	temporary, err := s.forTemporary(false, node.Name)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		node := *node
		if temporary {
			var err error
			if in, node.Name, err = s.inTemporary(ctx, in, node.Name); err != nil {
				return nil, err
			}
		}
		return s.server.catalog.CreateFunction(ctx, in, &node, catalog.FunctionDDL{By: s.user,
			Bind: func(in catalog.Scope, o *cluster.Object, body []*syntax.Query) error {
				return s.bindFunction(ctx, in, o, body)
			},
			Sound: func(in catalog.Scope, o *cluster.Object) error { return s.soundFunction(ctx, in, o) }})
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
	if check, _ := s.settings.Get("check_function_bodies"); check == "off" || f.Standard {
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
		p.foundRows(scope, o)
		p.foundBody(scope, o, map[cluster.ObjectID]bool{})
	}
	return out
}

// foundBody notes what a body means that may stand in the plan in the place of a call: its
// sequences stand there by their names.
func (p *Prepared) foundBody(scope catalog.Scope, o *cluster.Object, seen map[cluster.ObjectID]bool) {
	if seen[o.ID] {
		return
	}
	seen[o.ID] = true
	body, err := scope.Body(o)
	if body == nil || err != nil {
		return
	}
	p.found = append(p.found, found{body: body})
	for _, id := range o.Needs {
		if f, ok := scope.Object(id); ok && f.Kind == cluster.KindFunction {
			p.foundBody(scope, f, seen)
		}
	}
}

// foundRows notes the tables whose rows a function gives: its columns are theirs.
func (p *Prepared) foundRows(scope catalog.Scope, o *cluster.Object) {
	for _, v := range append(o.Function.Outputs(), cluster.Parameter{ValueType: o.Function.Returns}) {
		if v.Type != cluster.RowType {
			continue
		}
		row, ok := scope.Object(v.UserType)
		if !ok {
			continue
		}
		schema, ok := scope.Object(row.Parent)
		if !ok {
			continue
		}
		if t, ok := scope.Table(schema.Name, row.Name); ok {
			p.found = append(p.found, found{schema: schema.Name, name: row.Name, table: t})
		}
	}
}

// finder finds what expressions of tables name in a statement that changes objects.
func finder(in catalog.Scope) queryplan.Finder {
	return queryplan.Finder{Type: in.ResolveType, Functions: func(name syntax.Name) []*queryplan.Routine {
		var out []*queryplan.Routine
		for _, o := range in.Functions(name) {
			if r, ok := routineOf(in, o); ok {
				out = append(out, r)
			}
		}
		return out
	}}
}

// bindCalls is catalog.Scope's Bind.
func bindCalls(in catalog.Scope, t *catalog.Table, text string) (string, error) {
	return queryplan.BindCalls(t, text, finder(in).Functions)
}

// routineOf describes a function to plans.
func routineOf(scope catalog.Scope, o *cluster.Object) (*queryplan.Routine, bool) {
	f, ok := scope.Callable(o)
	if !ok {
		return nil, false
	}
	return queryplan.RoutineOf(f)
}
