package placement

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Defaults of a Snapshot's limits.
const (
	DefaultMaxDisk   = 0.80      // share of a disk that a plan may fill at its peak
	DefaultRate      = 64 << 20  // bytes per second that a node sends, and receives, in snapshots
	DefaultDeadAfter = 5 * 60    // seconds after which a dead node's replicas are re-created
	metaVotersMost   = 5         // voters of the meta range in a large cluster
	bytesBucket      = 256 << 20 // sizes nearer than this count as equal, so that plans are stable under load
)

// Node is what a plan needs to know of one node.
type Node struct {
	ID         cluster.NodeID
	Name       string
	Version    string
	Membership cluster.Membership
	Liveness   cluster.Liveness
	Service    cluster.Service
	Cordon     bool
	Locality   cluster.Locality
	Reported   bool    // its own status is in the Snapshot
	DownFor    float64 // seconds since it was last alive; 0 while it is
	Bytes      uint64  // live bytes of its store
	DiskUsed   uint64
	DiskTotal  uint64  // 0: not known
	CPU        float64 // share of the machine, 0..1
	CAKey      bool    // it holds the key of the cluster's CA
	SlowDisk   bool    // or full: others lead before it does
}

// Hot reports whether the node has no CPU to spare: it receives nothing and
// sends no snapshot, but its leaderships may go elsewhere.
func (n *Node) Hot() bool { return n.CPU > MaxCPU }

// Leaving reports whether the node's membership is ending or has ended.
func (n *Node) Leaving() bool {
	return n.Membership == cluster.Decommissioning || n.Membership == cluster.Decommissioned
}

// Down reports whether gossip has given the node up: more than suspected.
func (n *Node) Down() bool { return n.Liveness == cluster.Dead || n.Liveness == cluster.Left }

// Live reports whether the node counts towards a quorum.
func (n *Node) Live() bool {
	return n.Liveness == cluster.Alive && n.Membership != cluster.Decommissioned
}

// stops reports whether the process is on its way out.
func (n *Node) stops() bool {
	return n.Service == cluster.Draining || n.Service == cluster.Drained || n.Service == cluster.Stopping
}

// HandsOver reports whether the node's leaderships go elsewhere: it lives, and is
// on its way out, or its disk is slow.
func (n *Node) HandsOver() bool { return n.Live() && (n.stops() || n.Leaving() || n.SlowDisk) }

// mustGo reports whether leaderships leave the node even for one whose disk is slow.
func (n *Node) mustGo() bool { return !n.Live() || n.stops() || n.Leaving() }

// leads reports whether the node may be given leaderships.
func (n *Node) leads() bool {
	return n.Live() && !n.Leaving() && !n.Cordon && !n.stops()
}

// refuses returns why no replica of a data range may be placed on the node,
// disregarding its disk; "" if one may.
func (n *Node) refuses() string {
	switch {
	case n.Leaving():
		return "is " + string(n.Membership)
	case n.Membership != cluster.Active:
		return "is " + string(n.Membership) + ", not active yet"
	case n.Liveness != cluster.Alive:
		return "is " + string(n.Liveness)
	case n.Cordon:
		return "is cordoned"
	case n.stops():
		return "is " + string(n.Service)
	case !n.Reported:
		return "has not reported yet"
	}
	return ""
}

// Range is what a plan needs to know of one range.
type Range struct {
	Descriptor cluster.RangeDescriptor
	Leader     cluster.NodeID // 0: not known
	// Bytes is what a copy takes, before compression: Dead of it are old versions, which
	// are copied, too, and go when they are collected.
	Bytes, Dead uint64
	// Reads and Writes are per second; the leader serves the reads, every replica
	// applies the writes.
	Reads, Writes float64
	// Caught lists, sorted, the nodes whose replica holds all that is committed,
	// the leader among them. It comes from the leader; nil if none has reported.
	Caught []cluster.NodeID
	// Failed lists the nodes whose replica has stopped with an error.
	Failed []cluster.NodeID
}

// CaughtUp reports whether the replica on n holds all that is committed.
func (r *Range) CaughtUp(n cluster.NodeID) bool { return slices.Contains(r.Caught, n) }

// failed reports whether the replica on n has stopped with an error.
func (r *Range) failed(n cluster.NodeID) bool { return slices.Contains(r.Failed, n) }

// Snapshot is the state of a cluster as a plan sees it. Make one, fill it, and
// call Sort; the functions of this package then only read it.
type Snapshot struct {
	MetaIndex uint64
	Pools     []cluster.Pool // what they want; of one that is not there: three replicas, anywhere
	Nodes     []Node
	Ranges    []Range
	// Busy lists the nodes of operations in flight: they may stop at any moment.
	Busy      []cluster.NodeID
	MaxDisk   float64 // 0: DefaultMaxDisk
	Rate      uint64  // bytes per second and node; 0: DefaultRate
	DeadAfter float64 // seconds; 0: DefaultDeadAfter
	// Shape is the same pointer in two Snapshots that differ in figures only: same
	// holders, leaders, liveness, who has caught up. Nil: that is not known.
	Shape *Shape
	// Planted holds faults that tests plant.
	Planted Planted
}

// Shape stands for all of a Snapshot but its figures. It has a size, so that no two
// have one address.
type Shape struct{ _ byte }

// Settled is the Snapshot as it will be when operations in flight have ended and
// nodes that drain, or are drained, serve again: what waits its turn is judged by it.
func (s *Snapshot) Settled() *Snapshot {
	out := *s
	out.Busy, out.Nodes, out.Shape = nil, slices.Clone(s.Nodes), nil
	for i := range out.Nodes {
		if n := &out.Nodes[i]; n.stops() {
			n.Service = cluster.Ready
		}
	}
	return &out
}

// Sort brings a Snapshot into the order the functions of this package rely on,
// and fills in the defaults.
func (s *Snapshot) Sort() *Snapshot {
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Ranges, func(a, b Range) int { return cmp.Compare(a.Descriptor.ID, b.Descriptor.ID) })
	slices.SortFunc(s.Pools, func(a, b cluster.Pool) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(s.Busy)
	s.Busy = slices.Compact(s.Busy)
	for i := range s.Ranges {
		slices.Sort(s.Ranges[i].Caught)
	}
	return s.Defaults()
}

// Defaults fills in the limits that are not set. A Snapshot that is in order
// already needs no more.
func (s *Snapshot) Defaults() *Snapshot {
	if s.MaxDisk == 0 {
		s.MaxDisk = DefaultMaxDisk
	}
	if s.Rate == 0 {
		s.Rate = DefaultRate
	}
	if s.DeadAfter == 0 {
		s.DeadAfter = DefaultDeadAfter
	}
	return s
}

// Clone returns a copy that may be changed without changing s.
func (s *Snapshot) Clone() *Snapshot {
	c := *s
	c.Shape = nil // whoever clones changes it
	c.Nodes = slices.Clone(s.Nodes)
	c.Busy = slices.Clone(s.Busy)
	c.Ranges = slices.Clone(s.Ranges)
	for i := range c.Ranges {
		r := &c.Ranges[i]
		r.Descriptor.Replicas = slices.Clone(r.Descriptor.Replicas)
		r.Caught = slices.Clone(r.Caught)
		r.Failed = slices.Clone(r.Failed)
	}
	return &c
}

// Node returns the node with the id, or nil.
func (s *Snapshot) Node(id cluster.NodeID) *Node {
	// Ids are given out one after another: nearly always it is where its number
	// says, and this is asked for every replica of every range.
	if at := int(id) - 1; at >= 0 && at < len(s.Nodes) && s.Nodes[at].ID == id {
		return &s.Nodes[at]
	}
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n Node, id cluster.NodeID) int { return cmp.Compare(n.ID, id) })
	if !ok {
		return nil
	}
	return &s.Nodes[i]
}

// Range returns the range with the id, or nil.
func (s *Snapshot) Range(id cluster.RangeID) *Range {
	if at := int(id) - 1; at >= 0 && at < len(s.Ranges) && s.Ranges[at].Descriptor.ID == id {
		return &s.Ranges[at]
	}
	i, ok := slices.BinarySearchFunc(s.Ranges, id, func(r Range, id cluster.RangeID) int {
		return cmp.Compare(r.Descriptor.ID, id)
	})
	if !ok {
		return nil
	}
	return &s.Ranges[i]
}

// live reports whether the replica of r on node id counts towards a quorum.
func (s *Snapshot) live(r *Range, id cluster.NodeID) bool {
	n := s.Node(id)
	return n != nil && n.Live() && !r.failed(id)
}

// nodeSet is a set of nodes, by id: what is asked for each replica of each range
// must not cost a search.
type nodeSet []bool

func (s nodeSet) has(id cluster.NodeID) bool { return int(id) < len(s) && s[id] }

func (s nodeSet) drop(id cluster.NodeID) {
	if int(id) < len(s) {
		s[id] = false
	}
}

// living is the set of nodes that count towards a quorum.
func (s *Snapshot) living() nodeSet {
	if len(s.Nodes) == 0 {
		return nil
	}
	up := make(nodeSet, s.Nodes[len(s.Nodes)-1].ID+1)
	for i := range s.Nodes {
		up[s.Nodes[i].ID] = s.Nodes[i].Live()
	}
	return up
}

// wanted returns how many voters r should have: as declared for a data range,
// an odd number that grows with the membership for the meta range.
func (s *Snapshot) wanted(r *Range) int {
	if !r.Descriptor.IsMeta() {
		return s.spec(r).Replicas
	}
	return metaVoters(s.staying())
}

// staying counts the nodes whose membership is not ending. Liveness does not
// matter here: a node that is down for a minute must not shrink the meta range.
func (s *Snapshot) staying() int {
	count := 0
	for i := range s.Nodes {
		if s.Nodes[i].Membership == cluster.Active {
			count++
		}
	}
	return count
}

func metaVoters(nodes int) int {
	switch {
	case nodes >= metaVotersMost:
		return metaVotersMost
	case nodes >= 3:
		return 3
	}
	return 1
}

func quorum(voters int) int { return voters/2 + 1 }

// odd is the largest odd number up to n, for n of 1 or more.
func odd(n int) int { return n - (n+1)%2 }

// halves returns the voters of the two configurations of d that must both
// agree; outside a joint configuration they are the same.
func halves(d *cluster.RangeDescriptor) (before, after []cluster.NodeID) {
	for _, r := range d.Replicas {
		switch r.Role {
		case cluster.Voter:
			before, after = append(before, r.Node), append(after, r.Node)
		case cluster.VoterIncoming:
			after = append(after, r.Node)
		case cluster.VoterOutgoing:
			before = append(before, r.Node)
		}
	}
	return before, after
}

// HasQuorum reports whether r can elect a leader and commit.
func (s *Snapshot) HasQuorum(r *Range) bool {
	return s.quorate(r, func(n cluster.NodeID) bool { return s.live(r, n) })
}

// quorate reports whether the voters that count are a quorum of both halves. It
// is the inner loop of SafeToStop over all ranges, so it allocates nothing.
func (s *Snapshot) quorate(r *Range, counts func(cluster.NodeID) bool) bool {
	var before, after, haveBefore, haveAfter int
	for i := range r.Descriptor.Replicas {
		rep := &r.Descriptor.Replicas[i]
		if rep.Role == cluster.Learner {
			continue
		}
		have := 0
		if counts(rep.Node) {
			have = 1
		}
		if rep.Role != cluster.VoterIncoming {
			before, haveBefore = before+1, haveBefore+have
		}
		if rep.Role != cluster.VoterOutgoing {
			after, haveAfter = after+1, haveAfter+have
		}
	}
	return before > 0 && after > 0 && haveBefore >= quorum(before) && haveAfter >= quorum(after)
}

func enough(voters []cluster.NodeID, counts func(cluster.NodeID) bool) bool {
	return len(voters) > 0 && tally(voters, counts) >= quorum(len(voters))
}

func tally(nodes []cluster.NodeID, counts func(cluster.NodeID) bool) int {
	count := 0
	for _, n := range nodes {
		if counts(n) {
			count++
		}
	}
	return count
}
