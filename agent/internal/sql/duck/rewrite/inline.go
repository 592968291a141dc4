package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Inlined is what stands for the call of a function that somebody has made.
type Inlined struct {
	Expr *pg.Node
	Type datum.Type
	// Cast makes an expression of the type.
	Cast func(*pg.Node) *pg.Node
}

// maxInlined is how many calls a statement may come to: a function may call others.
const maxInlined = 1000

// Knows reports whether a function of the name is built in.
func Knows(name string) bool {
	if _, ok := functions[name]; ok {
		return true
	}
	if _, ok := specials[name]; ok {
		return true
	}
	if _, ok := setReturning[name]; ok {
		return true
	}
	_, ok := jsonType(name)
	return ok
}

// aggregates are of the rows that a query reads.
//
//nolint:gochecknoglobals // a constant table
var aggregates = map[string]bool{"count": true, "sum": true, "avg": true, "min": true, "max": true, "array_agg": true, "string_agg": true, "json_agg": true, "jsonb_agg": true,
	"json_object_agg": true, "jsonb_object_agg": true, "bool_and": true, "bool_or": true, "every": true, "bit_and": true, "bit_or": true, "bit_xor": true, "any_value": true,
	"regr_avgx": true, "regr_avgy": true, "regr_count": true, "regr_intercept": true, "regr_r2": true, "regr_slope": true, "regr_sxx": true, "regr_sxy": true, "regr_syy": true,
	"stddev": true, "stddev_pop": true, "stddev_samp": true, "variance": true, "var_pop": true, "var_samp": true, "corr": true, "covar_pop": true, "covar_samp": true,
	"mode": true, "percentile_cont": true, "percentile_disc": true, "grouping": true}

// OfRows reports whether a function of the name is of several rows, or gives them.
func OfRows(name string) bool {
	_, gives := setReturning[name]
	return gives || aggregates[name]
}

// somebodys reports whether a call may be of a function that is not built in: Input.Inline
// knows.
func (r *rewriter) somebodys(f *pg.FuncCall) bool {
	return r.in.Inline != nil && (len(f.Funcname) == 1 || f.Funcname[0].GetString_().GetSval() != "pg_catalog")
}

// inline puts what a function is where it is called.
func (r *rewriter) inline(n *pg.Node) error {
	for {
		f := n.GetFuncCall()
		if f == nil || !r.somebodys(f) {
			return nil
		}
		in, err := r.in.Inline(f, r.typeOf)
		if in == nil || err != nil {
			return err
		}
		if r.inlined++; r.inlined > maxInlined {
			return &Error{Code: "54001", Message: "stack depth limit exceeded", Hint: "Functions that are one expression may call each other 1000 times in a statement."}
		}
		if n.Node = in.Expr.Node; r.typeOf(n) != in.Type {
			n.Node = in.Cast(&pg.Node{Node: in.Expr.Node}).Node
		}
		byPosition(pg.MakeListNode([]*pg.Node{n}).ProtoReflect())
	}
}
