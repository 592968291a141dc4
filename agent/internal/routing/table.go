package routing

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// View is what the meta range says of ranges; *metastate.View is one.
type View interface {
	// RangeOf returns the range that owns the key k of pool p.
	RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool)
	// Range returns the range with the id.
	Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool)
}

// Route says where a range is. The descriptor is shared: do not change it.
type Route struct {
	Descriptor *cluster.RangeDescriptor
	Leader     cluster.NodeID // 0: not known
}

// Table answers where ranges are.
type Table struct {
	view func() View
	// learnt is replaced, never changed.
	learnt atomic.Pointer[knowledge]
	// leaders holds a NodeID by RangeID: a hint changes alone, whatever their number.
	leaders sync.Map
	// changed is closed and replaced when a hint or learnt changes.
	changed atomic.Pointer[chan struct{}]
	// mu serialises the writers of learnt.
	mu sync.Mutex
	// wrong counts the hints that turned out to be wrong.
	wrong atomic.Uint64
}

// knowledge is what nodes said that the meta range's copy may not show yet.
type knowledge struct {
	descriptors map[cluster.RangeID]*cluster.RangeDescriptor
	// halves are the descriptors of ranges that were split off.
	halves []*cluster.RangeDescriptor
}

// New returns a table over the views that view returns.
func New(view func() View) *Table {
	t := &Table{view: view}
	t.learnt.Store(&knowledge{})
	t.changed.Store(new(make(chan struct{})))
	return t
}

// Lookup returns the route of the range that owns the key at of pool p. Just after
// a split that may be the range that owned it before, which refuses and tells.
func (t *Table) Lookup(p cluster.PoolID, at cluster.Key) (Route, bool) {
	k := t.learnt.Load()
	d, ok := t.view().RangeOf(p, at)
	if ok {
		d = k.newest(d)
	}
	if ok && d.Contains(p, at) {
		// The right half may be learnt and the left one not: it is the newer.
		for _, half := range k.halves {
			if half.Contains(p, at) && half.Generation > d.Generation {
				d = half
			}
		}
	} else if owner := k.owner(p, at); owner != nil {
		d, ok = owner, true
	}
	if !ok {
		return Route{}, false
	}
	return Route{Descriptor: d, Leader: t.Leader(d.ID)}, true
}

// Row returns the route of the range that holds the row, a key of keys.Row.
func (t *Table) Row(row []byte) (Route, bool) {
	return t.Lookup(keys.PoolOf(row), keys.Bound(row))
}

// Key returns the route of the range that holds the row with the encoded
// primary key.
func (t *Table) Key(p cluster.PoolID, c cluster.CollectionID, primary []byte) (Route, bool) {
	return t.Row(keys.Row(p, keys.VShardOf(c, primary), c, primary))
}

// Range returns the route of the range with the id.
func (t *Table) Range(id cluster.RangeID) (Route, bool) {
	k := t.learnt.Load()
	d, ok := t.view().Range(id)
	if ok {
		d = k.newest(d)
	} else if d = k.descriptors[id]; d == nil {
		return Route{}, false
	}
	return Route{Descriptor: d, Leader: t.Leader(id)}, true
}

// Leader returns the hint for the leader of a range; 0: none.
func (t *Table) Leader(id cluster.RangeID) cluster.NodeID {
	v, ok := t.leaders.Load(id)
	if !ok {
		return 0
	}
	node, _ := v.(cluster.NodeID)
	return node
}

// Changed returns a channel that is closed when a hint or descriptor changes.
func (t *Table) Changed() <-chan struct{} { return *t.changed.Load() }

// Learn takes a descriptor that a replica reported, if it is newer than the
// known one.
func (t *Table) Learn(d cluster.RangeDescriptor) {
	if have, ok := t.Range(d.ID); ok && have.Descriptor.Generation >= d.Generation {
		return
	}
	t.update(func(k *knowledge) {
		for id := range k.descriptors {
			// What the meta range has caught up with need not be kept.
			if pub, ok := t.view().Range(id); ok && pub.Generation >= k.descriptors[id].Generation {
				delete(k.descriptors, id)
			}
		}
		k.descriptors[d.ID] = d.Clone()
	})
}

// Wrong returns how many leader hints turned out to be wrong since the start.
func (t *Table) Wrong() uint64 { return t.wrong.Load() }

// SetLeader notes that node said, or showed, that it leads the range.
func (t *Table) SetLeader(id cluster.RangeID, node cluster.NodeID) {
	had := t.Leader(id)
	if had == node {
		return
	}
	if had != 0 {
		t.wrong.Add(1)
	}
	t.leaders.Store(id, node)
	t.tell()
}

// DropLeader drops the hint for a range if it is still node.
func (t *Table) DropLeader(id cluster.RangeID, node cluster.NodeID) {
	if t.Leader(id) != node {
		return
	}
	t.wrong.Add(1)
	if t.leaders.CompareAndDelete(id, node) {
		t.tell()
	}
}

// Forget drops all leader hints that name node: gossip suspects it.
func (t *Table) Forget(node cluster.NodeID) {
	t.leaders.Range(func(id, n any) bool {
		if n == node {
			t.leaders.CompareAndDelete(id, n)
		}
		return true
	})
	t.tell()
}

func (t *Table) update(change func(*knowledge)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.learnt.Load()
	next := &knowledge{
		descriptors: make(map[cluster.RangeID]*cluster.RangeDescriptor, len(old.descriptors)+1),
	}
	maps.Copy(next.descriptors, old.descriptors)
	change(next)
	for _, d := range next.descriptors {
		if d.Parent != 0 {
			next.halves = append(next.halves, d)
		}
	}
	t.learnt.Store(next)
	t.tell()
}

// tell wakes those who wait for a change, after it was made.
func (t *Table) tell() { close(*t.changed.Swap(new(make(chan struct{})))) }

// newest returns the learnt descriptor of d's range if it is newer than d.
func (k *knowledge) newest(d *cluster.RangeDescriptor) *cluster.RangeDescriptor {
	if l, ok := k.descriptors[d.ID]; ok && l.Generation > d.Generation {
		return l
	}
	return d
}

// owner returns the newest learnt descriptor that owns the key at of pool p, or nil.
func (k *knowledge) owner(p cluster.PoolID, at cluster.Key) *cluster.RangeDescriptor {
	var best *cluster.RangeDescriptor
	for _, d := range k.descriptors {
		if d.Contains(p, at) && (best == nil || d.Generation > best.Generation) {
			best = d
		}
	}
	return best
}
