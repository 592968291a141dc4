package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// moment is what all disks held at one instant: a restore of everything to one
// snapshot brings the cluster back to it.
type moment struct {
	at        time.Duration
	disks     []*storage.MemFS
	ledgers   []ledger
	snapshots int // of the history, noted before
	spans     int
}

// backAll has all disks go back at once to one instant, some seconds after it.
func (w *World) backAll() {
	if slices.ContainsFunc(w.nodes, func(n *Node) bool { return n.disk != nil || n.torn != nil }) {
		w.After(200*time.Millisecond, w.backAll)
		return
	}
	m := &moment{at: w.now, snapshots: len(w.history.snapshots), spans: len(w.history.spans)}
	for _, n := range w.nodes {
		fs := n.cutPower()
		l := ledger{own: n.ledger.own, heard: maps.Clone(n.ledger.stored), stored: maps.Clone(n.ledger.stored)}
		m.disks, m.ledgers = append(m.disks, fs), append(m.ledgers, l)
	}
	w.After(w.ms(500, 4000), func() { w.restore(m) })
}

// restore puts every disk back. Nobody knows of anything later, and what was
// acknowledged since is lost: that is what was asked for. Messages that are on
// their way belong to processes that are gone. As all nodes start at once, it waits
// until most clocks are right.
func (w *World) restore(m *moment) {
	if w.mostWrong() {
		w.After(w.wrongUntil-w.now, func() { w.restore(m) })
		return
	}
	w.Stats.Restores++
	w.age++
	for i, n := range w.nodes {
		n.crash()
		n.fs, n.ledger, n.disk, n.old = m.disks[i], m.ledgers[i], nil, nil
		n.life++ // whoever was to start it, starts another disk
		life := n.life
		w.After(w.ms(200, 4000), func() {
			if n.life == life {
				n.open()
			}
		})
	}
	w.history.revert(m)
	w.scanner.forget()
	w.forgetClosed()
	for _, c := range w.clients {
		c.forget()
	}
}

// revert makes the history one in which nothing after m was promised: writes may
// have happened or not, and what was seen since says nothing.
func (h *history) revert(m *moment) {
	h.snapshots, h.spans = h.snapshots[:m.snapshots], h.spans[:m.spans]
	kept := h.ops[:0]
	for _, o := range h.ops {
		if o.ret > m.at && o.certainty == known {
			if o.kind == read || !o.ok {
				continue
			}
			o.certainty = unknown
		}
		kept = append(kept, o)
	}
	h.ops = kept
}

// forget has a client begin anew: its connections are gone, and what it knew may
// never have been.
func (c *client) forget() {
	c.seen, c.table = map[place]version{}, c.w.newTable()
	if c.now != nil {
		c.now.expire()
	}
}
