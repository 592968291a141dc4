package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// Shown says how names are shown in a text for people.
type Shown struct {
	// Relation and Type say that a name is found without its schema.
	Relation, Type func(schema, name string) bool
	// Argument is how $n is called, within says that there are names of tables beside.
	Argument func(n int, within bool) []string
}

// BodyText is a body in one of the standard's forms as PostgreSQL shows it, near enough to be
// read by people, and by who restores a dump.
func BodyText(statements []*Query, returns bool, shown Shown) (string, error) {
	var out strings.Builder
	for _, q := range statements {
		q = q.Clone()
		shown.in(q.Tree())
		if returns && len(statements) == 1 && IsExpression(q) {
			value := q.Select.GetTargetList()[0].GetResTarget().GetVal()
			text, err := deparse(value)
			if err != nil {
				return "", err
			}
			switch value.GetNode().(type) {
			case *pg.Node_AExpr, *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest:
				text = "(" + text + ")"
			}
			return "RETURN " + text, nil
		}
		if q.Select != nil {
			pretty := prettyQuery{indent: " "}
			if pretty.query(q.Select, nil); pretty.err != nil {
				return "", pretty.err
			}
			out.WriteString(pretty.b.String() + ";\n")
			continue
		}
		text, err := q.Text()
		if err != nil {
			return "", err
		}
		out.WriteString(" " + text + ";\n")
	}
	return "BEGIN ATOMIC\n" + out.String() + "END", nil
}

// in has the names in m be shown so.
func (s Shown) in(m proto.Message) {
	within := false
	_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		switch m := m.(type) {
		case *pg.RangeVar:
			within = true
			s.relation(m)
		case *pg.TypeName:
			if names := texts(m.GetNames()); len(names) == 2 && s.Type(names[0], names[1]) {
				m.Names = m.GetNames()[1:]
			}
		case *pg.FuncCall:
			if SequenceFunction(m) != "" {
				s.sequence(m.GetArgs())
			}
		}
		return nil
	})
	_ = walk(m.ProtoReflect(), func(n *pg.Node) (bool, error) {
		if p := n.GetParamRef(); p != nil {
			if names := s.Argument(int(p.GetNumber()), within); len(names) > 0 {
				fields := make([]*pg.Node, len(names))
				for i, name := range names {
					fields[i] = pg.MakeStrNode(name)
				}
				n.Node = &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: fields, Location: -1}}
			}
		}
		return true, nil
	})
}

// sequence has the sequence that a call names be without its schema.
func (s Shown) sequence(args []*pg.Node) {
	text, ok := SequenceText(args[0])
	if name, err := RelationName(text); ok && err == nil && s.Relation(name.Schema, name.Name) {
		args[0] = sequenceNode(Name{Name: name.Name})
	}
}

// relation has a name of FROM be without its schema, and without an alias that says no more.
func (s Shown) relation(r *pg.RangeVar) {
	if r.GetSchemaname() != "" && s.Relation(r.GetSchemaname(), r.GetRelname()) {
		r.Schemaname = ""
	}
	if a := r.GetAlias(); a.GetAliasname() == r.GetRelname() && len(a.GetColnames()) == 0 {
		r.Alias = nil
	}
}
