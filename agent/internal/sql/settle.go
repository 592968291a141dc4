package sql

import (
	"slices"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// PostgreSQL reads the literals of what is kept, views and defaults, when it is made: '2026-01-31
// 12:00' is that of the time zone of who makes it, and 'today' is the day on which it is made,
// whoever reads the view. Here texts are kept, so that such literals are written as everybody reads
// them.

// settled writes the times in a query that is kept as everybody reads them. literals are the types
// of those that say none.
func (s *Session) settled(q *pg.SelectStmt, literals map[int32]datum.Type) *pg.SelectStmt {
	out := proto.CloneOf(q)
	syntax.EachMessage(out.ProtoReflect(), func(m protoreflect.Message) bool {
		switch x := m.Interface().(type) {
		case *pg.TypeCast:
			if t, ok := timeType(x.TypeName); ok && x.GetArg().GetAConst() != nil {
				s.settleLiteral(x.Arg.GetAConst(), t)
				return false
			}
		case *pg.A_Const:
			if t, ok := literals[x.Location]; ok {
				s.settleLiteral(x, t)
			}
		}
		return true
	})
	return out
}

// timeType is the type of times that a name means which PostgreSQL has itself.
func timeType(n *pg.TypeName) (datum.Type, bool) {
	names := n.GetNames()
	if len(names) == 0 || len(names) > 1 && names[0].GetString_().GetSval() != "pg_catalog" || len(n.Typmods) > 0 {
		return datum.Unknown, false
	}
	t, _, err := catalog.ResolveType(syntax.TypeName{Name: names[len(names)-1].GetString_().GetSval()})
	if err == nil && len(n.ArrayBounds) > 0 {
		t |= datum.Array
	}
	return t, err == nil
}

// settleLiteral writes a literal as everybody reads it, if sessions read it differently.
func (s *Session) settleLiteral(c *pg.A_Const, t datum.Type) {
	text := c.GetSval()
	if text == nil || !slices.Contains([]datum.Type{datum.Timestamptz, datum.Timestamp, datum.Date}, t.Elem()) {
		return
	}
	v, err := s.Reading().Parse(t, text.Sval)
	if err != nil {
		return
	}
	const away = 13 * 3600
	other, err := (&datum.Reading{Location: time.FixedZone("", away)}).Parse(t, text.Sval)
	if err != nil || datum.Compare(v, other) != 0 {
		text.Sval = v.Text()
	}
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
		of, ok := timeType(cast.TypeName)
		if !ok {
			return text
		}
		literal, t = cast.Arg.GetAConst(), of
	}
	if literal.GetSval() == nil {
		return text
	}
	was := literal.GetSval().Sval
	s.settleLiteral(literal, t)
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	if now := literal.GetSval().Sval; now != was {
		return strings.Replace(text, quoted(was), quoted(now), 1)
	}
	return text
}
