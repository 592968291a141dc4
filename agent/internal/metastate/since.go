package metastate

import "github.com/nodedb/nodedb/agent/internal/cluster"

// RangesSince calls fn for every range whose descriptor is another one than in old,
// an earlier view or nil; d is nil of a range that is no more. What did not change
// is not looked at.
func (v *View) RangesSince(old *View, fn func(id cluster.RangeID, d *cluster.RangeDescriptor)) {
	if old == nil {
		old = &View{}
	}
	v.Ranges.since(old.Ranges, fn)
}
