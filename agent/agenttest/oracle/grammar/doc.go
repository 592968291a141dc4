// Package grammar makes up statements of SQL, of which it knows the types of all parts, and
// makes those smaller that have shown something.
//
// grammar.txt says what expressions there are, the rest of the package what statements are
// made of them. schema.sql has the tables: few rows, with nulls, extremes and duplicates.
// What a statement answers is decided by it alone: where rows that are alike for an ORDER BY
// would make a difference, all columns are in it.
package grammar
