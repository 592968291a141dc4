package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
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

// dropper is who makes and drops collections.
type dropper struct {
	w     *World
	made  []cluster.CollectionID
	asked cluster.CollectionID // is made next, unless somebody has
	wrote int
}

// collection is what makes one. Ids are not given out in the order in which they are made.
func collection(id cluster.CollectionID) metastate.Command {
	return metastate.Command{ChangeObjects: &metastate.ChangeObjects{Seen: []metastate.SeenObject{{ID: cluster.MainPublic, Version: 1}}, Put: []cluster.Object{{
		ID: id, Parent: cluster.MainPublic, Kind: cluster.KindTable, Name: fmt.Sprintf("c%d", id), Collection: &cluster.Collection{
			Columns: []cluster.Column{{ID: 1, Name: "a", Type: "text"}}, NextColumn: 2, PrimaryKey: []cluster.ColumnID{1},
		},
	}}}}
}

// dropIDs are how many collections a run makes at most.
const dropIDs = 200

// beginDrops follows the commands that form the cluster.
func (o *operators) beginDrops() []metastate.Command {
	w := o.w
	if !w.cfg.Drops {
		return nil
	}
	w.dropper = &dropper{w: w, asked: cluster.FirstObject}
	w.After(w.ms(4000, 6000), w.dropper.step)
	w.After(w.ms(4000, 6000), w.dropper.write)
	return []metastate.Command{{AllocateObjects: &metastate.AllocateObjects{Count: dropIDs}}}
}

// step makes a collection or drops one.
func (d *dropper) step() {
	w := d.w
	if w.now > w.cfg.Duration-settle-5*time.Second {
		return
	}
	w.After(w.ms(300, 3000), d.step)
	tables := w.newest().Collections()
	for _, o := range tables {
		if !slices.Contains(d.made, o.ID) {
			d.made = append(d.made, o.ID)
		}
	}
	if len(tables) < 4 && w.chance(60) && d.asked < cluster.FirstObject+dropIDs {
		id := d.asked ^ 1 // of two neighbours the later one first
		d.asked++
		w.operators.propose(collection(id), func(metastate.Result, error) {})
		return
	}
	if len(tables) == 0 {
		return
	}
	o := tables[w.rng.IntN(len(tables))]
	w.operators.propose(metastate.Command{ChangeObjects: &metastate.ChangeObjects{Seen: []metastate.SeenObject{{ID: o.ID, Version: o.Version}}, Drop: []cluster.ObjectID{o.ID}}}, func(r metastate.Result, err error) {
		if err == nil && r.Refusal == nil {
			w.Stats.Tables++
		}
	})
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
			if c >= cluster.FirstObject && v.Objects[c] == nil && len(d.w.errors) == 0 {
				d.w.fail("%s on %s holds % x, of collection %d, which was dropped", id, n.id, it.Key(), c)
			}
		}
		if err := it.Close(); err != nil {
			d.w.fail("read %s on %s: %v", id, n.id, err)
		}
	}
}
