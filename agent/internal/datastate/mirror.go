package datastate

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// mirror is the lock space of a range in memory, but for the versions that intents
// store. It does not change: what changes makes another one, which shares what is as it
// was. Most are empty.
type mirror struct {
	rows    sorted[LockRecord] // by row
	records sorted[TxnRecord]  // by key
	intents int
	closed  []cluster.SchemaFence // places that are closed for good
}

// noLocks is the mirror of a range in which no transaction has left anything.
var noLocks = &mirror{}

// lockOf is what transactions have left of row; nil: nothing.
func (m *mirror) lockOf(row []byte) *LockRecord {
	if m.rows.n == 0 {
		return nil
	}
	return m.rows.get(string(row))
}

// recordOf is a transaction's record; nil: it has none.
func (m *mirror) recordOf(key []byte) *TxnRecord { return m.records.get(string(key)) }

// rowsOf are the rows of a part, in order, of which a transaction has left something.
func (m *mirror) rowsOf(txn cluster.TxnID, s *TxnSpan) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for key, l := range m.rows.from(string(keys.DataSpan(s.Pool, s.From, s.To).Start)) {
			row := []byte(key)
			if keys.PoolOf(row) != s.Pool || keys.Bound(row) >= s.To {
				return
			}
			if l.holds(txn) && !yield(row) {
				return
			}
		}
	}
}

// fenced is the mirror of a range in which places are closed for good.
func (m *mirror) fenced(closed []cluster.SchemaFence) *mirror {
	if slices.Equal(m.closed, closed) {
		return m
	}
	next := *m
	next.closed = closed
	return &next
}

// Closed satisfies evaluation.Mirror.
func (m *mirror) Closed(c cluster.CollectionID) (at hlc.Timestamp, closed bool) {
	for i := range m.closed {
		if m.closed[i].Collection == c {
			return hlc.Timestamp(m.closed[i].At), true
		}
	}
	return 0, false
}

// Len satisfies evaluation.Mirror.
func (m *mirror) Len() int { return m.rows.n + m.records.n }

// Locks satisfies evaluation.Mirror.
func (m *mirror) Locks(fn func(row []byte, txn cluster.TxnID, record []byte, s lock.Strength)) {
	for key, l := range m.rows.from("") {
		row := []byte(key)
		for i := range l.Holders {
			h := &l.Holders[i]
			fn(row, h.Txn(), h.Record, h.Strength)
		}
		if in := l.Intent; in != nil {
			fn(row, in.Txn(), in.Record, prewriteStrength)
		}
	}
}

// Records satisfies evaluation.Mirror.
func (m *mirror) Records(fn func(key []byte, decided bool)) {
	for key, r := range m.records.from("") {
		fn([]byte(key), r.Status != TxnOpen)
	}
}

// Holds satisfies evaluation.Mirror.
func (m *mirror) Holds(row []byte, txn cluster.TxnID) bool {
	l := m.lockOf(row)
	return l != nil && l.holds(txn)
}

// Met satisfies evaluation.Mirror.
func (m *mirror) Met(q *evaluation.Query) (met []evaluation.Intent) {
	if m.intents == 0 {
		return nil
	}
	add := func(row []byte, l *LockRecord) {
		if l != nil && l.Intent != nil && l.Intent.TS <= q.TS && !slices.Contains(q.Passed, l.Intent.Txn()) {
			met = append(met, evaluation.Intent{Row: row, Record: l.Intent.Record, TS: l.Intent.TS})
		}
	}
	for _, row := range q.Rows {
		if add(row, m.lockOf(row)); len(met) >= q.Limit {
			return met
		}
	}
	if q.Rows != nil {
		return met
	}
	for key, l := range m.rows.from("") {
		if l.Intent == nil {
			continue
		}
		if row := []byte(key); q.Span == nil || q.Span(row) {
			if add(row, l); len(met) >= q.Limit {
				return met
			}
		}
	}
	return met
}

// lockChange is what a command makes of a row's locks, or of a record.
type lockChange struct {
	key    string      // the row, or the record's
	lock   *LockRecord // nil: none any more
	record *TxnRecord
	of     bool // a record
}

// shown is a lock record as mirrors hold it.
func (l *LockRecord) shown() *LockRecord {
	s := &LockRecord{Holders: slices.Clone(l.Holders)}
	for i := range s.Holders {
		s.Holders[i].Record = bytes.Clone(s.Holders[i].Record)
	}
	if l.Intent != nil {
		s.Intent = &Intent{Record: bytes.Clone(l.Intent.Record), TS: l.Intent.TS}
	}
	return s
}

// looksLike reports whether mirrors hold l as shown, which is nil or what they hold of
// another row.
func (l *LockRecord) looksLike(shown *LockRecord) bool {
	same := func(a, b Holder) bool { return a.Strength == b.Strength && bytes.Equal(a.Record, b.Record) }
	if shown == nil || !slices.EqualFunc(l.Holders, shown.Holders, same) || (l.Intent == nil) != (shown.Intent == nil) {
		return false
	}
	return l.Intent == nil || l.Intent.TS == shown.Intent.TS && bytes.Equal(l.Intent.Record, shown.Intent.Record)
}

// changed is the mirror after changes, the later of which count.
func (m *mirror) changed(changes []lockChange) *mirror {
	// The last of each key is met first.
	slices.Reverse(changes)
	slices.SortStableFunc(changes, func(a, b lockChange) int { return strings.Compare(a.key, b.key) })
	changes = slices.CompactFunc(changes, func(a, b lockChange) bool { return a.key == b.key })
	rows, records, intents := make([]entry[LockRecord], 0, len(changes)), []entry[TxnRecord](nil), m.intents
	for _, c := range changes {
		if c.of {
			records = append(records, entry[TxnRecord]{c.key, c.record})
			continue
		}
		intents += c.lock.intents() - m.rows.get(c.key).intents()
		rows = append(rows, entry[LockRecord]{c.key, c.lock})
	}
	return (&mirror{rows: m.rows.changed(rows), records: m.records.changed(records), intents: intents, closed: m.closed}).orNone()
}

// intents is how many intents there are: one or none.
func (l *LockRecord) intents() int {
	if l == nil || l.Intent == nil {
		return 0
	}
	return 1
}

// within is the part of the mirror that is desc's.
func (m *mirror) within(desc *cluster.RangeDescriptor) *mirror {
	next := &mirror{closed: m.closed}
	for key, l := range m.rows.from("") {
		if keys.Owns(desc, []byte(key)) {
			next.addRow(key, l)
		}
	}
	for key, r := range m.records.from("") {
		if keys.OwnsRecord(desc, []byte(key)) {
			next.records.add(key, r)
		}
	}
	return next.orNone()
}

func (m *mirror) addRow(row string, l *LockRecord) {
	m.rows.add(row, l)
	m.intents += l.intents()
}

func (m *mirror) orNone() *mirror {
	if m.Len() == 0 && len(m.closed) == 0 {
		return noLocks
	}
	return m
}

// loadMirror reads the lock space of a range.
func loadMirror(r storage.Reader, desc *cluster.RangeDescriptor) (*mirror, error) {
	span := keys.LockSpan(desc.Pool, desc.Start, desc.End)
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return nil, fmt.Errorf("read locks: %w", err)
	}
	m, last := &mirror{}, (*LockRecord)(nil)
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		last, err = m.load(it.Key(), it.Value(), last)
	}
	if err == nil {
		err = it.Err()
	}
	if e := it.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("read locks: %w", err)
	}
	return m.orNone(), nil
}

// load adds what a key says. last is what the row before has, and is returned as it is then.
func (m *mirror) load(key, value []byte, last *LockRecord) (*LockRecord, error) {
	if keys.IsTxnRecord(key) {
		rec, err := decodeTxnRecord(bytes.Clone(value))
		if err == nil {
			m.records.add(string(key), rec)
		}
		return last, err
	}
	row, err := keys.DecodeLock(key)
	if err != nil {
		return last, err
	}
	l, err := decodeLockRecord(value)
	if err != nil {
		return last, err
	}
	if !l.looksLike(last) {
		last = l.shown()
	}
	m.addRow(string(row), last)
	return last, nil
}
