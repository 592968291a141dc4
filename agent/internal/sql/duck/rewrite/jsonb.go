package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

// jsonOperator finds the function of package jsonb that an operator is; nil: it is none.
func (r *rewriter) jsonOperator(e *pg.A_Expr) (finish, error) {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil {
		return nil, nil
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	if left == datum.JSON {
		return r.writtenOperator(e, right)
	}
	if _, isText := literal(e.Lexpr); isText && lastName(e.Name) == "@?" { // which nothing else has
		e.Lexpr, left = castTo(e.Lexpr, "jsonb"), datum.JSONB
	}
	if left != datum.JSONB && right != datum.JSONB {
		return nil, nil
	}
	name := jsonb.Operator(lastName(e.Name), right)
	if lastName(e.Name) == "||" && (left.IsString() || right.IsString()) { // texts
		return nil, nil
	}
	if name == "" {
		return nil, nil
	}
	finishArgs, err := r.jsonCall(name, []*pg.Node{e.Lexpr, e.Rexpr}, e.Location)
	if err != nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) {
		return finishArgs([]*pg.Node{n.GetAExpr().Lexpr, n.GetAExpr().Rexpr}), nil
	}, nil
}

// writtenOperator finds the function of package builtin that an operator of json is.
func (r *rewriter) writtenOperator(e *pg.A_Expr, right datum.Type) (finish, error) {
	name := builtin.JSONOperator(lastName(e.Name), right)
	if name == "" {
		return nil, nil
	}
	f := call(name, e.Lexpr, e.Rexpr).GetFuncCall()
	if a := e.Rexpr.GetAArrayExpr(); a != nil && right == datum.Unknown {
		if list, ok := textArray(e.Rexpr); ok {
			values := make([]datum.Datum, len(list))
			for i, s := range list {
				values[i] = datum.MakeText(s)
			}
			f.Args[1] = text(datum.MakeArray(datum.Text, values).Text())
		}
	}
	after, err := r.builtinFunction(f, name)
	if after == nil || err != nil {
		return nil, err
	}
	path := f.Args[1]
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		if path.GetAConst() == nil {
			path = e.Rexpr
		}
		return after(call(name, e.Lexpr, path))
	}, nil
}

// steppedFunctions take a path as arguments, from that number on.
var steppedFunctions = map[string]int{"jsonb_extract_path": 1, "jsonb_extract_path_text": 1, "document_field": 1, "document_set": 2}

// jsonFunction finds the function of package jsonb that is called; nil: none is.
func (r *rewriter) jsonFunction(f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(jsonb.Named(name)) == 0 {
		return nil, nil
	}
	args := func(l []*pg.Node) []*pg.Node { return l }
	if n, ok := steppedFunctions[name]; ok {
		args = func(l []*pg.Node) []*pg.Node {
			steps := &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: &pg.A_ArrayExpr{Elements: l[n:], Location: -1}}}
			if n == 2 {
				return []*pg.Node{l[0], steps, l[1]}
			}
			return []*pg.Node{l[0], steps}
		}
		if len(f.Args) <= n {
			return nil, unsupported(f.Location, "a path of no keys")
		}
	}
	finishArgs, err := r.jsonCall(name, args(f.Args), f.Location)
	if err != nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) { return finishArgs(args(n.GetFuncCall().Args)), nil }, nil
}

// jsonCall chooses the function that takes the arguments. What it returns makes the call
// of arguments that are DuckDB's.
func (r *rewriter) jsonCall(name string, args []*pg.Node, location int32) (func([]*pg.Node) *pg.Node, error) {
	types := make([]datum.Type, len(args))
	for i, a := range args {
		if types[i] = r.typeOf(a); types[i] == datum.Unknown && a.GetAArrayExpr() != nil {
			types[i] = datum.Text | datum.Array // of literals
		}
	}
	for _, f := range jsonb.Named(name) {
		if !takesTypes(&f, types, args) {
			continue
		}
		for i, a := range args {
			r.paramIs(a, f.Args[i])
		}
		return func(args []*pg.Node) *pg.Node {
			out := make([]*pg.Node, len(args))
			for i, a := range args {
				out[i] = jsonArgument(f.Args[i], a)
			}
			result := call(f.EngineName(len(args)), out...)
			if f.Result == datum.Numeric {
				return cast(result, numericType(-1).SQL())
			}
			return result
		}, nil
	}
	signature := ""
	for i, t := range types {
		if i > 0 {
			signature += ", "
		}
		signature += t.SQLName()
	}
	return nil, errorf("42883", location, "function %s(%s) does not exist", name, signature)
}

func takesTypes(f *jsonb.Function, types []datum.Type, args []*pg.Node) bool {
	if len(types) > len(f.Args) || len(types) < len(f.Args)-f.Optional {
		return false
	}
	for i, t := range types {
		want := f.Args[i]
		switch {
		case t == datum.Unknown, t == want, t.IsInt() && want == datum.Int4, t.IsString() && want == datum.Text:
		case t.IsArray() && want.IsArray() && t.Elem().IsString():
		case want.IsArray() && args[i].GetAArrayExpr() != nil:
		default:
			return false
		}
	}
	return true
}

// jsonArgument makes an argument of one of the worker's functions: a text.
func jsonArgument(t datum.Type, n *pg.Node) *pg.Node {
	if !t.IsArray() {
		return cast(n, "VARCHAR")
	}
	if list, ok := textArray(n); ok {
		values := make([]string, len(list))
		for i, s := range list {
			values[i] = datum.QuoteJSON(s)
		}
		return sqlText(jsonb.Array(values))
	}
	return cast(call("to_json", cast(n, "VARCHAR[]")), "VARCHAR")
}

// ordered makes values of jsonb comparable: their bytes in the order of PostgreSQL's.
func ordered(n *pg.Node) *pg.Node {
	f := jsonb.Named("document_order")[0]
	return call(f.EngineName(1), cast(n, "VARCHAR"))
}

// jsonComparison finishes a comparison of values of jsonb; nil: it is none.
func (r *rewriter) jsonComparison(e *pg.A_Expr) finish {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if e.Lexpr == nil || !compares(lastName(e.Name)) {
			return nil
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_IN,
		pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM,
		pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
	default:
		return nil
	}
	if r.typeOf(e.Lexpr) != datum.JSONB && r.typeOf(e.Rexpr) != datum.JSONB {
		return nil
	}
	return func(n *pg.Node) (*pg.Node, error) {
		eachOperand(n.GetAExpr(), ordered)
		return r.operator(n, n.GetAExpr())
	}
}

// eachOperand has a comparison be of what form makes of its operands.
func eachOperand(e *pg.A_Expr, form func(*pg.Node) *pg.Node) {
	e.Lexpr = form(e.Lexpr)
	list := e.Rexpr.GetList()
	if list == nil {
		e.Rexpr = form(e.Rexpr)
	}
	for i, item := range list.GetItems() {
		list.Items[i] = form(item)
	}
}

// jsonType is the type of what a function of package jsonb gives.
func jsonType(name string) (datum.Type, bool) {
	if list := jsonb.Named(name); len(list) > 0 {
		return list[0].Result, true
	}
	return datum.Unknown, false
}

// unnestedJSON is a set of what a function of package jsonb gives as an array.
func unnestedJSON(name string, cols ...string) func(f *pg.FuncCall) (*pg.Node, []string, error) {
	return func(f *pg.FuncCall) (*pg.Node, []string, error) {
		g := jsonb.Named(name)[0]
		if len(f.Args) > len(g.Args) || len(f.Args) < len(g.Args)-g.Optional {
			return nil, nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", lastName(f.Funcname), len(f.Args))
		}
		args := make([]*pg.Node, len(f.Args))
		for i, a := range f.Args {
			args[i] = jsonArgument(g.Args[i], a)
		}
		return call("unnest", call(g.EngineName(len(args)), args...)), cols, nil
	}
}

// pathCast is a cast to jsonpath, of a literal: functions take its text.
func pathCast(t *pg.TypeCast) (finish, error) {
	s, ok := literal(t.Arg)
	if !ok {
		return nil, unsupported(t.Location, "a cast to jsonpath of what is not a constant")
	}
	if _, err := jsonb.ParsePath(s); err != nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) { return n.GetTypeCast().Arg, nil }, nil
}
