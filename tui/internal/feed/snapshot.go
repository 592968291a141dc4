package feed

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Topics of a subscription.
const (
	Status     = "status"
	Nodes      = "nodes"
	Ranges     = "ranges"
	Operations = "operations"
	Members    = "members"
	Rebalance  = "rebalance"
	Events     = "events"
	Pools      = "pools"
)

// Snapshot is what is known at one moment. Lists are in ascending order of ids,
// but for operations (newest first); events are oldest first.
type Snapshot struct {
	Revision   uint64 // grows when anything below changed
	At         time.Time
	AsOf       *adminpb.AsOf
	Status     *adminpb.GetStatusResponse
	Nodes      []*adminpb.Node
	Ranges     []*adminpb.Range
	Operations []*adminpb.Operation
	Pools      []*adminpb.Pool
	Members    *adminpb.ListMembersResponse
	Rebalance  *adminpb.GetRebalanceResponse
	Events     []*adminpb.Event
	Load       *Load

	have map[string]bool // by topic: true when it came, false when it should have
}

// Has reports whether a topic's data has come.
func (s *Snapshot) Has(topic string) bool { return s != nil && s.have[topic] }

// Lacks reports whether the node answered without a topic that was asked for: it
// runs a version that does not know it.
func (s *Snapshot) Lacks(topic string) bool {
	if s == nil {
		return false
	}
	came, asked := s.have[topic]
	return asked && !came
}

// Node finds a node by id; nil if it is not known.
func (s *Snapshot) Node(id uint32) *adminpb.Node {
	if s == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n *adminpb.Node, id uint32) int { return cmp.Compare(n.GetId(), id) })
	if !ok {
		return nil
	}
	return s.Nodes[i]
}

// Range finds a range by id; nil if it is not known.
func (s *Snapshot) Range(id uint32) *adminpb.Range {
	if s == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.Ranges, id, func(r *adminpb.Range, id uint32) int { return cmp.Compare(r.GetId(), id) })
	if !ok {
		return nil
	}
	return s.Ranges[i]
}

// Operation finds an operation by id, also among those that the status tells of.
func (s *Snapshot) Operation(id string) *adminpb.Operation {
	if s == nil {
		return nil
	}
	for _, list := range [][]*adminpb.Operation{s.Operations, s.Status.GetRunning()} {
		for _, o := range list {
			if o.GetId() == id {
				return o
			}
		}
	}
	return nil
}

// Running lists the operations that have not ended.
func (s *Snapshot) Running() []*adminpb.Operation {
	if s == nil {
		return nil
	}
	return s.Status.GetRunning()
}

// merge returns old, ascending by id, with changed put in and gone taken out. Old is
// shared with snapshots that were published: it is not touched. Of what stays as it
// is only pointers are copied. swap is told of each item that comes, goes or changes;
// the zero T is none.
func merge[T any](old, changed []T, gone []uint32, id func(T) uint32, swap func(was, is T)) []T {
	var none T
	changed = slices.Clone(changed)
	slices.SortStableFunc(changed, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
	out := make([]T, 0, len(old)+len(changed))
	for i, c := range changed {
		if i+1 < len(changed) && id(changed[i+1]) == id(c) {
			continue // sent twice: the later one holds
		}
		at, found := slices.BinarySearchFunc(old, id(c), func(x T, id32 uint32) int { return cmp.Compare(id(x), id32) })
		out = append(append(out, old[:at]...), c)
		was := none
		if found {
			was, at = old[at], at+1
		}
		swap(was, c)
		old = old[at:]
	}
	out = append(out, old...)
	for _, g := range gone {
		if at, found := slices.BinarySearchFunc(out, g, func(x T, id32 uint32) int { return cmp.Compare(id(x), id32) }); found {
			swap(out[at], none)
			out = slices.Delete(out, at, at+1)
		}
	}
	return out
}
