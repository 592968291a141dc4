package sim

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// lowerAll is what an operator does whose nodes began ahead of the time: all of them
// stop, and each one's clock is lowered to the same time, if its store holds nothing
// at that time or above (nodedb-agent clock). Where the power was cut, the newest
// entries are in logs only.
func (w *World) lowerAll() {
	if slices.ContainsFunc(w.nodes, func(n *Node) bool { return n.disk != nil || n.torn != nil || n.lost || n.clockWrong() }) {
		return
	}
	w.age++ // messages on their way belong to processes that are gone
	for _, n := range w.nodes {
		n.crash()
	}
	to := w.truth().Add(w.ms(-1000, 2000)).Truncate(time.Millisecond)
	for _, n := range w.nodes {
		if !w.gone(n.id) {
			n.lower(to)
		}
	}
	// Nothing keeps later writes below what was read at times above.
	w.history.forgetAbove(hlc.New(to))
	w.scanner.forget()
	w.forgetClosed()
	for _, c := range w.clients {
		c.forget()
	}
}

func (n *Node) lower(to time.Time) {
	e, err := storage.Open(storage.Options{Dir: "store", FS: n.fs, Deterministic: true})
	if err != nil {
		n.w.fail("lower the clock of %s: %v", n.id, err)
		return
	}
	var above *store.AboveError
	switch _, err = store.LowerCeiling(e, to, n.w.cfg.Planted); {
	case errors.As(err, &above):
		n.w.Stats.NotLowered++
	case err != nil:
		n.w.fail("lower the clock of %s: %v", n.id, err)
	default:
		n.w.Stats.Lowered++
		n.checkLogs(e, hlc.New(to))
	}
	if err := e.Close(); err != nil {
		n.w.fail("close engine of %s: %v", n.id, err)
	}
}

// checkLogs holds that no entry is at a time that a proof says nothing is at.
func (n *Node) checkLogs(e *storage.Engine, to hlc.Timestamp) {
	ids, err := replica.List(e)
	if err != nil {
		n.w.fail("list replicas of %s: %v", n.id, err)
		return
	}
	for _, id := range ids {
		for _, x := range n.logOf(e, id) {
			if x.GetType() != pb.EntryNormal || len(x.GetData()) < 26 {
				continue
			}
			if ts := hlc.Timestamp(binary.BigEndian.Uint64(x.GetData()[18:])); ts >= to {
				n.w.fail("the clock of %s was lowered to %s, and its log of %s holds %s", n.id, to, id, ts)
			}
		}
	}
}

func (n *Node) logOf(e *storage.Engine, id cluster.RangeID) []*pb.Entry {
	s, err := replica.ReadStored(e, id)
	if err != nil || s.First > s.Last {
		return nil
	}
	log, err := raftlog.Load(e, id, s.Applied, raftlog.Source{ConfState: func() *pb.ConfState { return &pb.ConfState{} }})
	if err == nil {
		var entries []*pb.Entry
		if entries, err = log.Entries(s.First, s.Last+1, 1<<40); err == nil {
			return entries
		}
	}
	n.w.fail("read log of %s on %s: %v", id, n.id, err)
	return nil
}

// forgetAbove drops what was read at ts or above.
func (h *history) forgetAbove(ts hlc.Timestamp) {
	h.snapshots = slices.DeleteFunc(h.snapshots, func(s snapshotRead) bool { return s.ts >= ts })
	h.spans = slices.DeleteFunc(h.spans, func(s spanRead) bool { return s.ts >= ts })
}
