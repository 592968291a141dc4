// Package sql a session: text in, rows out.
//
// A Server makes Sessions; pgwire opens one per client and hands it statements.
// A statement is parsed (sql/syntax), resolved and planned (sql/queryplan), and
// then run: key work by sql/exec, everything else by sql/duck. The session keeps
// settings, the transaction and what has to be said about errors.
//
// # Concurrency
//
// A Server may be used by any number of goroutines. A Session is used by one at a
// time; only Server.Sessions looks at it from outside.
//
// # Invariants
//
//  1. Every error that leaves a Session is an *Error with a SQLSTATE.
//  2. A write whose fate is unknown is answered 40003, never as a failure that
//     invites a blind retry.
//  3. After an error inside a transaction nothing but ROLLBACK (or COMMIT, which
//     rolls back) is done: 25P02.
//  4. A panic in a statement ends that statement with XX000 and no other session.
//
// # What is not here
//
// Sockets, logins and encodings of rows (pgwire).
package sql
