package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Machine is the state machine of one data range; it satisfies replica.StateMachine.
type Machine struct {
	support gate.Support
	added   cluster.Counts // by commands, since TakeCounts
	meter   Meter
}

// New returns the state machine of an empty range, of this binary.
func New() *Machine { return NewFor(gate.Binary()) }

// NewFor returns the state machine of a binary that supports s.
func NewFor(s gate.Support) *Machine { return &Machine{support: s} }

// Meter hears of the load; it must not influence what it measures.
type Meter interface {
	// Wrote says that a row of the range was written; row is valid during the call.
	Wrote(id cluster.RangeID, row []byte)
}

// NewMetered returns the state machine of an empty range, whose writes meter hears of.
func NewMetered(meter Meter) *Machine { return &Machine{support: gate.Binary(), meter: meter} }

// Reload has nothing to do: all state is read where it is used.
func (m *Machine) Reload(storage.Reader) error { return nil }

// Apply evaluates command against the state in rw and, if every condition
// holds, writes its versions at ts. An error means that the engine failed.
func (m *Machine) Apply(rw storage.ReadWriter, desc *cluster.RangeDescriptor, _ uint64, ts hlc.Timestamp, command []byte) ([]byte, error) {
	b, err := DecodeBatch(command, m.support)
	if err != nil {
		return nil, err // another binary may read it and write: this replica has to stop
	}
	if hasDuplicates(b) {
		return EncodeResult(&Result{Outcome: Malformed}), nil
	}
	found := make([]Version, len(b.Ops))
	for i := range b.Ops {
		var refusal *Result
		if refusal, found[i], err = check(rw, desc, &b.Ops[i]); err != nil {
			return nil, fmt.Errorf("check op %d: %w", i, err)
		}
		if refusal != nil {
			refusal.FailedOp = i
			return EncodeResult(refusal), nil
		}
	}
	for i := range b.Ops {
		if err := m.write(rw, desc.ID, b, i, ts, &found[i]); err != nil {
			return nil, fmt.Errorf("write op %d: %w", i, err)
		}
	}
	return EncodeResult(&Result{Outcome: Applied}), nil
}

// hasDuplicates reports whether two ops name one row: both would write the same
// version, and the order would decide.
func hasDuplicates(b *Batch) bool {
	if len(b.Ops) < 2 {
		return false
	}
	seen := make(map[string]struct{}, len(b.Ops))
	for i := range b.Ops {
		seen[string(b.Ops[i].Row)] = struct{}{}
	}
	return len(seen) < len(b.Ops)
}

// write adds a version over the one that was found.
func (m *Machine) write(w storage.Writer, id cluster.RangeID, b *Batch, i int, ts hlc.Timestamp, found *Version) error {
	op := &b.Ops[i]
	key, value := keys.Version(op.Row, ts), encodeVersion(op, b.Writer)
	if err := w.Set(key, value); err != nil {
		return err
	}
	m.added = m.added.Plus(found.counted(op.Kind == Delete, int64(len(key)+len(value))))
	if m.meter != nil {
		m.meter.Wrote(id, op.Row)
	}
	return nil
}

// check evaluates op's condition, on the newest version that it found.
func check(r storage.Reader, desc *cluster.RangeDescriptor, op *Op) (refusal *Result, found Version, err error) {
	if _, err := keys.DecodeRow(op.Row); err != nil || !keys.Owns(desc, op.Row) {
		return &Result{Outcome: WrongRange}, found, nil //nolint:nilerr // a row of no range is refused, on every replica alike
	}
	if found, err = Read(r, op.Row, hlc.Max); err != nil {
		return nil, found, err
	}
	if op.Expect.holds(op.ExpectTS, found.TS, found.Live) {
		return nil, found, nil
	}
	return &Result{Outcome: ConditionFailed, Existing: found.Value, ExistingTS: found.TS}, found, nil
}

func (c Condition) holds(want, version hlc.Timestamp, present bool) bool {
	switch c {
	case Any:
		return true
	case Absent:
		return !present
	case Present:
		return present
	case VersionIs:
		return present && version == want
	case NotNewerThan:
		return version <= want
	}
	return false
}
