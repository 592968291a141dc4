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
