package exec

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// entry is a row's entry in an index.
type entry struct {
	index      *catalog.Index
	key, value []byte
	values     []datum.Datum
	unique     bool // no other row may have it
}

// mutation writes an entry that is new.
func (e *entry) mutation() kv.Mutation {
	m := kv.Mutation{Pool: e.index.Entries.Pool(), Collection: e.index.Entries.ID(), Key: e.key, Value: e.value, Schema: e.index.Entries.Version()}
	if e.unique {
		m.Expect = datastate.Absent
	}
	return m
}

// violation is 23505 on the entry.
func (e *entry) violation() *syntax.Error {
	columns, values := e.index.ValuesText(e.values)
	return &syntax.Error{Code: "23505", Message: fmt.Sprintf("duplicate key value violates unique constraint %q", e.index.Name()),
		Detail: fmt.Sprintf("Key (%s)=(%s) already exists.", columns, values), Schema: e.index.Table.Schema().Name, Table: e.index.Table.Name(), Constraint: e.index.Name()}
}

// violated is violation, of an index that is still maintained: one that others have dropped
// may have the entries of rows that are no more.
func (r *Run) violated(ctx context.Context, e *entry) error {
	if _, err := r.DB.Get(ctx, kv.GetRequest{Pool: e.index.Entries.Pool(), Collection: e.index.Entries.ID(), Keys: [][]byte{e.key}, Schema: e.index.Entries.ReadVersion()}); err != nil {
		return fmt.Errorf("look at an entry of index %q: %w", e.index.Name(), err)
	}
	return e.violation()
}

// entriesOf computes the entries of a row.
func (r *Run) entriesOf(of []*queryplan.Entries, row []datum.Datum, primary []byte) ([]entry, error) {
	var out []entry
	for _, x := range of {
		list, err := r.entriesIn(x, row, primary)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// entriesIn computes the entries of a row in one index.
func (r *Run) entriesIn(of *queryplan.Entries, row []datum.Datum, primary []byte) ([]entry, error) {
	all, err := of.All(r.Env, row)
	if err != nil {
		return nil, err
	}
	if len(all) > 1 && r.Planted.itemLost() {
		all = all[:len(all)-1]
	}
	out := make([]entry, len(all))
	for i, values := range all {
		e := &out[i]
		e.index, e.values, e.unique = of.Index, values, of.Index.Unique(values)
		if e.key, e.value, err = of.Index.Entry(values, row, primary); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Run) entryOf(of *queryplan.Entries, row []datum.Datum, primary []byte) (e entry, ok bool, err error) {
	e.index = of.Index
	if e.values, ok, err = of.Of(r.Env, row); err != nil || !ok {
		return e, false, err
	}
	e.unique = of.Index.Unique(e.values)
	e.key, e.value, err = of.Index.Entry(e.values, row, primary)
	return e, true, err
}

// rowChange is what becomes of a row.
type rowChange struct {
	was, is       []datum.Datum // nil: it was not there, or is gone
	wasKey, isKey []byte
}

// changedEntries are the entries that go and those that come with changes of rows.
type changedEntries struct {
	gone, made []entry
}

// bufferEntries buffers what becomes of the entries of rows.
func (r *Run) bufferEntries(ctx context.Context, of []*queryplan.Entries, changes []rowChange) error {
	for _, x := range of {
		if !x.Adds() && r.Planted.missesDeleteOnly() {
			continue
		}
		var c changedEntries
		for i := range changes {
			if err := r.compareEntry(x, &changes[i], &c); err != nil {
				return err
			}
		}
		if err := r.removeEntries(ctx, x.Index, c.gone); err != nil {
			return err
		}
		if err := r.addEntries(ctx, x.Index, c.made); err != nil {
			return err
		}
	}
	return nil
}

// compareEntry notes what becomes of a row's entries in one index.
func (r *Run) compareEntry(x *queryplan.Entries, ch *rowChange, c *changedEntries) error {
	var was, is []entry
	var err error
	if ch.was != nil {
		if was, err = r.entriesIn(x, ch.was, ch.wasKey); err != nil {
			return err
		}
	}
	if ch.is != nil && x.Adds() {
		if is, err = r.entriesIn(x, ch.is, ch.isKey); err != nil {
			return err
		}
	}
	gone, made := without(was, is), without(is, was)
	if len(made) == 0 || !r.Planted.oldEntryStays() {
		c.gone = append(c.gone, gone...)
	}
	c.made = append(c.made, made...)
	size := 0
	for _, list := range [][]entry{gone, made} {
		for i := range list {
			size += len(list[i].key) + len(list[i].value)
		}
	}
	return r.Memory.Grow(int64(size))
}

// without are the entries of a list that are not in another.
func without(list, others []entry) []entry {
	same := func(a, b *entry) bool { return string(a.key) == string(b.key) && string(a.value) == string(b.value) }
	switch {
	case len(list) == 0 || len(others) == 0:
		return list
	case len(list) == 1 && len(others) == 1 && same(&list[0], &others[0]):
		return nil
	case len(list) == 1 && len(others) == 1:
		return list
	}
	there := make(map[string]string, len(others))
	for i := range others {
		there[string(others[i].key)] = string(others[i].value)
	}
	var out []entry
	for i := range list {
		if value, ok := there[string(list[i].key)]; !ok || value != string(list[i].value) {
			out = append(out, list[i])
		}
	}
	return out
}

// removeEntries buffers that entries go. Those that no other row may have are locked: who
// wants one waits until the transaction has ended. While an index is being made another row
// may have the entry: it stays that row's.
func (r *Run) removeEntries(ctx context.Context, x *catalog.Index, gone []entry) error {
	locked, err := r.lockGone(ctx, x, gone)
	if err != nil {
		return err
	}
	for i := range gone {
		e := &gone[i]
		w := buffered{marks: !x.Readable()}
		b, own := r.Tx.find(x.Entries, e.key)
		there := b.is()
		if !own && e.unique {
			now := locked[string(e.key)]
			if w.expect, there = datastate.Absent, now.Value; there != nil {
				w = changed(nil, now.Version)
			}
		}
		switch of, err := e.of(there); {
		case err != nil:
			return err
		case !of && !own:
			continue
		case !of:
			w.value = there
		}
		if err := r.Tx.put(x.Entries, e.key, w); err != nil {
			return err
		}
	}
	return nil
}

// lockGone locks entries that no other row may have, and returns them as they are.
func (r *Run) lockGone(ctx context.Context, x *catalog.Index, gone []entry) (map[string]kv.Row, error) {
	locked := map[string]kv.Row{}
	var keys [][]byte
	for i := range gone {
		_, own := r.Tx.find(x.Entries, gone[i].key)
		// Of an index that is being made two rows may have one.
		if _, twice := locked[string(gone[i].key)]; !own && !twice && gone[i].unique {
			keys, locked[string(gone[i].key)] = append(keys, gone[i].key), kv.Row{}
		}
	}
	rows, err := r.lock(ctx, x.Entries, keys, lock.Update)
	for i := range rows {
		locked[string(rows[i].Key)] = rows[i]
	}
	return locked, err
}

// of reports whether an entry that is there under the key of e, nil if none is, is not
// another row's.
func (e *entry) of(there []byte) (bool, error) {
	if there == nil || !e.unique {
		return true, nil
	}
	_, other, _, err := e.index.Split(e.key, there)
	if err != nil {
		return false, err
	}
	_, own, _, err := e.index.Split(e.key, e.value)
	return bytes.Equal(own, other), err
}

// addEntries buffers new entries. One that another row has is a violation.
func (r *Run) addEntries(ctx context.Context, x *catalog.Index, made []entry) error {
	var keys [][]byte
	unique := map[string]*entry{}
	for i := range made {
		e := &made[i]
		if !e.unique {
			continue
		}
		own, ok := r.Tx.find(x.Entries, e.key)
		if _, twice := unique[string(e.key)]; twice || ok && own.value != nil {
			return e.violation()
		}
		unique[string(e.key)] = e
		keys = append(keys, e.key)
	}
	if err := r.lockAbsent(ctx, x.Entries, keys, func(key []byte) error { return r.violated(ctx, unique[string(key)]) }); err != nil {
		return err
	}
	for i := range made {
		w := buffered{value: made[i].value}
		if made[i].unique {
			w = inserted(made[i].value)
		}
		if err := r.Tx.put(x.Entries, made[i].key, w); err != nil {
			return err
		}
	}
	return nil
}

// mutations are what rows and their entries are written by: the rows first.
func (r *Run) mutations(table *catalog.Table, writes []*rowWrite) ([]kv.Mutation, error) {
	muts := make([]kv.Mutation, len(writes), len(writes)*2)
	for i, w := range writes {
		muts[i] = w.mut
		for j := range w.entries {
			muts = append(muts, w.entries[j].mutation())
		}
	}
	if _, moves := table.MovesTo(); moves {
		var err error
		for _, w := range writes {
			if muts, err = r.Planted.mirrored(muts, table, &w.mut); err != nil {
				return nil, err
			}
			for j := range w.entries {
				m := w.entries[j].mutation()
				if muts, err = r.Planted.mirrored(muts, w.entries[j].index.Entries, &m); err != nil {
					return nil, err
				}
			}
		}
	}
	for i := range muts {
		if err := checkRow(table, muts[i].Key, muts[i].Value); err != nil {
			return nil, err
		}
	}
	return muts, nil
}

// refuseRepeatedEntries finds an entry that two rows of a statement would have.
func refuseRepeatedEntries(writes []*rowWrite) error {
	if len(writes) < 2 || len(writes[0].entries) == 0 {
		return nil
	}
	type place struct {
		index *catalog.Index
		key   string
	}
	seen := map[place]struct{}{}
	for _, w := range writes {
		for i := range w.entries {
			e := &w.entries[i]
			at := place{e.index, string(e.key)}
			if _, twice := seen[at]; twice && e.unique {
				return e.violation()
			}
			seen[at] = struct{}{}
		}
	}
	return nil
}

// takenEntry looks for an entry of the rows that another row has; nil: there is none.
func (r *Run) takenEntry(ctx context.Context, writes []*rowWrite) *entry {
	byIndex := map[*catalog.Index][]*entry{}
	var order []*catalog.Index
	for _, w := range writes {
		for i := range w.entries {
			e := &w.entries[i]
			if !e.unique {
				continue
			}
			if byIndex[e.index] == nil {
				order = append(order, e.index)
			}
			byIndex[e.index] = append(byIndex[e.index], e)
		}
	}
	for _, x := range order {
		for part := range slices.Chunk(byIndex[x], keyBatch) {
			keys := make([][]byte, len(part))
			for i, e := range part {
				keys[i] = e.key
			}
			rows, err := r.DB.Get(ctx, kv.GetRequest{Pool: x.Entries.Pool(), Collection: x.Entries.ID(), Keys: keys, Schema: x.Entries.ReadVersion()})
			if err != nil {
				return nil // the one that was met is told
			}
			for i := range rows {
				if rows[i].Value != nil {
					return part[i]
				}
			}
		}
	}
	return nil
}
