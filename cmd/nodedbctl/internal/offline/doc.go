// Package offline answers reads of the admin API out of a debug bundle, so that
// every view works without the cluster that it is of.
//
// A bundle is a tar.gz: manifest.json, calls/METHOD.json with the answer of each
// read of the API, calls/METHOD/KEY.json of those that are asked about one thing
// at a time, nodes/nN/* with what each node gave.
//
// # Invariants
//
//  1. Nothing is written to disk: names in a bundle from elsewhere choose no path.
//  2. What is read is bounded, whatever the bundle says of its size.
package offline
