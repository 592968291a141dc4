package rewrite

import (
	"errors"
	"slices"

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
		if op == "-" && c.Args[0] == datum.Timestamptz && c.Args[1] == datum.Timestamptz {
			// The engine counts days by the clocks of the session's time zone, PostgreSQL by 24 hours.
			*n = call("timezone", text("Etc/UTC"), *n)
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

// timesOfSubquery has a comparison of times with what a subquery gives be one of times with time
// zones if one of them is: the engine takes the others for those of UTC.
func (r *rewriter) timesOfSubquery(l *pg.SubLink) {
	if l.SubLinkType != pg.SubLinkType_ANY_SUBLINK && l.SubLinkType != pg.SubLinkType_ALL_SUBLINK {
		return
	}
	fields := []**pg.Node{&l.Testexpr}
	if row := l.Testexpr.GetRowExpr().GetArgs(); len(row) > 0 {
		fields = fields[:0]
		for i := range row {
			fields = append(fields, &row[i])
		}
	}
	if !slices.ContainsFunc(fields, func(f **pg.Node) bool { return r.typeOf(*f).IsDateTime() }) {
		return
	}
	given := r.givesAll(l.Subselect.GetSelectStmt())
	if len(given) != len(fields) {
		return
	}
	casts := make([]bool, len(given))
	for i, f := range fields {
		switch zoned(r.typeOf(*f), given[i].typ) {
		case -1:
			*f = castTo(*f, "timestamptz")
		case 1:
			casts[i] = true
		}
	}
	if slices.Contains(casts, true) {
		castMembers(l, "timestamptz", casts)
	}
}

// timesOfArray does as much for a comparison with the elements of an array.
func (r *rewriter) timesOfArray(e *pg.A_Expr) {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP_ANY && e.Kind != pg.A_Expr_Kind_AEXPR_OP_ALL {
		return
	}
	right := r.typeOf(e.Rexpr)
	if !right.IsArray() {
		return
	}
	switch zoned(r.typeOf(e.Lexpr), right.Elem()) {
	case -1:
		e.Lexpr = castTo(e.Lexpr, "timestamptz")
	case 1:
		e.Rexpr = &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: e.Rexpr, TypeName: typeName(datum.Timestamptz|datum.Array, -1), Location: -1}}}
	}
}

// zoned says which of two times that are compared gets a time zone: -1 the left one, 1 the right
// one, 0 none.
func zoned(left, right datum.Type) int {
	plain := func(t datum.Type) bool { return t == datum.Timestamp || t == datum.Date }
	switch {
	case plain(left) && right == datum.Timestamptz:
		return -1
	case left == datum.Timestamptz && plain(right):
		return 1
	}
	return 0
}
