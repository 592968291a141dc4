package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// byName are the catalogs by which names that a query makes are found: of relations and of
// types. Such a regclass or regtype is the name as PostgreSQL shows it.
//
//nolint:gochecknoglobals // a constant table
var byName = map[string]struct{ table, code, what string }{
	"regclass": {"nd_class_name", "42P01", "relation"},
	"regtype":  {"nd_type_name", "42704", "type"},
}

// namedIn says which of byName n is a cast to, of a text that is no literal.
func (r *rewriter) namedIn(n *pg.Node) string {
	t := n.GetTypeCast()
	if t == nil || len(t.TypeName.ArrayBounds) > 0 {
		return ""
	}
	name := lastName(t.TypeName.Names)
	if _, ok := literal(t.Arg); ok || byName[name].table == "" || !r.typeOf(t.Arg).IsString() {
		return ""
	}
	return name
}

// named returns what finds a column of such a catalog for the name that a cast is of.
func (r *rewriter) named(kind, column string) (finish, error) {
	in := byName[kind]
	find, err := r.lookupBy(in.table, "key", column)
	if err != nil || find == nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetTypeCast().Arg
		isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(arg), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
		none := call("error", call("concat", text("ND"+in.code+" "+in.what+` "`), clone(arg), text(`" does not exist`)))
		result := "VARCHAR"
		if column == "oid" {
			result = "BIGINT"
		}
		when := &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: isNull, Result: cast(null(), result), Location: -1}}}
		found := &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{
			Args: []*pg.Node{find(unquoted(arg)), cast(none, result)}, Location: -1,
		}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{when}, Defresult: found, Location: -1}}}, nil
	}, nil
}

// inputFunction handles 'array_in'::regproc: the functions that have a number are those that
// pg_type says, which it says by their names.
func inputFunction(t *pg.TypeCast, s string) (finish, error) {
	written, _, _ := strings.Cut(s, "(")
	schema, name := splitName(strings.TrimSpace(written))
	if schema != "" && schema != "pg_catalog" || !slices.Contains(datum.InputFunctions(), name) {
		return nil, unsupported(t.Location, "the regproc of %s", s)
	}
	return func(*pg.Node) (*pg.Node, error) { return cast(text(name), "VARCHAR"), nil }, nil
}

// withoutModifier is the name of a type without its length or precision.
func withoutModifier(s string) string {
	before, rest, found := strings.Cut(s, "(")
	if _, after, closed := strings.Cut(rest, ")"); found && closed {
		return strings.TrimSpace(before) + after
	}
	return s
}

// unquoted is a name without its quotes, as those catalogs have it.
func unquoted(name *pg.Node) *pg.Node { return call("replace", name, text(`"`), text("")) }

// registryArray handles '{int4,text}'::regtype[].
func (r *rewriter) registryArray(t *pg.TypeCast, name string) (finish, error) {
	s, ok := literal(t.Arg)
	if !ok {
		return nil, unsupported(t.Location, "a cast to %s[]", name)
	}
	names, err := datum.ParseText(datum.Text|datum.Array, s, nil)
	if err != nil {
		_, err = r.constantNode(names, err, t.Location)
		return nil, err
	}
	array := &pg.A_ArrayExpr{Location: -1}
	for _, v := range names.A.Values {
		one := &pg.TypeCast{Arg: pg.MakeAConstStrNode(v.S, -1), TypeName: duckType(name), Location: t.Location}
		f, err := r.registryCast(one, name)
		if err != nil {
			return nil, err
		}
		n, err := f(nil)
		if err != nil {
			return nil, err
		}
		array.Elements = append(array.Elements, n)
	}
	return func(*pg.Node) (*pg.Node, error) {
		return cast(&pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: array}}, "BIGINT[]"), nil
	}, nil
}

// serialSequence is pg_get_serial_sequence(table, column).
func serialSequence(r *rewriter, f *pg.FuncCall) (finish, error) {
	find, err := r.lookupBy("nd_serial", "key", "sequence")
	if err != nil || find == nil || len(f.Args) != 2 {
		return noText(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		return find(call("concat", unquoted(args[0]), text("|"), args[1])), nil
	}, nil
}
