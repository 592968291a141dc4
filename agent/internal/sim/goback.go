package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// pingEvery is how often nodes tell each other how far their stores are, besides
// what every batch of raft messages says.
const pingEvery = time.Second

// ledger is what the simulation itself knows of who heard what. It does not ask
// the code under test: it counts the synced batches of each log, and remembers
// which peers have synced anything since they heard from a node that had written
// so many.
type ledger struct {
	own           uint64
	heard, stored map[cluster.NodeID]uint64
}

func newLedger() ledger {
	return ledger{heard: map[cluster.NodeID]uint64{}, stored: map[cluster.NodeID]uint64{}}
}

func (l *ledger) hear(from cluster.NodeID, count uint64) { l.heard[from] = max(l.heard[from], count) }

func (l *ledger) synced() {
	l.own++
	for id, count := range l.heard {
		l.stored[id] = count
	}
}

// crashed forgets what was heard and not stored.
func (l *ledger) crashed() {
	clear(l.heard)
	for id, count := range l.stored {
		l.heard[id] = count
	}
}

// oldDisk is what a disk held at some moment: a copy, or a snapshot of a volume.
type oldDisk struct {
	fs    *storage.MemFS
	count uint64 // of the ledger
}

// ping tells all other nodes how far the store is.
func (n *Node) ping() {
	mark, count, age := n.marks.Ping(), n.ledger.own, n.w.age
	for _, dst := range n.w.nodes {
		link := [2]cluster.NodeID{n.id, dst.id}
		if dst == n || n.w.chance(n.w.loss) {
			continue
		}
		n.w.After(n.w.ms(1, 5), func() {
			if n.w.cut[link] || n.w.age != age {
				return
			}
			dst.do(func() {
				if dst.marks.Hear(n.id, mark) && !mark.IsZero() {
					dst.ledger.hear(n.id, count)
				}
			})
		})
	}
	n.later(pingEvery, n.ping)
}

// copyDisks copies the disk of some node now and then, one that holds no replica
// of a range with few voters: such a range may come back without an answer.
func (w *World) copyDisks() {
	if !w.faults {
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	few := func(st cluster.RangeStatus) bool { return len(st.Descriptor.Voters()) < 3 }
	if n.up && n.disk == nil && n.torn == nil && !n.marks.Now().IsZero() && len(n.core.Status()) > 0 && !slices.ContainsFunc(n.core.Status(), few) {
		n.old = &oldDisk{fs: n.cutPower(), count: n.ledger.own}
	}
	w.After(w.ms(500, 2000), w.copyDisks)
}

// goBack puts an old copy in the place of a node's disk. It does so only if every
// other node has stored that it knows of something later: what only a dead node
// or nobody knows is not found, and not promised to be.
func (w *World) goBack(n *Node) {
	if !w.mayGoBack(n) {
		return
	}
	w.Stats.WentBack++
	n.crash()
	n.disk, n.fs, n.old = n.fs, n.old.fs, nil
	if w.chance(30) { // the others know it from their disks
		w.crashOthers(n)
	}
}

func (w *World) mayGoBack(n *Node) bool {
	if n.old == nil || n.disk != nil || w.gone(n.id) || w.mostWrong() { // the others may crash too
		return false
	}
	return !slices.ContainsFunc(w.nodes, func(o *Node) bool {
		return o != n && !w.gone(o.id) && (o.disk != nil || o.ledger.stored[n.id] <= n.old.count)
	})
}

func (w *World) crashOthers(but ...*Node) {
	for _, o := range w.nodes {
		if !slices.Contains(but, o) {
			o.crash()
		}
	}
}

// wipeBeside has a disk go back while another node begins anew and the rest are
// down, as soon and as often as that may be.
func (w *World) wipeBeside() {
	n, fresh := w.nodes[w.rng.IntN(len(w.nodes))], w.nodes[w.rng.IntN(len(w.nodes))]
	if w.faults && n != fresh && fresh.up && fresh.disk == nil && w.mayGoBack(n) && w.mayReset(fresh) {
		w.Stats.Resets++
		known := w.published() // before others crash: an operator resets with a quorum
		w.goBack(n)
		fresh.crash()
		fresh.reset(known)
		fresh.open()
		w.crashOthers(n, fresh)
	}
	w.After(w.ms(100, 500), w.wipeBeside)
}

// unheard has disks go back whose nodes hear and are not heard: nobody answers what
// they ask, and movers make replicas on them meanwhile.
func (w *World) unheard() {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; w.faults && w.mayGoBack(n) {
		w.goBack(n)
		for _, o := range w.nodes {
			if o != n {
				w.cut[[2]cluster.NodeID{n.id, o.id}] = true
			}
		}
		w.After(w.ms(3000, 6000), func() { clear(w.cut) })
	}
	w.After(w.ms(100, 500), w.unheard)
}

// speaks is called with each batch that a node sends.
func (n *Node) speaks(batch []byte) {
	if n.disk != nil && store.Speaks(batch) {
		n.w.fail("%s takes part with a disk that went back", n.id)
	}
	n.checkCampaign(batch)
}

// ended is called when the core of a node can do nothing more.
func (n *Node) ended(err error) {
	var lost *store.LostError
	switch {
	case !errors.As(err, &lost):
		n.w.fail("%s: %v", n.id, err)
	case n.disk == nil:
		n.w.fail("%s has an honest disk and is refused: %v", n.id, err)
	default:
		n.w.Stats.Refused++
		n.life++
		life := n.life
		n.w.After(0, n.close) // not from inside its own events
		n.w.After(n.w.ms(200, 3000), func() {
			if n.life == life {
				n.mend()
			}
		})
	}
}

// mend is what an operator does with a node that was refused: put the right disk
// back, or, where that is safe, empty the store and start it again.
func (n *Node) mend() {
	n.fs, n.disk = n.disk, nil
	if n.w.chance(50) && n.w.mayReset(n) {
		n.w.Stats.Resets++
		n.reset(n.w.published())
	}
	n.open()
}

// mayReset reports whether every range keeps a quorum without what a node holds.
func (w *World) mayReset(n *Node) bool {
	if w.operators != nil || !w.faults {
		return false // nothing in the coordinators makes a lost replica anew; movers need time
	}
	for _, id := range w.ranges() {
		if !w.born(id) {
			continue
		}
		_, st, ok := w.Leader(id)
		if !ok || st.Descriptor.Joint() {
			return false
		}
		working := 0
		for _, v := range st.Descriptor.Voters() {
			if v != n.id && w.nodes[v-1].holds(&st.Descriptor) {
				working++
			}
		}
		if working <= len(st.Descriptor.Voters())/2 {
			return false
		}
	}
	return true
}

// holds reports whether a node runs its replica of a range.
func (n *Node) holds(d *cluster.RangeDescriptor) bool {
	want, ok := d.On(n.id)
	if !ok || !n.up {
		return false
	}
	st, ok := n.core.RangeStatus(d.ID)
	return ok && st.Replica == want.Replica
}

// published is what the leaders say of their ranges.
func (w *World) published() []cluster.RangeDescriptor {
	var out []cluster.RangeDescriptor
	for _, id := range w.ranges() {
		if _, st, ok := w.Leader(id); ok {
			out = append(out, st.Descriptor)
		}
	}
	return out
}

// reset empties the store behind tombstones of the ranges that are known, as
// nodedb-agent reset does.
func (n *Node) reset(known []cluster.RangeDescriptor) {
	own := n.ledger.own // goes on: others have heard of it
	n.fs, n.ledger, n.wiped = storage.NewCrashableFS(), newLedger(), true
	n.ledger.own = own
	e, err := storage.Open(storage.Options{Dir: "store", FS: n.fs, Deterministic: true})
	if err != nil {
		n.w.fail("reset %s: %v", n.id, err)
		return
	}
	b := e.NewBatch()
	n.resets++
	err = store.WriteEmptied(b, n.resets, nil)
	for i := range known {
		err = errors.Join(err, replica.WriteDestroyed(b, &known[i], known[i].NextReplica))
	}
	if err = errors.Join(err, b.Commit(true), b.Close(), e.Close()); err != nil {
		n.w.fail("reset %s: %v", n.id, err)
	}
}

// lost returns a node of ids whose replica of a range is gone for good: a voter
// whose store was emptied, or a learner that an old disk was asked to prepare.
func (m *mover) lost(d *cluster.RangeDescriptor, role cluster.ReplicaRole) (cluster.NodeID, bool) {
	for _, r := range d.Replicas {
		n := m.w.nodes[r.Node-1]
		if r.Role == role && n.up && n.disk == nil && (n.wiped || role == cluster.Learner) && !n.holds(d) {
			return r.Node, true
		}
	}
	return 0, false
}
