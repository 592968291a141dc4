// Package admission bounds the statements that run at once on a node.
//
// A Queue lets so many run and so many more wait; whoever cannot even wait gets a
// *FullError. Who runs longer than a moment without computing (its client does not
// read) gives its place back meanwhile.
//
// # Fairness
//
// A session runs one statement at a time and nobody overtakes in line, so sessions
// that want more than there is take turns, however many statements each has. Ahead of
// the line go statements that have begun: what they hold (memory, views, what a
// transaction buffers) is free only when they end. Nobody who waits holds what a
// running statement waits for: transactions hold no locks. So the line always moves.
//
// # Concurrency
//
// Queues may be used by any number of goroutines; a Place belongs to one statement.
//
// # Invariants
//
//  1. No more than its limit run, and no more than its bound wait that have not begun
//     (TestModel).
//  2. While somebody waits, as many run as may (TestModel).
//  3. Those that have not begun go in the order in which they came, and after those
//     that have (TestModel, TestSessionsTakeTurns).
//  4. Whoever leaves the line, or is refused, takes no place with them (TestModel).
//
// # What is not here
//
// Memory: package budget. Connections: package pgwire.
package admission
