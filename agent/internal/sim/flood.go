package sim

import (
	"encoding/binary"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Of a crowded run: a node's core takes time, a millisecond for each request and each
// batch, and what it has no time for waits in its lanes.
const (
	eachTakes = time.Millisecond
	// crowdRoom is how many requests wait: two seconds of work, longer than support
	// lasts.
	crowdRoom = 2048
	// floodLasts is several times that.
	floodLasts = 9 * time.Second
	// floodEach is how many requests come to a node in a millisecond.
	floodEach = 3
	// lookEvery is how often leases are looked at, and handedOver in how many looks one
	// may be missing: a leadership that is handed over takes less.
	lookEvery  = 200 * time.Millisecond
	handedOver = 3
)

// crowded makes a run in which requests come faster than cores take them.
func crowded(c *Config) {
	c.Operate, c.Steady, c.Crowded, c.Clients = true, true, true, 2
	c.Nodes, c.Duration, c.Extra = 3, 48*time.Second, (*World).flood
}

// lanes are what waits for a node's core, in a crowded run.
type lanes struct {
	*store.Lanes
	working bool // a round is under way
	work    store.Share
}

func newLanes(planted replica.Planted) *lanes {
	return &lanes{Lanes: store.NewLanes(store.LaneLimits{Requests: crowdRoom, Bytes: 1 << 20, ShareRequests: 16, ShareBytes: 4 << 10}, planted)}
}

// ask gives the node's core a request, through its lane if it has some.
func (n *Node) ask(l store.Lane, fn func()) {
	if n.lanes == nil {
		fn()
		return
	}
	if n.lanes.Ask(l, false, n.w.now, func(*store.Core) { fn() }) {
		n.beginRound()
	}
}

// hear gives it a batch.
func (n *Node) hear(from cluster.NodeID, batch []byte) error {
	if n.lanes == nil {
		return n.core.HandleRaft(from, batch)
	}
	if n.lanes.Message(store.RaftBatch{From: from, Bytes: batch}, n.w.now) {
		n.beginRound()
	}
	return nil
}

func (n *Node) beginRound() {
	if !n.lanes.working {
		n.lanes.working = true
		n.later(0, n.round)
	}
}

// round has the core do its share, and is busy for as long as that takes.
func (n *Node) round() {
	l := n.lanes
	l.Take(&l.work, n.w.now)
	for _, b := range l.work.Batches {
		if n.core.HandleRaft(b.From, b.Bytes) != nil {
			n.refused++
		}
	}
	for _, fn := range l.work.Requests {
		fn(n.core)
	}
	done := len(l.work.Batches) + len(l.work.Requests)
	if l.working = done > 0; l.working {
		n.later(time.Duration(done)*eachTakes, n.round)
	}
}

// flood has every node asked for one range, more than it can do, and wants what keeps
// the cluster alive to go on: leases of ranges that have a leader, commands of the meta
// range.
func (w *World) flood() {
	begun, ends := w.now, w.now+floodLasts
	id := w.anyRange()
	var pour func()
	pour = func() {
		for _, n := range w.nodes {
			for range floodEach {
				n.do(func() { n.ask(store.Bulk, func() { n.refusable(id) }) })
			}
		}
		if w.now < ends {
			w.After(time.Millisecond, pour)
		}
	}
	pour()
	missed := map[cluster.RangeID]int{}
	var look func()
	look = func() {
		for _, r := range append(w.recorded(), cluster.MetaRangeID) {
			n, st, ok := w.Leader(r)
			if missed[r]++; ok && n.core.Lease(r).Held {
				missed[r] = 0
			}
			if missed[r] > handedOver { // coordinators may have it led elsewhere
				w.fail("%s has no lease %s into a flood of requests for %s: led %v, term %d", r, w.now-begun, id, ok, st.Term)
			}
		}
		w.command()
		if w.now < ends {
			w.After(lookEvery, look)
		}
	}
	w.After(time.Second, look) // by then the lanes are full
}

// commandTakes is how long a command of the meta range may take in a flood: a round of
// the core on two nodes each way, each of which is over within a twentieth of a second.
const commandTakes = time.Second

// command has the meta range apply something, in time.
func (w *World) command() {
	n, st, ok := w.Leader(cluster.MetaRangeID)
	if !ok {
		w.fail("the meta range has no leader in a flood")
		return
	}
	applied := false
	n.do(func() {
		n.ask(store.Urgent, func() {
			n.propose(metastate.Command{RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
				Kind: cluster.EventMemoryFull, Severity: cluster.SeverityInfo, Node: n.id, Source: n.id, Text: "a flood",
			}}}}, func(_ metastate.Result, err error) { applied = err == nil })
		})
	})
	w.After(commandTakes, func() {
		if now, s, ok := w.Leader(cluster.MetaRangeID); ok && now == n && s.Term == st.Term && !applied {
			w.fail("a command of the meta range was not applied in %s of a flood", commandTakes)
		}
	})
	w.Stats.Commands++
}

// refusable is a request that its range refuses, once its leadership is confirmed: a
// row is not at the version that it names.
func (n *Node) refusable(id cluster.RangeID) {
	if !n.awake() {
		return
	}
	b := &datastate.Batch{Ops: []datastate.Op{{Row: place{id: id}.row(), Kind: datastate.Put, Value: []byte("flood"), Expect: datastate.VersionIs, ExpectTS: 1}}}
	p := &replica.Proposal{Payload: datastate.EncodeBatch(b), Done: func(o replica.Outcome) { n.w.Stats.Flooded++ }}
	binary.BigEndian.PutUint64(p.ID[:], uint64(n.clock.Now()))
	binary.BigEndian.PutUint64(p.ID[8:], n.w.rng.Uint64())
	n.core.Propose(id, p)
}
