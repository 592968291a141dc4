// Package datastate is the state machine of a data range.
//
// What a gateway asks is a Batch of Ops, each a write of one row on a condition. The
// range's leader evaluates it, over what is stored and what commands leave that are not
// applied yet: all of its conditions hold and all of its writes happen, or none. It
// replicates a command that holds the outcome; every replica writes it down and reads
// nothing. Rows have versions: a write adds one at the entry's timestamp, a deletion
// adds a tombstone.
//
// A transaction leaves lock records, with intents, and its own record; what its
// coordinator asks are Prewrite, Commit, Resolve, Push, Forget and Lock. The machine keeps
// what transactions have left in memory: a mirror, that readers and evaluations look
// into.
//
// Get and Scan read versions; package kv uses them on a store.ReadHandle.
//
// # Concurrency
//
// A Machine belongs to its replica; Open, Record and Shown, and requests, to nobody. The
// functions have no state.
//
// # Invariants
//
//  1. Write depends on nothing but the range's bounds, its fence and mirror, the command
//     and its entry's timestamp: equal inputs give equal bytes on every replica.
//  2. A row's versions rise with the log: a command's timestamp is above that of
//     every version that its evaluation saw.
//  3. A command writes all of its rows or none.
//  4. What a command adds to the range's counts is in the command.
//  5. A version comes below the time of its entry only at or above an intent of the row,
//     which was there till then.
//  6. The mirror that is shown is that of a state that is committed.
//  7. A record that says committed or aborted never says anything else.
//  8. Behind a fence nothing is written to collections that it bars, and what is cleared
//     stays so.
//  9. No input, however malformed, makes a decoder panic (fuzzed).
package datastate
