// Package peers watches reachability: health pings, circuit breakers, probes.
//
// Gossip says whether a process is alive; peers says whether calls get through.
// Every peer is pinged over RPC once per interval. A ping measures the round
// trip, compares clocks, and tells both ends how far the other has applied the
// meta range. Each peer has a breaker: callers that ask Allow fail at once while
// it is open instead of waiting for a timeout each. Pings go on while it is
// open: a breaker never stays open only because nobody talks to the peer. When
// it opens, the connection is reset, so that one that TCP still believes in is
// dialled anew.
//
// # Concurrency
//
// All methods may be called by any goroutine. Run owns one goroutine per ping in
// flight, at most one per peer.
//
// # Invariants
//
//  1. At most one ping per peer is in flight.
//  2. A breaker opens after Config.Failures failures in a row, is half open after
//     one success, and closed after the next; a failure when half open opens it.
//
// # What is not here
//
// Liveness (gossip), retries and leader hints (kv, routing).
package peers
