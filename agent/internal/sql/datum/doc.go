// Package datum typed values: their text, wire, key and row encodings.
//
// A Datum is one SQL value. The package knows PostgreSQL's OIDs, reads and
// writes PostgreSQL's text and binary forms, encodes primary keys so that bytes
// order as values do, and encodes rows as column id -> value so that columns can
// come and go without rewriting. docs/FORMATS.md holds the key and row bytes.
//
// # Concurrency
//
// A Datum is a value; what its pointers point to is never changed after it was
// made.
//
// # Invariants
//
//  1. ParseText(AppendText(d)) and ParseBinary(AppendBinary(d)) give d again.
//  2. For keys a and b of the same types: bytes.Compare(a, b) orders as Compare
//     does on the values, and no key is a prefix of another.
//  3. No input makes a decoder panic or allocate more than a small multiple of it.
//
// # What is not here
//
// Casts between types and operators (sql/queryplan), what a session's settings
// say beyond the time zone (sql).
package datum
