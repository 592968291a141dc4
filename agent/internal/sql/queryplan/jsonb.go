package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

// jsonFunction compiles a call of a function of jsonb; ok is false if name is none.
func jsonFunction(name string, args []Expr) (e Expr, ok bool, err error) {
	switch name {
	case "to_json", "row_to_json":
		if len(args) == 1 && args[0].Type().IsComposite() {
			return &fn{name: name, typ: datum.JSON, args: args, strict: true, stable: true, eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
				return datum.MakeString(datum.JSON, string(datum.AppendAsJSON(nil, a[0], env.location()))), nil
			}}, true, nil
		}
	case "to_jsonb":
		if len(args) == 1 {
			e, err = toJSON(args[0])
			return e, true, err
		}
	case "jsonb_build_object", "jsonb_build_array":
		e, err = buildJSON(name, args)
		return e, true, err
	case "jsonb_extract_path", "jsonb_extract_path_text", "document_field":
		args, err = stepsOf(args, 1)
		if err != nil {
			return nil, true, err
		}
	case "document_set": // (document, value, step, ...)
		if args, err = stepsOf(args, 2); err != nil {
			return nil, true, err
		}
		args[1], args[2] = args[2], args[1]
	}
	if len(jsonb.Named(name)) == 0 {
		return nil, false, nil
	}
	e, err = jsonCall(name, args)
	return e, true, err
}

// stepsOf makes the arguments from the n-th on, which are texts, one array of them.
func stepsOf(args []Expr, n int) ([]Expr, error) {
	if len(args) <= n {
		return nil, errSlow
	}
	steps := slices.Clone(args[n:])
	for i := range steps {
		var err error
		if steps[i], err = coerce(steps[i], datum.Text); err != nil {
			return nil, err
		}
	}
	array, err := fold(&fn{typ: datum.Text | datum.Array, args: steps, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeArray(datum.Text, slices.Clone(a)), nil
	}})
	return append(slices.Clone(args[:n]), array), err
}

// jsonCall compiles the call of a function of package jsonb that takes the arguments.
func jsonCall(name string, args []Expr) (Expr, error) {
	for _, f := range jsonb.Named(name) {
		if !takes(&f, args) {
			continue
		}
		args = slices.Clone(args)
		for i := range args {
			var err error
			if args[i], err = coerce(args[i], f.Args[i]); err != nil {
				return nil, err
			}
		}
		return fold(&fn{name: name, typ: f.Result, args: args, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			return f.Eval(a)
		}})
	}
	return nil, errSlow
}

// takes reports whether a function takes arguments of these types; literals and parameters
// without a type are what the first one wants.
func takes(f *jsonb.Function, args []Expr) bool {
	if len(args) > len(f.Args) || len(args) < len(f.Args)-f.Optional {
		return false
	}
	for i, a := range args {
		if !datum.Allowed(a.Type(), f.Args[i], datum.Implicit) {
			return false
		}
	}
	return true
}

// toJSON is to_jsonb.
func toJSON(arg Expr) (Expr, error) {
	if arg.Type() == datum.JSONB {
		return arg, nil
	}
	if arg.Type() == datum.Unknown && isConst(arg) {
		return nil, fail("42804", 0, "could not determine polymorphic type because input has type unknown")
	}
	if arg.Type() == datum.Unknown {
		var err error
		if arg, err = coerce(arg, datum.Text); err != nil {
			return nil, err
		}
	}
	t := arg.Type().Elem()
	e := &fn{name: "to_jsonb", typ: datum.JSONB, args: []Expr{arg}, strict: true, stable: t == datum.Timestamptz || t == datum.Interval || t.IsComposite(),
		eval: func(env *Env, a []datum.Datum) (datum.Datum, error) { return jsonb.Of(a[0], env.location()) }}
	if e.stable {
		return e, nil
	}
	return fold(e)
}

// buildJSON is jsonb_build_object and jsonb_build_array.
func buildJSON(name string, args []Expr) (Expr, error) {
	object := name == "jsonb_build_object"
	if object && len(args)%2 != 0 {
		err := fail("22023", 0, "argument list must have even number of elements")
		err.Hint = "The arguments of jsonb_build_object() must consist of alternating keys and values."
		return nil, err
	}
	args = slices.Clone(args)
	stable := false
	for i := range args {
		if args[i].Type() == datum.Unknown {
			var err error
			if args[i], err = coerce(args[i], datum.Text); err != nil {
				return nil, err
			}
		}
		t := args[i].Type().Elem()
		stable = stable || t == datum.Timestamptz || t == datum.Interval
	}
	e := &fn{name: name, typ: datum.JSONB, args: args, stable: stable, eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		if object {
			return jsonb.BuildObject(a, env.location())
		}
		return jsonb.BuildArray(a, env.location())
	}}
	if stable {
		return e, nil
	}
	return fold(e)
}

// pathCast is a cast of a literal to jsonpath: functions take its text.
func (c *compiler) pathCast(n *pg.TypeCast) (Expr, error) {
	if !bareString(n.GetArg()) {
		return nil, errSlow
	}
	_, err := jsonb.ParsePath(n.GetArg().GetAConst().GetSval().GetSval())
	if err != nil {
		return nil, at(err, c.position(n.GetArg().GetAConst().GetLocation()))
	}
	return c.expr(n.GetArg())
}
