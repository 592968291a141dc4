package rewrite

import (
	"encoding/hex"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// spellCalls has calls that the engine has not be those that it has: of the first and the last
// value of an enum, texts of enums, and aggregates of bytes as their digits.
func (r *rewriter) spellCalls(s *pg.SelectStmt) {
	lists := [][]*pg.Node{s.TargetList, {s.WhereClause}, {s.HavingClause}, s.GroupClause, s.SortClause, s.DistinctClause, s.WindowClause}
	for _, l := range lists {
		for _, n := range l {
			t := n.GetResTarget()
			was := proto.CloneOf(t)
			if r.spell(n.ProtoReflect()); t != nil && t.Name == "" && !proto.Equal(was, t) {
				t.Name = FigureName(was.Val)
			}
		}
	}
}

func (r *rewriter) spell(m protoreflect.Message) {
	if _, query := m.Interface().(*pg.SelectStmt); query { // whose names are others
		return
	}
	children(m, r.spell)
	n, ok := m.Interface().(*pg.Node)
	f := n.GetFuncCall()
	if !ok || f == nil || len(f.Args) == 0 || len(f.Funcname) > 1 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" {
		return
	}
	switch name := lastName(f.Funcname); name {
	case "enum_first", "enum_last", "enum_range":
		if out := enumBounds(name, f, r.typeOf(f.Args[0])); out != nil {
			n.Node = out.Node
		}
	case "concat", "concat_ws", "format", "num_nulls", "num_nonnulls":
		for i, a := range f.Args {
			if r.typeOf(a).IsEnum() {
				f.Args[i] = castTo(a, "text")
			}
		}
	case "string_agg":
		if separator, ok := r.bytesBetween(f); ok {
			n.Node = digitsOf(f, separator).Node
		}
	}
}

// enumBounds is enum_first and the like of a column or a constant, of which only the type counts;
// nil: it is none, or its argument may fail.
func enumBounds(name string, f *pg.FuncCall, t datum.Type) *pg.Node {
	if len(f.Args) != 1 || !t.IsEnum() || f.Args[0].GetColumnRef() == nil && f.Args[0].GetTypeCast().GetArg().GetAConst() == nil || len(t.EnumType().Labels) == 0 {
		return nil
	}
	labels := t.EnumType().Labels
	of := func(label string) *pg.Node { return castTo(text(label), syntax.EnumTypeName(uint32(t))) }
	switch name {
	case "enum_first":
		return of(labels[0].Name)
	case "enum_last":
		return of(labels[len(labels)-1].Name)
	}
	all := &pg.A_ArrayExpr{Location: -1}
	for _, l := range labels {
		all.Elements = append(all.Elements, of(l.Name))
	}
	return &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: all}}
}

// bytesBetween is the separator of a string_agg of bytes.
func (r *rewriter) bytesBetween(f *pg.FuncCall) ([]byte, bool) {
	if len(f.Args) != 2 || r.typeOf(f.Args[0]) != datum.Bytea && r.typeOf(f.Args[1]) != datum.Bytea {
		return nil, false
	}
	between := f.Args[1]
	if c := between.GetTypeCast(); c != nil && len(c.TypeName.GetArrayBounds()) == 0 {
		between = c.Arg
	}
	s, isText := literal(between)
	d, err := datum.ParseText(datum.Bytea, s, nil)
	return []byte(d.S), isText && err == nil
}

// digitsOf is a string_agg of bytes by their hexadecimal digits, which are in the order of the
// bytes.
func digitsOf(f *pg.FuncCall, separator []byte) *pg.Node {
	digits := func(n *pg.Node) *pg.Node { return call("encode", castTo(n, "bytea"), text("hex")) }
	for _, n := range f.AggOrder {
		if by := n.GetSortBy(); f.AggDistinct && proto.Equal(placeless(by.Node), placeless(f.Args[0])) {
			by.Node = digits(by.Node)
		}
	}
	f.Args = []*pg.Node{digits(f.Args[0]), text(hex.EncodeToString(separator))}
	f.Location = -1
	return call("decode", &pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}}, text("hex"))
}
