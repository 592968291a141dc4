// Package schedule has schedules run when they are due.
//
// Each node has a Runner. That of the node which leads the meta range, the coordinator,
// looks for times that are due, has the meta range record a run of each, and hands the run
// to SQL, on its own node. The meta range takes one run for each time, whoever asks: of two
// nodes that both believe to lead, one is refused.
//
// That a run succeeded is recorded with what it did, in one transaction. Whatever else is
// recorded of it comes after nothing was committed: who says so first has the commit be
// refused. So a run whose node died is lost, and not half there.
//
// # Concurrency
//
// Run is one goroutine that decides, and one for each run; it waits for them at its end.
//
// # Invariants
//
//  1. A run is handed to SQL only by the node, and in the life of the process, that has
//     recorded it: TestRunnerStartsOnce.
//  2. A run that a node has recorded and does not run is said to be lost, by that node when
//     it is back, by the coordinator when the node is gone or the time is over:
//     TestRunnerLosesRuns.
//
// # What is not here
//
// What a run does, and its transaction: package sql. What is recorded: package metastate.
package schedule
