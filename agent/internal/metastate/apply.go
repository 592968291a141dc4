package metastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Apply applies the command of the entry at index: replica.StateMachine.
func (m *Machine) Apply(w storage.Writer, _ *cluster.RangeDescriptor, index uint64, ts hlc.Timestamp, command []byte) ([]byte, error) {
	return m.apply(w, index, ts, command)
}

// Reload rebuilds the view from the records in r.
func (m *Machine) Reload(r storage.Reader, _ *cluster.RangeDescriptor) (err error) {
	span := keys.RecordSpan(cluster.MetaRangeID)
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return fmt.Errorf("reload the meta range: %w", err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			err = fmt.Errorf("reload the meta range: %w", e)
		}
	}()
	started := false
	return m.load(func() (key, value []byte, err error) {
		step := it.Next
		if !started {
			step, started = it.First, true
		}
		if !step() {
			return nil, nil, it.Err()
		}
		return it.Key(), it.Value(), nil
	})
}
