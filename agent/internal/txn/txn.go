package txn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// State is how far a transaction is.
type State int

// The states. Those after Committing are of transactions that have ended.
const (
	Open State = iota
	Committing
	Committed
	Aborted
	Unknown // its commit has no answer: its record says what became of it
)

// String is the state as it is shown.
func (s State) String() string {
	return [...]string{"open", "committing", "committed", "aborted", "unknown"}[s]
}

// Txn is a transaction.
type Txn struct {
	m     *Manager
	id    cluster.TxnID
	iso   Isolation
	info  Info
	begun time.Duration

	mu       sync.Mutex
	state    State
	snapshot hlc.Timestamp // 0: none yet
	record   []byte        // where others look for what became of it; nil: nobody knows of it
	late     bool          // its commit was taken back, and may still arrive
	// locked has the rows that may be locked: those that were asked for.
	locked map[string]lockedRow
	order  []string // of locked, as they were asked for
	// doubtful are rows whose locks may yet end: they were given up, and no range has
	// said that it has heard of it.
	doubtful      map[string]bool
	waits         []cluster.TxnID // for whom it waits
	waiting       time.Duration   // since when
	told          uint64          // how often that was said
	commitTS      hlc.Timestamp
	writes        int
	ranges        map[cluster.RangeID]struct{}
	reads         readSpans
	deadlockAfter time.Duration
	lockTimeout   time.Duration // of COMMIT; 0: as long as it takes
	with          Participant   // in COMMIT; nil: none
	firm          bool          // it ends by its record
}

// ID names the transaction.
func (t *Txn) ID() cluster.TxnID { return t.id }

// Isolation is its level.
func (t *Txn) Isolation() Isolation { return t.iso }

// SetDeadlockTimeout says how long the transaction waits before it looks for a deadlock.
func (t *Txn) SetDeadlockTimeout(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadlockAfter = d
}

// SetLockTimeout says how long Commit waits for the locks of others; 0: as long as it takes.
func (t *Txn) SetLockTimeout(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lockTimeout = d
}

// SetIsolation changes the level of a transaction that has read nothing yet.
func (t *Txn) SetIsolation(iso Isolation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.iso = iso
}

// Read returns the time at which the statement reads: read committed has one for each
// statement, the other levels one for all.
func (t *Txn) Read(ctx context.Context) (hlc.Timestamp, error) {
	t.mu.Lock()
	ts := t.snapshot
	t.mu.Unlock()
	if ts != 0 {
		return ts, nil
	}
	ts, err := t.m.cfg.Fresh(ctx)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snapshot = ts
	return ts, nil
}

// Refresh begins a new statement.
func (t *Txn) Refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.iso == ReadCommitted {
		t.snapshot = 0
	}
}

// Rollback ends the transaction without a trace. Its locks go in the background.
func (t *Txn) Rollback() { t.end(ending{state: Aborted}) }

// ending is how a transaction ends.
type ending struct {
	state    State
	ts       hlc.Timestamp // of the commit
	laid     [][]byte      // rows that may have intents
	doubtful [][]byte      // those of them that are not known to
	asked    [][]byte      // rows that are not laid, and may be locked for it
	objects  bool          // the meta range is to be told
	err      error         // why it is aborted
}

// end makes the state of the transaction known, and has what is left of it cleaned up:
// its locks, its intents, what it has prepared in the meta range.
func (t *Txn) end(e ending) {
	t.mu.Lock()
	if t.state > Committing {
		t.mu.Unlock()
		return
	}
	t.state, t.commitTS, t.waits = e.state, e.ts, nil
	t.info.Group.note(t, false)
	c := &cleanup{txn: t, commitTS: e.ts, rows: e.laid, record: t.record, late: t.late, objects: e.objects}
	durable := len(e.laid) > 0 || e.objects
	if len(e.laid) > t.m.cfg.SpanRows {
		if c.rows, c.spans = e.doubtful, spans(e.laid, t.m.ranges.RangeOf); t.m.cfg.Planted.spansAlone() {
			c.rows = nil
		}
	}
	if t.m.cfg.Planted.keepsRefused() {
		e.asked = nil
	}
	if e.state != Committed {
		c.rows = append(slices.Clip(c.rows), e.asked...)
	}
	durable = durable || t.durable()
	for _, row := range e.laid {
		delete(t.locked, string(row)) // a range is asked once about a row
	}
	if e.state != Committed {
		for _, row := range e.asked {
			delete(t.locked, string(row))
		}
	}
	for _, row := range t.lockedRows() {
		c.rows = append(c.rows, []byte(row))
	}
	if !durable {
		c.record = nil // nothing of it is in the range: only locks in memory
	}
	t.mu.Unlock()
	switch e.state {
	case Aborted:
		t.m.ends(e.err)
	case Unknown:
		t.m.count(func(st *Stats) { st.Aborted[abortUnknown]++ })
	default:
		t.m.count(func(st *Stats) { st.Committed++ })
	}
	t.m.cleanUp(c)
}

// takenBack notes that a commit of the transaction may be on its way for ever so long.
func (t *Txn) takenBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late = true
}

// lockedRows are the rows of locked, in order. t.mu is held.
func (t *Txn) lockedRows() []string {
	rows := make([]string, 0, len(t.locked))
	for row := range t.locked {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}

// durable reports whether the transaction may have locked rows durably. t.mu is held.
func (t *Txn) durable() bool {
	for _, l := range t.locked {
		if l.durable {
			return true
		}
	}
	return false
}

// recordAt returns the key of the transaction's record, which is beside row if it has
// none yet. From then on others may know it, and abort the transaction there.
func (t *Txn) recordAt(row []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.record == nil {
		t.record = keys.TxnRecord(row, t.id)
	}
	return t.record
}

// moveRecord has the record be beside another row.
func (t *Txn) moveRecord(row []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = keys.TxnRecord(row, t.id)
	return t.record
}

// lockedRow is what a transaction knows of a row that it may have locked.
type lockedRow struct {
	durable bool          // by a record of the range
	seen    bool          // a range has said that it is locked
	present bool          // and that it is there,
	version hlc.Timestamp // in this version
}

// holds notes what a row is that was locked, and reports whether it is what it was when the
// transaction locked it before. It is not if the lock was lost meanwhile and another has
// changed the row: what the transaction has decided under the lock does not hold.
func (t *Txn) holds(row []byte, present bool, version hlc.Timestamp) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.locked[string(row)]
	if !ok {
		return true // it has ended meanwhile
	}
	if was.seen && !t.m.cfg.Planted.forgetsSeen() {
		return was.present == present && (!present || was.version == version)
	}
	was.seen, was.present, was.version = true, present, version
	t.locked[string(row)] = was
	return true
}

// noteLocked notes rows that are about to be locked.
func (t *Txn) noteLocked(rows [][]byte, durable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.locked == nil {
		t.locked = map[string]lockedRow{}
	}
	for _, r := range rows {
		row := string(r)
		was, known := t.locked[row]
		if !known {
			t.order = append(t.order, row)
		}
		was.durable = was.durable || durable
		t.locked[row] = was
	}
}

// beFirm has the transaction end by its record.
func (t *Txn) beFirm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.firm = true
}

// noteRange notes a range that the transaction touches.
func (t *Txn) noteRange(id cluster.RangeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ranges == nil {
		t.ranges = map[cluster.RangeID]struct{}{}
	}
	t.ranges[id] = struct{}{}
}

// setWaits notes for whom the transaction waits; nil: for nobody.
func (t *Txn) setWaits(ids []cluster.TxnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waits) == 0 && len(ids) > 0 {
		t.waiting = t.m.cfg.Now()
	}
	t.waits = ids
	t.told++
	t.info.Group.note(t, len(ids) > 0)
}

// rangesShown bounds the ranges that a status names: a transaction may touch all that
// there are, and thousands of them are shown at once.
const rangesShown = 64

func (t *Txn) status(now time.Duration) Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{
		ID: t.id, Info: t.info, Isolation: t.iso, State: t.state, WaitsFor: slices.Clone(t.waits),
		LockedRows: max(len(t.locked), t.writes), Ranges: len(t.ranges), Age: now - t.begun,
	}
	s.RangeIDs = slices.Sorted(maps.Keys(t.ranges))
	s.RangeIDs = s.RangeIDs[:min(len(s.RangeIDs), rangesShown)]
	if len(t.waits) > 0 {
		s.Waits = now - t.waiting
	}
	return s
}

// NoteRead notes what a serializable transaction has read at its snapshot: COMMIT finds
// out whether anybody has written there since.
func (t *Txn) NoteRead(span kv.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.iso == Serializable {
		t.reads.add(span)
	}
}

// deadlockTimeout is how long a transaction waits before it looks for a deadlock, unless
// it is told otherwise: PostgreSQL's default.
const deadlockTimeout = time.Second
