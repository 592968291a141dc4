package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// constantValue is the value of an expression of constants, as PostgreSQL computes it: the
// engine's numerics are narrower and lose their scale. ok is false if n is none, or its
// value is for the engine to find.
func (r *rewriter) constantValue(n *pg.Node) (v datum.Datum, ok bool) {
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst:
		return r.literalValue(x.AConst)
	case *pg.Node_TypeCast:
		to, modified := castType(x.TypeCast.TypeName)
		if to == datum.Unknown || modified || to == datum.Bpchar || to == datum.Bit || to == datum.Char || to.IsEnum() || to.IsArray() {
			return v, false
		}
		arg, ok := r.constantValue(x.TypeCast.Arg)
		if !ok {
			return v, false
		}
		return r.as(arg, to)
	case *pg.Node_FuncCall:
		name := lastName(x.FuncCall.Funcname)
		if c := r.builtinCall(x.FuncCall, name); c != nil {
			v, err := r.constantCall(c, x.FuncCall.Args)
			return v, err == nil && v.Type != datum.Unknown
		}
	case *pg.Node_AExpr:
		return r.constantOperator(x.AExpr)
	}
	return v, false
}

func (r *rewriter) literalValue(c *pg.A_Const) (datum.Datum, bool) {
	switch {
	case c.Isnull:
		return datum.MakeNull(datum.Unknown), true
	case c.GetSval() != nil:
		return datum.MakeString(datum.Unknown, c.GetSval().Sval), true
	case c.GetIval() != nil:
		return datum.MakeInt(datum.Int4, int64(c.GetIval().Ival)), true
	case c.GetBoolval() != nil:
		return datum.MakeBool(c.GetBoolval().Boolval), true
	case c.GetFval() != nil:
		v, err := datum.ParseText(constType(c), c.GetFval().Fval, nil)
		return v, err == nil
	}
	return datum.Datum{}, false
}

// as converts a constant by its text, where that is what a cast does.
func (r *rewriter) as(v datum.Datum, to datum.Type) (datum.Datum, bool) {
	switch {
	case v.Null:
		return datum.MakeNull(to), true
	case v.Type == to:
		return v, true
	case v.Type == datum.Unknown && datum.AtHand(to, v.S): // known when it runs
		return v, false
	case v.Type == datum.Unknown, v.Type.IsNumber() && to.IsFloat(), v.Type.IsInt() && to.IsNumber(),
		v.Type == datum.Date && to == datum.Timestamp, v.Type == datum.Date && to == datum.Timestamptz, v.Type == datum.Text && to.IsString():
	default:
		return v, false
	}
	s := v.S
	if v.Type != datum.Unknown {
		s = v.Text()
	}
	out, err := r.reading().Parse(to, s)
	return out, err == nil
}

// constantCall computes a call whose arguments are constants; no error and a value of no
// type say that they are not.
func (r *rewriter) constantCall(c *builtin.Call, args []*pg.Node) (datum.Datum, error) {
	values := make([]datum.Datum, len(args))
	for i, a := range args {
		v, ok := r.constantValue(a)
		if ok {
			v, ok = r.as(v, c.Args[i])
		}
		if !ok {
			return datum.Datum{}, nil
		}
		values[i] = v
	}
	return c.Eval(&builtin.Env{Location: r.location(), Order: r.reading().Order}, values)
}

// constantOperator computes operators of numeric, and the minus before a number.
func (r *rewriter) constantOperator(e *pg.A_Expr) (v datum.Datum, ok bool) {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP {
		return v, false
	}
	op := lastName(e.Name)
	right, ok := r.constantValue(e.Rexpr)
	if !ok || !right.Type.IsNumber() || right.Null {
		return v, false
	}
	left := datum.MakeInt(datum.Int2, 0)
	if e.Lexpr != nil {
		if left, ok = r.constantValue(e.Lexpr); !ok || !left.Type.IsNumber() || left.Null {
			return v, false
		}
	} else if op != "-" || right.Type.IsFloat() {
		return v, false
	}
	if left.Type.IsFloat() || right.Type.IsFloat() || left.Type.IsInt() && right.Type.IsInt() && e.Lexpr != nil {
		return v, false
	}
	switch op {
	case "+", "-", "*", "/", "%":
	default:
		return v, false
	}
	a, _ := r.as(left, datum.Numeric)
	b, _ := r.as(right, datum.Numeric)
	out, err := datum.NumericArithmetic(op, a.D, b.D)
	if err != nil {
		return v, false
	}
	if right.Type.IsInt() && left.Type.IsInt() {
		i, err := out.D.Int64()
		if err != nil {
			return v, false
		}
		out, err = datum.CheckInt(right.Type, i, "")
		return out, err == nil
	}
	return out, true
}

// foldable makes the constant that an expression of numeric constants is; nil: it is none.
func (r *rewriter) foldable(e *pg.A_Expr) (*pg.Node, error) {
	if e.Lexpr == nil {
		return nil, nil
	}
	v, ok := r.constantOperator(e)
	if !ok || v.Type != datum.Numeric {
		return nil, nil
	}
	return r.constantNode(v, nil, e.Location)
}
