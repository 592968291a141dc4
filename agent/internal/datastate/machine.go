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
// It counts what each vshard of the range holds, and stores that beside the rows.
type Machine struct {
	support gate.Support
	counts  counts
	meter   Meter
}

// New returns the state machine of an empty range, of this binary.
func New() *Machine { return NewFor(gate.Binary()) }

// NewFor returns the state machine of a binary that supports s.
func NewFor(s gate.Support) *Machine { return &Machine{support: s} }

// Meter hears of the load; it must not influence what it measures.
type Meter interface {
	// Wrote says that n rows of v were written.
	Wrote(v cluster.VShard, n int)
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
	live := make([]bool, len(b.Ops))
	for i := range b.Ops {
		refusal, present, err := check(rw, desc, &b.Ops[i])
		if err != nil {
			return nil, fmt.Errorf("check op %d: %w", i, err)
		}
		if refusal != nil {
			refusal.FailedOp = i
			return EncodeResult(refusal), nil
		}
		live[i] = present
	}
	for i := range b.Ops {
		if err := m.write(rw, &b.Ops[i], ts, live[i]); err != nil {
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

func (m *Machine) write(w storage.Writer, op *Op, ts hlc.Timestamp, live bool) error {
	key, value := keys.Version(op.Row, ts), encodeVersion(op)
	if err := w.Set(key, value); err != nil {
		return err
	}
	v, _, _, err := keys.DecodeRow(op.Row)
	if err != nil {
		return err // check has decoded it
	}
	rows := int64(0)
	switch {
	case op.Kind == Put && !live:
		rows = 1
	case op.Kind == Delete && live:
		rows = -1
	}
	m.counts.add(v, rows, int64(len(key)+len(value)))
	if m.meter != nil {
		m.meter.Wrote(v, 1)
	}
	return nil
}

// check evaluates op's condition. present says whether the row has a value now.
func check(r storage.Reader, desc *cluster.RangeDescriptor, op *Op) (refusal *Result, present bool, err error) {
	v, _, _, err := keys.DecodeRow(op.Row)
	if err != nil || !desc.Contains(v) {
		return &Result{Outcome: WrongRange}, false, nil //nolint:nilerr // a row of no range is refused, on every replica alike
	}
	value, version, present, err := Get(r, op.Row, hlc.Max)
	if err != nil {
		return nil, false, err
	}
	if op.Expect.holds(op.ExpectTS, version, present) {
		return nil, present, nil
	}
	return &Result{Outcome: ConditionFailed, Existing: value, ExistingTS: version}, present, nil
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
