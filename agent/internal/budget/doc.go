// Package budget bounds the memory that a node takes for what others make it do.
//
// A Budget is a number of bytes with a name; children divide it, and may together
// be promised more than there is: whoever takes bytes takes them from the child
// and from every budget above it, before the memory itself. Who is refused gets a
// *FullError and must do without: nothing waits here, because who holds memory may
// wait for who needs some.
//
// # Concurrency
//
// Budgets and Accounts may be used by any number of goroutines.
//
// # Invariants
//
//  1. No budget holds more than its limit, whatever its children ask (TestBounds, TestModel).
//  2. What was refused changed nothing (TestRefusedChangesNothing).
//  3. What was taken is given back once: Used is never below zero (invariant.Check), and
//     an account that is closed holds nothing (TestModel).
//
// # What is not here
//
// Memory that has a bound of its own: the engine's cache and memtables, the logs'
// caches, the SQL worker's process. Nobody can be refused for those.
package budget
