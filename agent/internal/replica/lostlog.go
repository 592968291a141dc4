package replica

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// LostLogError stops a replica whose leader has its word for entries that its log
// does not hold: it acknowledged them, and they are gone. What else it promised is
// in doubt too, so it takes part no more, not after a restart either; it counts as
// lost, and is replaced.
type LostLogError struct {
	Acknowledged uint64 // the leader has the replica's word up to here
	Last         uint64 // the log ends here
}

func (e *LostLogError) Error() string {
	return fmt.Sprintf("its log lost entries that it had acknowledged: it ends at %d, the leader has its word for %d; the disk is suspect", e.Last, e.Acknowledged)
}

// lostLog compares a heartbeat with the log. A leader commits to a follower no
// more than the follower acknowledged in the leader's term; raft itself panics
// if that is more than there is.
func (r *Replica) lostLog(m *pb.Message) error {
	if m.GetType() != pb.MsgHeartbeat || m.GetTerm() < r.term {
		return nil
	}
	last, err := r.log.LastIndex()
	if err == nil && m.GetCommit() > last {
		err = &LostLogError{Acknowledged: m.GetCommit(), Last: last}
	}
	return err
}

const lostLogFormat = 1

// WriteLost makes the stop of a replica outlive the process.
func WriteLost(w storage.Writer, r *Replica, e *LostLogError) error {
	return w.Set(keys.RaftLost(r.rangeID), e.encode())
}

// loadLost finds the stop of an earlier process.
func (r *Replica) loadLost() error {
	v, ok, err := r.cfg.Engine.Get(keys.RaftLost(r.rangeID))
	if err != nil || !ok {
		return err
	}
	e, err := decodeLostLog(v)
	if err != nil {
		return err
	}
	r.failed = e
	return nil
}

func (e *LostLogError) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{lostLogFormat}, e.Acknowledged)
	return binary.BigEndian.AppendUint64(b, e.Last)
}

func decodeLostLog(b []byte) (*LostLogError, error) {
	if len(b) != 17 || b[0] != lostLogFormat {
		return nil, fmt.Errorf("%w: record of a lost log", storage.ErrCorruption)
	}
	return &LostLogError{Acknowledged: binary.BigEndian.Uint64(b[1:]), Last: binary.BigEndian.Uint64(b[9:])}, nil
}
