package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// blanksDoNotCount compares a varchar with a char(n) as PostgreSQL does, as char: its own blanks
// at the end do not count then. Beside a text they do.
func (r *rewriter) blanksDoNotCount(e *pg.A_Expr) {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if !compares(lastName(e.Name)) {
			return
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
	default:
		return
	}
	switch left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr); {
	case left == datum.Bpchar && right == datum.Varchar:
		e.Rexpr = castTo(e.Rexpr, "bpchar")
	case left == datum.Varchar && right == datum.Bpchar && e.Kind != pg.A_Expr_Kind_AEXPR_NULLIF: // of which it is the result
		e.Lexpr = castTo(e.Lexpr, "bpchar")
	}
}

// blanksOfSubquery does as much for a comparison with what a subquery gives.
func (r *rewriter) blanksOfSubquery(l *pg.SubLink) {
	if l.SubLinkType != pg.SubLinkType_ANY_SUBLINK && l.SubLinkType != pg.SubLinkType_ALL_SUBLINK {
		return
	}
	left := r.typeOf(l.Testexpr)
	if left != datum.Bpchar && left != datum.Varchar {
		return
	}
	c, ok := r.gives(l.Subselect.GetSelectStmt())
	switch {
	case left == datum.Bpchar && l.Subselect.GetSelectStmt().GetOp() != pg.SetOperation_SETOP_NONE && c.typ != datum.Bpchar && c.typ != datum.Varchar:
		r.refuse(unsupported(l.Location, "char(n) beside what UNION and the like give")) // they may be varchars
	case !ok:
	case left == datum.Varchar && c.typ == datum.Bpchar:
		l.Testexpr = castTo(l.Testexpr, "bpchar")
	case left == datum.Bpchar && c.typ == datum.Varchar:
		castMembers(l, "bpchar", []bool{true})
	}
}

// castMembers casts those columns of what a subquery gives.
func castMembers(l *pg.SubLink, to string, which []bool) {
	s := l.Subselect.GetSelectStmt()
	out := &pg.SelectStmt{FromClause: []*pg.Node{around(s, len(which))}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for i := range which {
		value := sideRef(i)
		if which[i] {
			value = castTo(value, to)
		}
		out.TargetList = append(out.TargetList, pg.MakeResTargetNodeWithVal(value, -1))
	}
	l.Subselect = selectNode(out)
}
