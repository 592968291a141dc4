package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// timesChunk is how many bytes of a log are read at once.
const timesChunk = 4 << 20

// Newest is the newest timestamp of something, and where it is.
type Newest struct {
	TS    hlc.Timestamp
	Where string
}

func (n *Newest) note(ts hlc.Timestamp, format string, args ...any) {
	if ts > n.TS {
		n.TS, n.Where = ts, fmt.Sprintf(format, args...)
	}
}

// ReadNewest returns the newest timestamp in the stored replica of a range: of what
// it has applied, and of every entry of its log, committed or not. It changes
// nothing.
func ReadNewest(r storage.Reader, id cluster.RangeID, planted Planted) (Newest, error) {
	var n Newest
	v, ok, err := r.Get(keys.RangeApplied(id))
	if err != nil {
		return n, fmt.Errorf("read times of %s: %w", id, err)
	}
	var applied appliedState
	if ok {
		if applied, err = decodeApplied(v); err != nil {
			return n, fmt.Errorf("read times of %s: %w", id, err)
		}
		n.note(max(applied.LastTS, applied.Forgotten), "what %s has applied", id)
	}
	if planted.ProvesWithoutLog() {
		return n, nil
	}
	log, err := raftlog.Load(r, id, applied.Index, raftlog.Source{ConfState: func() *pb.ConfState { return &pb.ConfState{} }})
	if err != nil {
		return n, fmt.Errorf("read times of %s: %w", id, err)
	}
	first, _ := log.FirstIndex()
	last, _ := log.LastIndex()
	for first <= last {
		entries, err := log.Entries(first, last+1, timesChunk)
		if err != nil {
			return n, fmt.Errorf("read times of %s: %w", id, err)
		}
		for _, e := range entries {
			if err := n.entry(id, e); err != nil {
				return n, fmt.Errorf("read times of %s: entry %d: %w", id, e.GetIndex(), err)
			}
		}
		first += uint64(len(entries))
	}
	return n, nil
}

func (n *Newest) entry(id cluster.RangeID, e *pb.Entry) error {
	if e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		return nil // it has no timestamp
	}
	env, err := decodeEnvelope(e.GetData())
	if err != nil {
		return err
	}
	n.note(max(env.ts, env.id.Timestamp()), "the log of %s, entry %d", id, e.GetIndex())
	return nil
}
