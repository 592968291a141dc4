package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// enumBounds is enum_first and the like of a value of which only the type counts, and enum_range of
// two constants; nil: it is none.
func (r *rewriter) enumBounds(name string, f *pg.FuncCall) *pg.Node {
	t := r.commonEnum(f.Args)
	if t == datum.Unknown || len(t.EnumType().Labels) == 0 {
		return nil
	}
	of := func(label string) *pg.Node { return castTo(text(label), syntax.EnumTypeName(uint32(t))) }
	labels := t.EnumType().Labels
	var out *pg.Node
	switch {
	case name == "enum_range" && len(f.Args) == 2:
		from, ok := labelAt(f.Args[0], labels, 0)
		to, also := labelAt(f.Args[1], labels, len(labels)-1)
		if !ok || !also {
			return nil
		}
		labels = labels[min(from, to+1) : to+1]
	case len(f.Args) != 1:
		return nil
	case name == "enum_first":
		out = of(labels[0].Name)
	case name == "enum_last":
		out = of(labels[len(labels)-1].Name)
	}
	if out == nil {
		out = &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: &pg.A_ArrayExpr{Location: -1}}}
		for _, l := range labels {
			out.GetAArrayExpr().Elements = append(out.GetAArrayExpr().Elements, of(l.Name))
		}
		if len(labels) == 0 {
			one := t.EnumType().Labels[0].Name
			out.GetAArrayExpr().Elements = []*pg.Node{of(one)}
			out = call("array_remove", out, of(one))
		}
	}
	if !slices.ContainsFunc(f.Args, mayFail) {
		return out
	}
	// What it is computed of may fail.
	isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: f.Args[0], Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(isNull, clone(out))}, Defresult: out, Location: -1}}}
}

// mayFail reports whether n is neither a column nor a constant.
func mayFail(n *pg.Node) bool {
	return n.GetColumnRef() == nil && n.GetAConst() == nil && n.GetTypeCast().GetArg().GetAConst() == nil
}

// commonEnum is the enum whose values all arguments are, but for literals.
func (r *rewriter) commonEnum(args []*pg.Node) datum.Type {
	of := datum.Unknown
	for _, a := range args {
		switch t := r.typeOf(a); {
		case t == datum.Unknown && (a.GetAConst() != nil):
		case !t.IsEnum() || of != datum.Unknown && of != t:
			return datum.Unknown
		default:
			of = t
		}
	}
	return of
}

// labelAt is where a constant stands among the values of an enum; a null is at the end that is
// given.
func labelAt(n *pg.Node, labels []cluster.EnumLabel, end int) (int, bool) {
	if c := n.GetTypeCast(); c != nil && len(c.TypeName.GetArrayBounds()) == 0 {
		n = c.Arg
	}
	if n.GetAConst().GetIsnull() {
		return end, true
	}
	s, ok := literal(n)
	at := slices.IndexFunc(labels, func(l cluster.EnumLabel) bool { return l.Name == s })
	return at, ok && at >= 0
}

// spellArray casts an array of an enum to text by that of the names of its elements.
func (r *rewriter) spellArray(c *pg.TypeCast) {
	to, _ := castType(c.TypeName)
	if to != datum.Text && to != datum.Varchar {
		return
	}
	if t := r.typeOf(c.Arg); t.IsArray() && t.Elem().IsEnum() {
		c.Arg = castTo(c.Arg, "text[]")
	}
}
