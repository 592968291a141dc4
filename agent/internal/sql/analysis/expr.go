package analysis

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

func (a *analysis) list(l []*pg.Node) []*expr {
	out := make([]*expr, len(l))
	for i, n := range l {
		out[i] = a.expr(n)
	}
	return out
}

// expr is an expression.
func (a *analysis) expr(n *pg.Node) *expr {
	e := a.transformed(n)
	a.vague = a.vague || e.typ == unsure
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		a.tell(x.AExpr.Location, e.typ)
	case *pg.Node_FuncCall:
		a.tell(x.FuncCall.Location, e.typ)
	}
	return e
}

// tell notes the type of what stands in a place, unless it is several.
func (a *analysis) tell(at int32, t oid) {
	if was, ok := a.types[at]; ok && was != t {
		t = unsure
	}
	a.types[at] = t
}

// transformed is transformExprRecurse.
func (a *analysis) transformed(n *pg.Node) *expr {
	if a.err != nil || n == nil {
		return of(unsure, -1, "")
	}
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		if x.ColumnRef.Fields[len(x.ColumnRef.Fields)-1].GetAStar() != nil {
			return of(unsure, x.ColumnRef.Location, "")
		}
		return a.column(x.ColumnRef)
	case *pg.Node_AConst:
		return constant(x.AConst)
	case *pg.Node_ParamRef:
		return a.param(x.ParamRef)
	case *pg.Node_TypeCast:
		return a.cast(x.TypeCast)
	case *pg.Node_CollateClause:
		return a.collate(x.CollateClause)
	case *pg.Node_AExpr:
		return a.operation(x.AExpr)
	case *pg.Node_BoolExpr:
		return a.logic(x.BoolExpr)
	case *pg.Node_NullTest:
		e := a.expr(x.NullTest.Arg)
		return of(boolean, leftmost(x.NullTest.Location, e), "null "+x.NullTest.Nulltesttype.String(), e)
	case *pg.Node_BooleanTest:
		name := strings.ReplaceAll(x.BooleanTest.Booltesttype.String(), "_", " ")
		return of(boolean, x.BooleanTest.Location, name, a.truth(a.expr(x.BooleanTest.Arg), name))
	case *pg.Node_CaseExpr:
		return a.choice(x.CaseExpr)
	case *pg.Node_CoalesceExpr:
		return a.alternatives("COALESCE", x.CoalesceExpr.Args, x.CoalesceExpr.Location)
	case *pg.Node_MinMaxExpr:
		return a.alternatives(strings.TrimPrefix(x.MinMaxExpr.Op.String(), "IS_"), x.MinMaxExpr.Args, x.MinMaxExpr.Location)
	case *pg.Node_RowExpr:
		for _, arg := range x.RowExpr.Args {
			if f := arg.GetColumnRef().GetFields(); len(f) > 0 && f[len(f)-1].GetAStar() != nil { // several fields
				return of(unsure, x.RowExpr.Location, "")
			}
		}
		row := a.list(x.RowExpr.Args)
		return &expr{typ: record, at: x.RowExpr.Location, row: row, kids: row, is: "row"}
	case *pg.Node_AArrayExpr:
		return a.array(x.AArrayExpr, unsure)
	case *pg.Node_AIndirection:
		return a.subscript(x.AIndirection)
	case *pg.Node_FuncCall:
		return a.call(x.FuncCall)
	case *pg.Node_SubLink:
		return a.sublink(x.SubLink)
	case *pg.Node_GroupingFunc:
		e := of(int4Type, x.GroupingFunc.Location, "grouping", a.list(x.GroupingFunc.Args)...)
		e.grouping = true
		return e
	case *pg.Node_SqlvalueFunction:
		e := of(valueFunctions[x.SqlvalueFunction.Op], x.SqlvalueFunction.Location, x.SqlvalueFunction.Op.String())
		if strings.HasSuffix(e.is, "_N") {
			e.mod = x.SqlvalueFunction.Typmod + 1
		}
		return e
	}
	return of(unsure, -1, "")
}

// valueFunctions are the types of CURRENT_DATE and the like.
var valueFunctions = map[pg.SQLValueFunctionOp]oid{
	pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE: 1082, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME: 1266, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N: 1266,
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP: 1184, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N: 1184,
	pg.SQLValueFunctionOp_SVFOP_LOCALTIME: 1083, pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N: 1083,
	pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP: 1114, pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N: 1114,
	pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE: 19, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER: 19, pg.SQLValueFunctionOp_SVFOP_USER: 19,
	pg.SQLValueFunctionOp_SVFOP_SESSION_USER: 19, pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG: 19, pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA: 19,
}

func constant(c *pg.A_Const) *expr {
	if c.Isnull {
		return &expr{typ: unknown, at: c.Location, null: true, is: "null"}
	}
	switch v := c.Val.(type) {
	case *pg.A_Const_Ival:
		return of(int4Type, c.Location, "number "+strconv.Itoa(int(v.Ival.Ival)))
	case *pg.A_Const_Fval:
		t := numericType
		if n, err := strconv.ParseInt(v.Fval.Fval, 10, 64); err == nil {
			if t = int8Type; n == int64(int32(n)) {
				t = int4Type
			}
		}
		return of(t, c.Location, "number "+v.Fval.Fval)
	case *pg.A_Const_Boolval:
		return of(boolean, c.Location, "bool "+strconv.FormatBool(v.Boolval.Boolval))
	case *pg.A_Const_Bsval:
		return of(bitType, c.Location, "bits "+v.Bsval.Bsval)
	case *pg.A_Const_Sval:
		return &expr{typ: unknown, at: c.Location, lit: &v.Sval.Sval, is: "literal " + v.Sval.Sval}
	}
	return of(unsure, c.Location, "")
}

func (a *analysis) param(p *pg.ParamRef) *expr {
	const most = 65535
	for len(a.params) < int(min(p.Number, most)) {
		a.params = append(a.params, unknown)
	}
	if p.Number < 1 || p.Number > most {
		return of(unsure, p.Location, "")
	}
	return &expr{typ: a.params[p.Number-1], at: p.Location, arg: p.Number, is: "$" + strconv.Itoa(int(p.Number))}
}

// typeName finds a written type; unsure: it is not known here.
func (a *analysis) typeName(n *pg.TypeName) oid {
	names := texts(n.GetNames())
	if len(names) == 0 || n.GetSetof() || n.GetPctType() {
		return unsure
	}
	name := names[len(names)-1]
	if t, ok := known().names[name]; ok && (len(names) == 1 || names[0] == "pg_catalog") {
		if len(n.ArrayBounds) > 0 {
			return a.arrayOf(t)
		}
		return t
	}
	written, err := syntax.ConvertType(n)
	if err != nil {
		return unsure
	}
	t, ok := a.in.Type(written)
	if !ok {
		return unsure
	}
	return a.typeOf(t)
}

func (a *analysis) cast(c *pg.TypeCast) *expr {
	to := a.typeName(c.TypeName)
	var e *expr
	if list := c.Arg.GetAArrayExpr(); list != nil && a.elem(to) != unsure {
		e = a.array(list, to)
	} else {
		e = a.expr(c.Arg)
	}
	if to == unsure || e.typ == unsure || to == interval && len(c.TypeName.Typmods) > 0 && e.typ == unknown {
		return of(to, c.Location, "", e).with(a.modifierOf(c.TypeName))
	}
	if e.typ != to && !a.converts(e.typ, to, explicit) {
		a.refuse("42846", c.Location, "cannot cast type %s to %s", a.sqlName(e.typ), a.sqlName(to))
	}
	if e.row != nil && a.category(to) == composite {
		return a.asComposite(e, to, explicit, c.Location)
	}
	if len(c.TypeName.GetTypmods()) > 0 {
		is := "cast"
		for _, m := range c.TypeName.Typmods {
			is += " " + strconv.Itoa(int(m.GetAConst().GetIval().GetIval()))
		}
		return of(to, e.at, is, a.coerce(e, to)).with(a.modifierOf(c.TypeName))
	}
	if e.typ == to && e.mod != 0 {
		return of(to, e.at, "cast", e)
	}
	return a.coerceBy(e, to, explicit).with(a.modifierOf(c.TypeName))
}

// modifierOf is the modifier of a written type, and one: char has one that is not written.
func (a *analysis) modifierOf(n *pg.TypeName) int32 {
	written, err := syntax.ConvertType(n)
	if err != nil || a.in.Modifier == nil {
		return 0
	}
	return a.in.Modifier(written) + 1
}

// with gives an expression a modifier, and one.
func (e *expr) with(mod int32) *expr {
	if mod != 0 {
		e.mod = mod
	}
	return e
}

// modifier is that of alternatives of one type, and one: 0 unless all have the same.
func modifier(l []*expr, t oid) int32 {
	var mod int32
	for i, e := range l {
		switch {
		case i == 0:
			mod = e.mod
		case e.mod != mod:
			return 0
		}
		if e.typ != t {
			return 0
		}
	}
	return mod
}

func (a *analysis) collate(c *pg.CollateClause) *expr {
	e := a.expr(c.Arg)
	if e.typ != unsure && e.typ != unknown && a.category(e.typ) != 'S' && a.category(a.elem(e.typ)) != 'S' {
		a.refuse("42804", c.Location, "collations are not supported by type %s", a.sqlName(e.typ))
	}
	return e
}

func (a *analysis) logic(b *pg.BoolExpr) *expr {
	name := strings.TrimSuffix(b.Boolop.String(), "_EXPR")
	out := of(boolean, b.Location, name)
	for _, n := range b.Args {
		out.kids = append(out.kids, a.truth(a.expr(n), name))
	}
	out.at = leftmost(out.at, out.kids...)
	return out
}

// choice is CASE.
func (a *analysis) choice(c *pg.CaseExpr) *expr {
	var arg *expr
	out := of(unsure, c.Location, "case")
	if c.Arg != nil {
		arg = a.coerceText(a.expr(c.Arg))
		out.kids = append(out.kids, arg)
	}
	var when, results []*expr
	for _, n := range c.Args {
		w := n.GetCaseWhen()
		e := a.expr(w.Expr)
		if arg != nil {
			e = a.apply("=", &expr{typ: arg.typ, at: arg.at, is: "case arg"}, e, w.Location)
		}
		when = append(when, a.truth(e, "CASE/WHEN"))
		results = append(results, a.expr(w.Result))
	}
	otherwise := &expr{typ: unknown, at: -1, null: true, is: "null"}
	if c.Defresult != nil {
		otherwise = a.expr(c.Defresult)
	}
	results = append([]*expr{otherwise}, results...)
	out.typ, _ = a.common(results, "CASE")
	results = a.bring(results, out.typ, "CASE")
	out.mod = modifier(results, out.typ)
	for i, w := range when {
		out.kids = append(out.kids, w, results[i+1])
	}
	out.kids = append(out.kids, results[0])
	return out
}

// alternatives is COALESCE and the like.
func (a *analysis) alternatives(what string, l []*pg.Node, at int32) *expr {
	list := a.list(l)
	t, _ := a.common(list, what)
	list = a.bring(list, t, what)
	return of(t, at, what, list...).with(modifier(list, t))
}

// array is ARRAY[...]: to is the type of a cast around it.
func (a *analysis) array(x *pg.A_ArrayExpr, to oid) *expr {
	many := false
	var list []*expr
	for _, n := range x.Elements {
		var e *expr
		if inner := n.GetAArrayExpr(); inner != nil {
			e = a.array(inner, to)
			many = true
		} else {
			e = a.expr(n)
			many = many || a.elem(e.typ) != unsure
		}
		list = append(list, e)
	}
	t, elem := to, a.elem(to)
	if to == unsure {
		if len(list) == 0 {
			a.hinted("42P18", x.Location, "Explicitly cast to the desired type, for example ARRAY[]::integer[].", "cannot determine type of empty array")
		}
		elem, _ = a.common(list, "ARRAY")
		list = a.bring(list, elem, "ARRAY")
		if t = elem; !many {
			t = a.arrayOf(elem)
		}
		return of(t, x.Location, "array", list...).with(modifier(list, elem))
	}
	if many {
		elem = to
	}
	for i, e := range list {
		if e.typ != unsure && !a.converts(e.typ, elem, explicit) {
			a.refuse("42846", e.at, "cannot cast type %s to %s", a.sqlName(e.typ), a.sqlName(elem))
		}
		list[i] = a.coerce(e, elem)
	}
	return of(t, x.Location, "array", list...)
}

// subscript is a[i], a[i:j] and (r).f.
func (a *analysis) subscript(x *pg.A_Indirection) *expr {
	e := a.expr(x.Arg)
	t := e.typ
	kids := []*expr{e}
	is := "subscript"
	slice := false
	for at, n := range x.Indirection {
		i := n.GetAIndices()
		if i == nil && at == 0 {
			return a.fields(e, x)
		}
		if i == nil {
			return of(unsure, e.at, "", kids...)
		}
		slice = slice || i.IsSlice
	}
	switch {
	case t == unsure, t == jsonb:
	case t == 19: // name, of characters
		t = unsure
	case a.elem(t) != unsure:
		if !slice {
			t = a.elem(t)
		}
	default:
		a.refuse("42804", e.at, "cannot subscript type %s because it does not support subscripting", a.sqlName(t))
		return of(unsure, e.at, "")
	}
	for _, n := range x.Indirection {
		for _, s := range []*pg.Node{n.GetAIndices().Lidx, n.GetAIndices().Uidx} {
			if s == nil {
				continue
			}
			k := a.expr(s)
			if e.typ != jsonb && e.typ != unsure {
				if k.typ != unsure && !a.converts(k.typ, int4Type, assignment) {
					a.refuse("42804", k.at, "array subscript must have type integer")
				}
				k = a.coerce(k, int4Type)
			}
			kids = append(kids, k)
		}
	}
	if e.typ != jsonb && t != unsure {
		return of(t, e.at, is, kids...).with(e.mod)
	}
	return of(t, e.at, is, kids...)
}

// sublink is a subquery in an expression.
func (a *analysis) sublink(s *pg.SubLink) *expr {
	before := a.scope
	list, open, roots := a.inner(s.Subselect.GetSelectStmt())
	a.scope = before
	list = visible(list)
	out := &expr{typ: boolean, at: s.Location, sub: true}
	for _, t := range list {
		out.kids = append(out.kids, t.expr)
	}
	out.kids = append(out.kids, roots...)
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
	case pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
		if open {
			out.typ = unsure
			return out
		}
		if len(list) != 1 {
			a.refuse("42601", s.Location, "subquery must return only one column")
			out.typ = unsure
			return out
		}
		if out.typ, out.mod = list[0].typ, list[0].mod; out.typ == unknown {
			out.typ = textType
		}
		if s.SubLinkType == pg.SubLinkType_ARRAY_SUBLINK && a.elem(out.typ) == unsure {
			out.typ = a.arrayOf(out.typ)
		}
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		a.compareSubquery(s, out, list, open)
	default:
		out.typ = unsure
	}
	return out
}

// inner looks at a subquery: roots are its expressions.
func (a *analysis) inner(s *pg.SelectStmt) (list []*target, open bool, roots []*expr) {
	holder := &scope{parent: a.scope, place: a.scope.place}
	a.scope = holder
	list, open = a.targets(s, a.scope)
	return list, open, holder.roots
}

// compareSubquery is x = ANY (SELECT ...) and x IN (SELECT ...).
func (a *analysis) compareSubquery(s *pg.SubLink, out *expr, list []*target, open bool) {
	op := "="
	if len(s.OperName) > 0 {
		op = lastText(s.OperName)
	}
	left := a.expr(s.Testexpr)
	out.kids = append(out.kids, left)
	row := left.row
	if row == nil {
		row = []*expr{left}
	}
	if open {
		return
	}
	switch {
	case len(list) > len(row):
		a.refuse("42601", s.Location, "subquery has too many columns")
		return
	case len(list) < len(row):
		a.refuse("42601", s.Location, "subquery has too few columns")
		return
	}
	right := make([]*expr, len(list))
	for i, t := range list {
		right[i] = &expr{typ: t.typ, at: t.at}
		if t.typ == unknown {
			right[i].typ = textType
		}
	}
	a.compareRows(op, row, right, s.Location)
}
