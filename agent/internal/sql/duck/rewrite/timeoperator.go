package rewrite

import (
	"errors"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// timeOperator is + or - of dates, times and intervals: the constant that one of constants is,
// or nil and operands of the types that the operator takes.
func (r *rewriter) timeOperator(e *pg.A_Expr) (*pg.Node, error) {
	op := lastName(e.Name)
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil || !arithmetic(op) {
		return nil, nil
	}
	types := [2]datum.Type{}
	operands := [2]**pg.Node{&e.Lexpr, &e.Rexpr}
	for i, n := range operands {
		types[i] = r.typeOf(*n)
		if _, isText := literal(*n); types[i] == datum.Unknown && !isText && !(*n).GetAConst().GetIsnull() && (*n).GetParamRef() == nil {
			return nil, nil
		}
	}
	c, err := builtin.ResolveTime(op, types[0], types[1])
	if err != nil {
		return nil, operatorError(err, e.Location)
	}
	if c == nil {
		return nil, r.noTimeOperator(e, op, types[0], types[1])
	}
	v, err := r.constantCall(c, []*pg.Node{e.Lexpr, e.Rexpr})
	if err != nil || v.Type != datum.Unknown {
		e.Lexpr, e.Rexpr = integer(0), integer(0) // nothing is left to be found wrong with them
		return r.valueOrFailure(c, v, err)
	}
	for i, n := range operands {
		r.paramIs(*n, c.Args[i])
		if err := r.typeLiteral(n, c.Args[i]); err != nil {
			return nil, err
		}
		switch {
		case types[i] == datum.Time && c.Args[i] == datum.Interval:
			*n = &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{Funcname: []*pg.Node{str("interval")}, Args: []*pg.Node{*n}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}}}
		case types[i].IsDateTime() && c.Args[i].IsDateTime() && types[i] != c.Args[i]:
			*n = castTo(*n, c.Args[i].String())
		case (*n).GetAConst().GetIsnull():
			*n = castTo(*n, c.Args[i].String())
		}
	}
	return nil, nil
}

// operatorError is an error of choosing an operator, with what PostgreSQL hints at.
func operatorError(err error, location int32) error {
	e := errorf("42883", location, "%s", err.Error())
	e.Hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
	if bad := (*datum.Error)(nil); errors.As(err, &bad) && bad.Code == "42725" {
		e.Code, e.Hint = bad.Code, "Could not choose a best candidate operator. You might need to add explicit type casts."
	}
	return e
}

// noTimeOperator refuses what is neither of times nor a multiple of an interval.
func (r *rewriter) noTimeOperator(e *pg.A_Expr, op string, left, right datum.Type) error {
	times := func(t datum.Type) bool { return t.IsDateTime() || t == datum.Timetz }
	if times(left) || times(right) {
		return noOperator(e.Location, op, left, right)
	}
	return nil
}
