// Package systems starts what NodeDB is measured beside, and puts all of them
// behind one interface.
//
// # Equal terms
//
// All keep fsync on. Each has TLS 1.3 with client certificates (ECDSA P-256) on
// every port, as NodeDB always has: etcd on client and peer URLs, PostgreSQL by
// clientcert=verify-full. Plaintext ones can be had beside them, to show what TLS
// costs. A client of PostgreSQL and of NodeDB has a connection of its own; etcd's
// share three, one to each member, or have one each: [Etcd.System] takes both.
// PostgreSQL is one node without a replica: read its figures as a bound.
//
// Peers are started from programs that are on this machine; none is downloaded
// here. A [Missing] says in words what was not found.
package systems
