// Package exec the fast path: key reads, DML.
//
// A Run executes one query plan: it reads rows by key or by key span, filters and
// projects them in Go, and turns INSERT, UPDATE and DELETE into conditional
// writes. The rows of a slow plan come from sql/duck; exec is also what feeds
// that (Source).
//
// # How writes stay right
//
// Outside of a transaction each statement reads at a timestamp and writes on the
// condition that the rows did not change since. Rows are written range by range,
// each range atomically (a statement of more than chunkBytes in one range goes in
// pieces). Where the condition fails the statement is run again for the rows that
// were not written, so each row is changed exactly once, and from its newest
// version. In a transaction (Tx) writes are buffered, reads see them, and COMMIT
// writes them with their conditions, in one range or not at all.
//
// # Concurrency
//
// A Run and a Tx belong to one goroutine. A Run writes to several ranges at once.
//
// # Invariants
//
//  1. No row is changed twice by one statement, whatever was retried.
//  2. A statement whose outcome is unknown, or known to be partial, ends with an
//     AmbiguousError or a PartialError, never with a plain failure.
//  3. A read in a transaction sees one snapshot, with the transaction's own writes
//     over it.
package exec
