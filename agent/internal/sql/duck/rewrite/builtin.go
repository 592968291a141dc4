package rewrite

import (
	"errors"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// builtinCall finds the function of package builtin that is called; nil: none is, or it
// is not known of which types the arguments are.
func (r *rewriter) builtinCall(f *pg.FuncCall, name string) *builtin.Call {
	if !builtin.Known(name) || f.AggStar || f.AggDistinct || f.Over != nil || f.FuncVariadic || len(f.AggOrder) > 0 || f.AggFilter != nil {
		return nil
	}
	types := make([]datum.Type, len(f.Args))
	for i, a := range f.Args {
		types[i] = r.typeOf(a)
		if _, isLiteral := literal(a); types[i] == datum.Unknown && !isLiteral && a.GetParamRef() == nil && !a.GetAConst().GetIsnull() {
			return nil
		}
	}
	return builtin.Resolve(name, types)
}

// builtinFunction is a call of a function of package builtin: the worker gets the texts of
// the arguments, and gives that of the result, or of its elements.
func (r *rewriter) builtinFunction(f *pg.FuncCall, name string) (finish, error) {
	c := r.builtinCall(f, name)
	switch _, other := functions[name]; {
	case c != nil && len(f.Args) <= builtin.MaxArgs:
		if folded, err := r.constantCall(c, f.Args); err != nil || folded.Type != datum.Unknown {
			return r.folded(c, folded, err)
		}
		if r.native(f, c) {
			return nil, nil
		}
	case !builtin.Known(name) || other || specials[name] != nil:
		return nil, nil // there may be one of the engine's
	case slices.ContainsFunc(f.Args, func(a *pg.Node) bool { return r.typeOf(a) == datum.Unknown }):
		return nil, unsupported(f.Location, "%s of a value whose type is not known before the statement runs", name)
	case len(f.Args) > builtin.MaxArgs:
		return nil, unsupported(f.Location, "%s of over %d arguments", name, builtin.MaxArgs)
	default:
		return nil, noFunction(f, name+"("+r.signature(f)+")")
	}
	result, ok := FrameType(c.Result, -1)
	if !ok || opaque(c.Result) {
		return nil, unsupported(f.Location, "%s, a function that gives %s, in this query", name, c.Result.SQLName())
	}
	for i, a := range f.Args {
		r.paramIs(a, c.Args[i])
	}
	accepts := r.accepts && c.Result == datum.Numeric
	texts := r.textsOf(f.Args, false)
	for i, a := range f.Args {
		if c.Args[i] == datum.Bpchar { // which takes it with its blanks
			texts[i] = r.textOf(a, true)
		}
	}
	signature := text(c.Signature(r.zone()))
	of := "nd_call_"
	if c.Result.IsArray() {
		of = "nd_list_"
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := []*pg.Node{signature}
		for i, a := range n.GetFuncCall().Args {
			args = append(args, texts[i](a))
		}
		out := call(of+strconv.Itoa(len(texts)), args...)
		switch {
		case accepts:
			return out, nil
		case c.Result == datum.Numeric:
			return r.asDecimal(out), nil
		}
		if c.Result == datum.Bytea {
			return call("unhex", call("substr", out, integer(3))), nil
		}
		return cast(out, result.SQL()), nil
	}, nil
}

// folded is a call whose value, or error, is known.
func (r *rewriter) folded(c *builtin.Call, v datum.Datum, err error) (finish, error) {
	n, err := r.valueOrFailure(c, v, err)
	if err != nil {
		return nil, err
	}
	return func(*pg.Node) (*pg.Node, error) { return n, nil }, nil
}

// valueOrFailure is the value of a call, or what fails with its error when the statement runs.
func (r *rewriter) valueOrFailure(c *builtin.Call, v datum.Datum, err error) (*pg.Node, error) {
	if err == nil {
		return r.constantNode(v, nil, 0)
	}
	told := &datum.Error{Code: "22P02", Message: err.Error()}
	errors.As(err, &told)
	result, ok := FrameType(c.Result, -1)
	if !ok || told.Code == "0A000" {
		return r.constantNode(v, err, 0)
	}
	n := cast(call("error", cast(text("ND"+told.Code+" "+told.Message), "VARCHAR")), result.SQL())
	r.made[n] = true
	return n, nil
}

// zone is the name of the session's time zone.
func (r *rewriter) zone() string {
	if r.in.Session.TimeZone == "" {
		return "UTC"
	}
	return r.in.Session.TimeZone
}

// beforeCall is before of a call.
func (r *rewriter) beforeCall(n *pg.Node, f *pg.FuncCall) (after func(*pg.Node) (*pg.Node, error), err error) {
	if ok, after, err := r.beforeComposite(n, f); ok {
		return after, err
	}
	if err := soundAggregate(f); err != nil {
		return nil, err
	}
	if err := r.opaqueCall(f); err != nil {
		return nil, err
	}
	if after := r.orderedSet(f, lastName(f.Funcname)); after != nil {
		return after, nil
	}
	if err := r.withinGroup(f); err != nil {
		return nil, err
	}
	if after, err := r.ofIntervals(f, lastName(f.Funcname)); after != nil || err != nil {
		return after, err
	}
	if after := r.textList(n); after != nil {
		return after, nil
	}
	if after := r.writtenAggregate(n, f, lastName(f.Funcname)); after != nil {
		return after, nil
	}
	r.accepts = r.textual[n]
	return r.beforeFunction(f)
}
