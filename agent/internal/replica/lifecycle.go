package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// initial is where every range's log begins, so that an empty log is never
// mistaken for one and a new replica always needs a snapshot.
var initial = raftlog.Position{Index: 10, Term: 5}

// LoadIdentity reads which replica of the range this node holds.
func LoadIdentity(r storage.Reader, id cluster.RangeID) (*Identity, error) {
	v, ok, err := r.Get(keys.RaftReplica(id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &RangeNotFoundError{Range: id}
	}
	return decodeIdentity(v)
}

// List returns the ranges of which this node holds a replica, in order.
func List(r storage.Reader) ([]cluster.RangeID, error) {
	all := keys.RaftAll()
	it, err := r.NewIter(all.Start, all.End)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	var ids []cluster.RangeID
	for ok := it.First(); ok; {
		id, err := keys.DecodeRaftRange(it.Key())
		if err != nil {
			_ = it.Close()
			return nil, fmt.Errorf("list replicas: %w", err)
		}
		ids = append(ids, id)
		ok = it.SeekGE(keys.RaftSpan(id).End)
	}
	return ids, it.Close()
}

// Tombstone returns the lowest replica id that the range may have on this node.
func Tombstone(r storage.Reader, id cluster.RangeID) (cluster.ReplicaID, error) {
	v, ok, err := r.Get(keys.ReplicaTombstone(id))
	if err != nil || !ok {
		return 0, err
	}
	return decodeTombstone(v)
}

// WriteTombstone says that no replica of the range below next may come here.
func WriteTombstone(w storage.Writer, id cluster.RangeID, next cluster.ReplicaID) error {
	return w.Set(keys.ReplicaTombstone(id), encodeTombstone(next))
}

// WriteNew writes a replica without state, which waits for a snapshot.
func WriteNew(w storage.Writer, id cluster.ReplicaID, d *cluster.RangeDescriptor) error {
	v, err := encodeIdentity(&Identity{ID: id, Descriptor: *d})
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	return w.Set(keys.RaftReplica(d.ID), v)
}

// WriteBootstrap writes a replica that has the state of an empty range.
func WriteBootstrap(w *storage.Batch, id cluster.ReplicaID, d *cluster.RangeDescriptor) error {
	return writeInitial(w, id, d, appliedState{Counted: true})
}

// writeInitial writes a replica whose log is empty and whose state is applied.
func writeInitial(w *storage.Batch, id cluster.ReplicaID, d *cluster.RangeDescriptor, applied appliedState) error {
	if err := WriteNew(w, id, d); err != nil {
		return err
	}
	hs := &pb.HardState{Term: new(initial.Term), Commit: new(initial.Index)}
	if err := raftlog.WriteReset(w, d.ID, initial, hs); err != nil {
		return err
	}
	v, err := encodeDescriptor(d)
	if err != nil {
		return fmt.Errorf("encode descriptor: %w", err)
	}
	if err := w.Set(keys.RangeDescriptor(d.ID), v); err != nil {
		return err
	}
	applied.Index, applied.Term = initial.Index, initial.Term
	return w.Set(keys.RangeApplied(d.ID), applied.encode())
}

// WriteDestroyed removes all of a replica and leaves the tombstone: no replica
// of the range below next may ever be on this node again. It removes the spans
// of a replica without state too: a snapshot may be on its way to them, written
// just before.
func WriteDestroyed(w storage.Writer, d *cluster.RangeDescriptor, next cluster.ReplicaID) error {
	if err := WriteTombstone(w, d.ID, next); err != nil {
		return err
	}
	for _, s := range append(Spans(d), keys.RaftSpan(d.ID)) {
		if err := w.DeleteRange(s.Start, s.End); err != nil {
			return fmt.Errorf("destroy replica of %s: %w", d.ID, err)
		}
	}
	return nil
}
