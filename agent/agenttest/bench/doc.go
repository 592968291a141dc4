// Package bench measures clusters of real processes, beside their peers.
//
// `make bench` builds the binaries, starts a cluster of three nodes, prints one
// table and ends. Peers (postgres, etcd, rqlited) are measured in the same run
// when their programs are on the PATH: absolute figures drift with the machine,
// ratios less. BENCH_SECONDS (default 5) is how long one figure is measured,
// BENCH_ROWS (default 1000000) how many rows the full scan reads, BENCH_JSON a
// file for the table as JSON, BENCH_PROFILE a directory for CPU profiles of the
// nodes under 64 clients, BENCH_ONLY the steps to run, by commas: load, calm,
// drain, sigterm, kill, decommission, scan, idle, cold start.
//
// # How the figures are made
//
// The load generator runs on the same machine as the nodes. A closed loop of
// clients issues one statement after the other; latencies are all kept, and the
// percentiles are exact. CPU is what /proc says of the agents, their workers and
// the load generator itself. A gap is how long one paced client's write took
// from its first attempt to its acknowledgement, retries and reconnects included.
package bench
