package queryplan

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Advisory is what a call of pg_advisory_lock and its like asks for.
type Advisory struct {
	// Key is the lock: one number of 64 bits, or two of 32.
	Pair   bool
	Number int64
	First  int32
	Second int32

	Shared      bool
	Transaction bool // until the end of the transaction, not of the session
	Try         bool
	Unlock      bool
	All         bool // with Unlock: every lock of the session
}

// advisoryFunction recognises the functions by their names; ok is false for others.
func advisoryFunction(name string) (a Advisory, ok bool) {
	rest, ok := strings.CutPrefix(name, "pg_")
	if !ok {
		return a, false
	}
	rest, a.Try = strings.CutPrefix(rest, "try_")
	if rest, ok = strings.CutPrefix(rest, "advisory_"); !ok {
		return a, false
	}
	if !a.Try {
		switch rest {
		case "unlock":
			a.Unlock = true
			return a, true
		case "unlock_shared":
			a.Unlock, a.Shared = true, true
			return a, true
		case "unlock_all":
			a.Unlock, a.All = true, true
			return a, true
		}
	}
	rest, a.Transaction = strings.CutPrefix(rest, "xact_")
	if rest, ok = strings.CutPrefix(rest, "lock"); !ok {
		return a, false
	}
	a.Shared = rest == "_shared"
	return a, a.Shared || rest == ""
}

// advisoryCall compiles a call. Those that try and those that unlock return whether they
// did, all others nothing.
func advisoryCall(a Advisory, args []Expr) (Expr, error) {
	types := []datum.Type{datum.Int8}
	switch {
	case a.All && len(args) == 0:
		types = nil
	case len(args) == 2:
		a.Pair, types = true, []datum.Type{datum.Int4, datum.Int4}
	}
	if len(args) != len(types) {
		return nil, errSlow
	}
	for i := range args {
		if t := args[i].Type(); t != datum.Unknown && !t.IsInt() || a.Pair && t == datum.Int8 {
			return nil, errSlow // which says that there is no such function
		}
		var err error
		if args[i], err = convert(args[i], types[i], -1, datum.Assignment); err != nil {
			return nil, err
		}
	}
	out := &fn{typ: datum.Text, args: args, volatile: true, strict: true}
	if a.Try || a.Unlock && !a.All {
		out.typ = datum.Bool
	}
	out.eval = func(env *Env, v []datum.Datum) (datum.Datum, error) {
		call := a
		switch {
		case a.Pair:
			call.First, call.Second = int32(v[0].I), int32(v[1].I) //nolint:gosec // of type int4
		case !a.All:
			call.Number = v[0].I
		}
		done, err := env.Session.Advisory(call)
		if out.typ == datum.Text {
			return datum.MakeText(""), err
		}
		return datum.MakeBool(done), err
	}
	return out, nil
}
