package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// Fields of which the engine has the same idea as PostgreSQL.
var (
	truncatable = strings.Fields("microseconds milliseconds second minute hour day week month quarter year")
	dateFields  = strings.Fields("year quarter month week day dow isodow doy isoyear epoch")
	clockFields = strings.Fields("hour minute second milliseconds microseconds")
)

// native reports whether the engine's own function, which is faster, gives what that of
// package builtin gives for such arguments.
func (r *rewriter) native(f *pg.FuncCall, c *builtin.Call) bool {
	name := c.Function.Name
	for i, t := range c.Args {
		if _, isLiteral := literal(f.Args[i]); !isLiteral && r.typeOf(f.Args[i]) != t && (name != "date_trunc" || r.typeOf(f.Args[i]) != datum.Date) {
			return false
		}
	}
	switch name {
	case "abs", "mod":
		return true
	case "ceil", "ceiling", "floor", "round", "trunc":
		if len(c.Args) == 2 {
			scale, ok := smallInteger(f.Args[1])
			return ok && scale >= 0 && scale <= frame.NumericScale
		}
		return c.Args[0] == datum.Float8 || c.Args[0] == datum.Numeric
	case "date_trunc":
		unit, ok := literal(f.Args[0])
		return ok && len(c.Args) == 2 && c.Args[1].IsDateTime() && slices.Contains(truncatable, unit)
	case "extract", "date_part":
		unit, ok := literal(f.Args[0])
		unit = strings.ToLower(unit)
		return ok && c.Args[1].IsDateTime() && (slices.Contains(dateFields, unit) || c.Args[1] != datum.Date && slices.Contains(clockFields, unit))
	case "timezone":
		zone, ok := literal(f.Args[0])
		if ok {
			_, ok = datum.EngineZone(zone)
		}
		return ok && strings.Contains(zone, "/")
	}
	return false
}

func smallInteger(n *pg.Node) (int32, bool) {
	i := n.GetAConst().GetIval()
	return i.GetIval(), i != nil
}

// specialScale is round or trunc to a number of digits, all of which are shown.
func specialScale(name string) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		if len(f.Args) != 2 {
			if name == "round" {
				return specialRound(r, f)
			}
			return func(n *pg.Node) (*pg.Node, error) { return renamed(n, name, n.GetFuncCall().Args...), nil }, nil
		}
		scale, ok := smallInteger(f.Args[1])
		return func(n *pg.Node) (*pg.Node, error) {
			out := renamed(n, name, n.GetFuncCall().Args...)
			if ok && scale >= 0 && scale <= frame.NumericScale {
				return cast(out, frame.Type{Kind: frame.Decimal, Width: frame.MaxDecimalWidth, Scale: uint8(scale)}.SQL()), nil
			}
			return out, nil
		}, nil
	}
}

// specialTrunc is date_trunc, which makes a date a timestamp of the session's zone.
func specialTrunc(r *rewriter, f *pg.FuncCall) (finish, error) {
	ofDate := len(f.Args) == 2 && r.typeOf(f.Args[1]) == datum.Date
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		if ofDate {
			args[1] = cast(args[1], "TIMESTAMPTZ")
		}
		return renamed(n, "date_trunc", args...), nil
	}, nil
}

// operatorCall is the function of package builtin behind an operator that the engine does
// not have, or has otherwise; nil: there is none.
func (r *rewriter) operatorCall(e *pg.A_Expr) *pg.FuncCall {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP {
		return nil
	}
	op, name, args := lastName(e.Name), "", []*pg.Node{e.Lexpr, e.Rexpr}
	if e.Lexpr == nil {
		name, args = map[string]string{"|/": "sqrt", "||/": "cbrt", "@": "abs"}[op], args[1:]
		if name != "" && op != "@" { // of double precision only
			args = []*pg.Node{cast8(args[0])}
		}
	} else if op == "^" {
		name = "power"
	} else if op == "*" || op == "/" || op == "-" {
		left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
		span := func(t datum.Type) bool { return t == datum.Interval || t == datum.Time }
		switch {
		case op == "-" && left == datum.Time && right == datum.Time:
			name = "time_mi_time"
		case op == "*" && span(left) && right.IsNumber():
			name = "interval_mul"
		case op == "*" && span(right) && left.IsNumber():
			name, args = "interval_mul", []*pg.Node{e.Rexpr, e.Lexpr}
		case op == "/" && span(left) && right.IsNumber():
			name = "interval_div"
		}
		for i, a := range args {
			if name != "" && op != "-" && i == 1 && r.typeOf(a) == datum.Numeric { // which is none by itself
				args = []*pg.Node{args[0], cast8(a)}
			}
		}
	}
	if name == "" {
		return nil
	}
	return &pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: args, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: e.Location}
}

// cast8 is a cast to double precision in PostgreSQL's own form.
func cast8(n *pg.Node) *pg.Node { return castTo(n, "float8") }

func castTo(n *pg.Node, name string) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: duckType(name), Location: -1}}}
}

// clockOperand makes the time of day that is added to a timestamp an interval.
func (r *rewriter) clockOperand(e *pg.A_Expr) {
	op := lastName(e.Name)
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil || op != "+" && op != "-" {
		return
	}
	stamp := func(t datum.Type) bool { return t == datum.Timestamp || t == datum.Timestamptz }
	asInterval := func(n *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{Funcname: []*pg.Node{str("interval")}, Args: []*pg.Node{n}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}}}
	}
	switch left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr); {
	case stamp(left) && right == datum.Time:
		e.Rexpr = asInterval(e.Rexpr)
	case op == "+" && stamp(right) && left == datum.Time:
		e.Lexpr = asInterval(e.Lexpr)
	}
}

// seriesOfTimes gives the arguments of generate_series the types that PostgreSQL takes, if
// they are times: of a date, the timestamp of the session's zone.
func (r *rewriter) seriesOfTimes(f *pg.FuncCall) {
	if len(f.Args) != 3 || lastName(f.Funcname) != "generate_series" {
		return
	}
	a, b := r.typeOf(f.Args[0]), r.typeOf(f.Args[1])
	if !a.IsDateTime() && !b.IsDateTime() {
		return
	}
	to := "timestamptz"
	if a == datum.Timestamp && b != datum.Timestamptz || b == datum.Timestamp && a != datum.Timestamptz {
		to = "timestamp"
	}
	for i := range f.Args {
		name := to
		if i == 2 {
			name = "interval"
		}
		f.Args[i] = castTo(f.Args[i], name)
	}
}
