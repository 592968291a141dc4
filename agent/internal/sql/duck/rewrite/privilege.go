package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// asked is a call of has_table_privilege or one of its kin: of a role (nil: the session's own),
// an object, perhaps a column, and privileges.
type asked struct {
	r                            *rewriter
	f                            *pg.FuncCall
	name                         string
	role, object, column, wanted int // indexes of arguments, -1: there is none
}

// onWhat is what a privilege is on: what the texts of a role's privileges are found by.
type onWhat func(q *asked) (find func(args []*pg.Node) *pg.Node, err error)

// privilegeOf is has_table_privilege and its kin.
func privilegeOf(on onWhat) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		q := &asked{r: r, f: f, name: lastName(f.Funcname), role: -1, object: 0, column: -1, wanted: 1}
		least := 2
		if q.name == "has_column_privilege" {
			q.column, q.wanted, least = 1, 2, 3
		}
		switch len(f.Args) {
		case least:
		case least + 1:
			q.role, q.object, q.wanted = 0, 1, q.wanted+1
			if q.column >= 0 {
				q.column++
			}
		default:
			return nil, noFunction(f, q.name+"("+r.signature(f)+")")
		}
		return q.answer(on)
	}
}

// answer looks for the names of privileges in the text of those that are held.
func (q *asked) answer(on onWhat) (finish, error) {
	if q.role >= 0 {
		if name, ok := literal(q.f.Args[q.role]); ok {
			if _, err := q.r.resolved(datum.Datum{Type: datum.Regrole, I: datum.NoObject, S: `"` + strings.ReplaceAll(name, `"`, `""`) + `"`}); err != nil && name != "public" {
				return nil, err
			}
		}
	}
	tokens, err := q.tokens()
	if err != nil {
		return nil, err
	}
	find, err := on(q)
	if err != nil || find == nil {
		return nil, cmpError(err, unsupported(q.f.Location, "%s in this query", q.name))
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		var any []*pg.Node
		for _, token := range tokens(args[q.wanted]) {
			held := call("strpos", find(args), token)
			any = append(any, pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(">")}, held, integer(0), -1))
		}
		if len(any) == 1 {
			return any[0], nil
		}
		return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_OR_EXPR, Args: any}}}, nil
	}, nil
}

// tokens are what to look for, each of which is enough.
func (q *asked) tokens() (func(wanted *pg.Node) []*pg.Node, error) {
	mark := ""
	if q.name == "has_any_column_privilege" {
		mark = "~"
	}
	wanted, ok := literal(q.f.Args[q.wanted])
	if !ok { // one privilege
		return func(wanted *pg.Node) []*pg.Node {
			word := call("upper", call("trim", cast(wanted, "VARCHAR")))
			word = call("replace", call("replace", word, text(" WITH GRANT OPTION"), text("*")), text("TEMPORARY"), text("TEMP"))
			return []*pg.Node{call("concat", text(","+mark), call("replace", word, text("TEMP"), text("TEMPORARY")), text(","))}
		}, nil
	}
	var out []string
	for part := range strings.SplitSeq(wanted, ",") {
		word, option := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(part)), " WITH GRANT OPTION")
		if admin, ok := strings.CutSuffix(word, " WITH ADMIN OPTION"); ok && q.name == "pg_has_role" {
			word, option = admin, true
		}
		if word == "TEMP" {
			word = "TEMPORARY"
		}
		if !strings.Contains(privilegeWords[q.name], " "+word+" ") {
			return nil, errorf("22023", 0, "unrecognized privilege type: \"%s\"", strings.TrimSpace(part))
		}
		if option {
			word += "*"
		}
		out = append(out, ","+mark+word+",")
	}
	return func(*pg.Node) []*pg.Node {
		var list []*pg.Node
		for _, t := range out {
			list = append(list, text(t))
		}
		return list
	}, nil
}

// privilegeWords are the privileges that there are on objects.
//
//nolint:gochecknoglobals // a constant table
var privilegeWords = map[string]string{
	"has_table_privilege":  " SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER RULE ",
	"has_schema_privilege": " CREATE USAGE ", "has_database_privilege": " CREATE TEMPORARY CONNECT ", "has_sequence_privilege": " USAGE SELECT UPDATE ",
	"has_any_column_privilege": " SELECT INSERT UPDATE REFERENCES ", "has_column_privilege": " SELECT INSERT UPDATE REFERENCES ",
	"has_function_privilege": " EXECUTE ", "has_type_privilege": " USAGE ", "has_language_privilege": " USAGE ", "has_tablespace_privilege": " CREATE ",
	"has_server_privilege": " USAGE ", "has_foreign_data_wrapper_privilege": " USAGE ", "pg_has_role": " USAGE MEMBER ",
}

// roleKey is how texts of privileges are found by a role.
func (q *asked) roleKey(args []*pg.Node, at int) *pg.Node {
	if at < 0 {
		return text("n:" + q.r.in.Session.User)
	}
	kind := "o:"
	if _, isText := literal(q.f.Args[at]); isText || q.r.typeOf(q.f.Args[at]).IsString() {
		kind = "n:"
	}
	return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text(kind), cast(clone(args[at]), "VARCHAR"), -1)
}

// byName reports whether an argument is a name.
func (q *asked) byName(at int) bool {
	_, isText := literal(q.f.Args[at])
	return isText || q.r.typeOf(q.f.Args[at]).IsString()
}

// number has the object be its number.
func (q *asked) number(t datum.Type) {
	if q.byName(q.object) {
		q.f.Args[q.object] = registryNode(q.f.Args[q.object], t)
	}
}

// onObject finds what is held on a table, a sequence, a schema or a database.
func onObject(q *asked) (func([]*pg.Node) *pg.Node, error) {
	number := func(n *pg.Node) *pg.Node { return n }
	switch q.name {
	case "has_schema_privilege":
		q.number(datum.Regnamespace)
	case "has_database_privilege":
		if q.byName(q.object) {
			var err error
			if number, err = q.r.lookupBy("pg_database", "datname", "oid"); err != nil || number == nil {
				return nil, err
			}
		}
	default:
		q.number(datum.Regclass)
	}
	if q.role < 0 {
		find, err := q.r.lookup("nd_privilege", "privileges")
		return func(args []*pg.Node) *pg.Node { return find(number(clone(args[q.object]))) }, err
	}
	find, err := q.r.lookupBy("nd_held", "key", "privileges")
	return func(args []*pg.Node) *pg.Node {
		return find(barred(q.roleKey(args, q.role), cast(number(clone(args[q.object])), "VARCHAR")))
	}, err
}

// onColumn finds what is held on a column, by its number or its name.
func onColumn(q *asked) (func([]*pg.Node) *pg.Node, error) {
	q.number(datum.Regclass)
	named := q.byName(q.column)
	find, err := q.r.lookupBy("nd_held_column", "key", "privileges")
	return func(args []*pg.Node) *pg.Node {
		column := cast(clone(args[q.column]), "VARCHAR")
		if named {
			column = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text(":"), column, -1)
		}
		return find(barred(q.roleKey(args, q.role), cast(clone(args[q.object]), "VARCHAR"), column))
	}, err
}

// onFunction finds what is held on a function; PostgreSQL's are everybody's.
func onFunction(q *asked) (func([]*pg.Node) *pg.Node, error) {
	q.number(datum.Regprocedure)
	find, err := q.r.lookupBy("nd_held", "key", "privileges")
	if err != nil || find == nil {
		return nil, err
	}
	known, err := q.r.lookup("nd_regproc", "name")
	return func(args []*pg.Node) *pg.Node {
		held := find(barred(q.roleKey(args, q.role), cast(clone(args[q.object]), "VARCHAR")))
		return coalesced(held, heldByAll(known(clone(args[q.object])), "EXECUTE"))
	}, err
}

// onType finds what is held on a type, which is everybody's.
func onType(q *asked) (func([]*pg.Node) *pg.Node, error) {
	q.number(datum.Regtype)
	known, err := q.r.lookup("nd_regtype", "name")
	return func(args []*pg.Node) *pg.Node { return heldByAll(known(clone(args[q.object])), "USAGE") }, err
}

// heldByAll is the text of a privilege that everybody has on what there is.
func heldByAll(known *pg.Node, privilege string) *pg.Node {
	there := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: known, Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(there, text(","+privilege+","))}, Location: -1}}}
}

func coalesced(a, b *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{a, b}, Location: -1}}}
}

// onNamed finds what is held on a language or a tablespace: all may use the languages that are
// trusted, and superusers do anything.
func onNamed(q *asked) (func([]*pg.Node) *pg.Node, error) {
	table, name, what, missing := "pg_language", "lanname", "language", "42704"
	if q.name == "has_tablespace_privilege" {
		table, name, what = "pg_tablespace", "spcname", "tablespace"
	}
	number := func(n *pg.Node) *pg.Node { return n }
	if q.byName(q.object) {
		find, err := q.r.lookupBy(table, name, "oid")
		if err != nil || find == nil {
			return nil, err
		}
		number = func(n *pg.Node) *pg.Node {
			none := call("error", call("concat", text("ND"+missing+" "+what+` "`), clone(n), text(`" does not exist`)))
			return coalesced(find(n), cast(none, "BIGINT"))
		}
	}
	known, err := q.r.lookup(table, name)
	if err != nil || known == nil {
		return nil, err
	}
	if what == "language" {
		if known, err = q.r.lookup(table, "lanpltrusted"); err != nil {
			return nil, err
		}
	}
	super, err := q.r.lookupBy("nd_member", "key", "how")
	return func(args []*pg.Node) *pg.Node {
		// A superuser is a member of all roles, with the right to grant them.
		all := call("strpos", super(barred(q.roleKey(args, q.role), text("n:root"))), text("*"))
		isSuper := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(">")}, all, integer(0), -1)
		if what == "language" {
			isSuper = &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_OR_EXPR, Args: []*pg.Node{isSuper, known(number(clone(args[q.object])))}}}}
		}
		there := number(clone(args[q.object]))
		known := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: known(there), Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}}
		held := &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(isSuper, text(",USAGE,USAGE*,CREATE,CREATE*,"))}, Defresult: text(","), Location: -1}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(known, held)}, Location: -1}}}
	}, err
}

// onNothing is of what there is none of here: servers and their wrappers.
func onNothing(q *asked) (func([]*pg.Node) *pg.Node, error) {
	what := "server"
	if q.name == "has_foreign_data_wrapper_privilege" {
		what = "foreign-data wrapper"
	}
	named := q.byName(q.object)
	return func(args []*pg.Node) *pg.Node {
		if !named {
			return cast(null(), "VARCHAR")
		}
		return cast(call("error", call("concat", text("ND42704 "+what+` "`), clone(args[q.object]), text(`" does not exist`))), "VARCHAR")
	}, nil
}

// onRole finds how a role is a member of another.
func onRole(q *asked) (func([]*pg.Node) *pg.Node, error) {
	if name, ok := literal(q.f.Args[q.object]); ok {
		if _, err := q.r.resolved(datum.Datum{Type: datum.Regrole, I: datum.NoObject, S: `"` + name + `"`}); err != nil {
			return nil, err
		}
	}
	find, err := q.r.lookupBy("nd_member", "key", "how")
	return func(args []*pg.Node) *pg.Node {
		return find(barred(q.roleKey(args, q.role), q.roleKey(args, q.object)))
	}, err
}
