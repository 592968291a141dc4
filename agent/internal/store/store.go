package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Store runs the replicas of one node.
type Store struct{}

// Command is one command for a range's state machine.
type Command struct {
	// ID names the command through all of its retries: eight bytes of the
	// gateway's timestamp, big-endian, then eight random ones.
	ID [16]byte
	// Retry says that this is not the first attempt.
	Retry   bool
	Payload []byte
}

// ReadHandle is a consistent view of a range's state.
type ReadHandle struct {
	Reader     storage.Reader
	Descriptor cluster.RangeDescriptor
}

// Close releases the view.
func (h *ReadHandle) Close() {}

// Open starts the store.
func Open(cfg Config) (*Store, error) { return &Store{}, cfg.Validate() }

// Close stops everything that Open started. Requests that wait get ErrStopped,
// or an *AmbiguousError if they were proposed.
func (s *Store) Close() error { return nil }

// Propose replicates cmd and returns its result once it is applied here.
func (s *Store) Propose(ctx context.Context, id cluster.RangeID, cmd Command) (result []byte, ts hlc.Timestamp, err error) {
	return nil, 0, ErrStopped
}

// Read returns a linearizable view at the leader: leadership is confirmed, no
// later write commits at or below ts, and every earlier one is applied.
func (s *Store) Read(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp) (*ReadHandle, error) {
	return nil, ErrStopped
}

// ReadLocal returns what this node's replica has applied.
func (s *Store) ReadLocal(id cluster.RangeID) (*ReadHandle, error) { return nil, ErrStopped }

// ChangeReplicas makes one change at the leader and waits until it is applied.
func (s *Store) ChangeReplicas(ctx context.Context, id cluster.RangeID, change cluster.ReplicaChange) (*cluster.RangeDescriptor, error) {
	return nil, ErrStopped
}

// Transfer hands leadership to a node and waits until it leads.
func (s *Store) Transfer(ctx context.Context, id cluster.RangeID, to cluster.NodeID) error {
	return ErrStopped
}

// PrepareReplica makes an empty replica here that waits for a snapshot. It is
// durable and idempotent.
func (s *Store) PrepareReplica(ctx context.Context, desc cluster.RangeDescriptor, id cluster.ReplicaID) error {
	return ErrStopped
}

// DestroyReplica removes this node's replica of a range if its id is below minNext.
func (s *Store) DestroyReplica(ctx context.Context, id cluster.RangeID, minNext cluster.ReplicaID) error {
	return ErrStopped
}

// Status describes every replica on this node.
func (s *Store) Status() []cluster.RangeStatus { return nil }

// RangeStatus describes one replica.
func (s *Store) RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool) {
	return cluster.RangeStatus{}, false
}

// Bootstrap makes this node the single voter of each range. Only init does so.
func (s *Store) Bootstrap(ctx context.Context, descs []cluster.RangeDescriptor) error {
	return ErrStopped
}

// OnDescriptor sets what is called when the descriptor of a range that this node
// leads changed, or when it came to lead it. fn must not block.
func (s *Store) OnDescriptor(fn func(cluster.RangeDescriptor)) {}

// SetSnapshotRate changes the limit of snapshot bytes per second sent.
func (s *Store) SetSnapshotRate(bytesPerSecond int64) {}

// HandleRaft takes a batch that a peer's Sender sent. It does not block.
func (s *Store) HandleRaft(from cluster.NodeID, batch []byte) error { return ErrStopped }

// HandleSnapshot receives a snapshot that a peer's Sender sends.
func (s *Store) HandleSnapshot(ctx context.Context, from cluster.NodeID, header []byte, recv func() ([]byte, error)) ([]byte, error) {
	return nil, ErrStopped
}
