package rewrite

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// FrameType is how values of t travel to and from DuckDB; modifier is PostgreSQL's
// typmod.
func FrameType(t datum.Type, modifier int32) (frame.Type, bool) {
	if t.IsArray() {
		f, ok := FrameType(t.Elem(), modifier)
		f.List = true
		return f, ok
	}
	if t == datum.Numeric {
		return numericType(modifier), true
	}
	if t.IsEnum() || t.IsComposite() {
		return frame.Type{Kind: frame.Bytes}, true // see opaque
	}
	if t.IsNumbered() {
		return frame.Type{Kind: frame.Int64}, true
	}
	kinds := [...]frame.Kind{
		datum.Bool: frame.Bool, datum.Int2: frame.Int16, datum.Int4: frame.Int32, datum.Int8: frame.Int64,
		datum.Float4: frame.Float32, datum.Float8: frame.Float64, datum.Text: frame.Text, datum.Varchar: frame.Text,
		datum.Name: frame.Text, datum.Bpchar: frame.Text, datum.Char: frame.Text, datum.Bytea: frame.Bytes, datum.UUID: frame.UUID, datum.Date: frame.Date,
		datum.Timestamp: frame.Timestamp, datum.Timestamptz: frame.TimestampTZ, datum.JSONB: frame.JSON,
		datum.JSON: frame.JSON, datum.OID: frame.Int64, datum.Time: frame.Time, datum.Interval: frame.Interval,
		datum.Timetz: frame.TimeTZ,
		datum.Tid:    frame.Text, datum.NodeTree: frame.Text, datum.ACLItem: frame.Text, datum.LSN: frame.Text, datum.AnyArray: frame.Text,
		datum.Inet: frame.Bytes, datum.Cidr: frame.Bytes, datum.Bit: frame.Text, datum.Varbit: frame.Text, // see opaque
	}
	if int(t) >= len(kinds) || kinds[t] == frame.Unknown {
		return frame.Type{}, false
	}
	return frame.Type{Kind: kinds[t]}, true
}

func numericType(modifier int32) frame.Type {
	free := frame.Type{Kind: frame.Decimal, Width: frame.MaxDecimalWidth, Scale: frame.NumericScale}
	if modifier < 4 {
		return free
	}
	precision, scale := (modifier-4)>>16&0xffff, (modifier-4)&0x7ff
	if precision < 1 || precision > frame.MaxDecimalWidth || scale > precision { // also negative scales
		return free
	}
	return frame.Type{Kind: frame.Decimal, Width: uint8(precision), Scale: uint8(scale)}
}

// duckType makes a type name of DuckDB's spelling of a type.
func duckType(sql string) *pg.TypeName {
	t := &pg.TypeName{Typemod: -1, Location: -1}
	if elem, ok := strings.CutSuffix(sql, "[]"); ok {
		t = duckType(elem)
		t.ArrayBounds = append(t.ArrayBounds, &pg.Node{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}})
		return t
	}
	name, rest, ok := strings.Cut(sql, "(")
	t.Names = []*pg.Node{str(strings.ToLower(name))}
	if ok {
		width, scale, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
		t.Typmods = []*pg.Node{constant(width), constant(scale)}
	}
	return t
}

// constant makes a number of digits.
func constant(digits string) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{
		Val: &pg.A_Const_Fval{Fval: &pg.Float{Fval: digits}}, Location: -1,
	}}}
}

// castType returns the type that a cast names and whether it has modifiers (a
// length, a precision). datum.Unknown: none of ours.
func castType(n *pg.TypeName) (t datum.Type, modified bool) {
	if n == nil || len(n.Names) == 0 {
		return datum.Unknown, false
	}
	switch name := lastName(n.Names); name {
	case "serial":
		t = datum.Int4
	default:
		if number, ok := syntax.EnumNumber(name); ok {
			t = datum.Type(number)
		} else {
			t, _ = datum.TypeByName(name)
		}
	}
	if t != datum.Unknown && len(n.ArrayBounds) > 0 {
		t |= datum.Array
	}
	return t, len(n.Typmods) > 0
}

// typmod returns PostgreSQL's modifier of a type name's numbers, -1 without.
func typmod(t datum.Type, n *pg.TypeName) int32 {
	var m []int32
	for _, x := range n.Typmods {
		i := x.GetAConst().GetIval()
		if f, err := strconv.ParseInt(x.GetAConst().GetFval().GetFval(), 10, 32); i == nil && err == nil { // see constant
			i = &pg.Integer{Ival: int32(f)}
		}
		if i == nil {
			return -1
		}
		m = append(m, i.Ival)
	}
	switch {
	case t.IsBits() && len(m) == 1:
		return m[0]
	case t == datum.Numeric && len(m) == 1:
		return m[0]<<16 + 4
	case t == datum.Numeric && len(m) == 2:
		return m[0]<<16 + m[1]&0x7ff + 4
	case (t == datum.Varchar || t == datum.Bpchar) && len(m) == 1:
		return m[0] + 4
	case precise(t) && len(m) == 1:
		return m[0]
	case t == datum.Interval && len(m) == 1:
		return m[0]<<16 | 0xffff
	case t == datum.Interval && len(m) == 2:
		return m[0]<<16 | m[1]
	}
	return -1
}

// widthOf is the modifier of an expression that is a char(n); -1: none is known.
func (r *rewriter) widthOf(n *pg.Node) int32 {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if c, ok := r.scope.find(x.ColumnRef); ok && c.typ.Elem() == datum.Bpchar && c.modifier > 0 {
			return c.modifier
		}
	case *pg.Node_TypeCast:
		if t, _ := castType(x.TypeCast.TypeName); t.Elem() == datum.Bpchar {
			return typmod(t.Elem(), x.TypeCast.TypeName)
		}
	case *pg.Node_FuncCall:
		switch lastName(x.FuncCall.Funcname) {
		case "min", "max", "array_agg", "first_value", "last_value", "nth_value", "any_value", "mode":
			if len(x.FuncCall.Args) > 0 {
				return r.widthOf(x.FuncCall.Args[0])
			}
		case "lag", "lead":
			switch a := x.FuncCall.Args; len(a) {
			case 1, 2:
				return r.widthOf(a[0])
			case 3:
				return r.commonWidth([]*pg.Node{a[0], a[2]})
			}
		}
	case *pg.Node_SubLink:
		if c, ok := r.gives(x.SubLink.Subselect.GetSelectStmt()); ok && x.SubLink.SubLinkType == pg.SubLinkType_EXPR_SUBLINK && c.typ == datum.Bpchar {
			return c.modifier
		}
	case *pg.Node_AArrayExpr:
		return r.commonWidth(x.AArrayExpr.Elements)
	case *pg.Node_CaseExpr:
		return r.commonWidth(caseResults(x.CaseExpr))
	case *pg.Node_CoalesceExpr:
		return r.commonWidth(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		return r.commonWidth(x.MinMaxExpr.Args)
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return r.widthOf(x.AExpr.Lexpr)
		}
	}
	return -1
}

// commonWidth is the width that all of a list have; -1: they have several.
func (r *rewriter) commonWidth(l []*pg.Node) int32 {
	width := int32(-1)
	for _, e := range l {
		w := r.widthOf(e)
		switch {
		case e.GetAConst().GetIsnull():
		case w < 0 || width >= 0 && w != width:
			return -1
		default:
			width = w
		}
	}
	return width
}

func (r *rewriter) location() *time.Location {
	if r.in.Session.TimeZone == "" {
		return time.UTC
	}
	loc, err := datum.LoadZone(r.in.Session.TimeZone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// reading is how texts are read, but for the time at hand.
func (r *rewriter) reading() *datum.Reading {
	out := &datum.Reading{Location: r.location()}
	if r.inView == 0 { // what made a view had an order that is not known any more
		out.Order = r.in.Session.DateOrder
	}
	return out
}

// timeAtHand is 'now' or 'today' or its like when the statement runs.
func (r *rewriter) timeAtHand(t datum.Type, word string) *pg.Node {
	f, _ := FrameType(t, -1)
	word = strings.ToLower(strings.TrimSpace(word))
	if word == "now" {
		return cast(r.nowNode(), f.SQL())
	}
	day := cast(r.nowNode(), "DATE")
	if shift := map[string]int64{"tomorrow": 1, "yesterday": -1}[word]; shift != 0 {
		day = cast(pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")}, day, integer(shift), -1), "DATE")
	}
	return cast(day, f.SQL())
}

// typedLiteral makes a constant of type t from PostgreSQL's text of it.
func (r *rewriter) typedLiteral(t datum.Type, s string, location int32) (*pg.Node, error) {
	if datum.AtHand(t, s) && r.inView == 0 { // a view has it as it was when it was made
		n := r.timeAtHand(t, s)
		r.made[n] = true
		return n, nil
	}
	d, err := r.reading().Parse(t, s)
	if err == nil && t.Elem().IsRegistry() {
		d, err = r.resolved(d)
	}
	return r.constantNode(d, err, location)
}

// constantNode makes a constant of a value that was read, or the error of reading it.
func (r *rewriter) constantNode(d datum.Datum, err error, location int32) (*pg.Node, error) {
	if err != nil {
		e := errorf("22P02", location, "%s", err.Error())
		var bad *datum.Error
		if errors.As(err, &bad) {
			e.Code = bad.Code
		}
		return nil, e
	}
	n, err := constantOf(d)
	if err == nil {
		r.made[n] = true
	}
	return n, err
}

// constantOf makes an expression of DuckDB's that has the value.
func constantOf(d datum.Datum) (*pg.Node, error) {
	f, ok := FrameType(d.Type, -1)
	if !ok {
		return nil, unsupported(0, "a constant of type %s", d.Type.SQLName())
	}
	switch {
	case d.Null:
		return cast(null(), f.SQL()), nil
	case d.Type.IsComposite():
		return call("unhex", text(hex.EncodeToString([]byte(datum.CompositeKey(d))))), nil
	case d.Type.IsEnum():
		return call("unhex", text(hex.EncodeToString([]byte(datum.EnumKey(d))))), nil
	case d.Type.IsArray():
		if err := d.A.Plain(); err != nil {
			return nil, unsupported(0, "an array of more than one dimension, or that does not begin at 1, in this statement")
		}
		a := &pg.A_ArrayExpr{Location: -1}
		for _, v := range d.A.Values {
			if v.Type == datum.Numeric && !v.Null && v.D.Exponent < -frame.NumericScale {
				return nil, unsupported(0, "an array of numerics with over %d fractional digits", frame.NumericScale)
			}
			n, err := constantOf(v)
			if err != nil {
				return nil, err
			}
			a.Elements = append(a.Elements, n)
		}
		return cast(&pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: a}}, f.SQL()), nil
	}
	if d.Type.IsNumbered() {
		return cast(constant(strconv.FormatInt(d.I, 10)), "BIGINT"), nil
	}
	switch d.Type {
	case datum.Bool:
		return boolean(d.I != 0), nil
	case datum.Bytea:
		return call("unhex", text(hex.EncodeToString([]byte(d.S)))), nil
	case datum.Numeric:
		return numericConstant(d.Text())
	case datum.Interval:
		sum := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")},
			call("to_months", integer(int64(d.Months))), call("to_days", integer(int64(d.Days))), -1)
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")}, sum,
			call("to_microseconds", cast(text(datum.MakeInt(datum.Int8, d.I).Text()), "BIGINT")), -1), nil
	case datum.Inet, datum.Cidr:
		return call("unhex", text(hex.EncodeToString([]byte(d.S)))), nil
	case datum.Text, datum.Varchar, datum.Name, datum.Char, datum.Bit, datum.Varbit, datum.Tid, datum.NodeTree, datum.ACLItem, datum.LSN, datum.AnyArray:
		return cast(text(d.S), "VARCHAR"), nil
	case datum.Bpchar:
		return cast(text(d.Unpadded()), "VARCHAR"), nil
	default:
	}
	if d.Type == datum.Float4 { // FLOAT would be PostgreSQL's float8
		return cast(text(d.Text()), "FLOAT4"), nil
	}
	s, ok := builtin.EngineTime(d)
	if !ok {
		return nil, unsupported(0, "the time %s in this statement", s)
	}
	return cast(text(s), f.SQL()), nil
}

// numericConstant makes a decimal of exactly the digits of s.
func numericConstant(s string) (*pg.Node, error) {
	digits := strings.TrimLeft(strings.Replace(strings.TrimPrefix(s, "-"), ".", "", 1), "0")
	if len(digits) > frame.MaxDecimalWidth || strings.Trim(digits, "0123456789") != "" {
		return nil, unsupported(0, "numeric over %d digits, infinite or NaN", frame.MaxDecimalWidth)
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	width := max(len(strings.TrimLeft(whole, "0"))+len(fraction), 1)
	if width > frame.MaxDecimalWidth {
		return nil, unsupported(0, "numeric over %d digits", frame.MaxDecimalWidth)
	}
	t := frame.Type{Kind: frame.Decimal, Width: uint8(width), Scale: uint8(len(fraction))}
	return cast(text(s), t.SQL()), nil
}
