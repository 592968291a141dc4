// Package gossip says which nodes are alive.
//
// It is SWIM, by memberlist, and it is a hint: it may lower confidence in a node
// (drop leader hints, wake the repairer, show it to a person), and never
// changes membership, roles or addresses: those come from the meta range.
// Packets are encrypted with the cluster's gossip key and labelled with the
// cluster id; a node's name is its id and UUID, checked by Config.Admit.
//
// # How transitions are seen
//
// memberlist's events know join and leave only: suspicion is never reported,
// and a node that left looks like one that died. The true states are sent to
// peers that push and pull state. So the watcher joins *itself*: memberlist
// hands its own table, with states, to our MergeDelegate, which compares it
// with the last one, publishes the differences, and returns an error, because
// otherwise memberlist would merge the table with itself and count its own
// suspicion as a second opinion. Both ends of that connection are ours, so the
// table comes twice; a look whose two tables differ met a real join and is
// repeated, as the join is. This runs every few seconds and whenever
// memberlist's events or log lines say that something happened.
//
// # Concurrency
//
//  1. All methods of Gossip may be called by any goroutine.
//  2. Subscribers are called one transition at a time, in order, by the watcher's
//     goroutine, without locks held. They must not block.
//
// # Invariants
//
//  1. Transitions of one node form a chain: From is the To before.
//  2. A node that was seen once stays in View; it is dead when memberlist has
//     forgotten it.
//
// # What is not here
//
// Reachability over RPC (peers) and what to do about any of it.
package gossip
