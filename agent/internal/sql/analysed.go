package sql

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/analysis"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// analysed plans a statement as planned does. Of several errors it returns the one of
// PostgreSQL's parse analysis, which comes before any other; the fast path's own compiler
// looks as that does, unless something is wrong. What cannot be planned is planned again with
// the types that the analysis gives its literals.
func (n *names) analysed(ctx context.Context, planner *queryplan.Planner, q *syntax.Query) (plan *queryplan.Plan, resolved *syntax.Query, err error) {
	planner.Types = func() map[int32]datum.Type {
		if d, err := n.described(q); err == nil {
			return d.Types
		}
		return nil
	}
	again := *planner
	plan, resolved, err = planned(ctx, planner, q)
	if err == nil && (plan.Fails != nil || plan.ByEngine() || plan.FailsToAssign()) {
		if q.Call || q.Merge != nil {
			plan.Fails = cmp.Or(planner.Failure(cmp.Or(resolved, q)), plan.Fails)
		} else {
			plan.Fails = planner.Failure(cmp.Or(resolved, q))
		}
	}
	if n.unsettled != nil || err == nil && plan.Fails == nil && !plan.ByEngine() {
		return plan, resolved, err
	}
	d, wrong := n.described(cmp.Or(resolved, q))
	locks := len(q.Select.GetLockingClause()) > 0 // what cannot be locked is refused by PostgreSQL, too
	if wrong != nil && !(locks && err != nil && AsError(err).Code == "0A000") {
		return plan, resolved, wrong
	}
	if err == nil && wrong == nil {
		return plan, resolved, padded(plan, d)
	}
	if wrong != nil || !ofTypes[AsError(err).Code] {
		return plan, resolved, err
	}
	if len(d.Literals) > 0 {
		typed := typedLiterals(cmp.Or(resolved, q), d.Literals)
		if second, failed := again.Plan(ctx, typed); failed == nil {
			*planner = again
			return second, typed, nil
		}
	}
	if strings.HasPrefix(AsError(err).Code, "22") { // of a constant, by the engine
		if first := planner.Failure(cmp.Or(resolved, q)); first != nil {
			return plan, resolved, first
		}
	}
	if d.Sure {
		err = beyond(err)
	}
	return plan, resolved, err
}

// padded refuses a column that PostgreSQL has as char(n) and the plan as another text: blanks at
// the end of its values would be lost.
func padded(plan *queryplan.Plan, d *analysis.Description) error {
	for i := range min(len(plan.Columns), len(d.Columns)) {
		if t := plan.Columns[i].Type; d.Columns[i].Type == datum.Bpchar && t.IsString() && t != datum.Bpchar {
			err := syntax.Unsupported("a char(n) of several lengths", "Cast the values to one char(n), or to text.")
			return err
		}
	}
	return nil
}

// ofTypes are the codes of errors that come of types that are not known, or taken for others.
var ofTypes = map[string]bool{"42883": true, "42725": true, "42804": true, "42846": true, "42803": true, "22P02": true, "22007": true, "0A000": true}

// beyond is the error of a statement that PostgreSQL takes: what the planner or the engine says
// is wrong with it is not supported.
func beyond(err error) error {
	e := *AsError(err)
	if ofTypes[e.Code] && strings.HasPrefix(e.Code, "42") {
		e.Code, e.Hint = "0A000", "Cast operands and arguments to the types that are meant, or compute them in a subquery."
		e.Message = "this form of statement is not supported: " + e.Message
	}
	return &e
}

// described is what PostgreSQL's parse analysis says of a query.
func (n *names) described(q *syntax.Query) (*analysis.Description, error) {
	if n.asked == q {
		return n.description, n.wrong
	}
	zone, unknown := time.LoadLocation(n.of.basis.timeZone)
	if unknown != nil {
		zone = time.UTC
	}
	n.asked = q
	n.description, n.wrong = analysis.Describe(q, analysis.Input{
		Resolve: n.relation,
		Type: func(t syntax.TypeName) (datum.Type, bool) {
			r, err := n.scope.ResolveAnyType(t)
			return r.Type, err == nil && (r.User == nil || r.User.Domain == nil)
		},
		Made:    func(name string) bool { return len(n.scope.Functions(syntax.Name{Name: name})) > 0 },
		Params:  n.of.announced,
		Reading: datum.Reading{Location: zone, Order: n.of.basis.order},
		Modifier: func(t syntax.TypeName) int32 {
			if r, err := n.scope.ResolveType(t); err == nil {
				return r.Modifier
			}
			return -1
		},
	})
	return n.description, n.wrong
}

// parameters are the types of the parameters: those that the client has announced, and what
// PostgreSQL finds for the others.
func (n *names) parameters(q *syntax.Query) []datum.Type {
	out := n.of.announced
	if !strings.Contains(n.of.statement.Text, "$") {
		return out
	}
	d, err := n.described(q)
	if err != nil {
		return out
	}
	out = slices.Clone(out)
	for i, t := range d.Params {
		switch {
		case i == len(out):
			out = append(out, datum.Unknown)
			fallthrough
		case out[i] == datum.Unknown && t.Storable():
			out[i] = t
		}
	}
	return out
}

// modify gives the columns of a plan the modifiers that they have in PostgreSQL.
func (n *names) modify(q *syntax.Query, plan *queryplan.Plan) {
	if !slices.ContainsFunc(plan.Columns, func(c queryplan.Column) bool { return c.Table == nil && c.Type.Modifiable() }) {
		return
	}
	d, err := n.described(q)
	if err != nil || len(d.Columns) != len(plan.Columns) {
		return
	}
	for i := range plan.Columns {
		if c := &plan.Columns[i]; c.Type == d.Columns[i].Type {
			c.Modifier = d.Columns[i].Modifier
		}
	}
}

// relation is what a name in FROM means to the analysis.
func (n *names) relation(schema, name string) (*analysis.Relation, bool) {
	t, ok := n.resolve(schema, name)
	if !ok {
		return nil, false
	}
	out := &analysis.Relation{Schema: t.Schema, Key: t.Key, Columns: make([]analysis.Column, len(t.Columns))}
	for i, c := range t.Columns {
		out.Columns[i] = analysis.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier, Hidden: c.Hidden}
	}
	return out, true
}

// typedLiterals casts literals to their types, by their locations.
func typedLiterals(q *syntax.Query, types map[int32]datum.Type) *syntax.Query {
	out := *q
	out.Select, out.Insert, out.Update, out.Delete = proto.CloneOf(q.Select), proto.CloneOf(q.Insert), proto.CloneOf(q.Update), proto.CloneOf(q.Delete)
	for _, m := range []proto.Message{out.Select, out.Insert, out.Update, out.Delete} {
		if m.ProtoReflect().IsValid() {
			syntax.EachMessage(m.ProtoReflect(), func(m protoreflect.Message) bool { return typeLiteral(m, types) })
		}
	}
	return &out
}

// typeLiteral gives a literal its type; below says that there may be others in m.
func typeLiteral(m protoreflect.Message, types map[int32]datum.Type) (below bool) {
	switch x := m.Interface().(type) {
	case *pg.TypeCast, *pg.TypeName:
		if c, ok := x.(*pg.TypeCast); ok && c.GetArg().GetAConst() == nil {
			break
		}
		return false
	case *pg.ResTarget:
		if x.Name == "" && x.GetVal().GetAConst() != nil {
			x.Name = "?column?"
		}
	case *pg.Node:
		c := x.GetAConst()
		t, ok := types[c.GetLocation()]
		if c.GetSval() == nil || !ok {
			break
		}
		name := &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(t.Elem().String())}, Typemod: -1, Location: c.Location}
		if t.IsArray() {
			name.ArrayBounds = []*pg.Node{{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}}}
		}
		x.Node = &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: &pg.Node{Node: x.Node}, TypeName: name, Location: c.Location}}
		return false
	}
	return true
}
