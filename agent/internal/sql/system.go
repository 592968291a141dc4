package sql

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// internalSchema holds what SHOW shows, as tables.
const internalSchema = "nodedb_internal"

// systemTable is a table whose rows are made when it is read.
type systemTable struct {
	columns []shownColumn
	rows    func(ctx context.Context) ([][]datum.Datum, error)
}

// systemTable finds a table that is no collection.
func (s *Server) systemTable(schema, name string) (*duck.Table, bool) {
	t := s.findSystemTable(schema, name)
	if t == nil {
		return nil, false
	}
	out := &duck.Table{Schema: schema, Name: name, Ref: t}
	for _, c := range t.columns {
		out.Columns = append(out.Columns, duck.TableColumn{Name: c.name, Type: c.typ, Modifier: -1})
	}
	return out, true
}

func (s *Server) findSystemTable(schema, name string) *systemTable {
	if schema != internalSchema {
		return nil
	}
	for _, kind := range []syntax.ShowKind{syntax.ShowNodes, syntax.ShowRanges, syntax.ShowRouting, syntax.ShowCollections, syntax.ShowOperations} {
		if string(kind) == name {
			return &systemTable{columns: showColumns(kind), rows: func(ctx context.Context) ([][]datum.Datum, error) { return s.shown(ctx, kind) }}
		}
	}
	return nil
}

// scanSystem reads a system table for the slow path.
func (s *Session) scanSystem(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error) {
	t, ok := spec.Table.Ref.(*systemTable)
	if !ok {
		return nil, fmt.Errorf("table %q is of no known kind", spec.Table.Name)
	}
	rows, err := t.rows(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", spec.Table.Schema, spec.Table.Name, err)
	}
	return duck.RowScan(spec, rows), nil
}
