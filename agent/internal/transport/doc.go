// Package transport carries messages and snapshots between nodes.
//
// Each node dials each peer that it has something to say to, by gRPC over
// mutual TLS 1.3, and keeps one session: two bidirectional streams, one for
// raft messages (never answered) and one on which calls are multiplexed, many
// frames in one gRPC message when there are many to send. Snapshots and scans
// are streams of their own on a second connection, so that bulk never stands in
// front of a heartbeat. Every stream begins with a hello round trip, bounded in
// time, in which both ends compare certificate, cluster id and node ids and ask
// Config.Admit whether the other is still a member: in TLS 1.3 a refused client
// certificate shows only on the first read.
//
// Nothing here is retried: SendRaft drops when it must (raft sends again), and a
// call answers *UnreachableError, which says whether the peer may have got it.
// docs/FORMATS.md holds the bytes.
//
// # Concurrency
//
//  1. All methods of Transport may be called by any goroutine.
//  2. A peer has one goroutine that dials; a session has one writer and one
//     reader per stream. Only the writer calls SendMsg, only the reader RecvMsg.
//  3. HandleRaft and BeginCall run in the stream's reader and must not block. Calls
//     that BeginCall does not take run in goroutines of their own.
//  4. Close ends all of them and waits.
//
// # Invariants
//
//  1. A peer's messages of one class arrive in the order in which they were sent,
//     within one session.
//  2. A call is answered exactly once, by its reply, its context or the end of
//     its session. Sent is false only if the peer surely never got it.
//  3. Every queue is bounded: raft messages are dropped, calls refused.
//  4. No handler runs for a peer that Admit refuses.
//
// # What is not here
//
// What the payloads mean, retries, and circuit breakers (peers).
package transport
