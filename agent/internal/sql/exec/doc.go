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
// Outside of a transaction each statement reads at a timestamp and writes on the
// condition that the rows did not change since. Rows are written range by range,
// each range atomically (a statement of more than chunkBytes in one range goes in
// pieces). Where the condition fails the statement is run again for the rows that
// were not written, so each row is changed exactly once, and from its newest
// version. An INSERT reads nothing first: that a key is there already is what its
// range's leader finds, and the first such row of the statement is what is told; rows
// of other ranges may have been written by then. The commands of a statement are under
// way side by side, several to one range too, up to flightBytes. An INSERT ... SELECT
// is written in windows of windowBytes while its source is read. In a transaction (Tx) writes are buffered, reads see them, and COMMIT
// writes them with their conditions, in one range or not at all.
//
// # Concurrency
//
// A Run and a Tx belong to one goroutine. A Run writes to several ranges at once.
// Lines belong to all sessions of a gateway; a line's goroutine has each statement
// compute its change in the statement's own, while that waits.
//
// # Invariants
//
//  1. No row is changed twice by one statement, whatever was retried.
//  2. A statement whose outcome is unknown, or known to be partial, ends with an
//     AmbiguousError or a PartialError, never with a plain failure.
//  3. What a statement has sent and not heard of is at most flightBytes; an INSERT ...
//     SELECT holds at most two windows of rows beside it.
//  4. A statement in a transaction reads one snapshot, with the transaction's own
//     writes over it; at repeatable read all statements of it read the same.
//  5. After BackTo a transaction's writes are those that it had at the Mark.
package exec
