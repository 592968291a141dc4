package duck

import (
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// showColumns are the columns of the statement: those of the engine, of which fields of rows
// are put together.
func (p *prepared) showColumns() []Column {
	if p.rewrite.Records == nil {
		return p.columns
	}
	out := make([]Column, len(p.rewrite.Records))
	for i, r := range p.rewrite.Records {
		if out[i] = (Column{Name: r.Name, Type: datum.Record, Modifier: -1, RowType: r.RowType}); !r.Row {
			out[i] = p.columns[r.At]
		}
	}
	return out
}

// shownRow makes a row of the statement of one of the engine.
func (p *prepared) shownRow(row []datum.Datum) []datum.Datum {
	if p.rewrite.Records == nil {
		return row
	}
	return gather(p.rewrite.Records, row)
}

// gather takes the columns of rows, or their fields, out of a row of the engine.
func gather(records []rewrite.Record, row []datum.Datum) []datum.Datum {
	out := make([]datum.Datum, len(records))
	for i := range records {
		switch r := &records[i]; {
		case r.Row:
			if out[i] = datum.MakeRecord(r.RowType, gather(r.Fields, row)); r.Key >= 0 && out[i].A.Values[r.Key].Null {
				out[i] = datum.Datum{Type: datum.Record, Null: true, I: int64(r.RowType)}
			}
		default:
			if out[i] = row[r.At]; r.Untyped {
				out[i].Type = datum.Unknown
			}
		}
	}
	return out
}
