package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// CopyWhere compiles what COPY FROM asks of a row.
func CopyWhere(table *catalog.Table, where *pg.Node) (Expr, error) {
	c := &compiler{scope: tableScope(table, ""), params: &Params{}}
	e, err := c.where(where)
	if isSlow(err) {
		if err := c.unknownFunction(where); err != nil {
			return nil, err
		}
		err = syntax.Unsupported("this expression in WHERE of COPY FROM", "Simple expressions of the row are.")
	}
	return e, err
}
