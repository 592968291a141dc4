package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// Backfill writes the entries of rows that were there before their index. All who change
// rows maintain the index by then. No row is locked: an entry is written by its row as it
// was at a time, if nobody has written that entry since; else the row is looked at again.
type Backfill struct {
	Run   *Run // its DB and Env
	Table *catalog.Table
	Of    []*queryplan.Entries
}

// Fill writes the entries of rows, as they were at ts, and returns when all have theirs. Two
// rows that may not have equal values, and had at one time, are a *syntax.Error.
func (b *Backfill) Fill(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) error {
	for _, of := range b.Of {
		if err := b.fill(ctx, of, rows, ts, false); err != nil {
			return err
		}
		if !of.Index.Desc.Deferrable {
			continue
		}
		if err := b.distinctFilled(ctx, of, rows); err != nil {
			return err
		}
	}
	return nil
}

// fillRows bounds what one command writes: see chunkRows of package txn.
const fillRows = 1000

// fill is Fill of one index. An entry may be there already: of a unique index another row's.
// look says that one is, so that all are looked at.
func (b *Backfill) fill(ctx context.Context, of *queryplan.Entries, rows []kv.Row, ts hlc.Timestamp, look bool) error {
	made, err := b.entries(of, rows)
	if err == nil && look && len(made) > 0 {
		made, err = b.missing(ctx, made, ts)
	}
	if err != nil || len(made) == 0 {
		return err
	}
	expect := datastate.NotNewerThan
	if of.Index.Single() && !look && !b.Run.Planted.takesEntry() {
		expect = datastate.AbsentSince
	}
	muts := make([]kv.Mutation, len(made))
	for i := range made {
		muts[i] = made[i].mutation()
		muts[i].Expect, muts[i].ExpectTS = expect, ts
		if b.Run.Planted.blindBackfill() {
			muts[i].Expect = datastate.Any
		}
	}
	for _, part := range b.commands(muts) {
		if _, err = b.Run.DB.Write(ctx, part, kv.WriteOptions{Yield: true}); err != nil {
			break
		}
	}
	var written *kv.ConditionError
	var locked *kv.BlockedError
	switch {
	case errors.As(err, &written) && b.Run.Planted.passesWritten():
		return nil
	case errors.As(err, &written), errors.As(err, &locked) && len(rows) > 1:
		return b.again(ctx, of, rows)
	case err != nil:
		return fmt.Errorf("write entries of index %q: %w", of.Index.Name(), err)
	}
	return nil
}

// commands are parts of mutations of which none writes more to a range than a leader evaluates
// in one go.
func (b *Backfill) commands(muts []kv.Mutation) (parts [][]kv.Mutation) {
	if len(muts) <= fillRows {
		return [][]kv.Mutation{muts}
	}
	of := map[cluster.RangeID]int{}
	for i := range muts {
		m := &muts[i]
		id := b.Run.DB.RangeOf(m.Pool, m.Collection, m.Key)
		n := of[id] / fillRows
		if of[id]++; n == len(parts) {
			parts = append(parts, nil)
		}
		parts[n] = append(parts[n], *m)
	}
	return parts
}

// again fills in the entries of rows of which somebody has written one meanwhile, or has one
// locked: by the rows as they are now, and in parts, so that those few hold up no others.
func (b *Backfill) again(ctx context.Context, of *queryplan.Entries, rows []kv.Row) error {
	half := (len(rows) + 1) / 2
	for _, part := range [][]kv.Row{rows[:half], rows[half:]} {
		if len(part) == 0 {
			continue
		}
		ts, err := b.Run.DB.Fresh(ctx)
		if err != nil {
			return fmt.Errorf("look at rows again: %w", err)
		}
		keys := make([][]byte, len(part))
		for i := range part {
			keys[i] = part[i].Key
		}
		now, err := b.Run.DB.Get(ctx, kv.GetRequest{TS: ts, Pool: b.Table.Pool(), Collection: b.Table.ID(), Keys: keys})
		if err == nil {
			err = b.fill(ctx, of, now, ts, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries are those that rows have in an index.
func (b *Backfill) entries(of *queryplan.Entries, rows []kv.Row) ([]entry, error) {
	made := make([]entry, 0, len(rows))
	seen := map[string]bool{}
	row := make([]datum.Datum, len(b.Table.Columns))
	for i := range rows {
		if rows[i].Value == nil {
			continue // it has gone since, and its entry with it
		}
		if err := b.Table.DecodeRow(rows[i].Key, rows[i].Value, row); err != nil {
			return nil, err
		}
		list, err := b.Run.entriesIn(of, row, rows[i].Key)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if seen[string(e.key)] {
				return nil, e.notUnique()
			}
			seen[string(e.key)] = true
			made = append(made, e)
		}
	}
	return made, nil
}

// missing are the entries that are not there at ts. One that another row has is an error:
// the two had equal values then.
func (b *Backfill) missing(ctx context.Context, made []entry, ts hlc.Timestamp) ([]entry, error) {
	x := made[0].index.Entries
	keys := make([][]byte, len(made))
	for i := range made {
		keys[i] = made[i].key
	}
	there, err := b.Run.DB.Get(ctx, kv.GetRequest{TS: ts, Pool: x.Pool(), Collection: x.ID(), Keys: keys, Schema: x.ReadVersion()})
	if err != nil {
		return nil, fmt.Errorf("look for entries of index %q: %w", made[0].index.Name(), err)
	}
	left := made[:0]
	for i := range made {
		of, err := made[i].of(there[i].Value)
		switch {
		case err != nil:
			return nil, err
		case !of:
			return nil, made[i].notUnique()
		case string(there[i].Value) != string(made[i].value) || there[i].Value == nil:
			left = append(left, made[i])
		}
	}
	return left, nil
}

// Repair writes the entries of rows, as they were at ts, that are missing.
func (b *Backfill) Repair(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) error {
	for _, of := range b.Of {
		if err := b.fill(ctx, of, rows, ts, true); err != nil {
			return err
		}
	}
	return nil
}

// Weed deletes entries of an index, as they were at ts, that no row had then. One that
// somebody has written since is as it has to be.
func (b *Backfill) Weed(ctx context.Context, of *queryplan.Entries, entries []kv.Row, ts hlc.Timestamp) error {
	for part := range slices.Chunk(entries, keyBatch) {
		var keys [][]byte
		var found []kv.Row
		for i := range part {
			if _, primary, _, err := of.Index.Split(part[i].Key, part[i].Value); err == nil {
				keys, found = append(keys, primary), append(found, part[i])
			} else if err := b.weed(ctx, of.Index, part[i].Key, ts); err != nil { // it is none
				return err
			}
		}
		rows, err := b.Run.DB.Get(ctx, kv.GetRequest{TS: ts, Pool: b.Table.Pool(), Collection: b.Table.ID(), Keys: keys})
		if err != nil {
			return fmt.Errorf("look for rows of entries of index %q: %w", of.Index.Name(), err)
		}
		for i := range found {
			has, err := b.has(of, &rows[i], found[i].Key)
			if err == nil && !has {
				err = b.weed(ctx, of.Index, found[i].Key, ts)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// weed deletes an entry that nobody has written since ts.
func (b *Backfill) weed(ctx context.Context, x *catalog.Index, key []byte, ts hlc.Timestamp) error {
	m := kv.Mutation{Pool: x.Entries.Pool(), Collection: x.Entries.ID(), Key: key, Delete: true, Expect: datastate.NotNewerThan, ExpectTS: ts, Schema: x.Entries.Version()}
	var written *kv.ConditionError
	if _, err := b.Run.DB.Write(ctx, []kv.Mutation{m}, kv.WriteOptions{Yield: true}); err != nil && !errors.As(err, &written) {
		return fmt.Errorf("delete an entry of index %q: %w", x.Name(), err)
	}
	return nil
}

// has reports whether a row has the entry with the key.
func (b *Backfill) has(of *queryplan.Entries, row *kv.Row, key []byte) (bool, error) {
	if row.Value == nil {
		return false, nil
	}
	values := make([]datum.Datum, len(b.Table.Columns))
	if err := b.Table.DecodeRow(row.Key, row.Value, values); err != nil {
		return false, err
	}
	list, err := b.Run.entriesIn(of, values, row.Key)
	return slices.ContainsFunc(list, func(e entry) bool { return bytes.Equal(e.key, key) }), err
}
