package metastate

import "github.com/nodedb/nodedb/agent/internal/cluster"

// RangesSince calls fn for every range whose descriptor is another one than in old,
// an earlier view or nil; d is nil of a range that is no more.
func (v *View) RangesSince(old *View, fn func(id cluster.RangeID, d *cluster.RangeDescriptor)) {
	if old == nil {
		for id, d := range v.Ranges {
			fn(id, d)
		}
		return
	}
	if old.Index == v.Index {
		return
	}
	for id, d := range v.Ranges {
		if old.Ranges[id] != d {
			fn(id, d)
		}
	}
	for id := range old.Ranges {
		if v.Ranges[id] == nil {
			fn(id, nil)
		}
	}
}
