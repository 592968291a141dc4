// Package client is the Go client of a cluster: contexts, retries, watches.
//
// A Context says how to reach a cluster; Dial makes a Client of it, which
// answers every call of the admin protocol (package adminpb) through whichever
// of the cluster's nodes is up. Every error of a call is an *Error.
//
// # Concurrency
//
// A Client may be used by any number of goroutines. A File may not.
package client
