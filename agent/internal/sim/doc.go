// Package sim is a whole cluster in one goroutine: simulated network, clock, disks, faults.
//
// It runs the real store core, replicas, raft log and state machines over real
// raft and real Pebble on a file system in memory that can lose power. Everything
// that happens is an event drawn from one seed: equal seeds give equal runs, down
// to the hash of the trace. Clients keep a history that porcupine checks for
// linearizability; at the end all replicas must hold the same bytes.
//
// # Concurrency
//
// One goroutine. Pebble's own goroutines run only while that one waits for them.
//
// # Invariants checked
//
//  1. Histories of every key are linearizable, with unknown outcomes allowed and
//     certain failures never visible.
//  2. A read at a timestamp gives the same answer for ever.
//  3. Replicas of a range are equal at the end, and every range has a leader.
//  4. No replica stops with an error.
//  5. A node whose disk went back takes no part if every other node has stored that
//     it knows of something later; one whose disk is honest is never refused.
//  6. A scan over several ranges gives each row once, as it was at one time, while
//     ranges are split at vshards and at rows.
//  7. A range of a new pool is made once; none is where its pool does not admit it
//     when all is calm, and of a dropped one nothing is left on any node.
//  8. While most wall clocks are right, a node's time is the true one (or behind, if
//     it goes on from its past), and no ceiling is further ahead than its lead: also
//     while most are wrong for less than the patience of nodes. No log holds an entry
//     at a time that a proof says nothing is at.
//  9. Rows and their entries in indexes, in other ranges, agree at every time.
//
// # How to use a failing seed
//
// go test ./agent/internal/sim -run TestSeeds -seed N -seeds 1 -v
package sim
