package datastate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// mirror is the lock space of a range in memory, but for the versions that intents
// store. It does not change: what changes makes another one. Most are empty.
type mirror struct {
	rows    []mirrorRow    // in order
	records []mirrorRecord // in order
	intents int
}

// noLocks is the mirror of a range in which no transaction has left anything.
var noLocks = &mirror{}

type mirrorRow struct {
	row  string
	lock *LockRecord
}

type mirrorRecord struct {
	key    string
	record *TxnRecord
}

// lockOf is what transactions have left of row; nil: nothing.
func (m *mirror) lockOf(row []byte) *LockRecord {
	if len(m.rows) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(m.rows, row, func(x mirrorRow, row []byte) int { return cmp.Compare(x.row, string(row)) })
	if !ok {
		return nil
	}
	return m.rows[i].lock
}

// recordOf is a transaction's record; nil: it has none.
func (m *mirror) recordOf(key []byte) *TxnRecord {
	i, ok := slices.BinarySearchFunc(m.records, key, func(x mirrorRecord, key []byte) int { return cmp.Compare(x.key, string(key)) })
	if !ok {
		return nil
	}
	return m.records[i].record
}

// Len satisfies evaluation.Mirror.
func (m *mirror) Len() int { return len(m.rows) + len(m.records) }

// Locks satisfies evaluation.Mirror.
func (m *mirror) Locks(fn func(row []byte, txn cluster.TxnID, record []byte, s lock.Strength)) {
	for _, x := range m.rows {
		row := []byte(x.row)
		for i := range x.lock.Holders {
			h := &x.lock.Holders[i]
			fn(row, h.Txn(), h.Record, h.Strength)
		}
		if in := x.lock.Intent; in != nil {
			fn(row, in.Txn(), in.Record, prewriteStrength)
		}
	}
}

// Records satisfies evaluation.Mirror.
func (m *mirror) Records(fn func(key []byte, decided bool)) {
	for _, x := range m.records {
		fn([]byte(x.key), x.record.Status != TxnOpen)
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
	for _, x := range m.rows {
		if x.lock.Intent == nil {
			continue
		}
		if row := []byte(x.row); q.Span == nil || q.Span(row) {
			if add(row, x.lock); len(met) >= q.Limit {
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

// changed is the mirror after changes, the later of which count.
func (m *mirror) changed(changes []lockChange) *mirror {
	// The last of each key is met first.
	slices.Reverse(changes)
	slices.SortStableFunc(changes, func(a, b lockChange) int { return strings.Compare(a.key, b.key) })
	changes = slices.CompactFunc(changes, func(a, b lockChange) bool { return a.key == b.key })
	next := &mirror{rows: make([]mirrorRow, 0, len(m.rows)+len(changes)), records: make([]mirrorRecord, 0, len(m.records)+len(changes))}
	rows, records := m.rows, m.records
	for _, c := range changes {
		if c.of {
			for len(records) > 0 && records[0].key <= c.key {
				if records[0].key < c.key {
					next.records = append(next.records, records[0])
				}
				records = records[1:]
			}
			if c.record != nil {
				next.records = append(next.records, mirrorRecord{c.key, c.record})
			}
			continue
		}
		for len(rows) > 0 && rows[0].row <= c.key {
			if rows[0].row < c.key {
				next.rows = append(next.rows, rows[0])
			}
			rows = rows[1:]
		}
		if c.lock != nil {
			next.rows = append(next.rows, mirrorRow{c.key, c.lock})
		}
	}
	next.rows, next.records = append(next.rows, rows...), append(next.records, records...)
	return next.counted()
}

// within is the part of the mirror that is desc's.
func (m *mirror) within(desc *cluster.RangeDescriptor) *mirror {
	next := &mirror{}
	for _, x := range m.rows {
		if keys.Owns(desc, []byte(x.row)) {
			next.rows = append(next.rows, x)
		}
	}
	for _, x := range m.records {
		if keys.OwnsRecord(desc, []byte(x.key)) {
			next.records = append(next.records, x)
		}
	}
	return next.counted()
}

func (m *mirror) counted() *mirror {
	if m.Len() == 0 {
		return noLocks
	}
	for _, x := range m.rows {
		if x.lock.Intent != nil {
			m.intents++
		}
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
	m := &mirror{}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = m.load(it.Key(), it.Value())
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
	return m.counted(), nil
}

func (m *mirror) load(key, value []byte) error {
	if keys.IsTxnRecord(key) {
		rec, err := decodeTxnRecord(bytes.Clone(value))
		m.records = append(m.records, mirrorRecord{string(key), rec})
		return err
	}
	row, err := keys.DecodeLock(key)
	if err != nil {
		return err
	}
	l, err := decodeLockRecord(value)
	if err != nil {
		return err
	}
	m.rows = append(m.rows, mirrorRow{string(row), l.shown()})
	return nil
}
