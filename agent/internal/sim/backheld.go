package sim

import (
	"slices"
	"time"
)

// backWhileHeld puts a disk back to a moment at which its node took part in some
// ranges while it held its replicas of others, whose nodes are down and stay so
// until the node is refused.
func (w *World) backWhileHeld() {
	w.After(w.ms(2000, 5000), w.backWhileHeld)
	if !w.faults || w.mostWrong() || slices.ContainsFunc(w.nodes, func(n *Node) bool { return !n.up || n.disk != nil || n.torn != nil }) {
		return
	}
	order := w.rng.Perm(len(w.nodes))
	n, down := w.nodes[order[0]], []*Node{w.nodes[order[1]], w.nodes[order[2]]}
	var lives []int
	for _, o := range down {
		o.crash()
		o.life++ // it starts again below
		lives = append(lives, o.life)
	}
	n.crash()
	n.life++
	n.open()
	life, copied := n.life, w.ms(3000, 6000)
	w.After(copied, func() {
		if n.life == life && n.up && n.torn == nil {
			w.backTo(n, down, &oldDisk{fs: n.cutPower(), count: n.ledger.own})
		}
	})
	w.startAgain(n, down, lives, w.now+copied+2*time.Second)
}

// backTo puts an old disk into n in a while, if all nodes but those that are kept
// down have stored that they know of something later.
func (w *World) backTo(n *Node, down []*Node, old *oldDisk) {
	life := n.life
	w.After(w.ms(500, 1900), func() {
		ignorant := func(o *Node) bool { return o != n && !slices.Contains(down, o) && o.ledger.stored[n.id] <= old.count }
		if n.life != life || !n.up || n.disk != nil || slices.ContainsFunc(w.nodes, ignorant) {
			return
		}
		w.Stats.WentBack++
		n.crash()
		n.disk, n.fs = n.fs, old.fs
	})
}

// startAgain starts nodes after a while, once n has its right disk. Who knows of n
// may not be among those that its old disk asks: then it waits for ever, and a
// person puts the right disk back.
func (w *World) startAgain(n *Node, down []*Node, lives []int, after time.Duration) {
	if n.disk != nil && n.up && w.now > after+4*time.Second {
		n.crash()
		n.life++
		n.mend()
	}
	if w.faults && w.now < after || n.disk != nil {
		w.After(200*time.Millisecond, func() { w.startAgain(n, down, lives, after) })
		return
	}
	for i, o := range down {
		if !o.up && o.life == lives[i] {
			o.open()
		}
	}
}
