package sim

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// full is a disk without room: the next write of the log finds none, or the node has
// found out before that even its reserve is used up.
type full struct {
	next  bool // the next write of the log fails
	now   bool // it is being written
	spent map[cluster.RangeID]uint64
	ticks int                        // since it was spent
	ran   int                        // since the start
	led   map[cluster.RangeID]uint64 // while most voters of those ranges have no room
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

// fillDisks fills one disk after another, or two at once, and nothing else goes wrong.
func (w *World) fillDisks() {
	for range 1 + w.rng.IntN(5)/4 {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		switch {
		case !w.faults || !n.up || n.full.next || n.full.spent != nil:
		case w.chance(40):
			n.full.next = true
		case w.chance(20):
			n.fill(store.RoomReserve, w.ms(2000, 6000))
		default:
			w.Stats.Spent++
			n.full.spent = map[cluster.RangeID]uint64{}
			n.fill(store.RoomNone, w.ms(2000, 8000))
		}
	}
	w.After(w.ms(2000, 7000), w.fillDisks)
}

// fill leaves only so much of the node's disk for a while.
func (n *Node) fill(room store.Room, d time.Duration) {
	n.core.DiskRoom(room)
	n.later(d, func() {
		n.full.spent, n.full.ticks, n.full.led = nil, 0, nil
		n.core.DiskRoom(store.RoomEnough)
	})
}

// checkSpent holds that no log of rows grows meanwhile by commands, but for what the
// node itself has begun.
func (n *Node) checkSpent() {
	n.checkProposed()
	if n.full.spent == nil {
		return
	}
	if n.full.ticks++; n.full.ticks <= store.NoticeTicks {
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
		if !known || st.IsLeader() {
			n.full.spent[id] = raft.LastIndex
			continue
		}
		count, seen := n.commands(&raft, was)
		if count > 0 {
			n.w.fail("%s takes entries of %s, and has no room for them", n.id, id)
		}
		n.full.spent[id] = seen
	}
}

// heardTicks is when a leader has heard that its peers' disks are full, in ticks: a
// question comes each three.
const heardTicks = store.NoticeTicks + 10

// checkProposed holds that a leader proposes no commands that most of the range's voters
// would not take, and that it has heard that from.
func (n *Node) checkProposed() {
	if n.full.ran++; n.full.ran <= heardTicks {
		return
	}
	led := map[cluster.RangeID]uint64{}
	for _, st := range n.core.Status() {
		d := &st.Descriptor
		if !st.IsLeader() || d.IsMeta() || d.Joint() || n.w.spentOf(d)*2 <= len(d.Voters()) {
			continue
		}
		raft, err := n.core.Inspect(d.ID)
		if err != nil {
			continue
		}
		was, known := n.full.led[d.ID]
		if !known {
			led[d.ID] = raft.LastIndex
			continue
		}
		count, seen := n.commands(&raft, was)
		if count > 0 {
			n.w.fail("%s proposes in %s, and %d of %d voters have no room", n.id, d.ID, n.w.spentOf(d), len(d.Voters()))
		}
		led[d.ID] = seen
	}
	n.full.led = led
}

// commands counts the entries of a range's log above an index, as far as they are
// written, that neither are of a new leader nor change replicas, and returns up to where
// it has looked.
func (n *Node) commands(r *cluster.RaftState, above uint64) (count int, seen uint64) {
	id := r.Status.Descriptor.ID
	for seen = max(above, r.FirstIndex-1); seen < r.LastIndex; seen++ {
		v, ok, err := n.engine.Get(keys.RaftEntry(id, seen+1))
		switch {
		case err != nil:
			n.w.fail("entry %d of %s on %s: %v", seen+1, id, n.id, err)
			return count, seen
		case !ok:
			return count, seen // it is being written
		case pb.EntryType(v[1]) == pb.EntryNormal && len(v) > emptyEntry:
			count++
		}
	}
	return count, seen
}

// emptyEntry is the most that an entry without data takes: format, type, term.
const emptyEntry = 2 + 2

// spentOf is how many voters of a range have had no room for long.
func (w *World) spentOf(d *cluster.RangeDescriptor) (count int) {
	for _, o := range w.nodes {
		if slices.Contains(d.Voters(), o.id) && o.up && !o.paused && o.full.ticks > heardTicks {
			count++
		}
	}
	return count
}
