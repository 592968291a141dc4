package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// splitDefaults makes lag(x, n, d) and lead a CASE of d, where there is no such row, and
// lag(x, n): the engine gives d the scale of x.
func splitDefaults(m protoreflect.Message) {
	visit(m, func(n *pg.Node) {
		if t := n.GetResTarget(); t != nil && t.Name == "" && takesDefault(t.Val.GetFuncCall()) {
			t.Name = lastName(t.Val.GetFuncCall().Funcname)
		}
		f := n.GetFuncCall()
		if !takesDefault(f) {
			return
		}
		there, otherwise := proto.CloneOf(f), f.Args[2]
		f.Args, there.Args = f.Args[:2], []*pg.Node{boolean(true), proto.CloneOf(f.Args[1])}
		n.Node = &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Location: -1, Defresult: &pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}},
			Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Location: -1, Result: otherwise, Expr: &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{
				Arg: &pg.Node{Node: &pg.Node_FuncCall{FuncCall: there}}, Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}}}}}}}
	})
}

func takesDefault(f *pg.FuncCall) bool {
	name := lastName(f.GetFuncname())
	return f.GetOver() != nil && len(f.GetArgs()) == 3 && (name == "lag" || name == "lead") &&
		f.Args[0].GetAConst() == nil && f.Args[1].GetAConst().GetVal() != nil // a NULL has NULL
}

// frameOfRange is the bit of a frame's options that says RANGE.
const frameOfRange = 0x2

// spellFrame gives the offsets of a frame by RANGE of times the type interval, and has dates be
// ordered as the timestamps that they become with one.
func (r *rewriter) spellFrame(w *pg.WindowDef) {
	if w.FrameOptions&frameOfRange == 0 || w.StartOffset == nil && w.EndOffset == nil || len(w.OrderClause) != 1 {
		return
	}
	by := w.OrderClause[0].GetSortBy()
	switch t := r.typeOf(by.Node); {
	case t == datum.Interval || t == datum.Time || t == datum.Timetz:
		r.refuse(unsupported(w.Location, "a frame by RANGE of %s", t.SQLName()))
		return
	case t == datum.Date:
		by.Node = castTo(by.Node, "timestamp")
	case !t.IsDateTime():
		return
	}
	for _, offset := range []**pg.Node{&w.StartOffset, &w.EndOffset} {
		if _, isText := literal(*offset); isText {
			*offset = castTo(*offset, "interval")
		}
	}
}

// hasWindow reports whether there is a window function in an expression.
func hasWindow(n *pg.Node) bool {
	found := n.GetFuncCall().GetOver() != nil
	if n != nil {
		visit(n.ProtoReflect(), func(n *pg.Node) { found = found || n.GetFuncCall().GetOver() != nil })
	}
	return found
}
