// Package trial puts a cluster of real processes on trial: workloads run from every
// node while a nemesis brings one fault or operation after another, and checkers judge
// what the clients were told.
//
// TestTrial runs one trial; its flags choose the workloads, the faults, the isolation
// level, the seed and the time (docs/CONTRIBUTING.md has an example). The seed decides
// what the clients ask and which faults come, in which order and on which nodes; when
// exactly things happen is the machine's matter, so a seed is run a few times.
//
// # Invariants
//
//  1. One fault at a time, and at most one of three nodes away: what is acknowledged
//     must hold, and the cluster must serve again when the fault is over.
//  2. A history in which something is wrong is kept, with its seed.
package trial
