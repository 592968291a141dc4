package sim

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Reads of the past by replicas that follow: what one finds must be what the key held
// then, for ever, as the leader says it too (World.reread, and the end of the run).

// beginPast has replicas be read, here and there.
func (w *World) beginPast() { w.After(w.ms(300, 800), w.readPast) }

func (w *World) readPast() {
	if w.now > w.cfg.Duration-w.quiet() {
		return
	}
	w.After(w.ms(10, 100), w.readPast)
	at := w.homeOfPool(place{id: cluster.RangeID(2 + w.rng.IntN(w.cfg.Ranges)), key: w.rng.IntN(w.cfg.Keys)})
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.Up() || !n.awake() {
		return
	}
	id, ok := n.holder(at)
	if !ok {
		return
	}
	n.do(func() { n.readPast(at, id) })
}

// holder is the range that, as far as the node's own replicas know, holds a key.
func (n *Node) holder(at place) (cluster.RangeID, bool) {
	for _, st := range n.core.Status() {
		if d := st.Descriptor; st.Applied > 0 && d.Contains(at.pool, at.bound()) {
			return d.ID, true
		}
	}
	return 0, false
}

// readPast reads at a time that is closed at the replica here, most often the latest.
func (n *Node) readPast(at place, id cluster.RangeID) {
	w := n.w
	if w.chance(30) {
		n.core.AskClosed(id)
	}
	p, ok := n.core.Past(id)
	if !ok {
		return
	}
	ts, _ := p.Closed()
	if w.chance(30) {
		ts = ts.Add(-w.ms(0, 3000))
	}
	q, lack := p.Begin(ts, false)
	if lack != cluster.PastServes || ts == 0 {
		return
	}
	k := &call{c: &client{w: w}, ts: ts}
	k.op.at = at
	if store.Meets(id, q.Mirror(), evaluation.Query{Rows: [][]byte{at.row()}, TS: ts}) != nil {
		return // the leader's to decide
	}
	v, err := k.look(&store.ReadHandle{Reader: n.engine, Descriptor: *q.Descriptor}, nil)
	n.later(w.ms(0, 2), func() { // the process may stop in between
		if !q.Check() || err != nil || q.Refuses() != nil {
			return
		}
		k.note(v, nil)
		if st, ok := n.core.RangeStatus(id); ok && st.Leader != n.id {
			w.Stats.PastReads++
			w.Stats.Words = max(w.Stats.Words, int(p.Words())) //nolint:gosec // a few
		}
	})
}

// watchClosed looks, whenever a node has done something, up to where its replicas take
// time for closed: who comes to lead later writes above it.
func (w *World) watchClosed(n *Node, id cluster.RangeID) {
	if p, ok := n.core.Past(id); ok {
		ts, _ := p.Closed()
		w.over[id] = max(w.over[id], ts)
	}
}

// forgetClosed is for moments in which all nodes have stopped and time goes back.
func (w *World) forgetClosed() { w.over = map[cluster.RangeID]hlc.Timestamp{} }
