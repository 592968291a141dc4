// Package catalog collections: names to descriptors, DDL.
//
// A Catalog reads the meta range's View, which every node has, so a lookup never
// leaves the node; CREATE, ALTER and DROP are commands to the meta range, and return
// when this node shows their effect.
//
// # Invariants
//
//  1. ALTER changes no row: whatever form of a table a gateway knows, it reads the rows
//     that gateways with another form write, and loses nothing of theirs when it writes
//     them anew (Table.Later, Column.Missing).
//  2. The id of a column never returns, so that what rows hold of a dropped one is never
//     taken for another.
//
// # Concurrency
//
// A Catalog may be used by any number of goroutines. A *Table is immutable and
// belongs to one version of one descriptor.
//
// # What is not here
//
// Expressions: whoever creates a collection says whether a default is sound.
package catalog
