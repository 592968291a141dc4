package sql

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// voidOID is the type that JDBC announces for parameters that are for what a function
// gives back: as PostgreSQL does, they are no arguments of it.
const voidOID = 2278

// withoutVoid parses a statement and takes such parameters out of the calls in it.
func withoutVoid(text string, paramOIDs []uint32) (*syntax.Statement, error) {
	statement, err := syntax.Parse(text) // one of its own, which may be changed
	if err != nil {
		return nil, err
	}
	q, ok := statement.Node.(*syntax.Query)
	if !ok {
		return statement, nil
	}
	isVoid := func(n *pg.Node) bool {
		i := int(n.GetParamRef().GetNumber())
		return i > 0 && i <= len(paramOIDs) && paramOIDs[i-1] == voidOID
	}
	return statement, q.Walk(func(n *pg.Node) (bool, error) {
		if f := n.GetFuncCall(); f != nil {
			f.Args = slices.DeleteFunc(f.Args, isVoid)
		}
		return true, nil
	})
}
