package operation

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// lookout keeps a snapshot as its sources are: of the ranges, only those are joined
// anew of which a source says something else than before.
//
// What a range is depends on four kinds of descriptors (the view's, those of
// reports, those of single answers, those that came with a change: the highest
// generation counts) and on who is alive. Each source has its own way to find what
// differs: pointers of the view and of reports, which are another one whenever the
// state is; single answers and changed descriptors are few, and their ranges are
// joined each time. A change that is missed would be a plan on what is no more:
// lookout_test compares with a snapshot made from nothing.
type lookout struct {
	snap *placement.Snapshot

	// What the snapshot was made of.
	view    *metastate.View
	reports map[cluster.NodeID][]*cluster.RangeStatus // of nodes whose report counts
	alive   map[cluster.NodeID]cluster.Liveness
	passing map[cluster.RangeID]bool // ranges with single answers or changed descriptors

	told   map[cluster.RangeID][]seen // in reports, by node
	strays map[cluster.RangeID]bool   // ranges of which a node tells a replica that may be gone from the descriptor
	loads  map[cluster.RangeID]bool   // ranges whose leader tells a load
	failed map[cluster.NodeID]map[cluster.RangeID]*cluster.RangeStatus
	// diverged are the ranges whose replicas tell that they hold different things.
	diverged map[cluster.RangeID]cluster.Comparison
	peers    map[cluster.NodeID]*peersOf

	records map[cluster.NodeID]*cluster.Node // of the view
	pools   []*cluster.Pool

	// shape counts changes of what plans rest on but figures: who holds, leads, lives,
	// has caught up. shaped is the shape that snap has.
	shape   uint64
	shaped  uint64
	joined  int // ranges joined by the last update
	planted Planted
}

// peersOf are the peers that a node does not reach.
type peersOf struct {
	of   map[cluster.NodeID]cluster.PeerStatus // in which they were found
	open []cluster.NodeID
}

func newLookout(planted Planted) *lookout {
	return &lookout{
		snap: &placement.Snapshot{}, reports: map[cluster.NodeID][]*cluster.RangeStatus{}, alive: map[cluster.NodeID]cluster.Liveness{},
		passing: map[cluster.RangeID]bool{}, told: map[cluster.RangeID][]seen{}, strays: map[cluster.RangeID]bool{},
		loads: map[cluster.RangeID]bool{}, diverged: map[cluster.RangeID]cluster.Comparison{}, failed: map[cluster.NodeID]map[cluster.RangeID]*cluster.RangeStatus{},
		peers: map[cluster.NodeID]*peersOf{}, planted: planted,
	}
}

// update brings the snapshot up to its sources. It is changed in place.
func (l *lookout) update(src *sources) {
	dirty := map[cluster.RangeID]bool{}
	l.takeNodes(src)
	l.takeReports(src, dirty)
	l.takeLiveness(src, dirty)
	l.takePassing(src, dirty)
	l.takeView(src, dirty)
	l.joined = 0
	for id := range dirty {
		if d, ok := src.view.Range(id); ok {
			l.join(src, d)
			l.joined++
		}
	}
	if l.snap.Shape == nil || l.shaped != l.shape {
		l.snap.Shape, l.shaped = &placement.Shape{}, l.shape
	}
}

// takeNodes makes everything but the ranges anew: there are a thousand nodes at
// most, and most of what is said of them is another figure each time.
func (l *lookout) takeNodes(src *sources) {
	v, s := src.view, l.snap
	head := placement.Snapshot{MetaIndex: v.Index, Rate: v.Settings.SnapshotRate(), DeadAfter: v.Settings.DeadAfter().Seconds(), Ranges: s.Ranges, Shape: s.Shape}
	head.Nodes = make([]placement.Node, 0, len(v.Nodes))
	records := make(map[cluster.NodeID]*cluster.Node, len(v.Nodes))
	for _, id := range v.NodeIDs() {
		n := v.Nodes[id]
		out := src.node(n)
		if was := s.Node(id); was != nil && l.records[id] == n {
			out.Locality = was.Locality
		} else {
			// It was checked when the node told it; one that cannot be read is none.
			out.Locality, _ = cluster.ParseLocality(n.Locality)
		}
		head.Nodes, records[id] = append(head.Nodes, out), n
	}
	var pools []*cluster.Pool
	for _, id := range v.PoolIDs() {
		head.Pools, pools = append(head.Pools, *v.Pools[id]), append(pools, v.Pools[id])
	}
	head.Defaults()
	if !slices.EqualFunc(s.Nodes, head.Nodes, sameNode) || !slices.Equal(l.pools, pools) || s.Rate != head.Rate || s.DeadAfter != head.DeadAfter {
		l.shape++
	}
	l.records, l.pools = records, pools
	*s = head
}

// sameNode reports whether two states of a node differ in figures only.
func sameNode(a, b placement.Node) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Version == b.Version && a.Membership == b.Membership && a.Liveness == b.Liveness &&
		a.Service == b.Service && a.Cordon == b.Cordon && a.Reported == b.Reported && a.DiskTotal == b.DiskTotal && a.CAKey == b.CAKey &&
		a.Hot() == b.Hot() && a.SlowDisk == b.SlowDisk && slices.Equal(a.Locality, b.Locality)
}

// takeReports finds what nodes tell of their replicas that they did not tell before.
func (l *lookout) takeReports(src *sources, dirty map[cluster.RangeID]bool) {
	for _, id := range sorted(l.reports) {
		if src.report(id) == nil && !l.planted.deaf("age") {
			l.hear(id, l.reports[id], nil, dirty)
			delete(l.reports, id)
			delete(l.peers, id)
		}
	}
	for id := range src.reports {
		st := src.report(id)
		if st == nil {
			continue
		}
		if !l.planted.deaf("reports") {
			l.hear(id, l.reports[id], st.Ranges, dirty)
		}
		l.reports[id] = st.Ranges
		l.hearPeers(id, st)
	}
}

// hear takes in what a node tells now, against what it told before.
func (l *lookout) hear(node cluster.NodeID, was, is []*cluster.RangeStatus, dirty map[cluster.RangeID]bool) {
	statusboard.Differ(was, is, func(was, is *cluster.RangeStatus) {
		l.say(node, cmp.Or(is, was).Descriptor.ID, is, dirty)
	})
}

// say sets what a node tells of a range; nil: nothing.
func (l *lookout) say(node cluster.NodeID, id cluster.RangeID, st *cluster.RangeStatus, dirty map[cluster.RangeID]bool) {
	dirty[id] = true
	list := l.told[id]
	i, found := slices.BinarySearchFunc(list, node, func(x seen, n cluster.NodeID) int { return cmp.Compare(x.node, n) })
	switch {
	case st == nil && found:
		list = slices.Delete(list, i, i+1)
	case st == nil:
	case found:
		list[i].status = st
	default:
		list = slices.Insert(list, i, seen{node: node, status: st})
	}
	l.told[id] = list
	if len(list) == 0 {
		delete(l.told, id)
		delete(l.strays, id)
		delete(l.loads, id)
	}
	switch {
	case st != nil && st.Failed != "":
		if l.failed[node] == nil {
			l.failed[node] = map[cluster.RangeID]*cluster.RangeStatus{}
		}
		l.failed[node][id] = st
	case l.failed[node] != nil:
		delete(l.failed[node], id)
	}
}

// hearPeers finds the peers that a node does not reach, when it says something new
// of its peers: an unchanged map is the same map.
func (l *lookout) hearPeers(id cluster.NodeID, st *cluster.NodeStatus) {
	if p := l.peers[id]; p != nil && statusboard.SamePeers(p.of, st.Peers) {
		return
	}
	l.peers[id] = &peersOf{of: st.Peers, open: statusboard.Unreached(st.Peers)}
}

// unreached lists the peers to which a node's breaker is open.
func (l *lookout) unreached(id cluster.NodeID, st *cluster.NodeStatus) []cluster.NodeID {
	l.hearPeers(id, st)
	return l.peers[id].open
}

// takeLiveness marks what was told by, or names as leader, a node that is another
// liveness now.
func (l *lookout) takeLiveness(src *sources, dirty map[cluster.RangeID]bool) {
	now := make(map[cluster.NodeID]cluster.Liveness, len(l.alive))
	for id := range src.liveness {
		now[id] = src.alive(id)
	}
	for id := range src.reports {
		now[id] = src.alive(id)
	}
	for id := range src.view.Nodes {
		now[id] = src.alive(id)
	}
	now[src.self] = src.alive(src.self)
	turned := map[cluster.NodeID]bool{}
	for id, is := range now {
		if l.alive[id] != is {
			turned[id] = true
		}
	}
	for id := range l.alive {
		if _, ok := now[id]; !ok {
			turned[id] = true
		}
	}
	l.alive = now
	if len(turned) == 0 || l.planted.deaf("liveness") {
		return
	}
	for id, list := range l.told {
		if slices.ContainsFunc(list, func(x seen) bool { return turned[x.node] || turned[x.status.Leader] }) {
			dirty[id] = true
		}
	}
}

// takePassing marks the ranges of single answers and changed descriptors, and those
// that had some.
func (l *lookout) takePassing(src *sources, dirty map[cluster.RangeID]bool) {
	for id := range l.passing {
		if !l.planted.deaf("passing") {
			dirty[id] = true
		}
	}
	clear(l.passing)
	for id := range src.extra {
		if !l.planted.deaf("extra") {
			dirty[id], l.passing[id] = true, true
		}
	}
	for id := range src.newer {
		if !l.planted.deaf("newer") {
			dirty[id], l.passing[id] = true, true
		}
	}
}

// takeView marks the ranges whose descriptor in the meta range is another one, and
// makes room for new ones.
func (l *lookout) takeView(src *sources, dirty map[cluster.RangeID]bool) {
	if l.view == src.view || l.planted.deaf("view") && l.view != nil {
		return
	}
	var added, gone []cluster.RangeID
	src.view.RangesSince(l.view, func(id cluster.RangeID, d *cluster.RangeDescriptor) {
		switch known := l.snap.Range(id) != nil; {
		case d == nil && known:
			gone = append(gone, id)
		case d != nil && !known:
			added = append(added, id)
		}
		dirty[id] = true
	})
	l.resize(added, gone)
	l.view = src.view
}

// resize makes room for ranges, and takes some away, in one pass: a new coordinator
// has room for none.
func (l *lookout) resize(added, gone []cluster.RangeID) {
	if len(gone) > 0 {
		slices.Sort(gone)
		l.snap.Ranges = slices.DeleteFunc(l.snap.Ranges, func(r placement.Range) bool {
			_, is := slices.BinarySearch(gone, r.Descriptor.ID)
			return is
		})
		for _, id := range gone {
			delete(l.strays, id)
			delete(l.loads, id)
			delete(l.diverged, id)
		}
		l.shape++
	}
	if len(added) == 0 {
		return
	}
	slices.Sort(added) // ids rise: mostly the list is in order then
	for _, id := range added {
		l.snap.Ranges = append(l.snap.Ranges, placement.Range{Descriptor: cluster.RangeDescriptor{ID: id}})
	}
	byID := func(a, b placement.Range) int { return cmp.Compare(a.Descriptor.ID, b.Descriptor.ID) }
	if !slices.IsSortedFunc(l.snap.Ranges, byID) {
		slices.SortFunc(l.snap.Ranges, byID)
	}
}

// heard returns what was said of a range, per node the newest, by node.
func (l *lookout) heard(src *sources, id cluster.RangeID) []seen {
	extra := src.extra[id]
	if len(extra) == 0 {
		return l.told[id]
	}
	list := slices.Clone(l.told[id])
	for i := range list {
		list[i].at = src.reports[list[i].node].At
	}
	for _, x := range extra {
		list = newest(list, x)
	}
	slices.SortStableFunc(list, func(a, b seen) int { return cmp.Compare(a.node, b.node) })
	return list
}

// join makes one range of the snapshot anew.
func (l *lookout) join(src *sources, d *cluster.RangeDescriptor) {
	x := l.snap.Range(d.ID)
	if x == nil {
		return // deaf to the view: only a planted fault gets here
	}
	next := src.rangeOf(d, l.heard(src, d.ID))
	if !sameShape(x, &next) {
		l.shape++
	}
	*x = next
	mark := func(set map[cluster.RangeID]bool, in bool) {
		if in {
			set[d.ID] = true
		} else {
			delete(set, d.ID)
		}
	}
	mark(l.strays, slices.ContainsFunc(l.told[d.ID], func(s seen) bool { return stray(&x.Descriptor, s.node, s.status.Replica) }))
	if cmp := l.compare(&x.Descriptor); len(cmp.Differ) > 0 {
		l.diverged[d.ID] = cmp
	} else {
		delete(l.diverged, d.ID)
	}
	mark(l.loads, slices.ContainsFunc(l.told[d.ID], func(s seen) bool { return s.status.Load != nil }))
}

// compare compares what the replicas of d have told.
func (l *lookout) compare(d *cluster.RangeDescriptor) cluster.Comparison {
	list := l.told[d.ID]
	return cluster.Compare(d, func(r cluster.ReplicaDescriptor) []cluster.Checksum {
		for _, x := range list {
			if x.node == r.Node && x.status.Replica == r.Replica {
				return x.status.Checksums
			}
		}
		return nil
	})
}

// stray reports whether the descriptor has given the replica's id out and does not
// list it, or a later one, on the node.
func stray(d *cluster.RangeDescriptor, node cluster.NodeID, replica cluster.ReplicaID) bool {
	rep, ok := d.On(node)
	return replica < d.NextReplica && (!ok || rep.Replica > replica)
}

// sameShape reports whether two states of a range differ in figures only.
func sameShape(a, b *placement.Range) bool {
	x, y := &a.Descriptor, &b.Descriptor
	return a.Leader == b.Leader && slices.Equal(a.Caught, b.Caught) && slices.Equal(a.Failed, b.Failed) &&
		x.Generation == y.Generation && x.Start == y.Start && x.End == y.End && x.Pool == y.Pool && slices.Equal(x.Replicas, y.Replicas)
}
