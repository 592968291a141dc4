package exec

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// FillIndex buffers the entries of an index of a table that the transaction has made: all
// of its rows are buffered.
func (r *Run) FillIndex(ctx context.Context, x *catalog.Index) error {
	rows := r.Tx.tables[x.Table.ID()]
	if rows == nil {
		return nil
	}
	all, err := queryplan.EntriesOf(x.Table)
	if err != nil {
		return err
	}
	of := all[slices.IndexFunc(all, func(e *queryplan.Entries) bool { return e.Index.Desc.ID == x.Desc.ID })]
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(rows.rows)) {
		w := rows.rows[key]
		if w.value == nil {
			continue
		}
		row := make([]datum.Datum, len(x.Table.Columns))
		if err := x.Table.DecodeRow([]byte(key), w.value, row); err != nil {
			return err
		}
		list, err := r.entriesIn(of, row, []byte(key))
		if err != nil {
			return err
		}
		for i := range list {
			e := &list[i]
			only := e.key
			if x.Desc.Deferrable {
				if only, err = x.Values(e.values); err != nil {
					return err
				}
			}
			if x.Distinct(e.values) && seen[string(only)] {
				return e.notUnique()
			}
			seen[string(only)] = true
			b := buffered{value: e.value}
			if e.unique {
				b = inserted(e.value)
			}
			if err := r.Tx.put(x.Entries, e.key, b); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// notUnique is 23505 of an index that is being made.
func (e *entry) notUnique() *syntax.Error {
	columns, values := e.index.ValuesText(e.values)
	return &syntax.Error{Code: "23505", Message: fmt.Sprintf("could not create unique index %q", e.index.Name()),
		Detail: fmt.Sprintf("Key (%s)=(%s) is duplicated.", columns, values), Schema: e.index.Table.Schema().Name, Table: e.index.Table.Name(), Constraint: e.index.Name()}
}
