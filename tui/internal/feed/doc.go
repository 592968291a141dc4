// Package feed keeps what the dashboard knows of a cluster: one streamed
// subscription, folded into snapshots that never change.
//
// # Concurrency
//
//  1. Run owns the stream and two goroutines, and waits for them.
//  2. Subscribe and Retry may be called from anywhere and never block.
//  3. A Snapshot is shared and never changed, nor is anything it points at.
//
// # Invariants
//
//  1. Whatever the cluster sends, the screen gets at most one snapshot per gap,
//     always the newest: a slow terminal queues nothing (TestNewestWins).
//  2. Memory is bounded: events, operations and histories have limits.
//  3. A lost stream keeps the last snapshot; the feed connects again for ever.
package feed
