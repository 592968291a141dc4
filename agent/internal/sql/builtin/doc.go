// Package builtin is the functions of SQL as PostgreSQL has them, chosen by the types of
// their arguments. Both paths call them: the fast one as they are, the engine through its
// worker (nd_call), to which values go as PostgreSQL's texts.
//
// What is not here, and not in package jsonb, is the engine's own: the list in
// duck/rewrite/functiontable.go says what of that behaves as PostgreSQL.
package builtin
