package sim

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// leasePatience is how long a read waits for what was proposed before it.
const leasePatience = time.Second

// leased is a read under a lease: it waits for what was proposed before it, looks,
// and checks the lease when some time has passed, in which the process may stop.
func (k *call) leased(n *Node, to cluster.RangeID, q replica.LeaseRead, try int, answer func(func())) {
	w := k.c.w
	round := func() { k.readRound(n, to, try, answer) }
	w.awaited(n, &q, round, func() {
		v, err := k.look(&store.ReadHandle{Reader: n.engine, Descriptor: *q.Descriptor}, nil)
		if w.faults && !w.cfg.Steady && w.now >= w.still && w.chance(1) { // Steady: a second node away would leave no quorum
			w.stop(n, w.ms(500, 2500))
		}
		n.later(time.Duration(w.rng.IntN(300))*time.Microsecond, func() {
			if !w.checked(to, k.ts, &q) {
				round()
				return
			}
			k.note(v, err)
			news := n.news(to, k.op.at)
			answer(func() { k.readDone(v.newest, err, try, news) })
		})
	})
}

// leasedView is a read of many rows under a lease: it takes a view once what was
// proposed before it is applied.
func (w *World) leasedView(n *Node, to cluster.RangeID, ts hlc.Timestamp, q replica.LeaseRead, done func(*store.ReadHandle, error), round func()) {
	w.awaited(n, &q, round, func() {
		if !w.checked(to, ts, &q) {
			round()
			return
		}
		done(&store.ReadHandle{Reader: n.engine, Descriptor: *q.Descriptor}, nil)
	})
}

// awaited goes on with fn when the read need not wait any more, or else with round.
func (w *World) awaited(n *Node, q *replica.LeaseRead, round, fn func()) {
	until := w.now + leasePatience
	var poll func()
	poll = func() {
		switch {
		case q.Ready():
			fn()
		case w.now > until:
			round()
		default:
			n.later(300*time.Microsecond, poll)
		}
	}
	poll()
}

// checked checks the lease after a look, and counts.
func (w *World) checked(id cluster.RangeID, ts hlc.Timestamp, q *replica.LeaseRead) bool {
	if !q.Check() {
		w.Stats.LeasesLost++
		return false
	}
	w.Stats.LeaseReads++
	w.served[id] = max(w.served[id], ts)
	return true
}

// watchLeases looks, whenever a node has done something, at what leases promise: while
// one holds, nobody leads in a later term who could write; and who comes to lead writes
// above every read that was served.
func (w *World) watchLeases(n *Node) {
	for _, st := range n.core.Status() {
		id := st.Descriptor.ID
		s := n.core.Lease(id)
		w.watchClosed(n, id)
		if s.Term == 0 || s.Term < w.led[id] {
			continue
		}
		if s.Term > w.led[id] {
			w.led[id] = s.Term
			if s.Floor < w.served[id] {
				w.fail("%s leads %s in term %d from %s on: a read was served at %s", n.id, id, s.Term, s.Floor, w.served[id])
			}
			if s.Floor < w.over[id] {
				w.fail("%s leads %s in term %d from %s on: time was closed up to %s", n.id, id, s.Term, s.Floor, w.over[id])
			}
		}
		for _, o := range w.nodes {
			if old := o.core.Lease(id); o != n && o.up && old.Held && old.Term < s.Term {
				w.fail("%s holds the lease of %s in term %d, while %s leads in term %d", o.id, id, old.Term, n.id, s.Term)
			}
		}
	}
}

// stop stops the process of a node for a while: its clocks go on.
func (w *World) stop(n *Node, d time.Duration) {
	if !n.up || n.paused {
		return
	}
	w.Stats.Pauses++
	n.paused = true
	life := n.life
	w.After(d, func() {
		if n.life == life {
			n.paused = false
		}
	})
}

// LeaseConfig is a run of what endangers leases. A third of the seeds moves replicas
// meanwhile, over one more node; another third has ranges of three and of five voters.
func LeaseConfig(seed uint64) Config {
	cfg := DefaultConfig(seed)
	cfg.Leases, cfg.Nodes, cfg.Ranges, cfg.Keys, cfg.Clients = true, 3, 1, 2, 10
	cfg.Duration = leasesBegin + leasesLast + leasesQuiet
	switch seed % 3 {
	case 0:
		cfg.Nodes = 4
	case 1:
		cfg.Nodes, cfg.Five = 5, true
	}
	return cfg
}

// A run of leases: the ranges come to three voters, faults, and silence.
const (
	leasesBegin = 2500 * time.Millisecond
	leasesLast  = 9 * time.Second
	leasesQuiet = 6 * time.Second
)

// wrongClocks makes the clocks of a node as wrong as may be. With an odd one the
// rates are at their bounds, and its hybrid clock leads.
func (n *Node) wrongClocks() {
	w := n.w
	n.honest = w.ms(0, 400)
	if w.odd >= 0 {
		n.rate, n.honest = 1+lease.Rate/100.0, 0
		if int(n.id) == w.odd+1 {
			n.rate, n.honest = 1-lease.Rate/100.0, 400*time.Millisecond
		}
	}
	n.offset = n.honest
}

// pause is how long a client waits between two requests.
func (w *World) pause() time.Duration {
	if w.cfg.Leases {
		return w.ms(1, 15)
	}
	return w.ms(5, 60)
}

// attemptTime is how long a client waits for an answer. A short one keeps it from
// waiting for a leader that is cut off, while another may lead.
func (w *World) attemptTime() time.Duration {
	if w.cfg.Leases || w.cfg.Echoes {
		return 200 * time.Millisecond
	}
	return attemptTime
}

// anyLeader draws one of the nodes that believe to lead a key's range: an old leader
// must not be spared.
func (w *World) anyLeader(at place) *Node {
	var led []*Node
	for _, n := range w.nodes {
		if !n.Up() {
			continue
		}
		for _, st := range n.core.Status() {
			if st.IsLeader() && st.Applied > 0 && keys.Owns(&st.Descriptor, at.row()) {
				led = append(led, n)
			}
		}
	}
	if len(led) == 0 {
		return w.nodes[w.rng.IntN(len(w.nodes))]
	}
	return led[w.rng.IntN(len(led))]
}

// readsOnly spares most writes a node that is cut off: they would hold up its reads,
// and hide that these are old.
func (w *World) readsOnly(n *Node) bool {
	if !w.cfg.Leases {
		return false
	}
	if w.now < w.still {
		return true
	}
	for _, o := range w.nodes {
		if o != n && w.cut[[2]cluster.NodeID{n.id, o.id}] && w.chance(95) {
			return true
		}
	}
	return w.chance(40)
}

// cutFor cuts a link, in one direction.
func (w *World) cutFor(from, to *Node, d time.Duration) {
	link := [2]cluster.NodeID{from.id, to.id}
	w.cut[link], w.cutEnds[link] = true, max(w.cutEnds[link], w.now+d)
	w.After(d, func() {
		if w.now >= w.cutEnds[link] {
			delete(w.cut, link)
		}
	})
}

// isolate cuts a node off from all others.
func (w *World) isolate(n *Node, d time.Duration) {
	w.Stats.Partitions++
	for _, o := range w.nodes {
		if o != n {
			w.cutFor(n, o, d)
			w.cutFor(o, n, d)
		}
	}
}

// bounce restarts a node; its wall clock may be set forward meanwhile, so that it
// need not wait for what it used before.
func (w *World) bounce(n *Node, d time.Duration) {
	n.crashFor(d)
	if w.chance(50) {
		n.offset = n.honest + w.ms(0, 400)
		w.After(3*time.Second, func() { n.offset = n.honest })
	}
}

// others are the nodes but n, in an order that is drawn.
func (w *World) others(n *Node) []*Node {
	var out []*Node
	for _, i := range w.rng.Perm(len(w.nodes)) {
		if w.nodes[i] != n {
			out = append(out, w.nodes[i])
		}
	}
	return out
}

// camps parts the other voters of a range: near are as many as are a majority with the
// leader, far the rest. Of three voters each is one.
func (w *World) camps(l *Node, id cluster.RangeID) (near, far []*Node) {
	st, _ := l.core.RangeStatus(id)
	voters := st.Descriptor.Voters()
	for _, o := range w.others(l) {
		switch {
		case !slices.Contains(voters, o.id):
		case len(near) < len(voters)/2:
			near = append(near, o)
		default:
			far = append(far, o)
		}
	}
	return near, far
}

// part cuts nodes off from others, in both directions.
func (w *World) part(from, to []*Node, d time.Duration) {
	for _, a := range from {
		for _, b := range to {
			w.cutFor(a, b, d)
			w.cutFor(b, a, d)
		}
	}
}

// sequence has one camp of followers withdraw or restart, heals, then takes the other
// one and at last the leader away.
func (w *World) sequence(l *Node, id cluster.RangeID) {
	near, far := w.camps(l, id)
	first := w.ms(1000, 1400)
	restart := w.chance(50)
	for _, o := range near {
		if restart {
			w.bounce(o, w.ms(20, 220))
		} else {
			w.cutFor(l, o, first)
		}
	}
	w.faultAfter(first+w.ms(400, 900), func() {
		w.part([]*Node{l}, far, 3*time.Second)
		w.faultAfter(w.ms(600, 1100), func() { w.isolate(l, 2*time.Second) })
	})
}

// amnesia has one camp withdraw, so that the lease rests on the other. Then the leader
// is cut off, and those on whom it rests restart: they must remember that they may have
// promised something, and how far (rules 6 and 7). Nobody writes meanwhile: the log of
// those who withdrew must be as long as any for them to be elected.
func (w *World) amnesia(l *Node, id cluster.RangeID) {
	near, far := w.camps(l, id)
	first := w.ms(1300, 2600)
	w.still = w.now + first + 1500*time.Millisecond
	w.part([]*Node{l}, far, first+2500*time.Millisecond)
	w.faultAfter(first, func() {
		w.isolate(l, 2500*time.Millisecond)
		clean := w.cfg.Extra != nil || w.chance(50)
		for _, o := range near {
			if clean && o.Up() {
				o.do(o.stopClock)
			}
			o.crashFor(w.ms(5, 60))
		}
	})
}

func (w *World) faultAfter(d time.Duration, fn func()) {
	w.After(d, func() {
		if w.faults {
			fn()
		}
	})
}

// handOverFrom transfers leadership, and often leaves the old leader cut off from the
// election.
func (w *World) handOverFrom(l *Node, id cluster.RangeID, to *Node, alone bool) {
	w.Stats.Transfers++
	l.do(func() { l.core.Transfer(id, to.id, func(error) {}) })
	if alone {
		for _, o := range w.nodes {
			if o != l {
				w.cutFor(o, l, w.ms(100, 2500))
			}
		}
	}
}

// leaseFaults brings one misfortune after another to leaders and their followers.
func (w *World) leaseFaults() {
	if !w.faults {
		return
	}
	pause := w.ms(80, 580)
	defer func() { w.faultAfter(pause, w.leaseFaults) }()
	id := w.anyRange()
	l, _, ok := w.Leader(id)
	if !ok {
		return
	}
	if w.odd >= 0 && w.chance(70) {
		pause = w.oddFault(l, id)
		return
	}
	o := w.others(l)
	long := w.ms(100, 2500)
	switch x := w.rng.IntN(100); {
	case x < 10:
		w.cutFor(l, o[0], long)
	case x < 18:
		w.cutFor(o[0], l, long)
	case x < 26:
		w.isolate(o[0], long)
	case x < 38:
		w.bounce(w.nodes[w.rng.IntN(len(w.nodes))], w.ms(10, 1000))
	case x < 48:
		w.stop(w.nodes[w.rng.IntN(len(w.nodes))], long)
	case x < 60:
		w.handOverFrom(l, id, o[0], w.chance(50))
	case x < 68:
		w.isolate(l, w.ms(1200, 2400))
		w.bounce(o[0], w.ms(10, 210))
	case x < 74:
		w.sequence(l, id)
	case x < 80:
		w.amnesia(l, id)
	case x < 84:
		w.isolate(l, 1500*time.Millisecond)
		w.bounce(o[0], w.ms(10, 110))
		w.bounce(o[1], w.ms(10, 110))
	case x < 90:
		w.isolate(l, long)
	case x < 94:
		w.stop(l, w.ms(900, 2400))
	case x < 97:
		w.loss = w.rng.IntN(20)
		w.After(long, func() { w.loss = 0 })
	default:
		clear(w.cut)
	}
}

// oddFault brings leadership to the node whose clock is slow and leads, and then
// takes that node away; it returns how long nothing else should happen.
func (w *World) oddFault(l *Node, id cluster.RangeID) time.Duration {
	odd := w.nodes[w.odd]
	switch {
	case l != odd && w.chance(75):
		w.handOverFrom(l, id, odd, false)
		return w.ms(400, 900)
	case w.chance(33):
		w.isolate(l, w.ms(1200, 1500))
		return 2500 * time.Millisecond
	case w.chance(50):
		w.amnesia(l, id)
	default:
		w.sequence(l, id)
	}
	return 4500 * time.Millisecond
}
