package exec

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// CheckIndexes compares the rows of a table with the entries of its public indexes, all at
// one time: each row has its entry in each, and no entry is without its row.
func (r *Run) CheckIndexes(ctx context.Context, table *catalog.Table) error {
	if err := r.Pin(ctx); err != nil {
		return err
	}
	all, err := queryplan.EntriesOf(table)
	if err != nil {
		return err
	}
	for _, of := range all {
		if !of.Index.Readable() {
			continue
		}
		entries := map[string]string{}
		if err := r.each(ctx, of.Index.Entries, func(kr kv.Row) error {
			entries[string(kr.Key)] = string(kr.Value)
			return nil
		}); err != nil {
			return err
		}
		row := make([]datum.Datum, len(table.Columns))
		if err := r.each(ctx, table, func(kr kv.Row) error {
			if err := table.DecodeRow(kr.Key, kr.Value, row); err != nil {
				return err
			}
			list, err := r.entriesIn(of, row, kr.Key)
			if err != nil {
				return err
			}
			for _, e := range list {
				if value, ok := entries[string(e.key)]; !ok || value != string(e.value) {
					return fmt.Errorf("index %q has no entry, or another, of the row %s", of.Index.Name(), rowText(table, row))
				}
				delete(entries, string(e.key))
			}
			return nil
		}); err != nil {
			return err
		}
		for key := range entries {
			return fmt.Errorf("index %q has %d entries without rows, one of them % x", of.Index.Name(), len(entries), key)
		}
	}
	return nil
}

// each reads all rows of a collection.
func (r *Run) each(ctx context.Context, table *catalog.Table, fn func(kv.Row) error) error {
	rows, err := r.scan(ctx, table, kv.ScanRequest{})
	if err != nil {
		return err
	}
	defer rows.Close()
	return drain(ctx, rows, func(kr kv.Row) (bool, error) { return true, fn(kr) })
}
