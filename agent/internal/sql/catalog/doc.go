// Package catalog collections: names to descriptors, DDL.
//
// A Catalog reads the meta range's View, which every node has, so a lookup never
// leaves the node; CREATE and DROP are commands to the meta range, and return
// when this node shows their effect.
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
