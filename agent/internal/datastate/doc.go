// Package datastate applies commands to a data range.
//
// A command is a Batch of Ops, each a write of one row on a condition. It is
// evaluated when it is applied, on every replica alike: all of its conditions
// hold and all of its writes happen, or none. Rows have versions: a write adds
// one at the entry's timestamp, a deletion adds a tombstone.
//
// Get and Scan read versions; package kv uses them on a store.ReadHandle.
//
// # Concurrency
//
// A Machine belongs to its replica. The functions have no state.
//
// # Invariants
//
//  1. Apply depends on nothing but the stored state, the command and its
//     entry's index and timestamp: equal inputs give equal bytes on every replica.
//  2. A row's versions rise with the log: a command's timestamp is above that of
//     every version that the range holds.
//  3. A command writes all of its rows or none.
//  4. No input, however malformed, makes a decoder panic (fuzzed).
package datastate
