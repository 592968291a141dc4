package statusboard

import (
	"reflect"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Differ calls fn for each range of which a node tells something else now than it
// told before: was or is is nil of one that it did not, or does not, tell of. Both
// lists are by range; pointers are states. Of a list that is the same list nothing
// is looked at.
func Differ(was, is []*cluster.RangeStatus, fn func(was, is *cluster.RangeStatus)) {
	if len(was) == len(is) && (len(was) == 0 || &was[0] == &is[0]) {
		return
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Descriptor.ID < is[0].Descriptor.ID:
			fn(was[0], nil)
			was = was[1:]
		case len(was) == 0 || is[0].Descriptor.ID < was[0].Descriptor.ID:
			fn(nil, is[0])
			is = is[1:]
		default:
			if was[0] != is[0] {
				fn(was[0], is[0])
			}
			was, is = was[1:], is[1:]
		}
	}
}

// SamePeers reports whether both are the same map, and so the same state: a Copy
// makes another one when something in it changes.
func SamePeers(a, b map[cluster.NodeID]cluster.PeerStatus) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Unreached lists the peers to which a node's breaker is open, in their order.
func Unreached(peers map[cluster.NodeID]cluster.PeerStatus) []cluster.NodeID {
	var open []cluster.NodeID
	for to, peer := range peers {
		if peer.Breaker == "open" {
			open = append(open, to)
		}
	}
	slices.Sort(open)
	return open
}
