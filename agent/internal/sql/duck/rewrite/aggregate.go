package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// writtenAggregate computes an aggregate of the texts of all its numbers; nil: it is none
// such.
func (r *rewriter) writtenAggregate(n *pg.Node, f *pg.FuncCall, name string) finish {
	accepted := r.textual[n] && r.writes(n)
	if accepted && f.Over != nil && givesRow(name) {
		return r.writtenRow(f)
	}
	if len(f.Args) != 1 || f.AggDistinct && (name != "avg" || r.writes(f.Args[0])) || f.Over != nil && !accepted {
		return nil
	}
	t := r.typeOf(f.Args[0])
	deviation := strings.HasPrefix(name, "stddev") || strings.HasPrefix(name, "var")
	switch {
	case !t.IsInt() && t != datum.Numeric:
		return nil
	case name == "any_value" && r.writes(f.Args[0]):
		form := r.writtenText(f.Args[0])
		return func(n *pg.Node) (*pg.Node, error) {
			n.GetFuncCall().Args[0] = form(n.GetFuncCall().Args[0])
			if !accepted {
				return r.asDecimal(n), nil
			}
			return n, nil
		}
	case name == "avg" && accepted:
		return r.average(f)
	case deviation && f.Over == nil:
	case (name == "sum" || name == "min" || name == "max") && accepted:
	default:
		return nil
	}
	form := r.writtenText(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		out := r.ofTexts(n, name, form(n.GetFuncCall().Args[0]))
		if !accepted {
			return r.asDecimal(out), nil
		}
		return out, nil
	}
}

// ofTexts is an aggregate of numbers that are texts: of a list of all of them, or, where that
// would be one for each row of a window, of decimals with the largest scale among them.
func (r *rewriter) ofTexts(n *pg.Node, name string, texts *pg.Node) *pg.Node {
	if f := n.GetFuncCall(); f.Over != nil {
		of := func(name string, args ...*pg.Node) *pg.Node {
			call := &pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: args, AggFilter: f.AggFilter, Over: f.Over, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}
			return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}}
		}
		if name != "sum" {
			return of("arg_"+name, texts, r.asDecimal(clone(texts)))
		}
		scale := r.computed("scale", []datum.Type{datum.Numeric}, "INTEGER", clone(texts))
		total, digits := of("sum", r.asDecimal(texts)), of("max", scale)
		return r.computed("round", []datum.Type{datum.Numeric, datum.Int4}, "", cast(total, "VARCHAR"), cast(digits, "VARCHAR"))
	}
	list := renamed(n, "string_agg", texts, text(","))
	array := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text("{"), list, -1), text("}"), -1)
	return r.computed(builtin.NumericAggregate(name), numerics, "", array)
}

// average is the quotient of a sum and a number of values.
func (r *rewriter) average(f *pg.FuncCall) finish {
	again := &pg.FuncCall{Funcname: []*pg.Node{str("sum")}, Args: f.Args, AggOrder: f.AggOrder, AggFilter: f.AggFilter, Over: f.Over, Funcformat: f.Funcformat, Location: -1}
	sum := &pg.Node{Node: &pg.Node_FuncCall{FuncCall: again}}
	form := r.writtenText(sum)
	written := r.writes(sum)
	var of func(*pg.Node) *pg.Node
	if written {
		of = r.writtenText(f.Args[0])
	}
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[0]
		count := &pg.FuncCall{Funcname: []*pg.Node{str("count")}, Args: []*pg.Node{arg}, AggFilter: f.AggFilter, AggDistinct: f.AggDistinct, Over: f.Over, Funcformat: f.Funcformat, Location: -1}
		var total *pg.Node
		if written {
			total = r.ofTexts(n, "sum", of(arg))
		} else {
			total = form(renamed(n, "sum", arg))
		}
		number := call("nullif", &pg.Node{Node: &pg.Node_FuncCall{FuncCall: count}}, integer(0))
		return r.computed(builtin.NumericOperator("/"), twoNumerics, "", total, cast(number, "VARCHAR")), nil
	}
}

// givesRow reports whether a function of a window gives its argument of another row.
func givesRow(name string) bool {
	return slices.Contains([]string{"lag", "lead", "first_value", "last_value", "nth_value"}, name)
}

// writtenRow gives the number of another row as a text; a third argument is what there is
// instead of none.
func (r *rewriter) writtenRow(f *pg.FuncCall) finish {
	form, other := r.writtenText(f.Args[0]), (func(*pg.Node) *pg.Node)(nil)
	if len(f.Args) == 3 {
		other = r.writtenText(f.Args[2])
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		if args[0] = form(args[0]); other != nil {
			args[2] = other(args[2])
		}
		return n, nil
	}
}

// listsTexts says of a column of the result that is an array of written numerics that it
// becomes one of texts; elsewhere they are decimals.
func (r *rewriter) listsTexts(s *pg.SelectStmt, n *pg.Node) bool {
	elements := n.GetAArrayExpr().GetElements()
	if f := n.GetFuncCall(); lastName(f.GetFuncname()) == "array_agg" && len(f.GetArgs()) == 1 && !f.AggDistinct {
		elements = f.Args
	}
	ordered := slices.ContainsFunc(s.SortClause, func(n *pg.Node) bool { return n.GetSortBy().GetNode().GetColumnRef() == nil })
	if s != r.top || len(s.DistinctClause) > 0 || ordered || r.typeOf(n) != datum.Numeric|datum.Array || !r.writesOneOf(elements) {
		return false
	}
	r.takesText(n)
	return true
}

// textList is an array that listsTexts has said so of; nil: it is none.
func (r *rewriter) textList(n *pg.Node) finish {
	if !r.textual[n] || r.typeOf(n) != datum.Numeric|datum.Array {
		return nil
	}
	list := func(n *pg.Node) []*pg.Node {
		if a := n.GetAArrayExpr(); a != nil {
			return a.Elements
		}
		return n.GetFuncCall().GetArgs()
	}
	forms := r.writtenTexts(list(n))
	return func(n *pg.Node) (*pg.Node, error) {
		for i, e := range list(n) {
			list(n)[i] = forms[i](e)
		}
		return r.rule(n)
	}
}
