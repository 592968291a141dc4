package rewrite

import (
	_ "embed"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

//go:embed postgresql15.txt
var postgresNames string

// postgresFunctions are the names of PostgreSQL 15's functions.
var postgresFunctions = sync.OnceValue(func() map[string]string { return same(postgresNames) })

// Postgres reports whether PostgreSQL 15 has a function of the name.
func Postgres(name string) bool { return has(postgresFunctions(), name) }

// missing is the error for a function that there is not: it is not supported, if it is one
// of PostgreSQL's.
func (r *rewriter) missing(f *pg.FuncCall, name string) error {
	if Postgres(name) {
		return unsupported(f.Location, "function %s", name)
	}
	return errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
}
