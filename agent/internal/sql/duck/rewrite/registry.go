package rewrite

import (
	"errors"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Registry knows objects by their numbers and names, as the types regclass, regtype and so
// on do. Within a query the same is looked up in the catalogs nd_regclass, nd_regtype ...
type Registry interface {
	// Number finds the object that a name means; *datum.Error if there is none.
	Number(t datum.Type, name string) (uint32, error)
	// Shown is the name of an object as PostgreSQL shows it: with its schema if it would
	// not be found without, and the number if there is none.
	Shown(t datum.Type, oid uint32) string
}

// resolveRegistry puts the number of the object in a value that has a name, also into the
// elements of an array. The catalogs are asked for where there is a name: to put them
// together takes longer than most statements have parameters.
func resolveRegistry(s *Session, d *datum.Datum) error {
	switch {
	case d.Null || !d.Type.Elem().IsRegistry():
		return nil
	case d.Type.IsArray():
		for i := range d.A.Values {
			if err := resolveRegistry(s, &d.A.Values[i]); err != nil {
				return err
			}
		}
		return nil
	case d.I != datum.NoObject:
		return nil
	}
	reg := s.registry()
	if reg == nil {
		return &datum.Error{Code: "0A000", Message: d.Type.SQLName() + " of a name is not supported here"}
	}
	n, err := reg.Number(d.Type, d.S)
	d.I = int64(n)
	return err
}

// ResolveRegistry is for the values of parameters.
func ResolveRegistry(s *Session, d *datum.Datum) error { return resolveRegistry(s, d) }

func (s *Session) registry() Registry {
	if s.Registry == nil {
		return nil
	}
	return s.Registry()
}

// resolved finds the object of a constant. Relations that are tables of the statement are
// found as its tables are, so that it depends on them.
func (r *rewriter) resolved(d datum.Datum) (datum.Datum, error) {
	if d.Type == datum.Regclass && d.I == datum.NoObject {
		schema, name := splitName(d.S)
		if found, ok := r.in.Resolve(schema, name); ok && found.OID != 0 {
			d.I = int64(found.OID)
			return d, nil
		}
	}
	return d, resolveRegistry(&r.in.Session, &d)
}

// kinds are those of objects that catalogs know by their names, with what an error says of
// a name that is none's.
//
//nolint:gochecknoglobals // a constant table
var kinds = map[datum.Type]struct{ code, what string }{
	datum.Regclass:     {"42P01", "relation"},
	datum.Regtype:      {"42704", "type"},
	datum.Regproc:      {"42883", "function"},
	datum.Regprocedure: {"42883", "function"},
	datum.Regnamespace: {"3F000", "schema"},
	datum.Regrole:      {"42704", "role"},
	datum.Regcollation: {"42704", "collation"},
}

// registryNumber is the number of the object of a name that is no constant. missing says
// that it is null, and not an error, if there is none.
func (r *rewriter) registryNumber(t datum.Type, missing bool) (func(arg *pg.Node) *pg.Node, error) {
	kind, ok := kinds[t]
	if !ok {
		return nil, unsupported(0, "a cast to %s of a name that is no constant", t.SQLName())
	}
	find, err := r.lookupBy("nd_"+t.String()+"_name", "key", "oid")
	if err != nil || find == nil {
		return nil, cmpError(err, unsupported(0, "a cast to %s", t.SQLName()))
	}
	return func(arg *pg.Node) *pg.Node {
		number := find(unquoted(clone(arg)))
		if t != datum.Regclass { // which is made of a text by a function of names alone
			digits := caseWhen(call("regexp_matches", clone(arg), text("^[0-9]+$")), cast(clone(arg), "BIGINT"))
			nothing := caseWhen(pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, clone(arg), text("-"), -1), cast(integer(0), "BIGINT"))
			number = &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{digits, nothing}, Defresult: number, Location: -1}}}
		}
		if missing {
			return number
		}
		isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(arg), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
		none := call("error", call("concat", text("ND"+kind.code+" "+kind.what+` "`), clone(arg), text(`" does not exist`)))
		found := &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{number, cast(none, "BIGINT")}, Location: -1}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(isNull, cast(null(), "BIGINT"))}, Defresult: found, Location: -1}}}
	}, nil
}

func caseWhen(when, then *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: when, Result: then, Location: -1}}}
}

func cmpError(err error, or *Error) error {
	if err != nil {
		return err
	}
	return or
}

// unquoted is a name without its quotes, as those catalogs have it.
func unquoted(name *pg.Node) *pg.Node { return call("replace", name, text(`"`), text("")) }

// shown returns what makes the name of the object of a number.
func (r *rewriter) shown(t datum.Type) (func(*pg.Node) *pg.Node, error) {
	if t == datum.Regtype {
		named, err := r.typeName(func(oid *pg.Node) *pg.Node { return cast(oid, "VARCHAR") })
		return func(n *pg.Node) *pg.Node { return named(n, null()) }, err
	}
	find, err := r.lookup("nd_"+t.String(), "name")
	return func(n *pg.Node) *pg.Node {
		if find == nil {
			return cast(n, "VARCHAR")
		}
		return call("nd_name_or_number", find(n), clone(n))
	}, err
}

// registryCast is a cast to or from numbers of objects; nil: it is another.
func (r *rewriter) registryCast(from, to datum.Type, t *pg.TypeCast) (finish, error) {
	switch {
	case from.Elem() == to.Elem() || !from.Elem().IsRegistry() && !to.Elem().IsRegistry():
		return nil, nil
	case from.IsArray() || to.IsArray():
		if from.IsArray() && to.IsArray() && !from.Elem().IsString() && !to.Elem().IsString() {
			return nil, nil
		}
		return nil, unsupported(t.Location, "a cast from %s to %s in this statement", from.SQLName(), to.SQLName())
	case from.IsString():
		find, err := r.registryNumber(to, false)
		return func(n *pg.Node) (*pg.Node, error) { return find(n.GetTypeCast().Arg), nil }, err
	case to.IsString():
		shown, err := r.shown(from)
		return func(n *pg.Node) (*pg.Node, error) {
			return castNode(shown(n.GetTypeCast().Arg), datum.Text, to, typmod(to, t.TypeName), t.TypeName)
		}, err
	}
	return nil, nil
}

// toRegistry is to_regclass(text) and its kin: null where the cast fails.
func toRegistry(t datum.Type) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		if len(f.Args) != 1 {
			return nil, errorf("42883", f.Location, "function %s(%s) does not exist", lastName(f.Funcname), r.signature(f))
		}
		if s, ok := literal(f.Args[0]); ok {
			d, err := datum.ParseText(t, s, nil)
			if err == nil {
				d, err = r.resolved(d)
			}
			var none *datum.Error
			if errors.As(err, &none) && none.Code != "0A000" {
				return func(*pg.Node) (*pg.Node, error) { return cast(null(), "BIGINT"), nil }, nil
			}
			n, err := r.constantNode(d, err, f.Location)
			return func(*pg.Node) (*pg.Node, error) { return n, nil }, err
		}
		find, err := r.registryNumber(t, true)
		return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, err
	}
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

// visible is pg_table_is_visible(oid) and its kin.
func visible(t datum.Type) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		find, err := r.lookup("nd_"+t.String(), "visible")
		if err != nil || find == nil || len(f.Args) != 1 {
			return yes(r, f)
		}
		return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
	}
}

// defaultACL is acldefault(kind, owner): who may do what to an object before anything is
// granted.
func defaultACL(r *rewriter, f *pg.FuncCall) (finish, error) {
	find, err := r.lookup("pg_authid", "rolname")
	if err != nil || find == nil || len(f.Args) != 2 {
		return noText(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		return call("nd_acldefault", cast(args[0], "VARCHAR"), find(args[1])), nil
	}, nil
}
