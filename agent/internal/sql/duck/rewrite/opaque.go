package rewrite

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// opaque reports whether DuckDB has values of the type only as bytes in PostgreSQL's
// order: it compares, groups and sorts them, and knows nothing else of them.
func opaque(t datum.Type) bool {
	return t.Elem().IsInet() || t.Elem().IsBits() || t.Elem().IsEnum() || t.Elem().IsComposite()
}

// mixed is the type that two such values are both of; Unknown: there is none.
func mixed(a, b datum.Type) datum.Type {
	switch {
	case a.IsInet() && b.IsInet():
		return datum.Inet
	case a.IsBits() && b.IsBits():
		return datum.Varbit
	default:
		return datum.Unknown
	}
}

// opaqueFunctions work on such values.
var opaqueFunctions = []string{"count", "min", "max", "array_agg", "any_value", "first_value", "last_value", "nth_value", "lag", "lead",
	"array_length", "array_upper", "array_lower", "cardinality", "array_append", "array_prepend", "array_cat", "array_remove", "array_position", "unnest"}

// enumFunctions make json of the names of enums' values.
var enumFunctions = table(same(`json_build_array jsonb_build_array json_build_object jsonb_build_object to_json to_jsonb
	row_to_json array_to_json json_agg jsonb_agg json_object_agg jsonb_object_agg`), nil)

// opaqueCall refuses a function of a value that DuckDB does not know.
func (r *rewriter) opaqueCall(f *pg.FuncCall) error {
	name := lastName(f.Funcname)
	if builtin.IsComposite(name) || name == "pg_typeof" {
		return nil
	}
	for _, a := range f.Args {
		if err := inexact(f.Location, r.typeOf(a)); err != nil && f.AggDistinct {
			return err
		}
		t := r.typeOf(a)
		if t == datum.Unknown {
			t = r.wholeRow(a)
			if t != datum.Unknown && !(r.onlyEnums(a) && has(enumFunctions, name)) {
				return refuseOpaque(f.Location, "the function "+name+" of a row with a value", t)
			}
		}
		if opaque(t) && !slices.Contains(opaqueFunctions, name) && !((t.Elem().IsEnum() || t.IsComposite() && !f.AggDistinct && r.typeOf(a) == datum.Unknown) && has(enumFunctions, name)) {
			return refuseOpaque(f.Location, "the function "+name, t)
		}
	}
	return nil
}

// onlyEnums reports whether of the columns of a row, which are known, none is opaque but enums
// and composite types.
func (r *rewriter) onlyEnums(n *pg.Node) bool {
	rel := r.rowOf(n)
	return rel != nil && !slices.ContainsFunc(rel.columns, func(c column) bool { return opaque(c.typ) && !c.typ.Elem().IsEnum() && !c.typ.IsComposite() })
}

// wholeRow finds an opaque column of the relation whose rows n names.
func (r *rewriter) wholeRow(n *pg.Node) datum.Type {
	ref := n.GetColumnRef()
	if ref == nil {
		return datum.Unknown
	}
	names, _ := fieldNames(ref)
	if len(names) == 0 {
		return datum.Unknown
	}
	rel := r.scope.relation(names[len(names)-1])
	if rel == nil {
		return datum.Unknown
	}
	for _, c := range rel.columns {
		if opaque(c.typ) {
			return c.typ
		}
	}
	return datum.Unknown
}

// opaqueResult is the type of SELECT column FROM tables, or of its min or max, if that is
// opaque, and of its array_agg if that is an array of names, which drivers do not take for
// texts.
func (r *rewriter) opaqueResult(s *pg.SelectStmt) datum.Type {
	if len(s.GetTargetList()) != 1 {
		return datum.Unknown
	}
	n := s.TargetList[0].GetResTarget().GetVal()
	aggregate := ""
	if f := n.GetFuncCall(); f != nil && len(f.Args) == 1 {
		switch aggregate = lastName(f.Funcname); aggregate {
		case "min", "max", "array_agg":
			n = f.Args[0]
		}
	}
	if n.GetColumnRef() == nil {
		return datum.Unknown
	}
	names, _ := fieldNames(n.GetColumnRef())
	for _, item := range tablesOf(s.FromClause) {
		v := item.GetRangeVar()
		if v == nil || len(names) == 0 {
			return datum.Unknown
		}
		found, ok := r.in.Resolve(v.Schemaname, v.Relname)
		if !ok || len(names) > 1 && names[len(names)-2] != cmp.Or(v.Alias.GetAliasname(), v.Relname) {
			continue
		}
		for _, c := range found.Columns {
			switch {
			case c.Name != names[len(names)-1]:
			case aggregate != "array_agg" && opaque(c.Type):
				return c.Type
			case aggregate == "array_agg" && c.Type == datum.Name:
				return c.Type | datum.Array
			}
		}
	}
	return datum.Unknown
}

// tablesOf are the items of FROM, those of joins in the place of these.
func tablesOf(items []*pg.Node) []*pg.Node {
	var out []*pg.Node
	for _, item := range items {
		if j := item.GetJoinExpr(); j != nil {
			out = append(out, tablesOf([]*pg.Node{j.Larg, j.Rarg})...)
			continue
		}
		out = append(out, item)
	}
	return out
}

// opaqueOperator refuses an operator that is none of an order.
func (r *rewriter) opaqueOperator(e *pg.A_Expr) error {
	if err := r.compositeOperator(e); err != nil {
		return err
	}
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP && e.Kind != pg.A_Expr_Kind_AEXPR_LIKE && e.Kind != pg.A_Expr_Kind_AEXPR_ILIKE && e.Kind != pg.A_Expr_Kind_AEXPR_SIMILAR {
		return nil
	}
	op := lastName(e.Name)
	if err := r.enumOperator(e, op); err != nil {
		return err
	}
	for _, side := range []*pg.Node{e.Lexpr, e.Rexpr} {
		if t := r.typeOf(side); opaque(t) && !t.IsArray() && !compares(op) {
			return refuseOpaque(e.Location, "the operator "+op, t)
		}
	}
	return nil
}

// enumOperator refuses what PostgreSQL does: to compare an enum with something else.
func (r *rewriter) enumOperator(e *pg.A_Expr, op string) error {
	a, b := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	if !a.IsEnum() && !b.IsEnum() || a == b || a == datum.Unknown || b == datum.Unknown {
		return nil
	}
	err := errorf("42883", e.Location, "operator does not exist: %s %s %s", a.SQLName(), op, b.SQLName())
	err.Hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
	return err
}

// enumText is the name of a value of an enum.
func enumText(n *pg.Node, t datum.Type) (*pg.Node, error) {
	c := &pg.CaseExpr{Arg: n, Location: -1}
	for _, l := range t.EnumType().Labels {
		v, err := datum.ParseText(t, l.Name, nil)
		if err != nil {
			return nil, err
		}
		key, err := constantOf(v)
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: key, Result: text(l.Name), Location: -1}}})
	}
	if len(c.Args) == 0 {
		return cast(null(), "VARCHAR"), nil
	}
	return cast(&pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: c}}, "VARCHAR"), nil
}

// enumTexts are the names of values, or of the elements of arrays, of an enum.
func enumTexts(n *pg.Node, t datum.Type) (*pg.Node, error) {
	if !t.IsArray() {
		return enumText(n, t)
	}
	keys, names, err := enumLabels(t)
	return call("nd_labels", n, keys, names), err
}

// enumLabels are arrays of all values of an enum and of their names.
func enumLabels(t datum.Type) (keys, names *pg.Node, err error) {
	k, l := &pg.A_ArrayExpr{Location: -1}, &pg.A_ArrayExpr{Location: -1}
	for _, label := range t.EnumType().Labels {
		v, err := datum.ParseText(t.Elem(), label.Name, nil)
		if err != nil {
			return nil, nil, err
		}
		key, err := constantOf(v)
		if err != nil {
			return nil, nil, err
		}
		k.Elements, l.Elements = append(k.Elements, key), append(l.Elements, text(label.Name))
	}
	array := func(a *pg.A_ArrayExpr, of string) *pg.Node {
		return cast(&pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: a}}, of+"[]")
	}
	return array(k, "BLOB"), array(l, "VARCHAR"), nil
}

// enumValue are the values that names, or arrays of them, are of an enum.
func enumValue(n *pg.Node, t datum.Type) (*pg.Node, error) {
	keys, names, err := enumLabels(t)
	macro := "nd_label"
	if t.IsArray() {
		macro = "nd_labeled"
	}
	return call(macro, n, keys, names, text("ND22P02 invalid input value for enum "+t.Elem().SQLName()+": ")), err
}

func refuseOpaque(location int32, what string, t datum.Type) *Error {
	err := unsupported(location, "%s of %s in this statement", what, t.SQLName())
	err.Hint = "Select the value itself; values of this type can be compared, grouped and sorted."
	return err
}

// opaqueCast casts from or to a type that DuckDB does not know.
func opaqueCast(n *pg.Node, from, to datum.Type, t *pg.TypeName) (*pg.Node, error) {
	same := from == to || from == datum.Cidr && to == datum.Inet || from == datum.Bit && to == datum.Varbit
	if same && len(t.Typmods) == 0 {
		return n, nil
	}
	if n.GetAConst().GetIsnull() {
		f, _ := FrameType(to, -1)
		return cast(n, f.SQL()), nil
	}
	plain := func(t datum.Type) bool { return t.Elem() == datum.Text || t.Elem() == datum.Varchar }
	if len(t.Typmods) == 0 && from.IsArray() == to.IsArray() {
		switch {
		case from.Elem().IsEnum() && plain(to):
			return enumTexts(n, from)
		case to.Elem().IsEnum() && plain(from):
			return enumValue(n, to)
		}
	}
	if opaque(from) {
		return nil, refuseOpaque(t.Location, "a cast", from)
	}
	return nil, refuseOpaque(t.Location, "a cast to a value", to)
}
