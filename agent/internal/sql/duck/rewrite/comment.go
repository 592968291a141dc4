package rewrite

import pg "github.com/pganalyze/pg_query_go/v6"

// objectComment is obj_description(oid [, catalog]) and shobj_description(oid, catalog).
// OIDs of objects are the same in no two catalogs.
func objectComment(r *rewriter, f *pg.FuncCall) (finish, error) {
	if n := len(f.Args); n == 0 || n > 2 {
		return nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", lastName(f.Funcname), n)
	}
	find, err := r.lookup("nd_comment", "comment")
	if err != nil || find == nil {
		return noText(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
}

// columnFactor is that of the catalog nd_column_comment: 2048 columns of a table.
const columnFactor = 2048

// columnComment is col_description(table, column).
func columnComment(r *rewriter, f *pg.FuncCall) (finish, error) {
	if n := len(f.Args); n != 2 {
		return nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", lastName(f.Funcname), n)
	}
	find, err := r.lookup("nd_column_comment", "comment")
	if err != nil || find == nil {
		return noText(r, f)
	}
	return byColumn(find), nil
}

// byColumn looks up by an object's OID and the number of a column, the arguments of a call.
func byColumn(find func(key *pg.Node) *pg.Node) finish {
	binary := func(op string, a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, a, b, -1)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		return find(binary("+", binary("*", cast(args[0], "BIGINT"), integer(columnFactor)), cast(args[1], "BIGINT"))), nil
	}
}

// roleName is pg_get_userbyid(oid).
func roleName(r *rewriter, f *pg.FuncCall) (finish, error) {
	if n := len(f.Args); n != 1 {
		return nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", lastName(f.Funcname), n)
	}
	find, err := r.lookup("pg_authid", "rolname")
	if err != nil || find == nil {
		return noText(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		oid := n.GetFuncCall().Args[0]
		unknown := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text("unknown (OID="), cast(clone(oid), "VARCHAR"), -1)
		unknown = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, unknown, text(")"), -1)
		return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{find(oid), unknown}, Location: -1}}}, nil
	}, nil
}
