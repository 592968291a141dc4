package queryplan

import (
	"crypto/rand"
	"math"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// valueFunction compiles CURRENT_TIMESTAMP and its like.
func (c *compiler) valueFunction(n *pg.SQLValueFunction) (Expr, error) {
	switch n.GetOp() {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP:
		return now(), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return convert(now(), datum.Date, -1, castExplicit)
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP:
		return convert(now(), datum.Timestamp, -1, castExplicit)
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER, pg.SQLValueFunctionOp_SVFOP_USER, pg.SQLValueFunctionOp_SVFOP_SESSION_USER:
		return sessionText(datum.Name, func(s *Session) string { return s.User }), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:
		return sessionText(datum.Name, func(s *Session) string { return s.Database }), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return sessionText(datum.Name, func(*Session) string { return "public" }), nil
	default:
		return nil, errSlow
	}
}

func now() Expr {
	return &fn{typ: datum.Timestamptz, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		return datum.FromTime(env.Now), nil
	}}
}

func sessionText(t datum.Type, f func(*Session) string) Expr {
	return &fn{typ: t, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		return datum.MakeString(t, f(env.Session)), nil
	}}
}

// function compiles a call of a function that Go has. All others are slow.
func (c *compiler) function(n *pg.FuncCall) (Expr, error) {
	if n.GetAggFilter() != nil || n.GetOver() != nil || n.GetAggStar() || n.GetAggDistinct() || n.GetAggWithinGroup() ||
		n.GetFuncVariadic() || len(n.GetAggOrder()) > 0 {
		return nil, errSlow
	}
	names := n.GetFuncname()
	if len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" || len(names) == 0 || len(names) > 2 {
		return nil, errSlow
	}
	name := names[len(names)-1].GetString_().GetSval()
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
	if len(args) == 1 {
		e, err := unary(name, args[0])
		return e, at(err, c.position(n.GetLocation()))
	}
	return nil, errSlow
}

func nullary(name string) Expr {
	switch name {
	case "now", "transaction_timestamp":
		return now()
	case "statement_timestamp":
		return &fn{typ: datum.Timestamptz, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.FromTime(env.Statement), nil
		}}
	case "gen_random_uuid":
		return &fn{typ: datum.UUID, volatile: true, eval: func(*Env, []datum.Datum) (datum.Datum, error) { return randomUUID(), nil }}
	case "version":
		return sessionText(datum.Text, func(s *Session) string { return s.Version })
	case "current_database":
		return sessionText(datum.Name, func(s *Session) string { return s.Database })
	case "current_schema":
		return sessionText(datum.Name, func(*Session) string { return "public" })
	case "pg_backend_pid":
		return &fn{typ: datum.Int4, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(int32(env.Session.PID))), nil
		}}
	default:
		return nil
	}
}

// randomUUID makes a version 4 UUID.
func randomUUID() datum.Datum {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return datum.MakeString(datum.UUID, string(b[:]))
}

func unary(name string, arg Expr) (Expr, error) {
	switch name {
	case "lower", "upper", "length", "char_length", "character_length":
		if t := arg.Type(); t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
		arg, err := coerce(arg, datum.Text)
		if err != nil {
			return nil, err
		}
		return fold(textFunction(name, arg))
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

func textFunction(name string, arg Expr) *fn {
	e := &fn{typ: datum.Text, args: []Expr{arg}, strict: true}
	switch name {
	case "lower":
		e.eval = func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeText(strings.ToLower(v[0].S)), nil
		}
	case "upper":
		e.eval = func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeText(strings.ToUpper(v[0].S)), nil
		}
	default:
		e.typ = datum.Int4
		e.eval = func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Int4, int64(utf8.RuneCountInString(v[0].S))), nil
		}
	}
	return e
}
