package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// privilegeOf is has_table_privilege(oid, privilege) and its like, of the session's own
// role: what is asked of single names has been computed elsewhere.
func privilegeOf(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	args := f.Args
	if most := 3; len(args) == most && name != "has_column_privilege" {
		if args[0].GetSqlvalueFunction() == nil && args[0].GetAConst().GetSval().GetSval() != r.in.Session.User {
			return nil, unsupported(f.Location, "%s of another role in this query", name)
		}
		args = args[1:]
	}
	wanted := args[len(args)-1].GetAConst().GetSval().GetSval()
	if len(args) != 2 || wanted == "" || args[0].GetAConst().GetSval() != nil || strings.Contains(strings.ToUpper(wanted), "OPTION") {
		return nil, unsupported(f.Location, "%s but of (oid, 'PRIVILEGE') in this query", name)
	}
	find, err := r.lookup("nd_privilege", "privileges")
	if err != nil || find == nil {
		return nil, err
	}
	if r.typeOf(args[0]).IsString() {
		if find, err = r.privilegeByName(name, find); err != nil {
			return nil, err
		}
	}
	at := len(f.Args) - len(args)
	return func(n *pg.Node) (*pg.Node, error) {
		var any []*pg.Node
		for part := range strings.SplitSeq(wanted, ",") {
			word := strings.ToUpper(strings.TrimSpace(part))
			if name == "has_any_column_privilege" {
				word = "~" + word
			}
			held := call("strpos", find(n.GetFuncCall().Args[at]), text(","+word+","))
			any = append(any, pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(">")}, held, integer(0), -1))
		}
		if len(any) == 1 {
			return any[0], nil
		}
		return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_OR_EXPR, Args: any}}}, nil
	}, nil
}

// privilegeByName is find of what a name that is no constant names.
func (r *rewriter) privilegeByName(function string, find func(*pg.Node) *pg.Node) (func(*pg.Node) *pg.Node, error) {
	kind := datum.Regclass
	switch function {
	case "has_schema_privilege":
		kind = datum.Regnamespace
	case "has_database_privilege":
		number, err := r.lookupBy("pg_database", "datname", "oid")
		if err != nil || number == nil {
			return nil, cmpError(err, unsupported(0, "%s of a name that is no constant", function))
		}
		return func(name *pg.Node) *pg.Node { return find(number(name)) }, nil
	}
	number, err := r.registryNumber(kind, false)
	return func(name *pg.Node) *pg.Node { return find(number(name)) }, err
}
