// Package admin serves the admin API, health and metrics.
//
// A Server answers the protocol of client/adminpb (Connect, gRPC and plain JSON)
// on the node's admin port, the health endpoints and /metrics beside it, and on
// the node's unix socket what a local root may ask without credentials: health
// and drain. What it needs of the node is the interface Backend; what operators
// see of nodes and ranges is derived here, in observe.go and
// join.go, from what Backend gives.
//
// # Concurrency
//
// All handlers may run at once. A Server's own state is a counter of watches.
//
// # Invariants
//
//  1. A call is authenticated and its role checked before its body is decoded
//     (TestMethodsNeedRoles).
//  2. A method without required_role is refused to everybody, and fails a test.
//  3. Unknown JSON fields are refused: a misspelt dryRun never runs the real thing.
//  4. Only an *Error's text crosses to the caller; other errors are logged and
//     answered as "internal error".
//  5. A sight, and what it shows of a range, never changes: another state is another
//     pointer. The next sight joins anew only what a source says something else of
//     (TestOneChangeIsOneRange, TestASightIsWhatAFreshOneIs).
//
// # What is not here
//
// Deciding anything: placement judges, operation acts, meta remembers.
package admin
