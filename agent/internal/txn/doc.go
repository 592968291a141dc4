// Package txn coordinates transactions over several ranges.
//
// A Manager lives on each node, the gateway of the sessions that are connected there;
// a Txn is one SQL transaction, explicit or implicit. What a transaction writes stays at
// its gateway until it commits. Until then it leaves locks in ranges at most. Commit
// writes rows of one range by one command. With several ranges it lays intents in all but
// one (prewrite), then commits in that one: the same command writes the rows of its range
// and the record of the transaction, which decides. Then the client is answered; the
// intents become versions afterwards (cleanup), by this gateway or by whoever meets them.
//
// The record is beside the row for which others wait, if there is one (hot.go, ADR 0037).
//
// Nobody sends heartbeats. The name of a transaction says which start of which node
// coordinates it, and whoever meets a lock or an intent asks there (txn.ask). Where nobody
// answers for a while, or another start does, the transaction is aborted at its record
// (push): that is safe at any time, because a late commit finds the record.
//
// # Deadlocks
//
// A transaction that has waited for deadlock_timeout follows who waits for whom from
// gateway to gateway, along transactions that are older than itself. If it comes back to
// itself it is the youngest of a cycle, and is the victim.
//
// # Fates
//
// A commit whose answer is lost is looked up at the record, and aborted there if it is
// not committed. Only if the record cannot be asked either does the caller get a
// *store.AmbiguousError.
//
// # The janitor
//
// What nobody cleans up and nobody meets the janitor of the node takes away that leads the
// range: see Manager.janitor. What is open it leaves alone, however old it is.
//
// # Concurrency
//
// A Manager may be used by any number of goroutines. A Txn is used by one at a time, but
// for what others ask of it. All waiting is in Ranges, Ask and Sleep of the Config, so
// that the simulation can run this code in one goroutine.
//
// # Invariants
//
//  1. No commit is sent before every prewrite is known to have succeeded.
//  2. Nobody is told that a transaction committed, and no intent becomes a version, before
//     the record says so. Nobody is told that it aborted while it may still commit.
//  3. A commit comes at or after the time of every intent.
//  4. A transaction that was pushed above a time commits above it.
//  5. The record of a commit is another than locks have told others of only if all of the
//     locks are in memory, and the commit's conditions notice whoever has taken them.
//  6. A record is deleted by the coordinator, after all that rests on it is gone, or by the
//     janitor, which in addition waits until the coordinator is over and no range takes a
//     commit of it any more.
//  7. What waits to be cleaned up is bounded by a budget.
package txn
