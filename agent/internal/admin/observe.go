package admin

import (
	"cmp"
	"slices"
	"sync"

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

// sight is an Observation with what is derived from it. It never changes: the next
// one shares with it whatever is the same.
type sight struct {
	*Observation
	source cluster.NodeID
	ranges []*rangeSight // by id
	census
	peers  map[cluster.NodeID]*peersSight
	roster *roster
	survey *survey
	// operations are those at work on each node, by the first of their ids.
	operations map[cluster.NodeID]string
	flapped    map[cluster.NodeID]int // returns of each node within flapWindow
	joined     int                    // ranges that were joined anew
}

// rangeSight is one range as the nodes report it. Pointers are states: one that
// differs is another rangeSight.
type rangeSight struct {
	descriptor *cluster.RangeDescriptor // the newest that anybody knows
	pool       string                   // the name of its pool; empty: the meta range
	leader     *cluster.RangeStatus     // of the replica that leads; nil: none reports to
	reports    []report                 // by node
	state      string
	shown      sync.Once
	proto      *adminpb.Range // made by shown
}

// report is what one node says of its replica.
type report struct {
	node   cluster.NodeID
	status *cluster.RangeStatus
}

// survey is what follows from one shape of the cluster. To find it takes a look at
// every range: each answer is found once, for all that ask.
type survey struct {
	survives, misfits, spread sync.Once
	survival                  placement.Survival
	misplacedIDs, crowdedIDs  []cluster.RangeID
}

func (v *survey) survive(s *placement.Snapshot) placement.Survival {
	v.survives.Do(func() { v.survival = placement.Survive(s) })
	return v.survival
}

// misplaced are the ranges that are not as their pool wants them.
func (v *survey) misplaced(s *placement.Snapshot) []cluster.RangeID {
	v.misfits.Do(func() { v.misplacedIDs = s.Misplaced() })
	return v.misplacedIDs
}

// crowded are the ranges whose replicas lie closer together than the nodes allow.
func (v *survey) crowded(s *placement.Snapshot) []cluster.RangeID {
	v.spread.Do(func() { v.crowdedIDs = s.Crowded() })
	return v.crowdedIDs
}

// see sets what a node says of the range; nil: nothing.
func (f *rangeSight) see(node cluster.NodeID, st *cluster.RangeStatus) {
	i, found := slices.BinarySearchFunc(f.reports, node, func(r report, n cluster.NodeID) int { return cmp.Compare(r.node, n) })
	switch {
	case st == nil && found:
		f.reports = slices.Delete(f.reports, i, i+1)
	case st == nil:
	case found:
		f.reports[i].status = st
	default:
		f.reports = slices.Insert(f.reports, i, report{node, st})
	}
}

// on returns what a node says of its replica; nil: nothing.
func (f *rangeSight) on(node cluster.NodeID) *cluster.RangeStatus {
	for i := range f.reports {
		if f.reports[i].node == node {
			return f.reports[i].status
		}
	}
	return nil
}

// settle finds what follows from the meta range's descriptor, if it has one, and the
// reports.
func (f *rangeSight) settle(known *cluster.RangeDescriptor) {
	f.descriptor, f.leader = known, nil
	for i := range f.reports {
		r := f.reports[i].status
		if f.descriptor == nil || r.Descriptor.Generation > f.descriptor.Generation {
			f.descriptor = &r.Descriptor
		}
		// A deposed leader that has not heard of it has a lower term.
		if r.IsLeader() && (f.leader == nil || r.Term > f.leader.Term) {
			f.leader = r
		}
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
func (f *rangeSight) size() *cluster.RangeStatus {
	if f.leader != nil {
		return f.leader
	}
	st := &cluster.RangeStatus{}
	for _, r := range f.reports {
		if st.Replica == 0 || r.status.Bytes > st.Bytes {
			st = r.status
		}
	}
	return st
}

// strange reports whether the replica that a node tells of belongs to the range no more.
func (f *rangeSight) strange(r report) bool {
	rep, held := f.descriptor.On(r.node)
	return (!held || rep.Replica > r.status.Replica) && r.status.Replica < f.descriptor.NextReplica
}

// comparison compares what the replicas have told that they hold.
func (f *rangeSight) comparison() cluster.Comparison {
	return cluster.Compare(f.descriptor, func(r cluster.ReplicaDescriptor) []cluster.Checksum {
		if st := f.on(r.Node); st != nil && st.Replica == r.Replica {
			return st.Checksums
		}
		return nil
	})
}

// notable reports whether a rule may have something to say of the range.
func (f *rangeSight) notable() bool {
	return f.state != rangeHealthy || len(f.comparison().Differ) > 0 || slices.ContainsFunc(f.reports, func(r report) bool { return r.status.Failed != "" || f.strange(r) })
}

// judge finds the state of a range; the worst that holds wins.
func (s *sight) judge(f *rangeSight) string {
	total, live, silent := 0, 0, 0
	for _, rep := range f.descriptor.Replicas {
		if rep.Role == cluster.Learner {
			continue
		}
		total++
		switch r := f.on(rep.Node); {
		case r != nil && r.Failed == "":
			live++
		case r == nil && s.Liveness[rep.Node] == cluster.Alive:
			silent++
		}
	}
	want := s.wanted(f)
	switch {
	case live+silent < total/2+1:
		return rangeNoQuorum
	case f.leader == nil && silent > 0:
		return rangeUnknown
	case f.leader == nil:
		return rangeElecting
	case f.descriptor.Moving(want, f.leader):
		return rangeMoving
	}
	least := want
	if f.descriptor.IsMeta() { // it has more voters than data ranges, and a replica on every node already
		least = min(want, s.View.DefaultPool().Replicas)
	}
	switch {
	case live+silent < least:
		return rangeUnder
	case total > want:
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
	return s.View.ReplicasWanted(f.descriptor)
}

// find returns the range with the id; nil: nobody knows it.
func (s *sight) find(id cluster.RangeID) *rangeSight {
	if i, ok := s.at(id); ok {
		return s.ranges[i]
	}
	return nil
}

func (s *sight) at(id cluster.RangeID) (int, bool) {
	// Ids are given out one after another: nearly always it is where its number says.
	if i := int(id) - 1; i >= 0 && i < len(s.ranges) && s.ranges[i].descriptor.ID == id {
		return i, true
	}
	return slices.BinarySearchFunc(s.ranges, id, func(f *rangeSight, id cluster.RangeID) int { return cmp.Compare(f.descriptor.ID, id) })
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
	return s.survey.survive(s.Snapshot)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	ks := make([]K, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
