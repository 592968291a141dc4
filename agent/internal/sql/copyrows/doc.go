// Package copyrows reads and writes rows in the formats of COPY: text, CSV and binary, as
// PostgreSQL has them, to the byte and to the error.
//
// A Reader takes the pieces in which the data comes, whatever they hold, and keeps no more
// than one row of them. It knows where it is, for what is told with an error.
package copyrows
