package duck

import (
	"context"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// Query is a SELECT to prepare (VALUES and set operations are SELECTs too).
type Query struct {
	// Select is PostgreSQL's tree of the statement. It is not changed.
	Select *pg.SelectStmt
	// Resolve finds the tables that the statement names. It is called once per
	// FROM item, so that two uses of one table may be told apart.
	Resolve Resolver
	// ParamTypes are the types the client announced; datum.Unknown (or a short
	// slice) leaves a parameter to inference.
	ParamTypes []datum.Type
	Session    Session
	// Inline finds what stands for the call of a function that somebody has made; nil:
	// there are none.
	Inline func(f *pg.FuncCall, typeOf func(*pg.Node) datum.Type) (*Inlined, error)
	// Types are what operations and calls are of, by their locations, as far as that is known.
	Types map[int32]datum.Type
}

// Inlined is what stands for the call of a function.
type Inlined = rewrite.Inlined

// Knows reports whether a function of the name is built in.
func Knows(name string) bool { return rewrite.Knows(name) }

// OfRows reports whether a function of the name is of several rows, or gives them.
func OfRows(name string) bool { return rewrite.OfRows(name) }

// Session is what functions such as current_user answer, fixed at Prepare.
type Session = rewrite.Session

// Registry knows the objects that regclass and its kin are of.
type Registry = rewrite.Registry

// Schema is a schema that functions tell of.
type Schema = rewrite.Schema

// Resolver finds the table that a FROM item names.
type Resolver = rewrite.Resolver

// TableScan is one FROM item that reads a table, before the parameters have values.
type TableScan = rewrite.Scan

// Table is one FROM item's shape, TableColumn a column of it.
type (
	Table       = rewrite.Table
	TableColumn = rewrite.TableColumn
)

// Column describes a column of the result.
type Column struct {
	Name     string
	Type     datum.Type
	Modifier int32
	// Table and TableColumn say where a plain column comes from; nil for expressions.
	Table       *Table
	TableColumn int
	// RowType is the OID of the type of a table's rows, if it is one; 0: it is none.
	RowType uint32
}

// Executor prepares statements. *Engine is the one that runs DuckDB.
type Executor interface {
	// Prepare checks the statement against its tables and finds the types of its
	// parameters and columns. Errors are *Error.
	Prepare(ctx context.Context, q Query) (Prepared, error)
}

// Prepared is a checked statement. It holds no resources and outlives a restart
// of the child.
type Prepared interface {
	Columns() []Column
	ParamTypes() []datum.Type
	// TableScans are the scans that it may begin, by their slots.
	TableScans() []*TableScan
	// Execute runs the statement and calls emit with each row. The row's slice is
	// reused after emit returns; its datums may be kept. An error of emit or of the
	// Source is returned as it is (wrapped); all others are *Error.
	Execute(ctx context.Context, x Execution, emit func(row []datum.Datum) error) error
}

// Execution is what one run of a Prepared needs.
type Execution struct {
	Args   []datum.Datum
	Source Source
	Now    time.Time // what now() answers
}

// Source supplies the rows of tables.
type Source interface {
	Scan(ctx context.Context, spec ScanSpec) (Scan, error)
}

// Scan is one reading of a table.
type Scan interface {
	// Fill appends rows until the batch is full (Batch.Full) or the rows end; done
	// says that nothing follows. It may return early with fewer rows.
	Fill(ctx context.Context, batch *Batch) (done bool, err error)
	Close()
}

// ScanSpec tells a Source what to read.
type ScanSpec struct {
	// Slot numbers the FROM items of the statement.
	Slot  int
	Table *Table
	// Columns are the wanted columns as indexes of Table.Columns, in the order in
	// which they are appended; empty if only the number of rows matters.
	Columns []int
	// Constraints all hold for every row that matters. The Source may use them to
	// read less and may ignore them: the executor filters again.
	Constraints []Constraint
	// Links, too, hold for every row that matters.
	Links []Link
	// All are the scans of the statement by their slots, without Columns.
	All []ScanSpec

	visible []int // the table's columns that DuckDB sees
}

// Visible are the columns that a scan may want, as indexes of Table.Columns.
func (s *ScanSpec) Visible() []int { return s.visible }

// Link is an equality with a column of another scan.
type Link = rewrite.Link

// Op compares a column.
type Op = rewrite.Op

// The comparisons of a Constraint. BETWEEN arrives as GE and LE. The values of In
// have no order; none of them: no row matters.
const (
	OpEQ      = rewrite.OpEQ
	OpLT      = rewrite.OpLT
	OpLE      = rewrite.OpLE
	OpGT      = rewrite.OpGT
	OpGE      = rewrite.OpGE
	OpIn      = rewrite.OpIn
	OpNotNull = rewrite.OpNotNull
)

// Constraint is a condition on one column. Values are not null and of the
// column's type.
type Constraint struct {
	Column int // index of Table.Columns
	Op     Op
	Values []datum.Datum
}
