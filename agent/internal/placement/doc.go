// Package placement plans where replicas and leaders should be; the safety kernel; pure.
//
// Everything here is a function of a Snapshot: no clock, no network, no
// randomness, no order of a map. The same Snapshot and Intent give the same
// Plan, byte for byte, on every node, so what was previewed is what runs.
//
// The ways in:
//
//   - Safe says whether one change of one range may be made now. It is asked
//     when a plan is made, when it starts, and before every single change.
//   - SafeToStop says whether a set of processes may stop.
//   - Make turns an Intent into a Plan and a Verdict.
//   - Next says which single step carries a Move on from where its range stands.
//   - Survive says how many lost nodes every range outlives.
//   - StaleMove and StaleTransfer say why a step of an older plan can no longer be
//     made; Gates and Held what holds steps back for now; Explain whether a
//     replica may be on each node, and what would change that.
//
// # Invariants
//
//  1. No change that Safe allows takes a live quorum from a range that had one.
//     (TestRandomHistories)
//  2. A Plan never names a target that Safe would refuse in the same Snapshot.
//  3. The replicas wanted are declared, never derived from how many nodes there
//     are: a plan makes no range smaller than that.
//  4. Constraints of a pool are hard: no plan and no change puts a replica on a
//     node that they exclude. How far apart replicas lie is soft, but goes before
//     the load: no step for the load brings them closer together.
//  5. A rebalance stops: each of its steps brings replicas further apart,
//     or leaves them so and brings the sum of the squared deviations down, so under a steady load it cannot want undone what it did.
//  6. No plan and no step of one leaves an even number of voters where there was an
//     odd one, but for taking away a replica that has stopped; and no step of
//     repair has a range outlive the loss of fewer nodes than before it.
//
// # What is not here
//
// Carrying out a plan (operation), learning what a Snapshot says (operation).
package placement
