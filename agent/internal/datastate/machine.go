package datastate

import (
	"fmt"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Machine is the state machine of one data range; it satisfies replica.Evaluator.
type Machine struct {
	planted Planted
	support gate.Support
	added   cluster.Counts // by commands, since TakeCounts
	meter   Meter

	passed    Garbage       // by commands, since TakeGarbage
	threshold atomic.Uint64 // of the range: see Passed
	fence     atomic.Pointer[cluster.Fence]

	applied *mirror      // as the commands up to the last Mirror left it
	changes []lockChange // of commands since
	last    *LockRecord  // of changes: the rows of a large transaction have it in common
	shown   atomic.Pointer[mirror]
}

// New returns the state machine of an empty range, of this binary.
func New() *Machine { return NewFor(gate.Binary()) }

// NewFor returns the state machine of a binary that supports s.
func NewFor(s gate.Support) *Machine { return NewPlanted(s, Planted{}) }

// NewPlanted is NewFor with faults that tests plant.
func NewPlanted(s gate.Support, p Planted) *Machine {
	m := &Machine{support: s, planted: p, applied: noLocks}
	m.shown.Store(noLocks)
	m.fence.Store(noFence)
	return m
}

// Meter hears of the load; it must not influence what it measures.
type Meter interface {
	// Wrote says that a row of the range was written; row is valid during the call.
	Wrote(id cluster.RangeID, row []byte)
}

// NewMetered returns the state machine of an empty range, whose writes meter hears of.
func NewMetered(meter Meter, p Planted) *Machine {
	m := NewPlanted(gate.Binary(), p)
	m.meter = meter
	return m
}

// Reload reads what transactions have left, and which collections are no more: all other
// state is read where it is used.
func (m *Machine) Reload(r storage.Reader, desc *cluster.RangeDescriptor) error {
	l, err := loadMirror(r, desc)
	if err != nil {
		return err
	}
	f, err := loadFence(r, desc.ID)
	if err != nil {
		return fmt.Errorf("read the fence: %w", err)
	}
	l = l.fenced(f.Closed())
	m.fence.Store(f)
	m.applied, m.changes, m.last = l, nil, nil
	m.shown.Store(l)
	return nil
}

// Mirror is what transactions have left in the range, as of the last command that was
// written, committed or not.
func (m *Machine) Mirror() evaluation.Mirror {
	if len(m.changes) > 0 {
		m.applied, m.changes, m.last = m.applied.changed(m.changes), nil, nil
	}
	m.applied = m.applied.fenced(m.Fence().Closed())
	return m.applied
}

// Show has Shown return a mirror whose commands are committed.
func (m *Machine) Show(l evaluation.Mirror) {
	if l, ok := l.(*mirror); ok {
		m.shown.Store(l)
	}
}

// Shown is what Show showed last. Any goroutine may ask.
func (m *Machine) Shown() evaluation.Mirror { return m.shown.Load() }

// Narrow forgets what is not desc's any more. Nothing may be uncommitted.
func (m *Machine) Narrow(desc *cluster.RangeDescriptor) {
	m.Mirror()
	m.applied = m.applied.within(desc)
	m.shown.Store(m.applied)
}

// plants are the faults of the machine whose requests are evaluated.
func (m *Machine) plants() Planted {
	if m == nil {
		return Planted{}
	}
	return m.planted
}

// Open reads a request; it satisfies replica.Evaluator.
func (m *Machine) Open(data []byte) (evaluation.Request, error) {
	req, err := decodeRequest(data, m.support)
	if err != nil {
		return nil, err // and no typed nil
	}
	req.of(m)
	return req, nil
}

// Record makes the command that does nothing but to keep a result under its id.
func (m *Machine) Record(result []byte) []byte { return (&command{result: result}).encode() }

// Write applies a command: it adds the versions that the command holds, at ts. An
// error means that the engine failed, or that this binary cannot read the command.
func (m *Machine) Write(w storage.Writer, desc *cluster.RangeDescriptor, ts hlc.Timestamp, data []byte) (result []byte, applied bool, err error) {
	c, err := decodeCommand(data, m.support)
	if err != nil {
		return nil, false, err // another binary may read it and write: this replica has to stop
	}
	if c.result != nil {
		return c.result, true, nil
	}
	if c.takesAway() {
		if applied, err = m.takeAway(w, desc, ts, c); applied {
			m.added = m.added.Plus(c.adds)
		}
		return nil, applied, err
	}
	if i, ok := m.within(desc, c); !ok {
		return EncodeResult(&Result{Outcome: WrongRange, FailedOp: i}), false, nil
	}
	for i := range c.writes {
		if err := m.writeVersion(w, desc, c.writes[i].row, ts, c.writes[i].stored); err != nil {
			return nil, false, fmt.Errorf("write row %d: %w", i, err)
		}
	}
	if c.effects {
		if err := m.writeEffects(w, desc, ts, c); err != nil {
			return nil, false, err
		}
	}
	m.added = m.added.Plus(c.adds)
	if len(c.answer) > 0 {
		return c.answer, true, nil
	}
	return EncodeResult(&Result{Outcome: Applied}), true, nil
}

// takeAway applies a command that takes away what nobody misses, or nobody may write.
func (m *Machine) takeAway(w storage.Writer, desc *cluster.RangeDescriptor, ts hlc.Timestamp, c *command) (applied bool, err error) {
	switch {
	case c.garbage != nil:
		return m.writeGarbage(w, desc, c.garbage)
	case c.fencing != nil:
		return m.writeFence(w, desc, c.fencing)
	case c.raised != nil:
		return m.writeRaised(w, desc, ts, c.raised)
	}
	return m.writeClear(w, desc, c.clearing)
}

// within reports whether all that c names is desc's, and which does not. What is written
// to a collection that is no more was evaluated behind the fence, which is a bug.
func (m *Machine) within(desc *cluster.RangeDescriptor, c *command) (i int, ok bool) {
	for i := range c.writes {
		if !owns(desc, c.writes[i].row) || m.gone(c.writes[i].row) {
			return i, false
		}
	}
	for i := range c.at {
		if !owns(desc, c.at[i].row) || m.gone(c.at[i].row) {
			return i, false
		}
	}
	for i := range c.locks {
		if !owns(desc, c.locks[i].key) {
			return i, false
		}
	}
	for i := range c.records {
		if !keys.OwnsRecord(desc, c.records[i].key) {
			return i, false
		}
	}
	return 0, true
}

func (m *Machine) writeVersion(w storage.Writer, desc *cluster.RangeDescriptor, row []byte, ts hlc.Timestamp, stored []byte) error {
	if m.meter != nil {
		m.meter.Wrote(desc.ID, row)
	}
	return w.Set(keys.Version(row, ts), stored)
}

// writeEffects writes what transactions leave or take away, and notes it for the mirror.
func (m *Machine) writeEffects(w storage.Writer, desc *cluster.RangeDescriptor, ts hlc.Timestamp, c *command) error {
	for i := range c.at {
		if err := m.writeVersion(w, desc, c.at[i].row, c.at[i].ts, c.at[i].stored); err != nil {
			return fmt.Errorf("write row %d at %s: %w", i, c.at[i].ts, err)
		}
		m.passed.wrote(c.at[i].ts)
	}
	for i := range c.locks {
		if err := m.writeLock(w, ts, &c.locks[i]); err != nil {
			return fmt.Errorf("write lock %d: %w", i, err)
		}
	}
	for i := range c.records {
		if err := m.writeRecord(w, ts, &c.records[i]); err != nil {
			return fmt.Errorf("write the record of a transaction: %w", err)
		}
	}
	return nil
}

func (m *Machine) writeLock(w storage.Writer, ts hlc.Timestamp, x *left) error {
	key := keys.Lock(x.key)
	if len(x.value) == 0 {
		m.changes = append(m.changes, lockChange{key: string(x.key)})
		return w.Delete(key)
	}
	l, err := decodeLockRecord(x.value)
	if err != nil {
		return err
	}
	if l.Intent != nil {
		switch l.Intent.TS {
		case 0:
			l.Intent.TS = ts
		case asItWas:
			l.Intent.TS = m.intentTS(string(x.key), ts)
		}
	}
	if !l.looksLike(m.last) {
		m.last = l.shown()
	}
	m.changes = append(m.changes, lockChange{key: string(x.key), lock: m.last})
	return w.Set(key, l.encode())
}

// intentTS is the time of the intent that a row has; otherwise: if it was cleared meanwhile.
func (m *Machine) intentTS(row string, otherwise hlc.Timestamp) hlc.Timestamp {
	l := m.applied.rows.get(row)
	for i := len(m.changes) - 1; i >= 0; i-- {
		if c := &m.changes[i]; !c.of && c.key == row {
			l = c.lock
			break
		}
	}
	if l == nil || l.Intent == nil {
		return otherwise
	}
	return l.Intent.TS
}

func (m *Machine) writeRecord(w storage.Writer, ts hlc.Timestamp, x *left) error {
	if len(x.value) == 0 {
		m.changes = append(m.changes, lockChange{key: string(x.key), of: true})
		return w.Delete(x.key)
	}
	r, err := decodeTxnRecord(x.value)
	if err != nil {
		return err
	}
	if r.TS == 0 {
		r.TS = ts
	}
	m.changes = append(m.changes, lockChange{key: string(x.key), record: r, of: true})
	return w.Set(x.key, r.encode())
}
