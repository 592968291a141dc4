package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// dropping is a run in which collections are dropped, while gateways that have not heard
// of it go on writing to them. At the end nothing of them is left anywhere, nor their
// records, and nothing is missing of the collection that the clients use.
func dropping(c *Config) {
	c.Operate, c.Drops, c.Duration, c.Nodes, c.Ranges, c.Clients = true, true, 75*time.Second, 4, 2, 3
	c.GCTTL = time.Duration(1+c.Seed%4) * time.Second
}

// clientsName is what the collection is called that the clients use: the first that is
// made, and so number 1.
const clientsName = "clients"

// dropper is who makes and drops collections.
type dropper struct {
	w     *World
	made  []cluster.CollectionID
	asked int // collections, the last of which may not be made
	wrote int
}

func collectionNamed(name string) metastate.Command {
	return metastate.Command{CreateCollection: &metastate.CreateCollection{IfNotExists: true, Collection: cluster.Collection{
		Name: name, Columns: []cluster.Column{{ID: 1, Name: "a", Type: "text"}}, NextColumn: 2, PrimaryKey: []cluster.ColumnID{1},
	}}}
}

// beginDrops follows the commands that form the cluster.
func (o *operators) beginDrops() []metastate.Command {
	w := o.w
	if !w.cfg.Drops {
		return nil
	}
	w.dropper = &dropper{w: w}
	w.After(w.ms(4000, 6000), w.dropper.step)
	w.After(w.ms(4000, 6000), w.dropper.write)
	return []metastate.Command{collectionNamed(clientsName)}
}

// step makes a collection or drops one.
func (d *dropper) step() {
	w := d.w
	if w.now > w.cfg.Duration-settle-5*time.Second {
		return
	}
	w.After(w.ms(300, 3000), d.step)
	v := w.newest()
	if v.Collections[clientsName] == nil {
		return // it has to be number 1
	}
	for name, c := range v.Collections {
		d.note(c.ID, name)
	}
	if len(v.Collections) < 4 && w.chance(60) {
		d.asked++
		w.operators.propose(collectionNamed(fmt.Sprintf("c%d", d.asked)), func(metastate.Result, error) {})
		return
	}
	names := v.CollectionNames()
	if name := names[w.rng.IntN(len(names))]; name != clientsName {
		w.operators.propose(metastate.Command{DropCollection: &metastate.DropCollection{Name: name, IfExists: true}}, func(r metastate.Result, err error) {
			if err == nil && r.Refusal == nil && !r.Existed {
				w.Stats.Tables++
			}
		})
	}
}

// note keeps the ids in their order, whatever that of the map is.
func (d *dropper) note(id cluster.CollectionID, name string) {
	if name == clientsName {
		return
	}
	for len(d.made) == 0 || d.made[len(d.made)-1] < id {
		next := cluster.CollectionID(2)
		if len(d.made) > 0 {
			next = d.made[len(d.made)-1] + 1
		}
		d.made = append(d.made, next)
	}
}

// write writes to any of the collections, whether it is still there or not, and late.
func (d *dropper) write() {
	w := d.w
	if w.now > w.cfg.Duration-w.quiet()-6*time.Second {
		return
	}
	w.After(w.ms(5, 60), d.write)
	if len(d.made) == 0 {
		return
	}
	var ops []datastate.Op
	id := d.made[w.rng.IntN(len(d.made))]
	primary := binary.BigEndian.AppendUint16(nil, uint16(w.rng.IntN(64))) //nolint:gosec // small
	row := keys.Row(cluster.DefaultPool, keys.VShardOf(id, primary), id, primary)
	ops = append(ops, datastate.Op{Row: row, Kind: datastate.Put, Value: make([]byte, w.rng.IntN(200))})
	delay := w.ms(0, 20)
	if w.chance(20) {
		delay = w.ms(1000, 6000)
	}
	w.After(delay, func() {
		for _, r := range w.ranges() {
			if n, st, ok := w.Leader(r); ok && keys.Owns(&st.Descriptor, row) {
				n.do(func() { d.serve(n, r, ops) })
				return
			}
		}
	})
}

func (d *dropper) serve(n *Node, id cluster.RangeID, ops []datastate.Op) {
	w := d.w
	if !n.awake() {
		return
	}
	p := &replica.Proposal{Payload: datastate.EncodeBatch(&datastate.Batch{Ops: ops})}
	binary.BigEndian.PutUint64(p.ID[:], uint64(n.clock.Now()))
	binary.BigEndian.PutUint64(p.ID[8:], w.rng.Uint64())
	p.Done = func(o replica.Outcome) {
		if o.Err != nil {
			return
		}
		switch r, err := datastate.DecodeResult(o.Result); {
		case err != nil:
			w.fail("a write to a collection: %v", err)
		case r.Outcome == datastate.Applied:
			d.wrote++
		case r.Outcome == datastate.Dropped:
			w.Stats.Barred++
		}
	}
	n.core.Propose(id, p)
}

// fence is what a node's ranges are to have, by what the node knows. One node is slow, so
// that its ranges are cleared long after others.
func (n *Node) fence(pool cluster.PoolID, old *cluster.Fence, keep hlc.Timestamp) (*cluster.Fence, hlc.Timestamp) {
	if uint64(n.id) == 1+n.w.cfg.Seed%uint64(n.w.cfg.Nodes) && n.w.chance(60) { //nolint:gosec // small
		return nil, 0
	}
	f, threshold := n.machine.View().Fence(pool, old, keep.Time())
	return f, hlc.New(threshold)
}

// check wants nothing to be left of what was dropped.
func (d *dropper) check() {
	if d == nil {
		return
	}
	w, v := d.w, d.w.newest()
	for id, c := range v.Dropped {
		w.fail("collection %d, which was dropped at %s, is not cleared at the end", id, c.DroppedAt.Sub(epoch))
		return
	}
	for _, e := range v.Events {
		if e.Kind == cluster.EventCollectionFreed {
			w.Stats.Freed++
		}
	}
	for _, id := range w.ranges() {
		_, st, ok := w.Leader(id)
		if !ok {
			continue // checkRange says so
		}
		for _, r := range st.Descriptor.Replicas {
			d.checkReplica(w.nodes[r.Node-1], id, v)
		}
	}
}

// checkReplica wants every row of a replica to be of a collection that there is.
func (d *dropper) checkReplica(n *Node, id cluster.RangeID, v *metastate.View) {
	h, err := n.core.ReadLocal(id)
	if err != nil {
		d.w.fail("read %s on %s: %v", id, n.id, err)
		return
	}
	defer h.Close()
	for _, span := range []keys.Span{
		keys.DataSpan(h.Descriptor.Pool, h.Descriptor.Start, h.Descriptor.End), keys.LockSpan(h.Descriptor.Pool, h.Descriptor.Start, h.Descriptor.End),
	} {
		it, err := h.Reader.NewIter(span.Start, span.End)
		if err != nil {
			d.w.fail("read %s on %s: %v", id, n.id, err)
			return
		}
		for ok := it.First(); ok; ok = it.Next() {
			c := cluster.CollectionID(binary.BigEndian.Uint64(it.Key()[4:12]))
			if v.CollectionsByID[c] == nil && len(d.w.errors) == 0 {
				d.w.fail("%s on %s holds % x, of collection %d, which was dropped", id, n.id, it.Key(), c)
			}
		}
		if err := it.Close(); err != nil {
			d.w.fail("read %s on %s: %v", id, n.id, err)
		}
	}
}
