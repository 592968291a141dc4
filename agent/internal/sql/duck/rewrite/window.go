package rewrite

import (
	"encoding/hex"

	"github.com/cockroachdb/apd/v3"
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
	r.frameOffset(w, w.StartOffset, "starting")
	r.frameOffset(w, w.EndOffset, "ending")
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

// frameOffset refuses the offset of a frame that PostgreSQL does not take, and one that is not
// known before the statement runs: the engine takes those below zero.
func (r *rewriter) frameOffset(w *pg.WindowDef, offset *pg.Node, which string) {
	if offset == nil || offset.GetParamRef() != nil {
		return
	}
	of, ranged := datum.Int8, w.FrameOptions&frameOfRange != 0 && len(w.OrderClause) == 1
	if ranged {
		if of = r.typeOf(w.OrderClause[0].GetSortBy().GetNode()); of.IsDateTime() || of == datum.Time || of == datum.Timetz {
			of = datum.Interval
		}
	}
	v, ok := r.constantValue(offset)
	if s, isText := literal(offset); isText {
		var err error
		v, err = r.reading().Parse(of, s)
		ok = err == nil
	}
	switch {
	case !ok && !varies(offset): // it fails
	case !ok:
		r.refuse(unsupported(w.Location, "an offset of a frame that is no constant"))
	case v.Null:
		r.refuse(errorf("22004", w.Location, "frame %s offset must not be null", which))
	case ranged && of.IsInt() && v.Type.IsNumber() && !v.Type.IsInt():
		err := errorf("0A000", w.Location, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s", of.SQLName(), v.Type.SQLName())
		err.Hint = "Cast the offset value to an appropriate type."
		r.refuse(err)
	case !v.Type.IsNumber() && v.Type != datum.Interval || datum.Compare(v, zeroOf(v.Type)) >= 0:
	case ranged:
		r.refuse(errorf("22013", w.Location, "invalid preceding or following size in window function"))
	default:
		r.refuse(errorf("22013", w.Location, "frame %s offset must not be negative", which))
	}
}

// varies reports whether there is a call or a subquery in an expression.
func varies(n *pg.Node) bool {
	found := n.GetFuncCall() != nil || n.GetSubLink() != nil
	visit(n.ProtoReflect(), func(n *pg.Node) { found = found || n.GetFuncCall() != nil || n.GetSubLink() != nil })
	return found
}

// zeroOf is the 0 of a type of numbers, or no interval.
func zeroOf(t datum.Type) datum.Datum {
	if t == datum.Numeric {
		return datum.MakeNumeric(new(apd.Decimal))
	}
	return datum.Datum{Type: t}
}

// hasWindow reports whether there is a window function in an expression.
func hasWindow(n *pg.Node) bool {
	found := n.GetFuncCall().GetOver() != nil
	if n != nil {
		visit(n.ProtoReflect(), func(n *pg.Node) { found = found || n.GetFuncCall().GetOver() != nil })
	}
	return found
}

// windowName is the name of a window for DuckDB, of letters and digits alone: the deparser
// quotes no names of windows.
func windowName(name string) string {
	if name == "" {
		return ""
	}
	return "nd_w" + hex.EncodeToString([]byte(name))
}
