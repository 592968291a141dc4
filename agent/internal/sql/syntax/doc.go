// Package syntax parses SQL into PostgreSQL's AST or a typed NodeDB statement.
//
// Parse looks at the leading words. NodeDB's own statements (SHOW RANGES ...)
// are read by the parser here; CREATE and DROP COLLECTION are read as TABLE, at
// the same positions; everything else goes to PostgreSQL's parser, guarded by
// limits, because that parser is C and a stack overflow there ends the process.
// Each statement comes out as a type of this package, a Node. PostgreSQL's tree does not
// leave it but in a *Query: SELECT, INSERT, UPDATE and DELETE, which are planned. An
// expression inside of another statement (a default, a CHECK, a WHEN) is SQL text, because
// that is what is kept of it; a query that makes something (CREATE VIEW, CREATE TABLE AS)
// is both. The type of a statement says nothing of whether it is carried out: package sql
// has a case for it, or a line in its list of what is not yet.
//
// Bodies of triggers and schedules (Body) are NodeDB's own language. Their statements go
// to PostgreSQL's parser one by one.
//
// # Concurrency
//
// Everything may be used by any number of goroutines. A *Statement is shared by
// all that parsed the same text: never change it.
//
// # Invariants
//
//  1. No text makes Parse, Split or what they return crash the process.
//  2. The tree of a *Query is at most maxDepth deep.
//  3. What does not fit the grammar is 42601 with a position, wherever a statement is cut:
//     a corpus of statements of every type is cut behind each token (testdata), and fuzzed.
//  4. Positions count bytes of the text from 1, so that having one costs nothing;
//     package sql makes that of the error it tells one of characters.
package syntax
