package queryplan

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// same reports whether two expressions over the same row are written alike.
func same(a, b Expr) bool {
	switch a := a.(type) {
	case *ColumnRef:
		b, ok := b.(*ColumnRef)
		return ok && a.Index == b.Index
	case *Const:
		b, ok := b.(*Const)
		return ok && a.Value.Type == b.Value.Type && a.Value.Null == b.Value.Null && (a.Value.Null || datum.Compare(a.Value, b.Value) == 0)
	case *compareExpr:
		b, ok := b.(*compareExpr)
		return ok && a.op == b.op && a.typ == b.typ && same(a.left, b.left) && same(a.right, b.right)
	case *andExpr:
		b, ok := b.(*andExpr)
		return ok && a.or == b.or && sameAll(a, b)
	case *inExpr:
		b, ok := b.(*inExpr)
		return ok && a.not == b.not && (a.array == nil) == (b.array == nil) && sameAll(a, b)
	case *rowCompare:
		b, ok := b.(*rowCompare)
		return ok && a.op == b.op && sameAll(a, b)
	case *tupleExpr:
		b, ok := b.(*tupleExpr)
		return ok && a.not == b.not && len(a.row) == len(b.row) && sameAll(a, b)
	case *coalesceExpr:
		_, ok := b.(*coalesceExpr)
		return ok && sameAll(a, b)
	case *fn:
		b, ok := b.(*fn)
		return ok && a.name != "" && a.name == b.name && a.typ == b.typ && sameAll(a, b)
	default:
		return false
	}
}

func sameAll(a, b Expr) bool { return slices.EqualFunc(children(a), children(b), same) }

// sameSet reports whether each of a is written like one of b, and each of b like one of a.
func sameSet(a, b []Expr) bool {
	in := func(list []Expr) func(Expr) bool {
		return func(e Expr) bool { return slices.ContainsFunc(list, func(o Expr) bool { return same(e, o) }) }
	}
	return !slices.ContainsFunc(a, func(e Expr) bool { return !in(b)(e) }) && !slices.ContainsFunc(b, func(e Expr) bool { return !in(a)(e) })
}

// implies reports whether what holds says, as it is written, that wanted holds; nil wanted
// always does.
func implies(holds, wanted Expr) bool {
	if wanted == nil {
		return true
	}
	if holds == nil {
		return false
	}
	given := conjuncts(holds)
	for _, w := range conjuncts(wanted) {
		if !slices.ContainsFunc(given, func(g Expr) bool { return same(g, w) || notNull(g, w) }) {
			return false
		}
	}
	return true
}

// notNull reports whether w says that something is not null which g compares.
func notNull(g, w Expr) bool {
	f, ok := w.(*fn)
	if !ok || f.name != isNotNull {
		return false
	}
	switch g := g.(type) {
	case *compareExpr:
		return same(g.left, f.args[0]) || same(g.right, f.args[0])
	case *inExpr:
		return !g.not && same(g.value, f.args[0])
	default:
		return false
	}
}

// The names of tests for null.
const (
	isNotNull = "is not null"
	isNull    = "is null"
)

// spelled is a name for what a call, an operator or a test does to its arguments; "" if
// that is more than its name and its constants say.
func spelled(n *pg.Node) string {
	switch n := n.GetNode().(type) {
	case *pg.Node_FuncCall:
		if n.FuncCall.GetOver() != nil || n.FuncCall.GetAggDistinct() {
			return ""
		}
		return "call " + lastName(n.FuncCall.GetFuncname()) + constants(n.FuncCall.GetArgs())
	case *pg.Node_AExpr:
		return fmt.Sprintf("operator %d %s%s", n.AExpr.GetKind(), lastName(n.AExpr.GetName()), constants([]*pg.Node{n.AExpr.GetLexpr(), n.AExpr.GetRexpr()}))
	case *pg.Node_NullTest:
		if n.NullTest.GetNulltesttype() == pg.NullTestType_IS_NOT_NULL {
			return isNotNull
		}
		return isNull
	case *pg.Node_BooleanTest:
		return fmt.Sprintf("is %d", n.BooleanTest.GetBooltesttype())
	case *pg.Node_BoolExpr:
		return fmt.Sprintf("logic %d", n.BoolExpr.GetBoolop())
	default:
		return ""
	}
}

func lastName(names []*pg.Node) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1].GetString_().GetSval()
}

// constants are those among the arguments of a call, as they were written.
func constants(args []*pg.Node) string {
	var out strings.Builder
	for _, a := range args {
		for a.GetTypeCast() != nil {
			a = a.GetTypeCast().GetArg()
		}
		switch k := a.GetAConst(); {
		case k == nil:
			out.WriteString(" _")
		case k.GetSval() != nil:
			fmt.Fprintf(&out, " %q", k.GetSval().GetSval())
		default:
			fmt.Fprintf(&out, " %d%s%v%v%s", k.GetIval().GetIval(), k.GetFval().GetFval(), k.GetBoolval().GetBoolval(), k.GetIsnull(), k.GetBsval().GetBsval())
		}
	}
	return out.String()
}
