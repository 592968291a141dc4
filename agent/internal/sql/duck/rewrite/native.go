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
	case "mod":
		return c.Args[0] != datum.Numeric // whose scale it loses
	case "abs":
		return !slices.ContainsFunc(f.Args, r.writes)
	case "ceil", "ceiling", "floor", "round", "trunc":
		if len(c.Args) == 2 {
			scale, ok := smallInteger(f.Args[1])
			return ok && scale >= 0 && scale < frame.NumericScale // which means none
		}
		return c.Args[0] == datum.Float8 || c.Args[0] == datum.Numeric
	case "date_trunc":
		unit, ok := literal(f.Args[0])
		if c.Args[1] == datum.Timestamptz && slices.Contains(clockFields, unit) && !r.fixedZone() {
			return false // the engine takes one of two hours that a clock shows twice
		}
		return ok && len(c.Args) == 2 && c.Args[1].IsDateTime() && slices.Contains(truncatable, unit)
	case "extract", "date_part":
		unit, ok := literal(f.Args[0])
		unit = strings.ToLower(unit)
		return ok && c.Args[1].IsDateTime() && f.Args[1].GetColumnRef() != nil && (slices.Contains(dateFields, unit) || c.Args[1] != datum.Date && slices.Contains(clockFields, unit))
	case "timezone":
		zone, ok := literal(f.Args[0])
		if ok {
			_, ok = datum.EngineZone(zone)
		}
		return ok && strings.Contains(zone, "/")
	}
	return false
}

// fixedZone reports whether clocks of the session's time zone are never set forward or back.
func (r *rewriter) fixedZone() bool {
	zone := r.in.Session.TimeZone
	if zone == "" {
		return true
	}
	engine, ok := datum.EngineZone(zone)
	return ok && (engine == "UTC" || strings.HasPrefix(engine, "Etc/"))
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
			if ok && scale >= 0 && scale < frame.NumericScale {
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

// operatorFunction is the function of package builtin behind an operator that the engine
// does not have, or has otherwise, and its type; "": there is none.
func operatorFunction(e *pg.A_Expr, left, right datum.Type) (name string, t datum.Type) {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP {
		return "", datum.Unknown
	}
	span := func(t datum.Type) bool { return t == datum.Interval || t == datum.Time }
	switch op := lastName(e.Name); {
	case (op == "<<" || op == ">>") && left.IsInt() && e.Lexpr != nil:
		return map[string]string{"<<": builtin.ShiftLeft, ">>": builtin.ShiftRight}[op], left
	case op == "^@":
		return "starts_with", datum.Bool
	case e.Lexpr == nil && op == "|/":
		return "sqrt", datum.Float8
	case e.Lexpr == nil && op == "||/":
		return "cbrt", datum.Float8
	case e.Lexpr == nil && op == "@":
		return "abs", right
	case e.Lexpr == nil:
		return "", datum.Unknown
	case op == "^":
		if !left.IsFloat() && !right.IsFloat() && (left == datum.Numeric || right == datum.Numeric) {
			return "power", datum.Numeric
		}
		return "power", datum.Float8
	case op == "-" && left == datum.Time && right == datum.Time:
		return builtin.TimeOperator(op), datum.Interval
	case op == "*" && (span(left) && right.IsNumber() || span(right) && left.IsNumber()):
		return "interval_mul", datum.Interval
	case op == "/" && span(left) && right.IsNumber():
		return "interval_div", datum.Interval
	}
	return "", datum.Unknown
}

// operatorCall is the call that an operator becomes; nil: it stays one.
func (r *rewriter) operatorCall(e *pg.A_Expr) *pg.FuncCall {
	right, left := r.typeOf(e.Rexpr), datum.Unknown
	args := []*pg.Node{e.Rexpr}
	if e.Lexpr != nil {
		left = r.typeOf(e.Lexpr)
		args = []*pg.Node{e.Lexpr, e.Rexpr}
	}
	name, _ := operatorFunction(e, left, right)
	switch name {
	case "":
		return nil
	case "sqrt", "cbrt": // of double precision only
		args[0] = cast8(args[0])
	case "interval_mul", "interval_div":
		if left.IsNumber() {
			args[0], args[1] = args[1], args[0]
		}
		if left == datum.Numeric || right == datum.Numeric { // which is no float8 by itself
			args[1] = cast8(args[1])
		}
	}
	return &pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: args, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: e.Location}
}

// cast8 is a cast to double precision in PostgreSQL's own form.
func cast8(n *pg.Node) *pg.Node { return castTo(n, "float8") }

func castTo(n *pg.Node, name string) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: duckType(name), Location: -1}}}
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
