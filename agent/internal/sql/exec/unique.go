package exec

import (
	"bytes"
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Of a deferrable UNIQUE constraint, or primary key, rows have entries of their own, so that
// two may have equal values for a while. Who has written rows locks their values, under the
// key that the entry of any other unique index would have, and then counts the entries.

// uniqueOf is a deferrable index of a table by its id; nil: there is none.
func uniqueOf(t *catalog.Table, id cluster.ObjectID) *catalog.Index {
	i := slices.IndexFunc(t.Indexes, func(x *catalog.Index) bool { return x.Desc.ID == id && x.Desc.Deferrable })
	if i < 0 {
		return nil
	}
	return t.Indexes[i]
}

// settleUnique looks at the end of a statement whether rows that it has written have values
// that others have, or leaves that to COMMIT.
func (r *Run) settleUnique(ctx context.Context, w writtenRows) error {
	for _, x := range w.table.Indexes {
		if !x.Desc.Deferrable || x.Desc.State == cluster.ElementDeleteOnly {
			continue
		}
		if r.Deferred != nil && r.Deferred(x.Desc.Deferral()) {
			r.Tx.deferred = append(r.Tx.deferred, deferredKey{child: w.table.ObjectID(), key: x.Desc.ID, changes: w.changes})
		} else if err := r.distinct(ctx, x, w.changes); err != nil {
			return err
		}
	}
	return nil
}

// distinct is 23505 if a row that was changed has values that another one has. Who takes
// values, or gives them up, locks them for good: of two transactions one comes first.
func (r *Run) distinct(ctx context.Context, x *catalog.Index, changes []rowChange) error {
	of, err := entriesFor(x)
	if err != nil {
		return err
	}
	taken := map[string][]datum.Datum{} // by what is locked
	var toLock [][]byte
	note := func(row []datum.Datum) (key string, values []datum.Datum, err error) {
		values, ok, err := of.Of(r.Env, row)
		if err != nil || !ok || !x.Distinct(values) {
			return "", nil, err
		}
		locked, err := x.Values(values)
		if err == nil {
			toLock = append(toLock, locked)
		}
		return string(locked), values, err
	}
	for i := range changes {
		ch := &changes[i]
		if ch.was != nil {
			if _, _, err := note(ch.was); err != nil {
				return err
			}
		}
		if ch.is == nil || !r.hasStill(x, of, ch) {
			continue
		}
		key, values, err := note(ch.is)
		if err != nil {
			return err
		}
		if values != nil {
			taken[key] = values
		}
	}
	slices.SortFunc(toLock, bytes.Compare)
	toLock = slices.CompactFunc(toLock, bytes.Equal)
	if !r.Planted.valuesUnlocked() {
		if _, _, err := r.lockAs(ctx, x.Entries, txn.LockRequest{Keys: toLock, Strength: lock.Update, Wait: evaluation.Block, Durable: true, Firm: true}); err != nil {
			return err
		}
	}
	for _, key := range toLock {
		if values := taken[string(key)]; values != nil {
			several, err := r.severalHave(ctx, x, key)
			if err == nil && several {
				err = (&entry{index: x, values: values}).violation()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func entriesFor(x *catalog.Index) (*queryplan.Entries, error) {
	all, err := queryplan.EntriesOf(x.Table)
	if err != nil {
		return nil, err
	}
	return all[slices.IndexFunc(all, func(e *queryplan.Entries) bool { return e.Index.Desc.ID == x.Desc.ID })], nil
}

// hasStill reports whether a row has, by now, the values that a change has given it.
func (r *Run) hasStill(x *catalog.Index, of *queryplan.Entries, ch *rowChange) bool {
	e, ok, err := r.entryOf(of, ch.is, ch.isKey)
	if err != nil || !ok {
		return err != nil
	}
	w, own := r.Tx.find(x.Entries, e.key)
	return own && w.value != nil
}

// severalHave reports whether two rows have the values of a key, as they are now and as the
// transaction has made them.
func (r *Run) severalHave(ctx context.Context, x *catalog.Index, key []byte) (bool, error) {
	in := *r
	in.Triggers, in.Reading = nil, kv.Reading{}
	var err error
	if in.TS, err = r.DB.Fresh(ctx); err != nil {
		return false, err
	}
	defer r.DB.Hold(in.TS)()
	indexed, _, err := keys.SplitEntry(key)
	if err != nil {
		return false, err
	}
	start := keys.EntryPrefix(indexed)
	vshard := keys.VShardOfValues(x.Entries.ID(), indexed)
	rows, err := in.scan(ctx, x.Entries, kv.ScanRequest{Start: start, End: keys.PrefixEnd(bytes.Clone(start)), Only: &vshard})
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for n := 0; ; {
		some, err := rows.Next(ctx)
		n += len(some)
		switch {
		case n > 1:
			return true, nil
		case isEOF(err):
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

// distinctFilled is 23505 if rows whose entries were filled in have values that others have.
func (b *Backfill) distinctFilled(ctx context.Context, of *queryplan.Entries, rows []kv.Row) error {
	row := make([]datum.Datum, len(b.Table.Columns))
	for i := range rows {
		if rows[i].Value == nil {
			continue
		}
		if err := b.Table.DecodeRow(rows[i].Key, rows[i].Value, row); err != nil {
			return err
		}
		values, ok, err := of.Of(b.Run.Env, row)
		if err != nil {
			return err
		}
		if !ok || !of.Index.Distinct(values) {
			continue
		}
		key, err := of.Index.Values(values)
		if err != nil {
			return err
		}
		several, err := b.Run.severalHave(ctx, of.Index, key)
		if err == nil && several {
			err = (&entry{index: of.Index, values: values}).notUnique()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
