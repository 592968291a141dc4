// Package audit keeps the node's hash-chained log of logins and denials.
//
// What people change is audited by the meta range itself (package metastate).
// Logins and denials must not go through raft: they are many, and they come when
// there is no quorum too. Each node writes its own into files of JSON lines, each
// line with the hash of the line before; the node tells the meta range now and
// then how far it has come, so that what stands before that cannot be changed
// unseen.
//
// # Concurrency
//
// All methods of a Log may be called at once; Run is called once.
//
// # Invariants
//
//  1. A line is never written again; the chain goes on over rotated files and
//     restarts (TestChainGoesOn).
//  2. Disk and memory are bounded: old files go, and a flood of the same failure
//     becomes one line with a count (TestFloodIsCounted).
//  3. What Head returns is on disk.
//
// # What is not here
//
// Who may log in (pgwire, auth).
package audit
