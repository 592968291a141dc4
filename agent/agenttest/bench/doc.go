// Package bench measures clusters of real processes, beside their peers.
//
// `make bench` builds the binaries and etcd, runs the steps of [steps] and prints
// a table for each; docs/BENCHMARKS.md says how to run it. Package systems starts
// what is measured, package figures keeps the numbers, benchreport prints and
// compares files of them.
//
// # How the figures are made
//
//  1. The load generator runs on the same machine as the nodes. A closed loop of
//     clients issues one statement after the other; latencies are all kept, and
//     the percentiles are exact. The first half second does not count.
//  2. Contenders are up at the same time and are measured by turns, a second
//     each, in three rounds; the order turns with the rounds. A figure is the
//     median of the rounds, a ratio that of the ratios of each round.
//  3. CPU is what /proc says of the system's processes, and what the load
//     generator itself used, over a whole turn, for each operation of that turn.
//  4. A gap is how long one paced client's write took from its first attempt to
//     its acknowledgement, retries and reconnects included; a write that hangs
//     when the run ends counts with what it has waited.
//  5. A rate with failed operations is no figure: the step fails. Of the hot row
//     the sum is checked, of scans the result.
package bench
