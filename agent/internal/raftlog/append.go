package raftlog

import (
	"fmt"
	"math"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Append is what one replica wants written before it goes on. It holds nothing
// but its own copies and entries that never change.
type Append struct {
	Range     cluster.RangeID
	Entries   []*pb.Entry
	HardState *pb.HardState // nil: unchanged

	// replaces is the last index that the log on disk may hold when this is
	// written: entries after the new ones and up to it must go.
	replaces uint64
}

// Empty reports whether there is nothing to write.
func (a *Append) Empty() bool { return len(a.Entries) == 0 && a.HardState == nil }

// Write adds the append to w. Entries are encoded where they stay.
func (a *Append) Write(w *storage.Batch) error {
	for _, e := range a.Entries {
		f := w.Fill(keys.RaftEntryLen, entryLen(e))
		keys.AppendRaftEntry(f.Key[:0], a.Range, e.GetIndex())
		encodeEntry(f.Value[:0], e)
		if err := f.Done(); err != nil {
			return fmt.Errorf("append entry %d of %s: %w", e.GetIndex(), a.Range, err)
		}
	}
	if n := len(a.Entries); n > 0 && a.Entries[n-1].GetIndex() < a.replaces {
		from, to := keys.RaftEntry(a.Range, a.Entries[n-1].GetIndex()+1), keys.RaftEntry(a.Range, a.replaces+1)
		if err := w.DeleteRange(from, to); err != nil {
			return fmt.Errorf("drop replaced entries of %s: %w", a.Range, err)
		}
	}
	return writeHardState(w, a.Range, a.HardState)
}

func writeHardState(w storage.Writer, id cluster.RangeID, hs *pb.HardState) error {
	if hs == nil {
		return nil
	}
	if err := w.Set(keys.RaftHardState(id), encodeHardState(hs)); err != nil {
		return fmt.Errorf("write hard state of %s: %w", id, err)
	}
	return nil
}

// WriteReset makes the log of a range empty, to begin after at. With a
// storage.TableWriter it keeps the order that tables need.
func WriteReset(w Resetter, id cluster.RangeID, at Position, hs *pb.HardState) error {
	if err := w.DeleteRange(keys.RaftEntry(id, 0), keys.RaftEntry(id, math.MaxUint64)); err != nil {
		return fmt.Errorf("empty the log of %s: %w", id, err)
	}
	if hs != nil {
		if err := w.Set(keys.RaftHardState(id), encodeHardState(hs)); err != nil {
			return fmt.Errorf("write hard state of %s: %w", id, err)
		}
	}
	if err := w.Set(keys.RaftTruncated(id), encodePosition(at)); err != nil {
		return fmt.Errorf("write truncated state of %s: %w", id, err)
	}
	return nil
}

// Resetter is what WriteReset needs of a batch or a table.
type Resetter interface {
	Set(key, value []byte) error
	DeleteRange(start, end []byte) error
}
