package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// dateOperator adds days to a date, or tells how many are between two; nil: it is another
// operator.
func dateOperator(op string, left, right datum.Type) finish {
	days := func(t datum.Type) bool { return t == datum.Int2 || t == datum.Int4 }
	switch {
	case op == "-" && left == datum.Date && right == datum.Date:
		return func(n *pg.Node) (*pg.Node, error) {
			return call("nd_days", n.GetAExpr().Lexpr, n.GetAExpr().Rexpr), nil
		}
	case (op == "+" || op == "-") && left == datum.Date && days(right):
		return func(n *pg.Node) (*pg.Node, error) {
			return call(map[string]string{"+": "nd_later", "-": "nd_earlier"}[op], n.GetAExpr().Lexpr, cast(n.GetAExpr().Rexpr, "INTEGER")), nil
		}
	case op == "+" && right == datum.Date && days(left):
		return func(n *pg.Node) (*pg.Node, error) {
			return call("nd_later", n.GetAExpr().Rexpr, cast(n.GetAExpr().Lexpr, "INTEGER")), nil
		}
	}
	return nil
}

// floatFunctions compute with floats, and fail where those become infinite, or zero.
var floatFunctions = map[string]string{"+": "nd_plus", "-": "nd_minus", "*": "nd_times", "/": "nd_div"}

// numbersOperator finds what an operator of numbers becomes where the engine's result would
// have another type than PostgreSQL's, or too few digits; nil: nothing else.
func (r *rewriter) numbersOperator(e *pg.A_Expr, op string, left, right datum.Type) func(*pg.Node) (*pg.Node, error) {
	switch {
	case op == "%" && left.IsNumber() && right.IsNumber() && (left.IsFloat() || right.IsFloat()):
		return func(*pg.Node) (*pg.Node, error) {
			return nil, errorf("42883", e.Location, "operator does not exist: %s %% %s", left.SQLName(), right.SQLName())
		}
	case (arithmetic(op) || op == "&" || op == "|" || op == "#") && wider(left, right) == datum.Int4 && (left == datum.Int2 || right == datum.Int2):
		return func(n *pg.Node) (*pg.Node, error) { // a constant has any width to the engine
			e := n.GetAExpr()
			e.Lexpr, e.Rexpr = cast(e.Lexpr, "INTEGER"), cast(e.Rexpr, "INTEGER")
			return r.operator(n, e)
		}
	case op == "*" && wider(left, right) == datum.Numeric && left.IsNumber() && right.IsNumber():
		scale := r.scaleOf(e.Lexpr)
		return func(n *pg.Node) (*pg.Node, error) { // of few digits the product had few, too
			if e := n.GetAExpr(); scale >= 0 && scale < frame.NumericScale {
				e.Lexpr = cast(e.Lexpr, frame.Type{Kind: frame.Decimal, Width: frame.MaxDecimalWidth, Scale: uint8(scale)}.SQL())
			}
			return r.operator(n, n.GetAExpr())
		}
	case floatFunctions[op] != "" && left.IsNumber() && right.IsNumber() && wider(left, right).IsFloat():
		name, of := floatFunctions[op], "FLOAT4"
		if wider(left, right) == datum.Float8 {
			of = "DOUBLE"
		}
		return func(n *pg.Node) (*pg.Node, error) {
			e := n.GetAExpr()
			return call(name, cast(e.Lexpr, of), cast(e.Rexpr, of)), nil
		}
	}
	return nil
}

// ownOperator finishes comparisons of lists, || of bytea, and operators of dates; nil: it is another.
func (r *rewriter) ownOperator(op string, list bool, left, right datum.Type) finish {
	switch {
	case list && (op == "<" || op == "<=" || op == ">" || op == ">="): // two of constants became a BETWEEN, which the engine has not of lists
		return func(n *pg.Node) (*pg.Node, error) {
			out, err := r.operator(n, n.GetAExpr())
			return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, out, boolean(true), -1), err
		}
	case op == "||" && (left == datum.Bytea || right == datum.Bytea): // beside a null it has no type to the engine
		return func(n *pg.Node) (*pg.Node, error) {
			out, err := r.operator(n, n.GetAExpr())
			return cast(out, "BLOB"), err
		}
	}
	return dateOperator(op, left, right)
}
