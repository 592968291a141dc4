package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// cheapestFirst is a condition whose conjuncts stand as PostgreSQL looks at them: those that
// cost less first, else as they were written. What the first refuses the others never see,
// so that no error comes of it.
func cheapestFirst(e Expr) Expr {
	if e == nil {
		return nil
	}
	parts := slices.Clone(conjuncts(e))
	slices.SortStableFunc(parts, func(a, b Expr) int { return evaluations(a) - evaluations(b) })
	return remaining(parts, nil)
}

// nullIsFalse is a condition that rows are chosen by, in which a null that PostgreSQL knows of
// beforehand is false: so what stands beside it is not computed.
func nullIsFalse(e Expr) Expr {
	if v, ok := knownAhead(e); ok && v.Null {
		return &Const{Value: datum.MakeBool(false)}
	}
	list, ok := e.(*andExpr)
	if !ok {
		return e
	}
	var args []Expr
	for _, a := range list.args {
		a = nullIsFalse(a)
		v, ok := knownAhead(a)
		switch {
		case !ok || !isFalse(v):
			args = append(args, a)
		case !list.or:
			return a
		}
	}
	switch len(args) {
	case 0:
		return &Const{Value: datum.MakeBool(!list.or)}
	case 1:
		return args[0]
	}
	return &andExpr{args: args, or: list.or}
}

// evaluations is how many operators and functions PostgreSQL counts in e, times two.
func evaluations(e Expr) int {
	const one = 2
	n := 0
	switch e := e.(type) {
	case *compareExpr:
		n = one
	case *inExpr: // half of the list is looked at
		n = max(len(e.list), one) * one / 2
		if e.array != nil {
			n = 10 * one / 2 // of so many elements, as far as is known
		}
	case *rowCompare:
		n = one * len(e.left)
	case *tupleExpr:
		n = one * len(e.row) * len(e.list)
	case *fn:
		if !e.widening && e.name != isNotNull && e.name != isNull && len(e.args) > 0 {
			n = one
		}
	}
	for _, c := range children(e) {
		n += evaluations(c)
	}
	return n
}
