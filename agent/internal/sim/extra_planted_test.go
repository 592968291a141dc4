//go:build planted

package sim

import (
	"bytes"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// sleepOften puts one machine after the other to sleep.
func (w *World) sleepOften() {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; w.faults && n.Up() {
		w.sleep(n, w.ms(1000, 3000))
	}
	w.After(w.ms(500, 2000), w.sleepOften)
}

// startWrong restarts nodes whose clocks were set meanwhile.
func (w *World) startWrong() {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; w.faults && n.up && !w.mostJumped(n) {
		n.crash()
		n.offset = n.honest + w.jump()
		w.After(w.ms(4000, 6000), func() { n.offset = n.honest })
	}
	w.After(w.ms(1000, 3000), w.startWrong)
}

// lowerOften has all clocks lowered again and again.
func (w *World) lowerOften() {
	if w.faults {
		w.lowerAll()
	}
	w.After(w.ms(3000, 6000), w.lowerOften)
}

// flipBit changes one bit of the newest version of a row that one replica stores,
// behind its back; Extra calls it. Nobody but a comparison would find it before that
// replica leads.
func (w *World) flipBit() {
	w.After(w.ms(4000, 12000), func() {
		for _, n := range w.nodes {
			for _, st := range n.statuses() {
				if d := &st.Descriptor; !d.IsMeta() && st.Leader != n.id && w.flip(n, d) {
					w.insist(d.ID)
					return
				}
			}
		}
		w.flipBit()
	})
}

// insist has a range compared until the end: its leader may be gone, and what is read
// may be void.
func (w *World) insist(id cluster.RangeID) {
	if n, st, ok := w.Leader(id); ok {
		n.do(func() { n.core.Verify(st.Descriptor.ID, func(replica.Outcome) {}) })
	}
	w.After(w.ms(500, 1500), func() { w.insist(id) })
}

func (w *World) flip(n *Node, d *cluster.RangeDescriptor) bool {
	span := keys.DataSpan(d.Pool, d.Start, d.End)
	it, err := n.engine.NewIter(span.Start, span.End)
	if err != nil {
		w.fail("read %s on %s: %v", d.ID, n.id, err)
		return true
	}
	defer func() { w.closed(it.Close()) }()
	var value []byte
	const tombstone = 1 // of the flags; FORMATS.md, section 6
	for ok := it.First(); ok; ok = it.Next() {
		if v := it.Value(); v[1]&tombstone == 0 {
			value = bytes.Clone(v)
			break
		}
	}
	if value == nil {
		return false
	}
	value[len(value)-1] ^= 1
	b := n.engine.NewBatch()
	defer func() { w.closed(b.Close()) }()
	if err := b.Set(it.Key(), value); err != nil {
		w.fail("flip a bit of %s on %s: %v", d.ID, n.id, err)
	}
	if err := b.Commit(true); err != nil {
		w.fail("flip a bit of %s on %s: %v", d.ID, n.id, err)
	}
	return true
}

func (n *Node) statuses() []cluster.RangeStatus {
	if !n.up {
		return nil
	}
	return n.core.Status()
}

func (w *World) closed(err error) {
	if err != nil {
		w.fail("close: %v", err)
	}
}

// collects has garbage collected soon.
func collects(c *Config) { c.GCTTL = time.Second }

// closeAlone cuts leaders off, those whose clock leads if any does, and has them be asked up
// to where time is closed for as long as they believe to lead.
func (w *World) closeAlone() {
	id := w.anyRange()
	l, _, ok := w.Leader(id)
	switch {
	case !ok:
		w.faultAfter(300*time.Millisecond, w.closeAlone)
	case w.odd >= 0 && l != w.nodes[w.odd]:
		w.handOverFrom(l, id, w.nodes[w.odd], false)
		w.faultAfter(800*time.Millisecond, w.closeAlone)
	default:
		w.isolate(l, 2500*time.Millisecond)
		w.askClosed(l, id, w.now+2500*time.Millisecond)
		w.faultAfter(4000*time.Millisecond, w.closeAlone)
	}
}

func (w *World) askClosed(l *Node, id cluster.RangeID, until time.Duration) {
	if w.now < until {
		l.do(func() { l.core.AskClosed(id) })
		w.After(20*time.Millisecond, func() { w.askClosed(l, id, until) })
	}
}
