// Package latch keeps requests on the same rows apart, first come first served.
//
// A request takes latches on all of its rows at once. On each row it stands in
// line behind those that came before; when nobody ahead of it has still to make up
// its mind, it is granted. It then decides what the rows become and passes: the next
// in line is granted, and goes on from what was decided. It releases when the fate
// of its decision is known. Who decides nothing may keep what it was granted for
// another request, which takes it over. Latches are in memory only. Readers take none:
// what they wait for is in the log (package replica, Scope).
//
// # Concurrency
//
// A Table may be used by any goroutine. Nothing it does blocks: whose turn it is
// is found in Granted.
//
// # Invariants
//
//  1. Of two requests that share a row, the one that came first is granted first,
//     and the second not before the first has passed or released.
//  2. No deadlock: requests stand in the same order on all rows that they share.
//  3. A request is granted at most once, and never after it was released.
//  4. A line holds at most as many as the table's bound.
//  5. What is handed over was granted, and nobody has been granted it since.
package latch

import (
	"errors"
	"slices"
	"sync"
)

// ErrFull refuses a request that would stand in a line that is full.
var ErrFull = errors.New("too many requests wait for one row")

// Table holds the latches of one range's rows.
type Table struct {
	bound int

	mu sync.Mutex
	// lines has an entry for each row that somebody has a latch on; guarded by mu.
	lines   map[string]*line
	most    int      // lines since they were made anew
	granted []*Latch // not fetched yet; guarded by mu
}

// crowd is so many lines that their map is worth giving back: it never gets smaller, and a
// row in a large one is seldom in the processor's cache.
const crowd = 1024

// line is who stands at one row, in the order of arrival: those that have passed
// first, then at most one that is granted, then those that wait.
type line struct {
	row     string
	latches []*Latch
	first   [1]*Latch // room for most lines
}

// state is how far a latch is.
type state int

const (
	waiting state = iota
	holding
	passed
	released
)

// Latch is a place in the lines of some rows.
type Latch struct {
	// Owner is whatever the one who acquired it wants to find in Granted.
	Owner any

	table *Table
	lines []*line
	// state and behind are guarded by the table's mu.
	state  state
	behind int // rows on which somebody ahead has not passed
}

// New returns a table that lets bound requests stand in one line.
func New(bound int) *Table { return &Table{bound: bound, lines: map[string]*line{}} }

// Acquire stands in line on all rows. A row that is named twice counts once. The
// latch comes out of Granted when it is its turn, which may be at once.
func (t *Table) Acquire(rows [][]byte, owner any) (*Latch, error) {
	l := &Latch{Owner: owner, table: t}
	lines := make([]*line, len(rows))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, row := range rows {
		if lines[i] = t.lines[string(row)]; lines[i] != nil && len(lines[i].latches) >= t.bound {
			return nil, ErrFull
		}
	}
	l.lines = lines[:0]
	for i, row := range rows {
		at := lines[i]
		if at == nil {
			at = t.line(row)
		}
		if n := len(at.latches); n > 0 && at.latches[n-1] == l {
			continue
		} else if n > 0 && at.latches[n-1].state != passed {
			l.behind++
		}
		at.latches = append(at.latches, l)
		l.lines = append(l.lines, at)
	}
	t.grant(l)
	return l, nil
}

// line is the line of a row, made if there is none. t.mu is held.
func (t *Table) line(row []byte) *line {
	at := t.lines[string(row)]
	if at == nil {
		at = &line{row: string(row)}
		at.latches = at.first[:0]
		t.lines[at.row] = at
		t.most = max(t.most, len(t.lines))
	}
	return at
}

// grant grants a latch that nobody is ahead of. t.mu is held.
func (t *Table) grant(l *Latch) {
	if l.state == waiting && l.behind == 0 {
		l.state = holding
		t.granted = append(t.granted, l)
	}
}

// Granted returns what was granted since it was called last, in the order of
// grants, without what was released meanwhile.
func (t *Table) Granted() []*Latch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.granted) == 0 {
		return nil
	}
	ls := slices.DeleteFunc(t.granted, func(l *Latch) bool { return l.state != holding })
	t.granted = nil
	return ls
}

// Pass lets the next in line go on: what becomes of the rows is decided, and not yet
// done. Only who was granted passes.
func (l *Latch) Pass() {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.state != holding {
		return
	}
	l.state = passed
	for _, at := range l.lines {
		if i := slices.Index(at.latches, l); i+1 < len(at.latches) {
			t.advance(at.latches[i+1])
		}
	}
}

// advance tells a latch that on one row nobody is ahead of it any more. t.mu is held.
func (t *Table) advance(l *Latch) {
	l.behind--
	t.grant(l)
}

// Release gives the places up, in whatever state the latch is: the fate of what was
// decided is known, or it will not be decided. A second call does nothing.
func (l *Latch) Release() {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.state == released {
		return
	}
	ahead := l.state != passed // of those behind it
	l.state = released
	for _, at := range l.lines {
		t.remove(l, at, ahead)
	}
}

// remove takes a latch out of a line; ahead says that those behind it wait for it. t.mu is
// held.
func (t *Table) remove(l *Latch, at *line, ahead bool) {
	i := slices.Index(at.latches, l)
	// Who stood behind one that waited still stands behind somebody who has not passed.
	first := i == 0 || at.latches[i-1].state == passed
	at.latches = slices.Delete(at.latches, i, i+1)
	if len(at.latches) == 0 {
		delete(t.lines, at.row)
		if len(t.lines) == 0 && t.most > crowd {
			t.lines, t.most = map[string]*line{}, 0
		}
	} else if ahead && first && i < len(at.latches) {
		t.advance(at.latches[i])
	}
}

// Size is about how much memory the latch takes.
func (l *Latch) Size() int {
	n := 256
	for _, at := range l.lines {
		n += len(at.row) + 64
	}
	return n
}

// Holding reports whether the latch was granted, and has neither passed nor been
// released.
func (l *Latch) Holding() bool {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.state == holding
}

// HandOver gives a latch that is held to another owner, who needs no more than these
// rows, and grants it anew; the other rows are released. False: it is not held any
// more, or not on all of these rows; then nothing has changed.
func (l *Latch) HandOver(rows [][]byte, owner any) bool {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.state != holding {
		return false
	}
	wanted := make(map[string]bool, len(rows))
	for _, row := range rows {
		wanted[string(row)] = true
	}
	kept := make([]*line, 0, len(wanted))
	for _, at := range l.lines {
		if wanted[at.row] {
			kept = append(kept, at)
		}
	}
	if len(kept) < len(wanted) {
		return false
	}
	for _, at := range l.lines {
		if !wanted[at.row] {
			t.remove(l, at, true)
		}
	}
	l.lines, l.Owner = kept, owner
	t.granted = append(t.granted, l)
	return true
}

// Reset releases every latch: what was decided under them is void, or its fate is
// for others to learn.
func (t *Table) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.lines {
		for _, l := range at.latches {
			l.state = released
		}
	}
	clear(t.lines)
	t.granted = nil
}
