package sql

import (
	"slices"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// PostgreSQL reads the literals of what is kept, views, defaults, BEGIN ATOMIC and the like, when it is made: '2026-01-31
// 12:00' is that of the time zone of who makes it, and 'today' is the day on which it is made,
// whoever reads the view. Here texts are kept, so that such literals are written as everybody reads
// them.

// settled writes the times in a query that is kept as everybody reads them; of is what it was
// planned as, and as how its literals are meant.
func (s *Session) settled(in catalog.Scope, of *Prepared, q *syntax.Query, as *datum.Reading) *syntax.Query {
	out := q.Clone()
	settleTree(out.Tree(), s.literals(in, of, q), as)
	return out
}

// literals are the types of those in a query that say none.
func (s *Session) literals(in catalog.Scope, of *Prepared, q *syntax.Query) map[int32]datum.Type {
	n := &names{session: s, of: &Prepared{statement: of.statement, announced: of.announced, basis: of.basis}, scope: in}
	d, err := n.described(q)
	if err != nil {
		return nil
	}
	return d.Literals
}

// settleTree writes the times in a tree as everybody reads them, and reports whether there were any.
func settleTree(tree proto.Message, literals map[int32]datum.Type, as *datum.Reading) (any bool) {
	syntax.EachMessage(tree.ProtoReflect(), func(m protoreflect.Message) bool {
		switch x := m.Interface().(type) {
		case *pg.TypeCast:
			if t, ok := timeType(x.TypeName); ok && x.GetArg().GetAConst() != nil {
				any = settleLiteral(x.Arg.GetAConst(), t, as) || any
				return false
			}
		case *pg.A_Const:
			if t, ok := literals[x.Location]; ok {
				any = settleLiteral(x, t, as) || any
			}
		}
		return true
	})
	return any
}

// timeType is the type of times that a name means which PostgreSQL has itself.
func timeType(n *pg.TypeName) (datum.Type, bool) {
	names := n.GetNames()
	if len(names) == 0 || len(names) > 1 && names[0].GetString_().GetSval() != "pg_catalog" {
		return datum.Unknown, false
	}
	t, _, err := catalog.ResolveType(syntax.TypeName{Name: names[len(names)-1].GetString_().GetSval()})
	if err == nil && len(n.ArrayBounds) > 0 {
		t |= datum.Array
	}
	return t, err == nil
}

// settleLiteral writes a literal as everybody reads it, if sessions read it differently.
func settleLiteral(c *pg.A_Const, t datum.Type, as *datum.Reading) (written bool) {
	text := c.GetSval()
	if text == nil || !slices.Contains([]datum.Type{datum.Timestamptz, datum.Timestamp, datum.Date, datum.Timetz}, t.Elem()) {
		return false
	}
	v, err := as.Parse(t, text.Sval)
	if err != nil || as.Now.IsZero() && datum.AtHand(t, text.Sval) {
		return false
	}
	const away = 13 * 3600
	other, err := (&datum.Reading{Location: time.FixedZone("", away)}).Parse(t, text.Sval)
	if err == nil && datum.Compare(v, other) == 0 {
		return false
	}
	text.Sval = v.Text()
	return true
}

// settledTable has the defaults of a table that is made be such ones.
func (s *Session) settledTable(in catalog.Scope, columns []syntax.ColumnDef) []syntax.ColumnDef {
	out := slices.Clone(columns)
	for i := range out {
		out[i].Default = s.settledDefault(out[i].Default, s.typeOfColumn(in, &out[i]))
	}
	return out
}

// settledActions has the defaults in ALTER TABLE be such ones.
func (s *Session) settledActions(in catalog.Scope, node *syntax.AlterCollection) *syntax.AlterCollection {
	out := *node
	out.Actions = slices.Clone(node.Actions)
	for i, a := range out.Actions {
		switch a := a.(type) {
		case *syntax.AddColumn:
			action := *a
			action.Column.Default = s.settledDefault(a.Column.Default, s.typeOfColumn(in, &a.Column))
			out.Actions[i] = &action
		case *syntax.AlterDefault:
			table, ok := in.Table(node.Name.Schema, node.Name.Name)
			if !ok {
				continue
			}
			if k, ok := table.ColumnIndex(a.Name); ok {
				action := *a
				action.Default = s.settledDefault(a.Default, table.Columns[k].Type)
				out.Actions[i] = &action
			}
		}
	}
	return &out
}

func (s *Session) typeOfColumn(in catalog.Scope, c *syntax.ColumnDef) datum.Type {
	r, err := in.ResolveType(c.Type)
	if err != nil {
		return datum.Unknown
	}
	return r.Type
}

// settledDefault writes a default of a column of a type as everybody reads it, if it is a literal.
func (s *Session) settledDefault(text string, t datum.Type) string {
	if !strings.Contains(text, "'") {
		return text
	}
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return text
	}
	literal := node.GetAConst()
	if cast := node.GetTypeCast(); cast != nil {
		if of, ok := timeType(cast.TypeName); ok {
			literal, t = cast.Arg.GetAConst(), of
		}
	}
	if literal.GetSval() == nil {
		return s.settledExpression(text, node)
	}
	was := literal.GetSval().Sval
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	if settleLiteral(literal, t, s.Reading()) {
		return strings.Replace(text, quoted(was), quoted(literal.GetSval().Sval), 1)
	}
	return text
}

// settledExpression writes the times in an expression, those whose types are written, as everybody
// reads them.
func (s *Session) settledExpression(text string, node *pg.Node) string {
	if !settleTree(node, nil, s.Reading()) {
		return text
	}
	if now, err := syntax.ExpressionText(node); err == nil {
		return now
	}
	return text
}

// settledDomain has the default of a domain be such one.
func (s *Session) settledDomain(o *cluster.Object) {
	t, _, err := catalog.ResolveType(syntax.TypeName{Name: o.Domain.Type})
	if err != nil {
		t = datum.Unknown // an array, whose literals are read by each
	}
	o.Domain.Default = s.settledDefault(o.Domain.Default, t)
}

// settledWhen has WHEN of a trigger be such one.
func (s *Session) settledWhen(in catalog.Scope, when *bound, text string) string {
	const before = "SELECT "
	stmt, err := syntax.Parse(before + text)
	if err != nil {
		return text
	}
	q := stmt.Node.(*syntax.Query) //nolint:forcetypeassert // it begins with SELECT
	if !settleTree(q.Tree(), s.literals(in, when.prepared, when.query), s.Reading()) {
		return text
	}
	if now, err := syntax.ExpressionText(q.Select.TargetList[0].GetResTarget().Val); err == nil {
		return now
	}
	return text
}
