package metastate

import (
	"iter"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// RangeMap holds the descriptors of all ranges by id. It is a value that never
// changes: With and Without return another one, which shares with it all but the
// way to the one range, some kilobytes of 100,000 ranges. The zero RangeMap is empty.
type RangeMap struct {
	root  *rangeNode
	shift uint // bits below those that the root decides
	n     int
}

const (
	fanBits = 5
	fan     = 1 << fanBits
)

// rangeNode is a node of the tree: at the bottom it has descriptors, above nodes.
type rangeNode struct {
	nodes       [fan]*rangeNode
	descriptors *[fan]*cluster.RangeDescriptor // nil above the bottom
}

// Len is how many ranges there are.
func (m RangeMap) Len() int { return m.n }

// Get returns the descriptor of a range; nil: there is none.
func (m RangeMap) Get(id cluster.RangeID) *cluster.RangeDescriptor {
	n, shift := m.root, m.shift
	if n == nil || uint64(id)>>shift >= fan {
		return nil
	}
	for ; shift > 0; shift -= fanBits {
		if n = n.nodes[uint64(id)>>shift%fan]; n == nil {
			return nil
		}
	}
	return n.descriptors[id%fan]
}

// With returns the map with d in it.
func (m RangeMap) With(d *cluster.RangeDescriptor) RangeMap {
	if m.Get(d.ID) == nil {
		m.n++
	}
	if m.root == nil {
		m.root = &rangeNode{descriptors: &[fan]*cluster.RangeDescriptor{}}
	}
	for uint64(d.ID)>>m.shift >= fan {
		m.root = &rangeNode{nodes: [fan]*rangeNode{m.root}}
		m.shift += fanBits
	}
	m.root = m.root.with(m.shift, d.ID, d)
	return m
}

// Without returns the map without the range.
func (m RangeMap) Without(id cluster.RangeID) RangeMap {
	if m.Get(id) == nil {
		return m
	}
	m.n--
	m.root = m.root.with(m.shift, id, nil)
	return m
}

// with copies the nodes on the way to id; n may be nil.
func (n *rangeNode) with(shift uint, id cluster.RangeID, d *cluster.RangeDescriptor) *rangeNode {
	next := &rangeNode{}
	if n != nil {
		*next = *n
	}
	if shift > 0 {
		at := uint64(id) >> shift % fan
		next.nodes[at] = next.nodes[at].with(shift-fanBits, id, d)
		return next
	}
	leaf := [fan]*cluster.RangeDescriptor{}
	if next.descriptors != nil {
		leaf = *next.descriptors
	}
	leaf[id%fan] = d
	next.descriptors = &leaf
	return next
}

// All returns every range, by id.
func (m RangeMap) All() iter.Seq2[cluster.RangeID, *cluster.RangeDescriptor] {
	return func(yield func(cluster.RangeID, *cluster.RangeDescriptor) bool) {
		m.root.differ(nil, func(_, d *cluster.RangeDescriptor) bool { return d == nil || yield(d.ID, d) })
	}
}

// since calls fn for every range whose descriptor is another one than in old; d is
// nil of one that is no more. It looks at nothing that both share.
func (m RangeMap) since(old RangeMap, fn func(id cluster.RangeID, d *cluster.RangeDescriptor)) {
	a, b := old, m
	for a.root != nil && a.shift < b.shift {
		a = RangeMap{root: &rangeNode{nodes: [fan]*rangeNode{a.root}}, shift: a.shift + fanBits}
	}
	for b.root != nil && b.shift < a.shift {
		b = RangeMap{root: &rangeNode{nodes: [fan]*rangeNode{b.root}}, shift: b.shift + fanBits}
	}
	b.root.differ(a.root, func(was, is *cluster.RangeDescriptor) bool {
		if is != nil {
			fn(is.ID, is)
		} else {
			fn(was.ID, nil)
		}
		return true
	})
}

// differ calls fn for each descriptor in which n differs from old, by id, until fn
// says no. Either may be nil: empty.
func (n *rangeNode) differ(old *rangeNode, fn func(was, is *cluster.RangeDescriptor) bool) bool {
	if n == old {
		return true
	}
	empty := &rangeNode{}
	if n == nil {
		n = empty
	}
	if old == nil {
		old = empty
	}
	if n.descriptors != nil || old.descriptors != nil {
		return differLeaf(old.descriptors, n.descriptors, fn)
	}
	for i := range n.nodes {
		if !n.nodes[i].differ(old.nodes[i], fn) {
			return false
		}
	}
	return true
}

func differLeaf(old, now *[fan]*cluster.RangeDescriptor, fn func(was, is *cluster.RangeDescriptor) bool) bool {
	none := &[fan]*cluster.RangeDescriptor{}
	if old == nil {
		old = none
	}
	if now == nil {
		now = none
	}
	for i := range now {
		if old[i] != now[i] && !fn(old[i], now[i]) {
			return false
		}
	}
	return true
}
