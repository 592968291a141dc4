package admin

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// States of a range, as operators read them.
const (
	rangeHealthy  = "healthy"
	rangeUnder    = "under"
	rangeOver     = "over"
	rangeNoQuorum = "no-quorum"
	rangeMoving   = "moving"
	rangeElecting = "electing"
	rangeUnknown  = "unknown"
)

// sight is an Observation with what is derived from it.
type sight struct {
	*Observation
	source cluster.NodeID
	ranges []rangeSight // by id
	// replicas and leaders count those of each node.
	replicas, leaders map[cluster.NodeID]uint32
}

// rangeSight is one range as the nodes report it.
type rangeSight struct {
	descriptor cluster.RangeDescriptor // the newest that anybody knows
	leader     *cluster.RangeStatus    // of the replica that leads; nil: none reports to
	reports    map[cluster.NodeID]*cluster.RangeStatus
	state      string
	rate       rate
}

func newSight(o *Observation, source cluster.NodeID) *sight {
	s := &sight{Observation: o, source: source, replicas: map[cluster.NodeID]uint32{}, leaders: map[cluster.NodeID]uint32{}}
	found := map[cluster.RangeID]*rangeSight{}
	for id, d := range o.View.Ranges.All() {
		found[id] = &rangeSight{descriptor: *d, reports: map[cluster.NodeID]*cluster.RangeStatus{}}
	}
	for _, node := range sortedKeys(o.Statuses) {
		status := o.Statuses[node]
		for _, r := range status.Ranges {
			f := found[r.Descriptor.ID]
			if f == nil {
				f = &rangeSight{descriptor: r.Descriptor, reports: map[cluster.NodeID]*cluster.RangeStatus{}}
				found[r.Descriptor.ID] = f
			}
			f.see(node, r)
		}
	}
	for _, id := range sortedKeys(found) {
		f := found[id]
		f.state = s.judge(f)
		if f.leader != nil {
			f.rate = rate{reads: f.leader.ReadsPerSecond, writes: f.leader.WritesPerSecond}
		}
		s.ranges = append(s.ranges, *f)
		s.leaders[f.leaderNode()]++
		for _, r := range f.descriptor.Replicas {
			s.replicas[r.Node]++
		}
	}
	return s
}

func (f *rangeSight) see(node cluster.NodeID, r *cluster.RangeStatus) {
	f.reports[node] = r
	if r.Descriptor.Generation > f.descriptor.Generation {
		f.descriptor = r.Descriptor
	}
	// A deposed leader that has not heard of it has a lower term.
	if r.IsLeader() && (f.leader == nil || r.Term > f.leader.Term) {
		f.leader = r
	}
}

func (f *rangeSight) leaderNode() cluster.NodeID {
	if f.leader != nil {
		return f.leader.Leader
	}
	return 0
}

// size says what the range holds: as its leader says, or else the replica that has
// most. The zero value: nobody has told.
func (f *rangeSight) size() (st cluster.RangeStatus) {
	if f.leader != nil {
		return *f.leader
	}
	for _, node := range sortedKeys(f.reports) {
		if r := f.reports[node]; st.Replica == 0 || r.Bytes > st.Bytes {
			st = *r
		}
	}
	return st
}

// judge finds the state of a range; the worst that holds wins.
func (s *sight) judge(f *rangeSight) string {
	voters := f.descriptor.Voters()
	live, silent := 0, 0
	for _, v := range voters {
		switch r, reported := f.reports[v]; {
		case reported && r.Failed == "":
			live++
		case !reported && s.Liveness[v] == cluster.Alive:
			silent++
		}
	}
	switch {
	case live+silent < len(voters)/2+1:
		return rangeNoQuorum
	case f.leader == nil && silent > 0:
		return rangeUnknown
	case f.leader == nil:
		return rangeElecting
	case f.descriptor.Moving(s.wanted(f), f.leader):
		return rangeMoving
	}
	want := s.wanted(f)
	least := want
	if f.descriptor.IsMeta() { // it has more voters than data ranges, and a replica on every node already
		least = min(want, s.View.DefaultPool().Replicas)
	}
	switch {
	case live+silent < least:
		return rangeUnder
	case len(voters) > want:
		return rangeOver
	}
	return rangeHealthy
}

// wanted is how many voters the range should have.
func (s *sight) wanted(f *rangeSight) int {
	if s.Snapshot != nil {
		if r := s.Snapshot.Range(f.descriptor.ID); r != nil {
			return s.Snapshot.Wanted(r)
		}
	}
	return s.View.ReplicasWanted(&f.descriptor)
}

func (s *sight) asOf() *adminpb.AsOf {
	return &adminpb.AsOf{
		ClusterId: s.View.ClusterID, ClusterName: s.View.ClusterName, MetaIndex: s.View.Index,
		Time: timestamppb.New(s.At), Complete: len(s.Missing) == 0, Missing: nodeIDs(s.Missing), SourceNode: uint32(s.source),
	}
}

// members are the nodes that belong to the cluster, ascending.
func (s *sight) members() []*cluster.Node {
	var ns []*cluster.Node
	for _, id := range s.View.NodeIDs() {
		if n := s.View.Nodes[id]; n.Membership != cluster.Decommissioned {
			ns = append(ns, n)
		}
	}
	return ns
}

func (s *sight) survive() placement.Survival {
	if s.Snapshot == nil {
		return placement.Survival{}
	}
	return placement.Survive(s.Snapshot)
}

// rate is the load of a range per second, as its leader measures it.
type rate struct{ reads, writes float64 }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	ks := make([]K, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
