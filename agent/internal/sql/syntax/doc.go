// Package syntax parses SQL into PostgreSQL's AST or a typed NodeDB statement.
//
// Parse looks at the leading words. NodeDB's own statements (SHOW RANGES ...)
// are read by the parser here; CREATE and DROP COLLECTION are read as TABLE, at
// the same positions; everything else goes to PostgreSQL's parser, guarded by
// limits, because that parser is C and a stack overflow there ends the process.
// What NodeDB answers itself comes out as a node of this package; SELECT, INSERT,
// UPDATE and DELETE as a *Query that holds PostgreSQL's tree.
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
//  3. Positions count bytes of the text from 1, so that having one costs nothing;
//     package sql makes that of the error it tells one of characters.
package syntax
