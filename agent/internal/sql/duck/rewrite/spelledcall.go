package rewrite

import (
	"encoding/hex"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// spellCalls has calls that the engine has not be those that it has: of the first and the last
// value of an enum, texts of enums, aggregates of bytes as their digits, and ranks of rows that are
// none as numbers of those before them.
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
	if w, ok := m.Interface().(*pg.WindowDef); ok {
		w.Name, w.Refname = windowName(w.Name), windowName(w.Refname)
		r.spellFrame(w)
		return
	}
	n, ok := m.Interface().(*pg.Node)
	if c := n.GetTypeCast(); ok && c != nil {
		r.spellArray(c)
	}
	f := n.GetFuncCall()
	if !ok || f == nil || len(f.Args) == 0 && !f.AggWithinGroup || len(f.Funcname) > 1 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" {
		return
	}
	switch name := lastName(f.Funcname); name {
	case "enum_first", "enum_last", "enum_range":
		if out := r.enumBounds(name, f); out != nil {
			n.Node = out.Node
		}
	case "concat", "concat_ws", "format", "num_nulls", "num_nonnulls":
		for i, a := range f.Args {
			if r.typeOf(a).IsEnum() {
				f.Args[i] = castTo(a, "text")
			}
		}
	case "rank", "dense_rank", "percent_rank", "cume_dist":
		if out := hypothetical(name, f); out != nil && !r.ofAround(f) {
			n.Node = out.Node
		}
	case "string_agg":
		if separator := r.bytesBetween(f); separator != nil {
			n.Node = digitsOf(f, separator).Node
		}
	}
}

// bytesBetween is the digits of the separator of a string_agg of bytes; nil: it is one of texts.
func (r *rewriter) bytesBetween(f *pg.FuncCall) *pg.Node {
	if len(f.Args) != 2 || r.typeOf(f.Args[0]) != datum.Bytea && r.typeOf(f.Args[1]) != datum.Bytea {
		return nil
	}
	between := f.Args[1]
	if c := between.GetTypeCast(); c != nil && len(c.TypeName.GetArrayBounds()) == 0 {
		between = c.Arg
	}
	s, isText := literal(between)
	if d, err := datum.ParseText(datum.Bytea, s, nil); isText && err == nil {
		return text(hex.EncodeToString([]byte(d.S)))
	}
	return hexDigits(f.Args[1])
}

func hexDigits(n *pg.Node) *pg.Node { return call("encode", castTo(n, "bytea"), text("hex")) }

// digitsOf is a string_agg of bytes by their hexadecimal digits, which are in the order of the
// bytes.
func digitsOf(f *pg.FuncCall, separator *pg.Node) *pg.Node {
	for _, n := range f.AggOrder {
		if by := n.GetSortBy(); f.AggDistinct && proto.Equal(placeless(by.Node), placeless(f.Args[0])) {
			by.Node = hexDigits(by.Node)
		}
	}
	f.Args = []*pg.Node{hexDigits(f.Args[0]), separator}
	f.Location = -1
	return call("decode", &pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}}, text("hex"))
}
