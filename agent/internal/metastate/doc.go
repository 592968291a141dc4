// Package metastate applies commands to the meta range.
//
// The meta range holds what every node must agree on: membership, the copies of
// the range descriptors that routing uses, collections, operations, tokens,
// users and settings. Every node has a replica of it, so every node has a
// View: a consistent prefix of that history, read without a hop.
//
// A command is one JSON object behind a format version byte; exactly one of its
// fields is set. A record is one JSON object behind a format version byte, at
// keys.Record(MetaRangeID, kind, key). docs/FORMATS.md holds both.
//
// # Concurrency
//
// Apply and Reload are called by one goroutine at a time, the one that applies
// the meta range. View, Subscribe and Watch may be called by any goroutine. A
// View that was published is never written again: share it, do not change it.
//
// # Invariants
//
//  1. The same commands at the same indexes and timestamps give the same
//     records, byte for byte, and the same results on every replica: no clock,
//     no randomness, no output in the order of a map.
//  2. A refused or malformed command changes nothing but the applied index and
//     the audit chain.
//  3. The View after Reload equals the View after the Apply that wrote the state.
//  4. A decommissioned node never changes again.
//  5. What people ask for is done only if their role suffices at that index
//     (TestPeopleNeedTheirRoleAtApply), and leaves an audit record.
//  6. No audit record holds a secret (TestAuditHoldsNoSecrets).
//  7. The data ranges of a View never overlap.
//
// # What is not here
//
// Idempotency of proposals (replica), routing of commands to the leader and
// waiting for them (meta), and the rules of placement (placement).
package metastate
