package store

import (
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// ReadHandle is a consistent view of a range's state. It must be closed.
type ReadHandle struct {
	Reader     storage.Reader
	Descriptor cluster.RangeDescriptor
	// Mirror is what transactions had left in the range just before the view was taken:
	// whoever reads looks there first. nil: of the meta range.
	Mirror evaluation.Mirror

	view   *view
	closed atomic.Bool
}

// Close releases the view. Iterators must be closed before. Only the first call
// counts. A handle that a test made has no view.
func (h *ReadHandle) Close() {
	if h.closed.CompareAndSwap(false, true) && h.view != nil {
		h.view.release()
	}
}

// view is one snapshot that all reads of a round share.
type view struct {
	snap *storage.Snapshot
	refs atomic.Int64
}

func (v *view) release() {
	if v.refs.Add(-1) == 0 {
		_ = v.snap.Close() // fails only if it is closed twice
	}
}

// finishedRead is a read whose range has confirmed it in this round.
type finishedRead struct {
	desc   *cluster.RangeDescriptor
	mirror evaluation.Mirror
	ts     hlc.Timestamp
	from   *replica.LeaseReads // its range
	done   func(*ReadHandle, error)
}

// Read asks for a linearizable view at the leader: leadership is confirmed, no
// later write commits at or below ts, and every earlier one is applied.
func (c *Core) Read(id cluster.RangeID, ts hlc.Timestamp, done func(*ReadHandle, error)) {
	s, err := c.serving(id)
	if err == nil {
		// A timestamp that is too far ahead would push all later writes there.
		err = c.observe(ts)
	}
	if err != nil {
		done(nil, err)
		return
	}
	if s.r.Leading() {
		c.leases.rounds.add(c.fallback(s.r, ts))
	}
	s.r.Read(&replica.Read{TS: ts, Done: func(err error) {
		if err != nil {
			done(nil, err)
			return
		}
		c.finished = append(c.finished, &finishedRead{desc: s.r.Descriptor(), mirror: s.r.Shown(), ts: ts, from: s.r.LeaseReads(), done: done})
	}})
}

// ReadLocal returns what this node's replica has applied.
func (c *Core) ReadLocal(id cluster.RangeID) (*ReadHandle, error) {
	s, ok := c.slots[id]
	if !ok || s.destroying {
		return nil, &RangeNotFoundError{Range: id}
	}
	mirror := s.r.Shown()
	v := &view{snap: c.cfg.Engine.NewSnapshot()}
	v.refs.Store(1)
	return &ReadHandle{Reader: v.snap, Descriptor: *s.r.Descriptor(), Mirror: mirror, view: v}, nil
}

// handOut gives the reads of this round their view: one snapshot, taken after
// everything that any of them had to wait for.
func (c *Core) handOut() {
	if len(c.finished) == 0 {
		return
	}
	reads := c.finished
	c.finished = nil
	v := &view{snap: c.cfg.Engine.NewSnapshot()}
	v.refs.Store(int64(len(reads)))
	for _, f := range reads {
		if err := f.from.Refuses(f.ts); err != nil {
			v.release()
			f.done(nil, err)
			continue
		}
		f.done(&ReadHandle{Reader: v.snap, Descriptor: *f.desc, Mirror: f.mirror, view: v}, nil)
	}
}
