package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// convertMerge takes MERGE as PostgreSQL 15 has it: the parser knows what came later.
func convertMerge(m *pg.MergeStmt) (Node, *Error) {
	if len(m.GetReturningList()) > 0 {
		return nil, &Error{Code: "42601", Message: `syntax error at or near "RETURNING"`}
	}
	for _, n := range m.GetMergeWhenClauses() {
		if n.GetMergeWhenClause().GetMatchKind() == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE {
			return nil, &Error{Code: "42601", Message: `syntax error at or near "BY"`}
		}
	}
	return &Query{Merge: m}, nil
}
