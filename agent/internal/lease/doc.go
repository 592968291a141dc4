// Package lease holds the promises that let a leader serve reads without a round.
//
// Nodes promise each other support, one promise for each ordered pair of nodes
// whatever the number of ranges (Pairs). A follower binds its range to the leader
// within such a promise (Binding): it neither ticks nor votes while the promise
// lasts. A leader whose voters are bound holds a lease (Grant) that anybody may
// check, in any goroutine, without a word to anybody. What is numbered "rule" here
// are the rules of ADR 0023.
//
// # Concurrency
//
// Pairs and Binding belong to the goroutine of the store's core, but for Pairs.Given,
// which any goroutine may call, as Peer's methods. A Grant never changes, and Holds
// may be called by any goroutine: what changes behind it, a peer's promise, is read
// atomically.
//
// # Invariants
//
//  1. A supporter keeps a promise until it runs out by its own boot-time clock,
//     whatever the requester says (rule 5).
//  2. A requester counts a promise for less time than the supporter keeps it, from
//     before it asked, if both clocks' rates are within Rate of right (rule 4).
//  3. An epoch that was withdrawn, or given in an earlier boot of the supporter,
//     never counts again (rule 3).
//  4. A promise names a ceiling that is durable at the supporter; no lease serves a
//     timestamp above the ceilings that it rests on (rules 6 and 14).
//  5. The boot-time clock goes on while the machine sleeps and the process is
//     stopped. A virtual machine that is paused may break this: docs/OPERATIONS.md.
//
// # What is not here
//
// raft, and what a replica does when it is bound, released or asleep: package
// replica. The durable ceiling and the questions' way to the peers: package store.
package lease
