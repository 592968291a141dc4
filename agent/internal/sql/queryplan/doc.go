// Package queryplan statement to fast path, scan constraints; constant folding.
//
// A Planner turns PostgreSQL's tree into a query plan: a *Select that sql/exec
// runs by itself, or a *Slow, which sql/duck runs; an *Insert, *Update or *Delete,
// whose rows come from either. What the fast path takes is decided here, by
// compiling: an expression that Go can evaluate becomes an Expr, and everything
// else makes the statement slow, never wrong.
//
// # Concurrency
//
// A plan is immutable once made and may be run by any number of goroutines. A
// Planner is used for one statement.
//
// # Invariants
//
//  1. The access path of a plan returns every row that its filter accepts.
//  2. A plan holds for one version of each collection that it names (Plan.Tables).
//
// # What is not here
//
// Reading and writing rows (sql/exec), DuckDB's dialect (sql/duck).
package queryplan
