package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Stored is a replica as the disk has it, without running it.
type Stored struct {
	Descriptor cluster.RangeDescriptor // with no state yet: of the replica's creation
	Replica    cluster.ReplicaID
	HasState   bool // false: it waits for its first snapshot
	Term, Vote uint64
	Commit     uint64
	// Applied and AppliedTerm are where the state machine is.
	Applied, AppliedTerm uint64
	First, Last          uint64 // of the log; First > Last: it is empty
	LogBytes             int64
	// Counts is what the range holds, Counted whether exactly that.
	Counts  cluster.Counts
	Counted bool
}

// ReadStored reads the stored replica of a range. It changes nothing.
func ReadStored(r storage.Reader, id cluster.RangeID) (*Stored, error) {
	ident, err := LoadIdentity(r, id)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", id, err)
	}
	s := &Stored{Descriptor: ident.Descriptor, Replica: ident.ID}
	v, ok, err := r.Get(keys.RangeDescriptor(id))
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", id, err)
	}
	if ok {
		d, err := decodeDescriptor(v)
		if err != nil {
			return nil, fmt.Errorf("inspect %s: %w", id, err)
		}
		s.Descriptor, s.HasState = *d, true
	}
	if v, ok, err = r.Get(keys.RangeApplied(id)); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", id, err)
	}
	if ok {
		a, err := decodeApplied(v)
		if err != nil {
			return nil, fmt.Errorf("inspect %s: %w", id, err)
		}
		s.Applied, s.AppliedTerm, s.Counts, s.Counted = a.Index, a.Term, a.Counts, a.Counted
	}
	log, err := raftlog.Load(r, id, s.Applied, raftlog.Source{ConfState: func() *pb.ConfState { return confState(&s.Descriptor) }})
	if err != nil {
		return s, fmt.Errorf("inspect %s: %w", id, err)
	}
	hs, _, _ := log.InitialState()
	s.Term, s.Vote, s.Commit = hs.GetTerm(), hs.GetVote(), hs.GetCommit()
	s.First, s.Last, s.LogBytes = log.Truncated().Index+1, 0, log.Bytes()
	s.Last, _ = log.LastIndex()
	return s, nil
}
