package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// keyWork is what foreign keys have to look at when a statement has written its rows.
type keyWork struct {
	rows []writtenRows
	// late are keys that nobody may refer to in the end.
	late []lateKeys
}

// writtenRows are changes of rows that are buffered.
type writtenRows struct {
	table   *catalog.Table
	changes []rowChange
}

// lateKeys are keys of a parent that are gone, unless they have come back.
type lateKeys struct {
	link *link
	gone []*goneKey
}

// goneKey is a key of a parent that a row has no more.
type goneKey struct {
	key  []byte
	was  []datum.Datum // in the order of the link's columns
	next []datum.Datum // that the row has instead; nil: it is gone
}

// noteWritten notes changes that are to be looked at when the statement has written all.
func (r *Run) noteWritten(table *catalog.Table, changes []rowChange) {
	if r.work != nil && len(changes) > 0 && looksLater(table) {
		r.work.rows = append(r.work.rows, writtenRows{table, changes})
	}
}

// settleKeys does what foreign keys ask for at the end of a statement: rows that referred
// to what is gone go, too, or change, and what that comes to; then nothing may refer to
// what is not there. What was locked for it stays so until the end of the transaction, and
// is written down: no condition of COMMIT says of it that it has not changed.
func (r *Run) settleKeys(ctx context.Context) error {
	if r.before != nil { // it is not the end
		return nil
	}
	var all []writtenRows
	for len(r.work.rows) > 0 {
		w := r.work.rows[0]
		r.work.rows, all = r.work.rows[1:], append(all, w)
		for _, l := range r.referrers(w.table) {
			if err := r.leave(ctx, l, w.changes); err != nil {
				return err
			}
		}
	}
	for _, w := range byTable(all) {
		if err := r.settleUnique(ctx, w); err != nil {
			return err
		}
		links, err := r.links(w.table)
		if err != nil {
			return err
		}
		for _, l := range links {
			if r.defers(l) {
				r.Tx.deferred = append(r.Tx.deferred, deferredKey{child: l.child.ObjectID(), key: l.key.ID, changes: w.changes})
			} else if err := r.arrive(ctx, l, w.changes); err != nil {
				return err
			}
		}
	}
	for _, late := range r.work.late {
		if l := late.link; r.defers(l) {
			r.Tx.deferred = append(r.Tx.deferred, deferredKey{child: l.child.ObjectID(), key: l.key.ID, gone: late.gone})
		} else if err := r.refuseReferring(ctx, late.link, late.gone); err != nil {
			return err
		}
	}
	r.work.late = nil
	return nil
}

// byTable puts the changes of each table together: what they lock is locked in one go, and
// each row of a parent once, however many parts a statement has written its rows in.
func byTable(parts []writtenRows) []writtenRows {
	if len(parts) < 2 {
		return parts
	}
	var out []writtenRows
	at := map[*catalog.Table]int{}
	for _, w := range parts {
		i, known := at[w.table]
		if !known {
			i = len(out)
			at[w.table], out = i, append(out, writtenRows{table: w.table})
		}
		out[i].changes = append(out[i].changes, w.changes...)
	}
	return out
}

// arrive has new rows of a child refer to rows that are there, and locks those so that
// their keys stay.
func (r *Run) arrive(ctx context.Context, l *link, changes []rowChange) error {
	wanted := map[string][]datum.Datum{}
	var toLock [][]byte
	for i := range changes {
		ch := &changes[i]
		if ch.is == nil || ch.was != nil && sameValues(pick(ch.was, l.columns), pick(ch.is, l.columns)) || !r.stays(l, ch) {
			continue
		}
		values, ok, err := l.refers(ch.is)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		key, ok, err := l.encode(r.Env, values)
		if err != nil {
			return err
		}
		if !ok {
			return l.missing(values)
		}
		if _, known := wanted[string(key)]; known {
			continue
		}
		wanted[string(key)] = values
		if w, own := r.Tx.find(l.at(), key); !own {
			toLock = append(toLock, key)
		} else if w.value == nil {
			return l.missing(values)
		}
	}
	absent, err := r.lockReferenced(ctx, l, toLock)
	if err == nil && absent != nil {
		err = l.missing(wanted[string(absent)])
	}
	return err
}

// lockReferenced has keys of a parent stay; absent is the first that is not there.
func (r *Run) lockReferenced(ctx context.Context, l *link, keys [][]byte) (absent []byte, err error) {
	if !r.Planted.parentUnlocked() {
		rows, _, err := r.lockAs(ctx, l.at(), txn.LockRequest{Keys: keys, Strength: lock.KeyShare, Wait: evaluation.Block, Durable: true})
		if err != nil {
			return nil, err
		}
		keys = nil
		for i := range rows {
			if rows[i].Value == nil {
				keys = append(keys, rows[i].Key) // see readAgain
			}
		}
	}
	for part := range slices.Chunk(keys, keyBatch) {
		rows, err := r.DB.Get(ctx, kv.GetRequest{Pool: l.at().Pool(), Collection: l.at().ID(), Keys: part})
		if err != nil {
			return nil, fmt.Errorf("look for what is referenced in %q: %w", l.parent.Name(), err)
		}
		for i := range rows {
			if rows[i].Value == nil {
				return rows[i].Key, nil
			}
		}
	}
	return nil, nil
}

// stays reports whether a row is, at the end of the statement, still as a change has made
// it, as far as the foreign key is concerned.
func (r *Run) stays(l *link, ch *rowChange) bool {
	w, own := r.Tx.find(l.child, ch.isKey)
	if !own || w.value == nil {
		return own && w.value != nil
	}
	row := make([]datum.Datum, len(l.child.Columns))
	if err := l.child.DecodeRow(ch.isKey, w.value, row); err != nil {
		return true // it was encoded here
	}
	return sameValues(pick(row, l.columns), pick(ch.is, l.columns))
}

func sameValues(a, b []datum.Datum) bool {
	return slices.EqualFunc(a, b, func(x, y datum.Datum) bool {
		return x.Null && y.Null || !x.Null && !y.Null && datum.Compare(x, y) == 0
	})
}

// leave looks for rows that refer to what rows of a parent were, and does with them what
// the foreign key says.
func (r *Run) leave(ctx context.Context, l *link, changes []rowChange) error {
	var deleted, updated []*goneKey
	var toLock [][]byte
	for i := range changes {
		ch := &changes[i]
		if ch.was == nil {
			continue
		}
		g := &goneKey{was: pick(ch.was, l.referenced)}
		if slices.ContainsFunc(g.was, func(v datum.Datum) bool { return v.Null }) {
			continue
		}
		if ch.is != nil {
			if g.next = pick(ch.is, l.referenced); sameValues(g.was, g.next) {
				continue
			}
		}
		var err error
		if g.key, _, err = l.encode(r.Env, g.was); err != nil {
			return err
		}
		toLock = append(toLock, g.key)
		if ch.is == nil {
			deleted = append(deleted, g)
		} else {
			updated = append(updated, g)
		}
	}
	if _, _, err := r.lockAs(ctx, l.at(), txn.LockRequest{Keys: toLock, Strength: lock.Update, Wait: evaluation.Block, Durable: true, Firm: true}); err != nil {
		return err
	}
	if err := r.act(ctx, l, l.key.OnDelete, deleted); err != nil {
		return err
	}
	return r.act(ctx, l, l.key.OnUpdate, updated)
}

// act does what a foreign key says of rows that refer to keys which are gone.
func (r *Run) act(ctx context.Context, l *link, action string, gone []*goneKey) error {
	if len(gone) == 0 {
		return nil
	}
	switch action {
	case cluster.NoAction:
		r.work.late = append(r.work.late, lateKeys{l, gone})
		return nil
	case cluster.Restrict:
		return r.refuseReferring(ctx, l, gone)
	}
	c := &cascade{link: l, action: action}
	if err := c.begin(); err != nil {
		return err
	}
	err := r.referring(ctx, l, gone, func(f found, g *goneKey) (bool, error) {
		c.rows, c.gone = append(c.rows, f), append(c.gone, g)
		if err := r.Memory.Grow(int64(2*rowBytes(f.row) + perRow)); err != nil {
			return false, err
		}
		return true, checkSize(len(c.rows), 0)
	})
	if err == nil {
		err = c.run(ctx, r)
	}
	if action == cluster.SetDefault { // which may be what is gone
		r.work.late = append(r.work.late, lateKeys{l, gone})
	}
	return err
}

// refuseReferring is an error if a row refers to a key that is gone.
func (r *Run) refuseReferring(ctx context.Context, l *link, gone []*goneKey) error {
	gone = slices.DeleteFunc(slices.Clone(gone), func(g *goneKey) bool {
		w, own := r.Tx.find(l.at(), g.key)
		return own && w.value != nil && l.key.OnDelete != cluster.Restrict // another row has it by now
	})
	return r.referring(ctx, l, gone, func(_ found, g *goneKey) (bool, error) { return false, l.stillReferenced(g.was) })
}

// referBatch is for how many keys referring rows are looked for at once.
const referBatch = 512

// referring gives the rows of a child that refer to keys, as they are now, and as the
// transaction has made them.
func (r *Run) referring(ctx context.Context, l *link, gone []*goneKey, fn func(found, *goneKey) (bool, error)) error {
	byKey := make(map[string]*goneKey, len(gone))
	for _, g := range gone {
		byKey[string(g.key)] = g
	}
	in := *r
	in.Triggers, in.Reading = nil, kv.Reading{}
	var err error
	if in.TS, err = r.DB.Fresh(ctx); err != nil {
		return err
	}
	defer r.DB.Hold(in.TS)()
	step := referBatch
	if len(l.columns) > 1 {
		step = 1 // lists of values of several columns would be all that they make together
	}
	for len(gone) > 0 {
		part := gone[:min(step, len(gone))]
		a, err := r.accessOf(l, part)
		if err != nil {
			return err
		}
		if !a.Bounded() {
			part = gone // all rows are read anyway
		}
		gone = gone[len(part):]
		more := true
		err = in.access(ctx, l.child, a, kv.ScanRequest{}, func(kr kv.Row) (bool, error) {
			f, g, err := in.refersTo(l, byKey, &kr)
			if err != nil || g == nil {
				return true, err
			}
			more, err = fn(*f, g)
			return more, err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// accessOf is how rows of the child are found that refer to keys.
func (r *Run) accessOf(l *link, gone []*goneKey) (*queryplan.Access, error) {
	var constraints []queryplan.Constraint
	for i, column := range l.columns {
		c := queryplan.Constraint{Column: column, Op: "="}
		for _, g := range gone {
			v, err := queryplan.Assign(r.Env, g.was[i], l.child.Columns[column].Type, -1)
			if err == nil { // else no row of the child can have it
				c.Values = append(c.Values, v)
			}
		}
		constraints = append(constraints, c)
	}
	a, err := queryplan.ConstrainedAccess(l.child, constraints, nil)
	return &a, err
}

// refersTo is the row of the child, and which of the keys it refers to; nil: to none.
func (r *Run) refersTo(l *link, byKey map[string]*goneKey, kr *kv.Row) (*found, *goneKey, error) {
	row := make([]datum.Datum, len(l.child.Columns))
	if err := l.child.DecodeRow(kr.Key, kr.Value, row); err != nil {
		return nil, nil, err
	}
	values := pick(row, l.columns)
	if slices.ContainsFunc(values, func(v datum.Datum) bool { return v.Null }) {
		return nil, nil, nil
	}
	key, ok, err := l.encode(r.Env, values)
	if err != nil || !ok || byKey[string(key)] == nil {
		return nil, nil, err
	}
	later, err := l.child.Later(kr.Value)
	_, own := r.Tx.find(l.child, kr.Key)
	return &found{key: kr.Key, row: row, version: kr.Version, own: own, later: later}, byKey[string(key)], err
}
