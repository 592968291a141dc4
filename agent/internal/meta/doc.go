// Package meta reads and proposes to the meta range.
//
// Every node applies the meta range, so reads are of the local View. Propose
// sends a command to the meta range's leader and returns when this node has
// applied it, so that its caller reads its own writes.
//
// Meta also publishes: whenever this node comes to lead a range, or a range that
// it leads has changed, the meta range's copy of that range's descriptor is
// brought up to date, many in one command, retried until the copy shows it.
//
// # Concurrency
//
// Meta may be used by any number of goroutines. Run owns the publisher and
// returns when it has ended.
//
// # Invariants
//
//  1. A command is applied at most once, whatever was retried.
//  2. After Propose or Wait returned nil, View is at or past the index.
//
// # What is not here
//
// What commands do (metastate), and how leaders are found (kv).
package meta
