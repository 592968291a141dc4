package queryplan

import (
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// AsOf evaluates the expression of AS OF SYSTEM TIME: a timestamp, with or without time
// zone, an interval back from now, either as a string, or a sum of these.
func AsOf(env *Env, n *pg.Node) (time.Time, error) {
	v, err := asOf(env, n)
	if err != nil {
		return time.Time{}, err
	}
	if v.Type.IsString() || v.Type == datum.Unknown {
		if v, err = asOfText(env, v.S); err != nil {
			return time.Time{}, err
		}
	}
	switch {
	case v.Null:
	case v.Type == datum.Interval:
		return addInterval(env.Statement, v, 1), nil
	case v.Type.IsDateTime():
		v, err = Assign(env, v, datum.Timestamptz, -1)
		return v.Time(), err
	}
	return time.Time{}, &syntax.Error{Code: "22023", Message: "AS OF SYSTEM TIME needs a timestamp or an interval", Hint: asOfHint}
}

const asOfHint = "Such as '2026-01-31 12:00:00+00', '-10s', now() - interval '1 minute' or follower_read_timestamp()."

// asOf evaluates n, sums of times and intervals included.
func asOf(env *Env, n *pg.Node) (datum.Datum, error) {
	if e := n.GetAExpr(); e != nil && len(e.GetName()) == 1 && (e.GetName()[0].GetString_().GetSval() == "-" || e.GetName()[0].GetString_().GetSval() == "+") {
		sign := 1
		if e.GetName()[0].GetString_().GetSval() == "-" {
			sign = -1
		}
		return asOfSum(env, e, sign)
	}
	c := &compiler{params: &Params{}, elsewhere: true}
	e, err := c.expr(n)
	if isSlow(err) || err == nil && len(c.params.Types) > 0 {
		return datum.Datum{}, &syntax.Error{Code: "0A000", Message: "this expression of AS OF SYSTEM TIME is not supported", Hint: asOfHint}
	}
	if err != nil {
		return datum.Datum{}, err
	}
	return e.Eval(env)
}

func asOfSum(env *Env, e *pg.A_Expr, sign int) (datum.Datum, error) {
	by, err := asOf(env, e.GetRexpr())
	if err != nil {
		return datum.Datum{}, err
	}
	if by.Type == datum.Unknown || by.Type.IsString() {
		if by, err = datum.ParseText(datum.Interval, by.S, nil); err != nil {
			return datum.Datum{}, err
		}
	}
	if by.Type == datum.Interval && !by.Null {
		if e.GetLexpr() == nil {
			by.Months, by.Days, by.I = by.Months*int32(sign), by.Days*int32(sign), by.I*int64(sign) //nolint:gosec // 1 or -1
			return by, nil
		}
		t, err := AsOf(env, e.GetLexpr())
		return datum.FromTime(addInterval(t, by, sign)), err
	}
	return datum.Datum{}, &syntax.Error{Code: "22023", Message: "AS OF SYSTEM TIME needs a timestamp or an interval", Hint: asOfHint}
}

func addInterval(t time.Time, by datum.Datum, sign int) time.Time {
	return t.AddDate(0, sign*int(by.Months), sign*int(by.Days)).Add(time.Duration(sign) * time.Duration(by.I) * time.Microsecond)
}

// asOfText reads a string: a time, or an interval.
func asOfText(env *Env, text string) (datum.Datum, error) {
	v, err := datum.ParseText(datum.Timestamptz, text, env.Session.Location)
	if err == nil {
		return v, nil
	}
	if by, bad := datum.ParseText(datum.Interval, text, nil); bad == nil {
		return by, nil
	}
	return v, err
}
