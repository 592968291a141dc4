// Package connlimit bounds the connections that strangers may hold of a port.
//
// A Gate counts the connections of one port, in all and by network. When it is
// full, the oldest connection that has not authenticated makes room for the
// newest: strangers push out each other, and whoever comes with a credential
// gets in while they try. A connection that has authenticated is never closed, and
// does not count against its network: behind one address may be many nodes.
//
// # Concurrency
//
// All methods may be called at once.
//
// # Invariants
//
//  1. No more than Total + Spare connections are open (TestGate).
//  2. A connection that has authenticated stays (TestAuthenticatedStay).
//
// # What is not here
//
// How long a connection may take to authenticate: the port's own deadlines.
package connlimit
