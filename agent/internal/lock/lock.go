// Package lock holds who has locked which rows of a range, and who waits for them.
//
// A lock is a transaction's, of a row, of one of PostgreSQL's four strengths. It is
// held until the transaction ends; latches, which keep evaluations apart, are held for
// moments (package latch). Who is blocked stands in line at the row, in the order of
// arrival, and is named in Ready when nobody ahead of it blocks it any more; it then
// acquires, or leaves. A statement outside of a transaction has an id of its own for
// as long as it waits and writes.
//
// A Table is in memory only. What is lost with it is found when a transaction commits:
// its rows must be as it saw them. Locks that have to survive are records of the range,
// too, and are put back into the table by whoever reads those.
//
// # Concurrency
//
// A Table may be used by any goroutine. Nothing it does blocks.
//
// # Invariants
//
//  1. No two transactions hold conflicting locks on one row, but for what was put.
//  2. Of two that wait for one row and conflict, the one that came first is first; but
//     one that holds a lock on the row already goes before those that hold none, since
//     they wait for it anyway.
//  3. Whoever is blocked by nobody any more is named in Ready, once for each time that
//     it became so.
//  4. A line holds at most as many as the table's bound.
package lock

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
)

// ErrFull refuses to stand in a line that is full.
var ErrFull = errors.New("too many transactions wait for one row")

// ID names a transaction, or a statement outside of one.
type ID [16]byte

// Strength says which other locks a lock excludes.
type Strength uint8

// The strengths, as PostgreSQL has them: FOR KEY SHARE to FOR UPDATE.
const (
	KeyShare Strength = iota + 1
	Share
	NoKeyUpdate
	Update
)

// Conflicts reports whether locks of the two strengths exclude each other.
func (s Strength) Conflicts(o Strength) bool {
	switch min(s, o) {
	case KeyShare:
		return max(s, o) == Update
	case Share:
		return max(s, o) >= NoKeyUpdate
	default:
		return true
	}
}

// String is the strength as SQL has it.
func (s Strength) String() string {
	names := [...]string{KeyShare: "FOR KEY SHARE", Share: "FOR SHARE", NoKeyUpdate: "FOR NO KEY UPDATE", Update: "FOR UPDATE"}
	if s < KeyShare || s > Update {
		return "no lock"
	}
	return names[s]
}

// Table holds the locks of one range's rows.
type Table struct {
	bound int

	mu sync.Mutex
	// rows has an entry for each row that somebody holds or waits for; guarded by mu.
	rows map[string]*line
	// held has the transactions that hold locks; guarded by mu.
	held  map[ID]*owner
	ready []*Waiter // not fetched yet; guarded by mu
}

// line is one row: who holds it, then who waits, in the order of arrival.
type line struct {
	holders []holder
	waiters []*Waiter
}

type holder struct {
	id       ID
	strength Strength
}

// owner is a transaction that holds locks.
type owner struct {
	record []byte
	rows   map[string]struct{}
}

// Blocker is somebody who keeps another from a lock.
type Blocker struct {
	ID     ID
	Record []byte // as Acquire or Enqueue was told
}

// Waiter is a place in a row's line.
type Waiter struct {
	// Owner is whatever the one who waits wants to find in Ready.
	Owner any

	id       ID
	record   []byte
	row      string
	strength Strength
	told     bool // in Ready, and nobody has blocked it since
	gone     bool
}

// Row is the row in whose line it is.
func (w *Waiter) Row() string { return w.row }

// Lock is a lock that is held, or waited for, as it is shown.
type Lock struct {
	ID       ID
	Record   []byte // as Acquire or Enqueue was told
	Row      []byte
	Strength Strength
	Granted  bool
}

// New returns a table that lets bound transactions wait in one line.
func New(bound int) *Table {
	return &Table{bound: bound, rows: map[string]*line{}, held: map[ID]*owner{}}
}

// Blockers returns who keeps id from a lock: those that hold the row, and those that
// came for it before; nil: nobody. Who waits in w's place is not asked about itself;
// w may be nil.
func (t *Table) Blockers(id ID, row []byte, s Strength, w *Waiter) (by []Blocker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := t.rows[string(row)]
	if ln == nil {
		return nil
	}
	for _, b := range ln.blockers(id, s, w) {
		by = append(by, Blocker{b, t.record(b, ln)})
	}
	return by
}

// Behind returns who w waits for. Who stands before it without a record and holds nothing is
// a statement, which nobody asks for whom it waits: it is for those who keep it from the
// row, and w waits for them, too.
func (t *Table) Behind(w *Waiter) (by []Blocker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := t.rows[w.row]
	if w.gone || ln == nil {
		return nil
	}
	if ln.holds(w.id) {
		for _, id := range ln.blockers(w.id, w.strength, w) {
			by = append(by, Blocker{id, t.record(id, ln)})
		}
		return by
	}
	var wanted [Update + 1]bool // by w, and by statements before it
	wanted[w.strength] = true
	excluded := func(s Strength) bool {
		for of := KeyShare; of <= Update; of++ {
			if wanted[of] && of.Conflicts(s) {
				return true
			}
		}
		return false
	}
	for i := slices.Index(ln.waiters, w) - 1; i >= 0; i-- {
		q := ln.waiters[i]
		if q.id == w.id || !excluded(q.strength) {
			continue
		}
		record := q.record
		if o := t.held[q.id]; o != nil {
			record = o.record
		}
		if len(record) == 0 {
			wanted[q.strength] = true
		}
		by = append(by, Blocker{q.id, record})
	}
	for _, h := range ln.holders {
		if excluded(h.strength) {
			by = append(by, Blocker{h.id, t.record(h.id, ln)})
		}
	}
	slices.Reverse(by)
	return by
}

// Holders returns who keeps id from a lock if it may go before all that wait for the row
// and hold nothing there.
func (t *Table) Holders(id ID, row []byte, s Strength) (by []Blocker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := t.rows[string(row)]
	if ln == nil {
		return nil
	}
	for _, h := range ln.holders {
		if h.id != id && s.Conflicts(h.strength) {
			by = append(by, Blocker{h.id, t.record(h.id, ln)})
		}
	}
	return by
}

// record is what is known of a blocker in a line. t.mu is held.
func (t *Table) record(id ID, ln *line) []byte {
	if o := t.held[id]; o != nil {
		return o.record
	}
	for _, w := range ln.waiters {
		if w.id == id {
			return w.record
		}
	}
	return nil
}

// blockers is Blockers of one line. The table's mu is held.
func (ln *line) blockers(id ID, s Strength, w *Waiter) (ids []ID) {
	mine := false
	for _, h := range ln.holders {
		if h.id == id {
			mine = true
		} else if s.Conflicts(h.strength) {
			ids = append(ids, h.id)
		}
	}
	for _, q := range ln.waiters {
		if q == w {
			break
		}
		if q.id != id && s.Conflicts(q.strength) && (!mine || ln.holds(q.id)) {
			ids = append(ids, q.id)
		}
	}
	return ids
}

func (ln *line) holds(id ID) bool {
	return slices.ContainsFunc(ln.holders, func(h holder) bool { return h.id == id })
}

// Acquire gives id a lock if nobody blocks it, and reports whether it has it. A lock
// that it holds is never weakened. With w, its place in the line, it leaves that.
// record is told to those that it blocks, in place of what it named before.
func (t *Table) Acquire(id ID, record, row []byte, s Strength, w *Waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := t.rows[string(row)]
	if ln != nil && len(ln.blockers(id, s, w)) > 0 {
		return false
	}
	t.put(id, record, row, s)
	if w != nil {
		t.leave(w)
	}
	t.advance(t.rows[string(row)]) // a stronger lock may block whom Ready has named: they are named again
	return true
}

// Put gives id a lock that was found written down, whoever else holds the row.
func (t *Table) Put(id ID, record, row []byte, s Strength) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(id, record, row, s)
	t.advance(t.rows[string(row)])
}

// put is Put; t.mu is held.
func (t *Table) put(id ID, record, row []byte, s Strength) {
	ln := t.line(row)
	o := t.held[id]
	if o == nil {
		o = &owner{rows: map[string]struct{}{}}
		t.held[id] = o
	}
	if !bytes.Equal(o.record, record) {
		o.record = bytes.Clone(record)
	}
	if i := slices.IndexFunc(ln.holders, func(h holder) bool { return h.id == id }); i >= 0 {
		ln.holders[i].strength = max(ln.holders[i].strength, s)
		return
	}
	ln.holders = append(ln.holders, holder{id, s})
	o.rows[string(row)] = struct{}{}
}

// Waited reports whether anybody waits for a row.
func (t *Table) Waited(row []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := t.rows[string(row)]
	return ln != nil && len(ln.waiters) > 0
}

// line is the line of a row. t.mu is held.
func (t *Table) line(row []byte) *line {
	ln := t.rows[string(row)]
	if ln == nil {
		ln = &line{}
		t.rows[string(row)] = ln
	}
	return ln
}

// Enqueue stands in line for a lock, behind those who are there.
func (t *Table) Enqueue(id ID, record, row []byte, s Strength, owner any) (*Waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ln := t.rows[string(row)]; ln != nil && len(ln.waiters) >= t.bound {
		return nil, ErrFull
	}
	ln := t.line(row)
	w := &Waiter{Owner: owner, id: id, record: slices.Clone(record), row: string(row), strength: s}
	ln.waiters = append(ln.waiters, w)
	t.advance(ln)
	return w, nil
}

// Leave gives a place in a line up. A second call does nothing.
func (t *Table) Leave(w *Waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(w)
}

// leave is Leave; t.mu is held.
func (t *Table) leave(w *Waiter) {
	if w.gone {
		return
	}
	w.gone = true
	ln := t.rows[w.row]
	ln.waiters = slices.DeleteFunc(ln.waiters, func(q *Waiter) bool { return q == w })
	t.settle(w.row, ln)
}

// Release ends all locks of a transaction. Its places in lines are its own to leave.
func (t *Table) Release(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range t.heldRows(id) { // whoever becomes ready does so in the same order in each run
		t.release(id, row)
	}
}

// ReleaseRows ends the locks that a transaction holds on some rows.
func (t *Table) ReleaseRows(id ID, rows [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range rows {
		t.release(id, string(row))
	}
}

// release ends one lock, if it is held. t.mu is held.
func (t *Table) release(id ID, row string) {
	o := t.held[id]
	if o == nil {
		return
	}
	if _, ok := o.rows[row]; !ok {
		return
	}
	if delete(o.rows, row); len(o.rows) == 0 {
		delete(t.held, id)
	}
	ln := t.rows[row]
	ln.holders = slices.DeleteFunc(ln.holders, func(h holder) bool { return h.id == id })
	t.settle(row, ln)
}

// heldRows are the rows that a transaction holds locks on, in order. t.mu is held.
func (t *Table) heldRows(id ID) []string {
	o := t.held[id]
	if o == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(o.rows))
}

// settle forgets a line that is empty, or tells those that nobody blocks any more.
// t.mu is held.
func (t *Table) settle(row string, ln *line) {
	if len(ln.holders) == 0 && len(ln.waiters) == 0 {
		delete(t.rows, row)
		return
	}
	t.advance(ln)
}

// advance names those in Ready that nobody blocks. t.mu is held.
func (t *Table) advance(ln *line) {
	for _, w := range ln.waiters {
		free := len(ln.blockers(w.id, w.strength, w)) == 0
		if free && !w.told {
			t.ready = append(t.ready, w)
		}
		w.told = free
	}
}

// Ready returns who became free of blockers since it was called last, in that order,
// without those that have left or are blocked again.
func (t *Table) Ready() []*Waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ready) == 0 {
		return nil
	}
	ws := slices.DeleteFunc(t.ready, func(w *Waiter) bool { return w.gone || !w.told })
	t.ready = nil
	return ws
}

// Held returns the rows that a transaction holds locks on, in order.
func (t *Table) Held(id ID) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heldRows(id)
}

// Len is how many rows are held or waited for.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rows)
}

// All returns what is held and waited for, row by row, up to limit.
func (t *Table) All(limit int) []Lock {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := make([]string, 0, len(t.rows))
	for row := range t.rows {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	var out []Lock
	for _, row := range rows {
		ln := t.rows[row]
		for _, h := range ln.holders {
			out = append(out, Lock{h.id, t.held[h.id].record, []byte(row), h.strength, true})
		}
		for _, w := range ln.waiters {
			out = append(out, Lock{w.id, w.record, []byte(row), w.strength, false})
		}
		if len(out) >= limit {
			return out[:limit]
		}
	}
	return out
}

// Reset forgets all locks, and returns who waited, in the order of rows and arrival.
func (t *Table) Reset() []*Waiter { return t.Remove(func(string) bool { return true }) }

// Remove forgets the locks of some rows, as the other half of a split takes them over,
// and returns who waited for them.
func (t *Table) Remove(of func(row string) bool) (waited []*Waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := make([]string, 0, len(t.rows))
	for row := range t.rows {
		if of(row) {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	for _, row := range rows {
		ln := t.rows[row]
		for _, h := range ln.holders {
			o := t.held[h.id]
			if delete(o.rows, row); len(o.rows) == 0 {
				delete(t.held, h.id)
			}
		}
		for _, w := range ln.waiters {
			w.gone = true
			waited = append(waited, w)
		}
		delete(t.rows, row)
	}
	return waited
}
