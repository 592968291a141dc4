package duck

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// Batch takes the rows of a Scan.
type Batch struct {
	frame *frame.Batch
}

// Full says that Fill should return before it appends another row.
func (b *Batch) Full() bool { return b.frame.Full() }

// Append appends one row: a datum per column of ScanSpec.Columns, in that order.
// The row is copied. An error, an *Error, means that a value cannot be queried.
func (b *Batch) Append(row []datum.Datum) error {
	for i := range row {
		if err := appendDatum(b.frame, i, &row[i]); err != nil {
			return err
		}
	}
	b.frame.FinishRow()
	return nil
}

// RowScan is a Scan of rows that are in memory, for system tables and the rows of
// one statement. Each row has all columns of the table.
func RowScan(spec ScanSpec, rows [][]datum.Datum) Scan {
	return &rowScan{columns: spec.Columns, rows: rows, row: make([]datum.Datum, len(spec.Columns))}
}

type rowScan struct {
	columns []int
	rows    [][]datum.Datum
	row     []datum.Datum
}

func (s *rowScan) Fill(_ context.Context, b *Batch) (bool, error) {
	for len(s.rows) > 0 && !b.Full() {
		for i, c := range s.columns {
			s.row[i] = s.rows[0][c]
		}
		if err := b.Append(s.row); err != nil {
			return false, err
		}
		s.rows = s.rows[1:]
	}
	return len(s.rows) == 0, nil
}

func (s *rowScan) Close() {}
