package placement

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Misplaced lists the ranges that have a replica where the constraints of their
// pool exclude it, or more voters than it wants. Of fewer other words are used:
// they are under-replicated.
func (s *Snapshot) Misplaced() []cluster.RangeID {
	var out []cluster.RangeID
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if r.Descriptor.IsMeta() || r.Descriptor.Joint() {
			continue
		}
		voters := r.Descriptor.Voters()
		excluded := tally(voters, func(id cluster.NodeID) bool { return !s.admits(r, id) })
		if excluded > 0 || len(voters) > s.wanted(r) {
			out = append(out, r.Descriptor.ID)
		}
	}
	return out
}

// Crowded lists the ranges that are whole, and of which some move would spread the
// replicas further over the localities: nodes for it exist, whatever they carry.
func (s *Snapshot) Crowded() []cluster.RangeID {
	if !s.located() {
		return nil
	}
	var able []cluster.NodeID
	for i := range s.Nodes {
		if s.Nodes[i].refuses() == "" {
			able = append(able, s.Nodes[i].ID)
		}
	}
	var out []cluster.RangeID
	places := newSites(s, able)
	for i := range s.Ranges {
		r := &s.Ranges[i]
		d := &r.Descriptor
		if !d.IsMeta() && !d.Joint() && len(d.Voters()) == s.wanted(r) && places.improvable(r) {
			out = append(out, d.ID)
		}
	}
	return out
}
