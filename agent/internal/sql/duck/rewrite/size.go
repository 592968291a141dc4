package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// relationSize is pg_relation_size and its kin. The sizes of one relation alone are found out
// if it is known which.
func relationSize(column string) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		if n := len(f.Args); n == 0 || n > 2 || n == 2 && column != "main" {
			return nil, noFunction(f, lastName(f.Funcname)+"("+r.signature(f)+")")
		}
		r.objectArguments(f.Args, []datum.Type{datum.Regclass, datum.Text}[:len(f.Args)])
		find, rel, err := r.lookupIn("nd_size", "oid", column)
		if err != nil || find == nil {
			return nil, cmpError(err, unsupported(f.Location, "%s", lastName(f.Funcname)))
		}
		r.oneObject(rel, f.Args[0])
		fork := "main"
		if len(f.Args) == 2 {
			var ok bool
			if fork, ok = literal(f.Args[1]); !ok {
				return nil, unsupported(f.Location, "a fork that is no constant")
			}
		}
		switch fork {
		case "main":
			return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
		case "fsm", "vm", "init": // what there is none of
			return func(*pg.Node) (*pg.Node, error) { return cast(integer(0), "BIGINT"), nil }, nil
		}
		bad := errorf("22023", 0, "invalid fork name")
		bad.Hint = `Valid fork names are "main", "fsm", "vm", and "init".`
		return nil, bad
	}
}

// oneObject says which object alone is looked for, if that is a constant.
func (r *rewriter) oneObject(rel *relation, arg *pg.Node) {
	d := datum.Datum{}
	if t := arg.GetTypeCast(); t != nil {
		name, ok := literal(t.Arg)
		if to, _ := castType(t.TypeName); !ok || to != datum.Regclass {
			return
		}
		var err error
		if d, err = datum.ParseText(datum.Regclass, name, nil); err != nil {
			return // the cast says so
		}
		if d, err = r.resolved(d); err != nil {
			return // the same
		}
	}
	if d.Type != datum.Regclass {
		return
	}
	rel.scan.Constraints = append(rel.scan.Constraints, Constraint{Op: OpEQ, Values: []Value{{Literal: datum.MakeInt(datum.OID, d.I)}}})
}

// databaseSize is pg_database_size and pg_tablespace_size, of a name or a number.
func databaseSize(r *rewriter, f *pg.FuncCall) (finish, error) {
	name, what, code := lastName(f.Funcname), "database", "3D000"
	if name == "pg_tablespace_size" {
		what, code = "tablespace", "42704"
	}
	if len(f.Args) != 1 {
		return nil, noFunction(f, name+"("+r.signature(f)+")")
	}
	_, byName := literal(f.Args[0])
	byName = byName || r.typeOf(f.Args[0]).IsString()
	key := "oid"
	if byName {
		key = "name"
	}
	find, err := r.lookupBy("nd_database_size", key, "size")
	if err != nil || find == nil {
		return nil, cmpError(err, unsupported(f.Location, "%s", name))
	}
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[0]
		if !byName {
			return find(arg), nil
		}
		none := call("error", call("concat", text("ND"+code+" "+what+` "`), clone(arg), text(`" does not exist`)))
		isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(arg), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(isNull, cast(null(), "BIGINT"))}, Defresult: coalesced(find(arg), cast(none, "BIGINT")), Location: -1}}}, nil
	}, nil
}

// blockingPids is pg_blocking_pids(pid): none of a session that does not wait.
func blockingPids(r *rewriter, f *pg.FuncCall) (finish, error) {
	find, err := r.lookupBy("nd_blocking", "key", "pids")
	if err != nil || find == nil || len(f.Args) != 1 {
		return nil, cmpError(err, noFunction(f, lastName(f.Funcname)+"("+r.signature(f)+")"))
	}
	return func(n *pg.Node) (*pg.Node, error) {
		return coalesced(find(cast(n.GetFuncCall().Args[0], "VARCHAR")), cast(call("list_value"), "INTEGER[]")), nil
	}, nil
}
