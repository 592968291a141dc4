package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// builtinFunction compiles a call of a function of package builtin; ok is false if there
// is none that takes the arguments.
func builtinFunction(name string, args []Expr) (e Expr, ok bool, err error) {
	types := make([]datum.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	return builtinCall(name, types, args)
}

// builtinCall is builtinFunction with arguments that are taken for values of some types.
func builtinCall(name string, types []datum.Type, args []Expr) (e Expr, ok bool, err error) {
	if !builtin.Known(name) {
		return nil, false, nil
	}
	call := builtin.Resolve(name, types)
	if call == nil {
		return nil, false, nil
	}
	args = slices.Clone(args)
	for i := range args {
		if args[i], err = coerce(args[i], call.Args[i]); err != nil {
			return nil, true, err
		}
	}
	out := &fn{name: name, typ: call.Result, args: args, strict: !call.Function.Nulls, stable: call.Function.Zoned, late: builtin.Late(name, call.Args),
		eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
			return call.Eval(&builtin.Env{Location: env.location()}, a)
		}}
	if out.stable {
		return out, true, nil
	}
	e, err = fold(out)
	return e, true, err
}
