// Package frame is the protocol between the agent and its sqlworker.
//
// A lane is one stream socket that carries one statement at a time. Messages are
// a length, a Kind and a payload; rows travel as Batches, column by column, in the
// layout DuckDB's vectors have, in the machine's byte order (both ends are one
// program on one machine).
//
// # Concurrency
//
// A Conn may be written by several goroutines and read by one. A Batch belongs to
// one goroutine.
//
// # Invariants
//
//  1. A decoder never reads outside its payload, whatever the payload holds.
//  2. A scan has at most as many undelivered batches as it was given credits, so
//     that a reader can always take the next message from the socket.
package frame
