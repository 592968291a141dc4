// Package aggregate adds rows up into groups, as PostgreSQL's aggregate functions do.
//
// A Function says what becomes of the values of a group, a State holds how far it has
// come, and Groups holds the states of many groups. States are made of rows at the nodes
// that have them and put together at the gateway: in whatever parts the rows come, and in
// whatever order, the end is the same to the last digit.
//
// # Concurrency
//
// Groups are used by one goroutine at a time.
//
// # Invariants
//
//  1. What Merge makes of the states of parts is the state of all of their rows
//     (TestPartsAreAsGoodAsTheWhole).
//  2. Two values have the same group key only if PostgreSQL says that they are equal and
//     shows them alike: Groupable.
//
// # What is not here
//
// Which rows there are and what is computed of them (sql/queryplan, sql/exec). Floats:
// their sums depend on the order of the rows.
package aggregate
