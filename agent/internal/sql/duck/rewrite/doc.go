// Package rewrite turns PostgreSQL's tree of a SELECT into DuckDB's SQL.
//
// Each table reference becomes nscan(slot) under its old alias, with the strict
// conditions on its columns noted beside it; PostgreSQL's operators, functions and
// types become DuckDB's or the worker's own (nd_*); names that DuckDB would give to
// columns become PostgreSQL's.
//
// # Concurrency
//
// A Statement is read-only once made, but SQL takes its lock: the types of
// parameters are put into its one tree.
//
// # Invariants
//
//  1. Only functions, operators and types of the lists in this package pass, so
//     that no text can reach what DuckDB offers beyond them (files, settings, SQL in
//     strings).
//  2. A condition is noted for a scan only if rows that fail it cannot be in the
//     result, outer joins included.
//  3. Trees deeper than maxDepth are refused before anything recursive in C sees
//     them.
package rewrite
