package sql

import "github.com/nodedb/nodedb/agent/internal/sql/datum"

// output counts rows and describes them before the first.
type output struct {
	sink    RowSink
	columns []Column
	begun   bool
	rows    int64
}

func (o *output) begin() error {
	if o.begun || o.columns == nil {
		return nil
	}
	o.begun = true
	return o.sink.Describe(o.columns)
}

func (o *output) row(row []datum.Datum) error {
	if err := o.begin(); err != nil {
		return err
	}
	o.rows++
	return o.sink.Row(row)
}
