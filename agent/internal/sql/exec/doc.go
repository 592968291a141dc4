// Package exec the fast path: key reads, DML.
//
// A Run executes one query plan: it reads rows by key or by key span, filters and
// projects them in Go, and turns INSERT, UPDATE and DELETE into conditional
// writes. The rows of a slow plan come from sql/duck; exec is also what feeds
// that (Source).
//
// # One row, many clients
//
// A statement outside of a transaction that changes one row by its key stands in line
// for it (Lines): while a write of the row is under way, all who come for it wait, and
// go together into the next one, each upon what the one before it left. So they do not
// lose against each other. The write is of the line, not of a statement: who leaves
// while it is under way does not know what became of it.
//
// # How writes stay right
//
// Outside of a transaction a statement whose rows are of one range reads them and writes
// on the condition that they did not change since, by one command; if they did it is
// computed anew. One whose rows are of several ranges, or too many for a command, is a
// transaction of its own. An INSERT reads and locks nothing first: that a key is there
// already is what its range's leader finds.
//
// In a transaction (Tx) a statement locks the rows that it changes, looks at those again
// that have changed since its snapshot, and buffers its writes; reads see them. COMMIT
// writes all of them, on the condition that each row is as it was under its lock: locks
// can be lost with the leaders that gave them.
//
// # Concurrency
//
// A Run and a Tx belong to one goroutine. Lines belong to all sessions of a gateway; a
// line's goroutine has each statement compute its change in the statement's own, while
// that waits.
//
// # Invariants
//
//  1. A statement writes all of its rows or none, each once, whatever was retried.
//  2. A statement whose outcome is unknown ends with an AmbiguousError, never with a
//     plain failure.
//  3. Nothing is emitted of what a statement writes before it is committed, but in a Tx.
//  4. A statement in a transaction reads one snapshot, with the transaction's own
//     writes over it; above read committed all statements of it read the same.
//  5. After BackTo a transaction's writes are those that it had at the Mark.
//  6. A row in a Tx's buffer is locked by the Tx, unless the lock was lost, or COPY has
//     made its key up.
package exec
