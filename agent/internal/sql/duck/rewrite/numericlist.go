package rewrite

import (
	"slices"

	"github.com/cockroachdb/apd/v3"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// An array of numerics that is a constant or a parameter has scales of its own. To the engine
// it is an array of decimals of one scale where its values are compared, and one of texts where
// their digits are seen: as a column of the result, and by unnest.

const numericList = datum.Numeric | datum.Array

// listValue is an array of numerics that is a constant.
func (r *rewriter) listValue(n *pg.Node) (datum.Datum, bool) {
	c := n.GetTypeCast()
	to, modified := castType(c.GetTypeName())
	s, isText := literal(c.GetArg())
	if c == nil || to != numericList || modified || !isText {
		return datum.Datum{}, false
	}
	d, err := r.reading().Parse(to, s)
	return d, err == nil && d.A.Plain() == nil
}

// listParam is the parameter that an array of numerics is; nil: it is none.
func (r *rewriter) listParam(n *pg.Node) *pg.Node {
	if r.typeOf(n) != numericList {
		return nil
	}
	if c := n.GetTypeCast(); c != nil && len(c.TypeName.Typmods) == 0 {
		n = c.Arg
	}
	if n.GetParamRef() == nil || r.typeOf(n) != numericList {
		return nil
	}
	return n
}

// losesDigits reports whether an array may have other digits as one of decimals.
func (r *rewriter) losesDigits(n *pg.Node) bool {
	if r.listParam(n) != nil {
		return true
	}
	d, ok := r.listValue(n)
	return ok && slices.ContainsFunc(d.A.Values, func(v datum.Datum) bool {
		return !v.Null && (beyondDecimal(v.D) || v.D.Exponent < -frame.NumericScale || v.D.Exponent < 0 && endsInZero(v.D))
	})
}

// endsInZero reports whether the last digit behind the point is a zero.
func endsInZero(d *apd.Decimal) bool {
	text := d.Coeff.String()
	return text[len(text)-1] == '0'
}

// textElements makes an array that would lose digits one of texts; nil: it is none.
func (r *rewriter) textElements(n *pg.Node) *pg.Node {
	if !r.losesDigits(n) {
		return nil
	}
	if p := r.listParam(n); p != nil {
		r.paramIs(p, numericList)
		r.takesText(p)
		return p
	}
	d, _ := r.listValue(n)
	list := &pg.A_ArrayExpr{Location: -1}
	for _, v := range d.A.Values {
		e := null()
		if !v.Null {
			e = text(v.Text())
		}
		list.Elements = append(list.Elements, e)
	}
	out := cast(&pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: list}}, "VARCHAR[]")
	r.made[out] = true
	return out
}

// digitsSeen refuses an array that loses digits where they would be seen.
func (r *rewriter) digitsSeen(n *pg.Node) error {
	if p := r.listParam(n); p != nil && p != n { // its cast is no change
		r.digitless[p] = r.digitless[p] || r.digitless[n]
		r.textual[p] = r.textual[p] || r.textual[n]
		return nil
	}
	if r.digitless[n] || r.textual[n] || !r.losesDigits(n) {
		return nil
	}
	return manyScaled("this use")
}

// castList is a cast to an array of numerics that becomes one of texts; nil: it is another.
func (r *rewriter) castList(n *pg.Node) finish {
	if !r.textual[n] || r.typeOf(n) != numericList {
		return nil
	}
	list := r.textElements(n)
	switch {
	case list == nil:
		return nil
	case list.GetParamRef() != nil: // which says so by itself
		return func(n *pg.Node) (*pg.Node, error) { return n.GetTypeCast().Arg, nil }
	}
	return func(*pg.Node) (*pg.Node, error) { return list, nil }
}

// unnestInTargets has unnest in a SELECT list give texts where they will do; elsewhere its values
// are compared.
func (r *rewriter) unnestInTargets(f *pg.FuncCall) {
	switch {
	case lastName(f.Funcname) != "unnest" || len(f.Args) != 1 || !r.losesDigits(f.Args[0]):
	case r.accepts:
		f.Args[0] = r.textElements(f.Args[0])
	default:
		r.digitless[f.Args[0]] = true
	}
}

// unnestedTexts is the array of texts whose elements unnest gives in a SELECT list; nil: it
// gives others.
func (r *rewriter) unnestedTexts(f *pg.FuncCall) *pg.Node {
	if lastName(f.Funcname) != "unnest" || len(f.Args) != 1 {
		return nil
	}
	return r.textElements(f.Args[0])
}
