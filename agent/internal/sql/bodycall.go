package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// newFrame is for one call of a body.
func (s *Session) newFrame(b *body, at time.Time) *frame {
	f := &frame{session: s, at: at, body: b}
	f.enter("")
	f.found = f.declare(&variable{name: "found", typ: datum.Bool, modifier: -1, value: datum.MakeBool(false)})
	return f
}

// do runs DO.
func (s *Session) do(ctx context.Context, node *syntax.Do, at time.Time) (string, error) {
	const tag = "DO"
	if node.Language != "plpgsql" {
		if node.Language == "sql" {
			return "", &Error{Code: "0A000", Message: "language \"sql\" does not support inline code execution"}
		}
		return "", &Error{Code: "42704", Message: fmt.Sprintf("language %q does not exist", node.Language)}
	}
	b, err := bodyOf("PL/pgSQL function inline_code_block", node.Body)
	if err != nil {
		e := *AsError(err)
		e.Position = 0
		return "", &e
	}
	return s.fireAsOne(ctx, at, func() (string, error) {
		_, err := s.newFrame(b, at).run(ctx, b.statements)
		return tag, placed(err)
	})
}

// callBody carries a function in PL/pgSQL out.
func (s *Session) callBody(ctx context.Context, at time.Time, r *queryplan.Routine, args []datum.Datum, emit func([]datum.Datum) error) error {
	o := r.Object
	b := s.bodies[o.ID]
	if b == nil || b.object != o {
		var err error
		if b, err = bodyOf(fmt.Sprintf("PL/pgSQL function %s(%s)", o.Name, s.scope().Arguments(o.Function)), o.Function.Body); err != nil {
			return err
		}
		b.object = o
		if s.bodies == nil || len(s.bodies) >= maxCompiled {
			s.bodies = map[cluster.ObjectID]*body{}
		}
		s.bodies[o.ID] = b
	}
	f := s.newFrame(b, at)
	f.routine, f.emit = r, emit
	f.enter(o.Name)
	if err := f.parameters(args); err != nil {
		return err
	}
	out, err := f.run(ctx, b.statements)
	switch {
	case err != nil:
		return placed(err)
	case o.Function.SetOf:
		return nil
	case r.Void:
		return emit([]datum.Datum{datum.MakeText("")})
	case len(f.outs) > 0:
		return emit(f.outRow())
	case out.kind != flowReturn:
		return &Error{Code: "2F005", Message: "control reached end of function without RETURN", Context: b.name}
	}
	return emit(f.result)
}

// parameters makes variables of the parameters of a function.
func (f *frame) parameters(args []datum.Datum) error {
	o, scope := f.routine.Object, f.session.scope()
	given := 0
	for _, p := range o.Function.Parameters {
		v := &variable{name: p.Name, modifier: -1}
		t, ok := scope.ValueType(p.ValueType)
		switch {
		case p.Type == cluster.RowType:
			if err := f.rowOut(v, scope, p.UserType); err != nil {
				return err
			}
			continue
		case !ok:
			return syntax.Unsupported("a parameter of type "+scope.TypeText(p.ValueType), "")
		}
		v.isOf(t, -1)
		if p.Input() {
			if v.value = args[given]; v.record && !v.value.Null {
				v.row = v.value.A.Values
			}
			f.args = append(f.args, v)
		}
		if p.Input() || o.Function.Procedure {
			given++
		}
		if p.Mode != cluster.ParameterIn {
			f.outs = append(f.outs, v)
		}
		if p.Name != "" {
			f.declare(v)
		}
	}
	return nil
}

// rowOut makes an OUT parameter that is a row.
func (f *frame) rowOut(v *variable, scope catalog.Scope, relation cluster.ObjectID) error {
	o, ok := scope.Object(relation)
	if !ok || o.Collection == nil {
		return syntax.Unsupported("a parameter that is a row of a view", "Use one for each column.")
	}
	t, err := scope.TableOf(o)
	if err != nil {
		return err
	}
	v.record, v.fixed = true, true
	v.shape, _ = rowShape(t)
	if f.outs = append(f.outs, v); v.name != "" {
		f.declare(v)
	}
	return nil
}
