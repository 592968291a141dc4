// Package kv reads and writes keys, wherever they live.
//
// A DB is the gateway's side: it groups keys by range, finds each range's
// leader, follows hints, retries within a budget and streams scans. A Server is
// the leader's side: it answers other nodes' requests on the local store. A
// gateway that leads the range itself calls its own Server's code without the
// network.
//
// # Fates
//
// A write carries one command id through all of its attempts, and every range
// remembers recent ids: an attempt whose answer was lost is simply made again,
// on whichever node leads by then, and is never applied twice. Only when the
// budget ends after an attempt that may have been applied does the caller get a
// *store.AmbiguousError; a *UnavailableError says that nothing was applied.
//
// # Timestamps
//
// A read at timestamp T sees what was committed at or before T. Commit
// timestamps are the leader's, so a gateway whose clock is a little behind the
// leader's could miss a row that was just acknowledged elsewhere. Hence:
//
//   - TS 0 in a GetRequest or ScanRequest means: everything acknowledged before
//     the call began. Keys of one range are read at the leader's own time, which
//     costs nothing; more ranges are read at one time that Fresh provides.
//
//   - Fresh asks every node's clock, in one round that all concurrent callers
//     share. It is the start of a snapshot that must see all acknowledged rows.
//
//   - Now is the local clock, without any round: it sees this gateway's own
//     writes, and those of others up to the offset between clocks.
//
//   - A statement that may read the past (Reading) does so at one time for all that it
//     reads, PastTime or what it names; a range whose replica here has closed that time
//     is read here, whoever leads it (GateCase).
//
// # Concurrency
//
// DB and Server may be used by any number of goroutines. A RowIterator belongs
// to one goroutine; it runs its own readers, which end before Close returns.
//
// # Invariants
//
//  1. A command is applied at most once, whatever was retried.
//  2. A read at T on any node returns the same rows, before and after a change
//     of leaders.
//  3. Reads and writes never wait longer than the budget and the context allow; but a
//     write waits for locks of transactions as long as its context allows.
//  4. No attempt of a command begins when a range may have forgotten its id: patience
//     is shorter than store.IDAge.
//  5. Every decoder returns an error for malformed input; none panics (fuzzed).
//
// # What is not here
//
// Transactions over several ranges: package txn has them, on Do, RangeOf and Changed; a
// Resolver gets reads and writes on that meet what they have left. Reads at followers of
// other nodes.
package kv
