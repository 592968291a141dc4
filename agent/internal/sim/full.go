package sim

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// full is a disk without room: the next write of the log finds none, or the node has
// found out before that even its reserve is used up.
type full struct {
	next  bool // the next write of the log fails
	now   bool // it is being written
	spent map[cluster.RangeID]uint64
}

// room is asked ahead of each write of the node's log.
func (n *Node) room() error {
	if !n.full.now {
		return nil
	}
	return &os.PathError{Op: "write", Path: "log", Err: syscall.ENOSPC}
}

// writeFull has the log writer find the disk full in the middle of a batch. The process
// ends, and is started when there is room again.
func (n *Node) writeFull(b *store.LogBatch) {
	n.full.now = true
	err := b.Write(n.engine)
	n.full = full{}
	n.broken = true
	back := n.w.ms(500, 4000)
	n.w.Stats.Filled++
	if err == nil && b.Synced() {
		n.core.BatchDone(b) // as its writer says: what it says is held against it
		n.pump()
	} else if err != nil && !errors.Is(err, storage.ErrDiskFull) {
		n.w.fail("%s, whose disk is full, ends with %v", n.id, err)
	}
	n.crashFor(back)
}

// fillDisks fills one disk after another, and nothing else goes wrong.
func (w *World) fillDisks() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch {
	case !w.faults || !n.up || n.full.next || n.full.spent != nil:
	case w.chance(50):
		n.full.next = true
	default:
		n.spend(w.ms(2000, 6000))
	}
	w.After(w.ms(2000, 7000), w.fillDisks)
}

// spend uses up even the reserve of the node's disk for a while.
func (n *Node) spend(d time.Duration) {
	n.w.Stats.Spent++
	n.full.spent = map[cluster.RangeID]uint64{}
	n.core.DiskSpent(true)
	n.later(d, func() {
		n.full.spent = nil
		n.core.DiskSpent(false)
	})
}

// checkSpent holds that no log of rows grows meanwhile, but for what the node itself
// has begun, and what tells of a new term or of replicas.
func (n *Node) checkSpent() {
	if n.full.spent == nil {
		return
	}
	for id := range n.full.spent {
		if _, ok := n.core.RangeStatus(id); !ok {
			delete(n.full.spent, id)
		}
	}
	for _, st := range n.core.Status() {
		id := st.Descriptor.ID
		raft, err := n.core.Inspect(id)
		if st.Descriptor.IsMeta() || err != nil {
			continue
		}
		was, known := n.full.spent[id]
		if st.IsLeader() || !known {
			n.full.spent[id] = raft.LastIndex
		} else if raft.LastIndex > was {
			n.w.fail("%s takes entries of %s, and has no room for them", n.id, id)
		}
	}
}
