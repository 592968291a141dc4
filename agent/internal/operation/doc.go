// Package operation carries out plans, durably: drain, decommission, rebalance, moves.
//
// An operation is a record in the meta range. The node that leads the meta range
// coordinates: its Runner polls every node, hands what it learnt to the
// Controller, and carries out the actions that the Controller returns. Nothing
// that matters is kept in memory: a new leader derives where each range stands
// from its descriptor and goes on. The Drainer runs on the node that is drained.
// The Service is the way in for the admin API.
//
// # Concurrency
//
// A Controller belongs to one goroutine, the Runner's. A Runner, a Drainer and a
// Service may be used by any number of goroutines; Runner.Run and Drainer.Run
// return when everything they started has ended.
//
// # Invariants
//
//  1. Only the leader of the meta range coordinates, and every write of an
//     operation carries its term: an older coordinator is refused.
//  2. One action at a time is in flight for a range.
//  3. placement.Safe is asked, on the newest descriptor known, before every
//     change of replicas; the range refuses a change made for another generation.
//  4. An operation that ends as succeeded has done what it says: a decommission
//     ends in the same command that writes the tombstones, with its proof.
//  5. A refused request has changed nothing.
//
// # What is not here
//
// Where replicas should be, and what is safe: package placement. Which
// operations exclude each other: metastate.
package operation
