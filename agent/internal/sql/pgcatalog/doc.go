// Package pgcatalog pg_catalog and information_schema as tables.
//
// columns.txt lists the catalogs and their columns, as PostgreSQL has them;
// those that describe what NodeDB has are filled from the collections, the others
// are empty. The slow path runs the clients' queries over them, so psql's \d and
// the metadata calls of drivers work.
//
// # What is not here
//
// The functions that such queries call (sql/duck), nodedb_internal (sql).
package pgcatalog
