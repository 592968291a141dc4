package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// separates reports whether a string_agg has a separator that each value brings along: the engine
// takes constants.
func (r *rewriter) separates(f *pg.FuncCall) bool {
	if len(f.Args) != 2 {
		return false
	}
	between := f.Args[1]
	_, constant := r.constantValue(between)
	return !constant
}

// specialStringAgg is string_agg: with a separator of each value's own, what a list of both
// becomes.
func specialStringAgg(r *rewriter, f *pg.FuncCall) (finish, error) {
	if !r.separates(f) {
		return r.ownFunction(f, "string_agg")
	}
	if f.AggDistinct && !ascending(f) {
		return nil, unsupported(f.Location, "string_agg of distinct values with a separator that is not a constant, in an order")
	}
	value, between := r.textOf(f.Args[0], false), r.textOf(f.Args[1], false)
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		pair := call("struct_pack", named("v", value(args[0])), named("s", between(args[1])))
		list := renamed(n, "list", pair)
		if f := list.GetFuncCall(); f.AggDistinct { // by the values, then by what separates them
			by := &pg.SortBy{Node: clone(pair), SortbyDir: pg.SortByDir_SORTBY_DEFAULT, SortbyNulls: pg.SortByNulls_SORTBY_NULLS_DEFAULT, Location: -1}
			f.AggOrder = []*pg.Node{{Node: &pg.Node_SortBy{SortBy: by}}}
		}
		return call("nd_joined", list), nil
	}, nil
}

// ascending reports whether the order of an aggregate's distinct values is the one that they have
// without any.
func ascending(f *pg.FuncCall) bool {
	if len(f.AggOrder) == 0 {
		return true
	}
	by := f.AggOrder[0].GetSortBy()
	return len(f.AggOrder) == 1 && alike(plainLiteral(f.Args[0]), plainLiteral(by.Node)) && len(by.UseOp) == 0 &&
		(by.SortbyDir == pg.SortByDir_SORTBY_DEFAULT || by.SortbyDir == pg.SortByDir_SORTBY_ASC)
}

func named(name string, n *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_NamedArgExpr{NamedArgExpr: &pg.NamedArgExpr{Name: name, Arg: n, Argnumber: -1, Location: -1}}}
}
