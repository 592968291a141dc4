package exec

import (
	"context"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// keyOf is a foreign key of a table by its id; nil: it has none.
func (r *Run) keyOf(child *catalog.Table, id cluster.ObjectID) (*link, error) {
	list := child.Desc.Collection.ForeignKeys
	i := slices.IndexFunc(list, func(k cluster.ForeignKey) bool { return k.ID == id })
	if i < 0 {
		return nil, nil
	}
	return r.link(child, &list[i])
}

// Orphan looks for rows of a child, as they were at the run's time, that refer to what was
// not there then: 23503.
func (r *Run) Orphan(ctx context.Context, child *catalog.Table, key cluster.ObjectID, rows []kv.Row) error {
	l, err := r.keyOf(child, key)
	if err != nil || l == nil {
		return err
	}
	wanted := map[string][]datum.Datum{}
	for i := range rows {
		row := make([]datum.Datum, len(child.Columns))
		if err := child.DecodeRow(rows[i].Key, rows[i].Value, row); err != nil {
			return err
		}
		values, refers, err := l.refers(row)
		if err != nil {
			return err
		}
		if !refers {
			continue
		}
		encoded, ok, err := l.encode(r.Env, values)
		if err != nil {
			return err
		}
		if !ok {
			return l.missing(values)
		}
		wanted[string(encoded)] = values
	}
	var keys [][]byte
	for _, k := range slices.Sorted(maps.Keys(wanted)) {
		keys = append(keys, []byte(k))
	}
	for part := range slices.Chunk(keys, keyBatch) {
		found, err := r.getAt(ctx, l.at(), part, r.TS)
		if err != nil {
			return err
		}
		for i := range found {
			if found[i].Value == nil {
				return l.missing(wanted[string(found[i].Key)])
			}
		}
	}
	return nil
}

// ProveForeignKey has the rows of a table that the transaction has made refer to rows that
// are there. All of them are buffered.
func (r *Run) ProveForeignKey(ctx context.Context, child *catalog.Table, key cluster.ObjectID) error {
	l, err := r.keyOf(child, key)
	if err != nil || l == nil || r.Tx.tables[child.ID()] == nil {
		return err
	}
	rows := r.Tx.tables[child.ID()].rows
	var changes []rowChange
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if rows[key].value == nil {
			continue
		}
		row := make([]datum.Datum, len(child.Columns))
		if err := child.DecodeRow([]byte(key), rows[key].value, row); err != nil {
			return err
		}
		changes = append(changes, rowChange{is: row, isKey: []byte(key)})
	}
	return r.arrive(ctx, l, changes)
}
