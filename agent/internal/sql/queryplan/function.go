package queryplan

import (
	"math"
	"slices"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// valueFunction compiles CURRENT_TIMESTAMP and its like.
func (c *compiler) valueFunction(n *pg.SQLValueFunction) (Expr, error) {
	switch n.GetOp() {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP:
		return now(), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		return &fn{typ: datum.Timestamptz, moment: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.RoundTime(datum.FromTime(env.Now), n.GetTypmod()), nil
		}}, nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return convert(now(), datum.Date, -1, datum.Explicit)
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP:
		return convert(now(), datum.Timestamp, -1, datum.Explicit)
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER, pg.SQLValueFunctionOp_SVFOP_USER:
		return sessionText(datum.Name, func(s *Session) string { return s.User }), nil
	case pg.SQLValueFunctionOp_SVFOP_SESSION_USER:
		return sessionText(datum.Name, func(s *Session) string { return s.SessionUser }), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:
		return sessionText(datum.Name, func(s *Session) string { return s.Database }), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return currentSchema(), nil
	default:
		return nil, errSlow
	}
}

func now() Expr {
	return &fn{typ: datum.Timestamptz, moment: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		return datum.FromTime(env.Now), nil
	}}
}

func sessionText(t datum.Type, f func(*Session) string) Expr {
	return &fn{typ: t, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		return datum.MakeString(t, f(env.Session)), nil
	}}
}

// acts compiles a call of a function that does something.
func (c *compiler) acts(name string, n *pg.FuncCall) (e Expr, ok bool, err error) {
	advisory, locks := advisoryFunction(name)
	signal, signals := signalFunction(name)
	if !locks && !signals && name != notifyFunction {
		return nil, false, nil
	}
	args, err := c.exprs(n.GetArgs())
	switch {
	case err != nil:
	case locks:
		e, err = advisoryCall(advisory, args)
	case signals:
		e, err = signalCall(signal, args)
	default:
		if c.notifies != nil {
			*c.notifies = true
		}
		e, err = notifyCall(args)
	}
	return e, true, err
}

// function compiles a call of a function that Go has. All others are slow.
func (c *compiler) function(n *pg.FuncCall) (Expr, error) {
	if e, err := c.routine(n); e != nil || err != nil {
		return e, err
	}
	if args, ok := syntax.Positional(n); ok {
		n = &pg.FuncCall{Funcname: n.GetFuncname(), Args: args, Location: n.GetLocation()}
	}
	if n.GetAggFilter() != nil || n.GetOver() != nil || n.GetAggStar() || n.GetAggDistinct() || n.GetAggWithinGroup() ||
		n.GetFuncVariadic() || len(n.GetAggOrder()) > 0 {
		return nil, errSlow
	}
	names := n.GetFuncname()
	if len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" || len(names) == 0 || len(names) > 2 {
		return nil, errSlow
	}
	name := names[len(names)-1].GetString_().GetSval()
	if n := syntax.CastCall(n); n != nil {
		return c.expr(n)
	}
	if e, ok, err := c.acts(name, n); ok {
		return e, err
	}
	if s := syntax.SequenceFunction(n); s != "" {
		return c.sequenceCall(s, n)
	}
	if len(n.GetArgs()) == 0 {
		if e := nullary(name); e != nil {
			return e, nil
		}
		return nil, errSlow
	}
	args, err := c.exprs(n.GetArgs())
	if err != nil {
		return nil, err
	}
	if e, ok, err := arrayFunction(name, args); ok {
		return computedThen(name, e, args), at(err, c.position(n.GetLocation()))
	}
	if e, ok, err := populateRecord(name, args); ok {
		return e, err
	}
	if e, ok, err := jsonFunction(name, args); ok {
		return computedThen(name, e, args), at(err, c.position(n.GetLocation()))
	}
	if e, ok, err := builtinFunction(name, args); ok {
		return e, at(err, c.position(n.GetLocation()))
	}
	if plainTexts[name] != nil {
		e, err := plainText(name, args)
		return e, at(err, c.position(n.GetLocation()))
	}
	if slices.Contains(privilegeFunctions, name) {
		return privilegeCall(name, args)
	}
	if name == "current_setting" || name == "set_config" {
		return settingFunction(name, args)
	}
	if name == "pg_get_serial_sequence" && len(args) == 2 {
		return serialSequence(args)
	}
	if len(args) == 1 {
		e, err := unary(name, args[0])
		return e, at(err, c.position(n.GetLocation()))
	}
	return nil, errSlow
}

// computedThen is a constant that a function gives which PostgreSQL computes when rows are there.
func computedThen(name string, e Expr, args []Expr) Expr {
	k, ok := e.(*Const)
	if !ok || !builtin.Late(name, nil) || k.Value.Null && slices.ContainsFunc(args, nullConst) {
		return e
	}
	return &Const{Value: k.Value, position: k.position, late: true}
}

func nullary(name string) Expr {
	switch name {
	case "now", "transaction_timestamp":
		return now()
	case "statement_timestamp":
		return &fn{typ: datum.Timestamptz, moment: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.FromTime(env.Statement), nil
		}}
	case "follower_read_timestamp":
		return &fn{typ: datum.Timestamptz, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.FromTime(env.Statement.Add(-env.Session.ClosedLag)), nil
		}}
	case "lastval":
		return lastval()
	case "gen_random_uuid", "uuid_generate_v4":
		return &fn{typ: datum.UUID, volatile: true, eval: func(*Env, []datum.Datum) (datum.Datum, error) { return randomUUID(), nil }}
	case "uuidv7": // PostgreSQL's since 18
		return &fn{typ: datum.UUID, volatile: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return timedUUID(env.Statement), nil
		}}
	case "txid_current": // as the engine's
		return &fn{typ: datum.Int8, moment: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int8, env.Now.UnixMicro()), nil
		}}
	case "version":
		return sessionText(datum.Text, func(s *Session) string { return s.Version })
	case "current_database":
		return sessionText(datum.Name, func(s *Session) string { return s.Database })
	case "current_schema":
		return currentSchema()
	case "pg_trigger_depth":
		return &fn{typ: datum.Int4, volatile: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(env.Session.TriggerDepth)), nil
		}}
	case "pg_backend_pid":
		return &fn{typ: datum.Int4, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(int32(env.Session.PID))), nil
		}}
	default:
		return nil
	}
}

func currentSchema() Expr {
	return &fn{typ: datum.Name, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		name := env.Session.Schema()
		if name == "" {
			return datum.MakeNull(datum.Name), nil
		}
		return datum.MakeString(datum.Name, name), nil
	}}
}

func unary(name string, arg Expr) (Expr, error) {
	switch name {
	case "length", "char_length", "character_length":
		t := arg.Type()
		if t == datum.Bytea && name == "length" {
			return unary("octet_length", arg)
		}
		if t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
		arg, err := coerce(arg, datum.Text)
		if err != nil {
			return nil, err
		}
		return fold(&fn{typ: datum.Int4, args: []Expr{arg}, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(utf8.RuneCountInString(v[0].S))), nil
		}})
	case "octet_length":
		if t := arg.Type(); t != datum.Bytea && t != datum.Bpchar { // which has its blanks
			var err error
			if t != datum.Unknown && !t.IsString() {
				return nil, errSlow
			}
			if arg, err = coerce(arg, datum.Text); err != nil {
				return nil, err
			}
		}
		return fold(&fn{typ: datum.Int4, args: []Expr{arg}, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(len(v[0].S))), nil
		}})
	case "abs":
		if !arg.Type().IsNumber() {
			return nil, errSlow
		}
		t := arg.Type()
		return fold(&fn{typ: t, args: []Expr{arg}, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			if t.IsInt() && v[0].I < 0 {
				return negate(v[0])
			}
			if t.IsFloat() {
				return datum.MakeFloat(t, math.Abs(v[0].F)), nil
			}
			if t == datum.Numeric && v[0].D.Negative {
				return datum.MakeNumeric(new(apd.Decimal).Abs(v[0].D)), nil
			}
			return v[0], nil
		}})
	default:
		return nil, errSlow
	}
}

// settingFunction compiles current_setting(name [, missing_ok]) and set_config(name,
// value, is_local).
func settingFunction(name string, args []Expr) (Expr, error) {
	types := []datum.Type{datum.Text, datum.Text, datum.Bool}
	if name == "current_setting" {
		types = []datum.Type{datum.Text, datum.Bool}[:min(len(args), 2)]
	}
	if len(args) != len(types) {
		return nil, errSlow
	}
	for i := range args {
		var err error
		if args[i], err = coerce(args[i], types[i]); err != nil {
			return nil, err
		}
	}
	if name == "set_config" {
		return &fn{typ: datum.Text, args: args, volatile: true, eval: setConfig}, nil
	}
	return &fn{typ: datum.Text, args: args, volatile: true, strict: true, eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		value, ok := env.Session.Setting(a[0].S)
		switch {
		case ok:
			return datum.MakeText(value), nil
		case len(a) > 1 && a[1].Bool():
			return datum.MakeNull(datum.Text), nil
		}
		return datum.Datum{}, fail("42704", 0, "unrecognized configuration parameter %q", a[0].S)
	}}, nil
}

func setConfig(env *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return datum.Datum{}, fail("22004", 0, "SET requires parameter name")
	}
	var value *string
	if !a[1].Null {
		value = &a[1].S
	}
	out, err := env.Session.Set(a[0].S, value, a[2].Bool())
	return datum.MakeText(out), err
}
