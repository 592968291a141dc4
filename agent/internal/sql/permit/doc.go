// Package permit looks whether a role may run a statement: what a query needs of each
// relation, column and schema that it names, and what a statement about objects needs of
// them (ADR 0048). It asks the catalog alone, and changes nothing.
package permit
