package replica

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// StateMachine is what a range replicates. Package datastate and package
// metastate satisfy it.
type StateMachine interface {
	// Apply applies the command of the entry at index, reading and writing
	// through rw only, and returns its result. It is deterministic and never
	// fails: a refusal is a result, and so is malformed input. An error means
	// that the engine failed: the replica stops. command is valid during the call.
	Apply(rw storage.ReadWriter, desc *cluster.RangeDescriptor, index uint64, ts hlc.Timestamp, command []byte) (result []byte, err error)
	// Reload is called after open and after a snapshot was installed, with the
	// new state.
	Reload(r storage.Reader) error
}
