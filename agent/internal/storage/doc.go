// Package storage keeps ordered bytes on disk.
//
// It owns Pebble: nothing else imports it. An Engine is one Pebble instance;
// everything a node stores lives in it, so that one write-ahead log orders all
// of it and a crash always leaves a prefix of what was written.
//
// # Concurrency
//
// Engine and Snapshot may be used by any number of goroutines. A Batch and an
// Iterator belong to one goroutine at a time.
//
// # Invariants
//
//  1. Batches are atomic, and become durable in the order in which they were
//     committed: if a batch survives a crash, so does every earlier one.
//  2. A batch committed with sync is durable when Commit returns nil. An error
//     of a synced commit is final: the engine must not be used again, because
//     nobody knows what reached the disk.
//  3. A Snapshot sees one point in time until it is closed, also while tables
//     are ingested.
//  4. No table outside the engine's own list is ever read: Incoming is emptied
//     at Open.
//  5. What does not pass its checksum, or cannot be read, is ErrCorruption to whoever
//     reads it, and told once more by Options.OnDamage: never a value.
//  6. When the log or the MANIFEST fails, Options.OnFatal is told once, every later
//     commit is refused, and the disk stays as a crash at that moment leaves it.
//
// # What is not here
//
// Keys and their meaning: packages keys, raftlog, datastate, metastate.
package storage
