// Package raftlog keeps the raft log and hard state of each replica.
//
// A Log is one replica's log as raft.Storage sees it: what is durable. An Append
// is the writing of entries and hard state, a value that the store's log writer
// carries out; Appended then makes the Log show it.
//
// # Concurrency
//
// A Log belongs to its replica's goroutine. An Append may be written by another,
// which must not change it.
//
// # Invariants
//
//  1. The Log shows entries only after they are durable.
//  2. Entries are contiguous from just after the truncated state to the last
//     index; Load refuses a log that is not.
//  3. Appends are written in the order in which they were made.
//  4. The truncated index never exceeds the applied index.
//  5. Entries are never changed once they are here.
package raftlog
