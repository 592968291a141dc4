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
}

// New returns the state machine of an empty range, of this binary.
func New() *Machine { return NewFor(gate.Binary()) }

// NewFor returns the state machine of a binary that supports s.
func NewFor(s gate.Support) *Machine { return &Machine{support: s} }

// NewPlanted is NewFor with faults that tests plant.
func NewPlanted(s gate.Support, p Planted) *Machine { return &Machine{support: s, planted: p} }

// Meter hears of the load; it must not influence what it measures.
type Meter interface {
	// Wrote says that a row of the range was written; row is valid during the call.
	Wrote(id cluster.RangeID, row []byte)
}

// NewMetered returns the state machine of an empty range, whose writes meter hears of.
func NewMetered(meter Meter) *Machine { return &Machine{support: gate.Binary(), meter: meter} }

// Reload has nothing to do: all state is read where it is used.
func (m *Machine) Reload(storage.Reader) error { return nil }

// Open reads a batch; it satisfies replica.Evaluator.
func (m *Machine) Open(request []byte) (evaluation.Request, error) {
	b, err := DecodeBatch(request, m.support)
	if err != nil {
		return nil, err // and no typed nil
	}
	b.planted, b.threshold = m.planted, &m.threshold
	return b, nil
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
	if c.garbage != nil {
		applied, err = m.writeGarbage(w, desc, c.garbage)
		if applied {
			m.added = m.added.Plus(c.adds)
		}
		return nil, applied, err
	}
	for i := range c.writes {
		if !owns(desc, c.writes[i].row) {
			return EncodeResult(&Result{Outcome: WrongRange, FailedOp: i}), false, nil
		}
	}
	for i := range c.writes {
		if err := w.Set(keys.Version(c.writes[i].row, ts), c.writes[i].stored); err != nil {
			return nil, false, fmt.Errorf("write row %d: %w", i, err)
		}
		if m.meter != nil {
			m.meter.Wrote(desc.ID, c.writes[i].row)
		}
	}
	m.added = m.added.Plus(c.adds)
	return EncodeResult(&Result{Outcome: Applied}), true, nil
}
