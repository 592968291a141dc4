// Package audit keeps the node's hash-chained log of logins and denials.
//
// What people change is audited by the meta range itself (package metastate).
// Logins and denials must not go through raft: they are many, and they come when
// there is no quorum too. Each node writes its own into files of JSON lines, one
// chain for each class, each line with the hash of the line before; the node tells
// the meta range now and then where they begin and how far they have come, so that
// what stands between cannot be changed unseen.
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
//     becomes one line with a count (TestFloodIsCounted). What strangers cause
//     pushes out only what strangers caused (TestClassesAreApart).
//  3. What Anchors returns is on disk.
//  4. A file that another hand replaces is noticed, and the chain goes on in the
//     one that others see (TestFileIsReplaced).
//
// # What is not here
//
// Who may log in (pgwire, auth).
package audit
