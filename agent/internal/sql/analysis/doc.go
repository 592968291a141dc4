// Package analysis finds what PostgreSQL's parse analysis refuses in a statement, in its order.
//
// What PostgreSQL says of a statement with several faults follows from the order in which it
// looks: all names, types and literals first (FROM, what is selected, WHERE, HAVING, ORDER
// BY, GROUP BY, LIMIT), then constants, then rows. The planner and the engine look in an
// order of their own. Check looks again, as PostgreSQL does, with the operators, the
// functions and the casts of PostgreSQL 15 (postgresql15.txt).
//
//	if err := analysis.Check(query, analysis.Input{Resolve: tables, Type: types}); err != nil {
//		return err // what PostgreSQL says first
//	}
//
// # Concurrency
//
// Check may be called by any number of goroutines; what it reads does not change.
//
// # Invariants
//
//  1. What is not known (somebody's functions, rows as values, forms that NodeDB has not) has
//     no type, and nothing that touches it is an error: Check refuses nothing that PostgreSQL
//     takes.
//  2. The first error counts. What comes behind it may be nonsense.
//
// # What is not here
//
// What NodeDB does not support: the planner says that.
package analysis
