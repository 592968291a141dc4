package syntax

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// Deparse is the text of statements. pg_query's own leaves out parentheses around many operands:
// (a AND b) IS NULL comes out as a AND b IS NULL, which is something else.
func Deparse(tree *pg.ParseResult) (string, error) {
	p := &parentheses{}
	if err := WalkAll(tree, func(n *pg.Node) (bool, error) {
		p.operands(n)
		return true, nil
	}); err != nil {
		return "", err
	}
	defer p.undo()
	p.put()
	return pg.Deparse(tree)
}

// parentheses are put around nodes of a tree, and taken away again.
type parentheses struct {
	found []*pg.Node
	seen  map[*pg.Node]bool
}

// operands finds those of n that need parentheses.
func (p *parentheses) operands(n *pg.Node) {
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		p.operator(x.AExpr)
	case *pg.Node_NullTest:
		p.around(x.NullTest.Arg)
	case *pg.Node_BooleanTest:
		p.around(x.BooleanTest.Arg)
	case *pg.Node_CollateClause:
		p.around(x.CollateClause.Arg)
	case *pg.Node_AIndirection:
		if arg := x.AIndirection.Arg; arg.GetCaseExpr() != nil || arg.GetAConst() != nil || arg.GetSubLink() != nil {
			p.note(arg)
		}
		p.around(x.AIndirection.Arg)
	case *pg.Node_SubLink:
		p.around(x.SubLink.Testexpr)
	case *pg.Node_FuncCall:
		if x.FuncCall.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX { // AT TIME ZONE, POSITION (a IN b) and the like
			p.around(x.FuncCall.Args...)
		}
	}
}

func (p *parentheses) operator(x *pg.A_Expr) {
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		for _, n := range []*pg.Node{x.Lexpr, x.Rexpr} {
			if !binary(n) || x.Lexpr == nil { // those have some
				p.around(n)
			}
		}
	case pg.A_Expr_Kind_AEXPR_NULLIF:
	case pg.A_Expr_Kind_AEXPR_IN:
		p.around(x.Lexpr)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		p.around(x.Lexpr)
		p.around(x.Rexpr.GetList().GetItems()...)
	default:
		p.around(x.Lexpr, x.Rexpr)
	}
}

// around notes the nodes that are more than one value.
func (p *parentheses) around(list ...*pg.Node) {
	for _, n := range list {
		if composed(n) {
			p.note(n)
		}
	}
}

func (p *parentheses) note(n *pg.Node) {
	if p.seen[n] {
		return
	}
	if p.seen == nil {
		p.seen = map[*pg.Node]bool{}
	}
	p.seen[n] = true
	p.found = append(p.found, n)
}

func binary(n *pg.Node) bool {
	x := n.GetAExpr()
	return x != nil && x.Kind == pg.A_Expr_Kind_AEXPR_OP && x.Lexpr != nil
}

// composed reports whether what is around n may take a part of it.
func composed(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		return x.AExpr.Kind != pg.A_Expr_Kind_AEXPR_NULLIF
	case *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest, *pg.Node_CollateClause:
		return true
	case *pg.Node_SubLink:
		return x.SubLink.Testexpr != nil
	case *pg.Node_FuncCall:
		return x.FuncCall.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX
	}
	return false
}

// put makes rows of one value of the nodes: those are written as a value in parentheses.
func (p *parentheses) put() {
	for _, n := range p.found {
		inner := &pg.Node{Node: n.Node}
		n.Node = &pg.Node_RowExpr{RowExpr: &pg.RowExpr{Args: []*pg.Node{inner}, RowFormat: pg.CoercionForm_COERCE_IMPLICIT_CAST}}
	}
}

func (p *parentheses) undo() {
	for _, n := range p.found {
		n.Node = n.GetRowExpr().Args[0].Node
	}
}
