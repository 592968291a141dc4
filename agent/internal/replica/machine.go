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

// Counter is satisfied by a StateMachine that counts what its range holds, by
// vshard, so that both halves of a split know theirs. The replica stores the
// sums with the applied state.
type Counter interface {
	// LoadCounts is called after Reload: keys and bytes are what StoreCounts
	// returned when the state was stored.
	LoadCounts(r storage.Reader, d *cluster.RangeDescriptor, keys, bytes int64) error
	// StoreCounts writes what changed since, and returns what the vshards of d hold.
	StoreCounts(w storage.Writer, d *cluster.RangeDescriptor) (keys, bytes int64, err error)
}
