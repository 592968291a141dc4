package rewrite

import (
	"fmt"
	"net/netip"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Table is one FROM item's shape: a collection, a system view, or rows made for
// one statement (RETURNING, excluded).
type Table struct {
	Schema  string
	Name    string
	OID     uint32 // what 'name'::regclass answers
	RowType uint32 // the OID of the type of its rows, 0: it has none
	Columns []TableColumn
	// Key holds the indexes in Columns of its primary key's; none: it has none.
	Key []int
	// Rows is an estimate for the optimizer, 0 if unknown.
	Rows int64
	// InOrder says that its rows have an order, as those of VALUES and of functions do.
	InOrder bool
	// Query is what it shows, if it is a view. It is not changed.
	Query *pg.SelectStmt
	// Rights is the role whose policies hide rows of it; "": that of the session.
	Rights string
	// Ref is the resolver's own; it comes back in ScanSpec.Table.
	Ref any
}

// TableColumn is a column of a Table.
type TableColumn struct {
	Name     string
	Type     datum.Type
	Modifier int32 // PostgreSQL's typmod, -1: none
	NotNull  bool
	// Hidden columns are not part of *, but can be named.
	Hidden bool
}

// Resolver finds the table called name; schema is "" if the statement gave none.
// ok=false gives the client 42P01.
type Resolver func(schema, name string) (table *Table, ok bool)

// Session is what functions such as current_user answer, fixed when the statement
// is prepared.
type Session struct {
	User        string // the current role
	SessionUser string
	Database    string
	SearchPath  []string // schemas; empty: there is none
	Temporary   Schema   // of the session's temporary objects
	TimeZone    string   // IANA name; empty: UTC
	DateOrder   datum.DateOrder
	PID         uint32 // pg_backend_pid
	Version     string // version()
	// Client and Local are the ends of the connection; not valid: no network is between them.
	Client, Local netip.AddrPort
	Started       time.Time // pg_postmaster_start_time
	// Registry knows the objects that regclass and its kin are of, as they are when it is
	// called; nil: none.
	Registry func() Registry
	// Setting answers current_setting; nil: no settings.
	Setting func(name string) (value string, ok bool)
}

// Schema is a schema that functions tell of; without a name there is none.
type Schema struct {
	Name string
	OID  uint32
}

// Op compares a column.
type Op uint8

// The comparisons of a Constraint. BETWEEN arrives as GE and LE.
const (
	OpEQ      Op = iota + 1
	OpLT         // <
	OpLE         // <=
	OpGT         // >
	OpGE         // >=
	OpIn         // any of the values
	OpNotNull    // no values
)

// Constraint is a condition on one column of a scan.
type Constraint struct {
	Column int // index of Table.Columns
	Op     Op
	Values []Value
}

// Link says that a column of a scan is equal to one of another's rows, as those are that hold
// its own constraints.
type Link struct {
	Column     int // index of Table.Columns
	From       int // slot
	FromColumn int // index of its Table.Columns
}

// Value is a literal of the column's type, or a parameter.
type Value struct {
	Param   int  // number, 0: Literal
	Elems   bool // the parameter is an array and stands for its elements
	Literal datum.Datum
}

// Scan is one FROM item that reads a table.
type Scan struct {
	Slot        int
	Table       *Table
	Constraints []Constraint
	// Links are equalities with columns of other scans; each holds for every row that matters.
	Links []Link
	// Columns are those that DuckDB sees, as indexes of Table.Columns: all but
	// hidden columns that the statement does not name.
	Columns []int
	// Text are those of Columns that are numerics without one scale: texts to the engine.
	Text []bool
}

// Column is a column of the result.
type Column struct {
	Name string
	Type datum.Type // as PostgreSQL has it; Unknown: as DuckDB says
	// Text says that it is a numeric that the engine has as a text.
	Text bool
	// Modifier is that of a char(n), -1: none is known.
	Modifier int32
	// Written says that it is a part of a json, which stays as it was written.
	Written bool
	// Scan and Index say which table column it is, if it is a plain one.
	Scan  *Scan
	Index int
}

// Error is a statement that cannot be rewritten.
type Error struct {
	Code     string // SQLSTATE
	Message  string
	Hint     string
	Position int // 1-based byte of the statement, 0: unknown
}

func (e *Error) Error() string { return e.Message }

func errorf(code string, location int32, format string, args ...any) *Error {
	e := &Error{Code: code, Message: fmt.Sprintf(format, args...)}
	if location > 0 { // the parser says -1, and 0 in nodes that have none
		e.Position = int(location) + 1
	}
	return e
}

func unsupported(location int32, format string, args ...any) *Error {
	return errorf("0A000", location, format+" is not supported", args...)
}
