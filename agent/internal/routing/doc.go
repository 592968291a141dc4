// Package routing knows which range holds a key and who leads it; leader hints dropped on suspicion.
//
// A Table joins two sources: the range descriptors of the meta range's view,
// and what nodes answered since: newer descriptors, and who leads. Hints may be
// wrong at any time; a wrong one costs its user one retry.
//
// # Concurrency
//
// A Table may be used by any number of goroutines. Lookups read one atomic
// snapshot and take no lock.
//
// # Invariants
//
//  1. A lookup never returns a descriptor older than the meta range's.
//  2. After Forget(n) no hint names n until a node says so again.
//
// # What is not here
//
// Retries and their budget: kv.
package routing
