package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// LockTable is LOCK TABLE. Query reads the tables, as far as names and privileges go.
type LockTable struct {
	Tables []Name
	Mode   string // ACCESS SHARE
	Query  *Query
}

func (*LockTable) node() {}

// lockModes are PostgreSQL's, by their numbers.
var lockModes = []string{"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"} //nolint:gochecknoglobals // a constant table

func convertLock(l *pg.LockStmt) (Node, *Error) {
	out := &LockTable{Mode: lockModes[l.GetMode()]}
	from := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for _, n := range l.GetRelations() {
		name, err := relationName(n.GetRangeVar())
		if err != nil {
			return nil, err
		}
		out.Tables = append(out.Tables, name)
		from.FromClause = append(from.FromClause, n)
	}
	out.Query = &Query{Select: from}
	return out, nil
}
