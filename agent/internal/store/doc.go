// Package store runs every replica on this node.
//
// Core is the scheduler: a step function over all replicas. Store is its shell:
// the goroutines, the queues and the blocking API that package kv and the rest
// of the node use.
//
// # Concurrency
//
// A Store may be used by any number of goroutines. It runs: one core loop, which
// alone touches Core; one log writer, which syncs one batch for all ranges while
// the core goes on; one goroutine that commits what was applied; one goroutine for
// each snapshot that is sent; and one that examines damaged tables. A Core belongs to
// one goroutine.
//
// # Invariants
//
//  1. One append batch is in flight at a time; appends of a range become durable
//     in order.
//  2. No committed work is dropped: requests wait in bounded queues that refuse
//     at the door; messages between nodes may be dropped, raft sends them again.
//  3. A replica comes to be by Bootstrap, PrepareReplica or a split, never by a raft
//     message, and never with an id that was used before: tombstones outlive it.
//  4. Spans of the replicas of one store never overlap.
//  5. After an error of a synced write, or of the commit of a round of apply, the
//     store reports it and does nothing more; the process must stop.
//  6. The clock never restarts below a timestamp it gave: a ceiling is durable
//     ahead of it. Nothing is said before it is settled what the time is, and no
//     ceiling goes ahead of a time that peers have not agreed with (hlc.Steady). It is
//     lowered only while the node does not run (LowerCeiling).
//  7. A replica that a start finds, or that is made while others of its store still
//     wait, says nothing until a quorum of its range's voters, this node counted, has
//     said that it knows of nothing later than what the start found on disk
//     (comeback). Nothing is taken from a peer of which
//     something later is known.
//  8. What is applied is committed in rounds: one batch for all ranges, one in flight
//     while the next is collected. Nobody hears of it, and nobody reads on the
//     strength of it, before it is committed. What replaces or deletes the state of a
//     replica comes after every round in which that takes part.
//  9. What is urgent (support, elections, the meta range, operators, the end of what was
//     begun) waits for no more of what SQL asks of data ranges than the core takes in a
//     round, and has room of its own (TestLanes, TestFloods of package sim). The two
//     lanes may overtake each other, as messages on two ways may.
//
// # What is not here
//
// Routing, retries: package kv. Decisions about replicas: packages placement and
// operation.
package store
