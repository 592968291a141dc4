package admin

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/client/adminpb"
)

// keepSight is how long a sight is kept for the next one: a dashboard looks each
// second, and of many ranges a sight is much memory.
const keepSight = time.Minute

// memory keeps the last sight, so that the next is made of what differs.
type memory struct {
	mu struct {
		sync.Mutex
		last *sight
		drop *time.Timer
	}
}

// see returns what an Observation shows.
func (m *memory) see(o *Observation, source cluster.NodeID) *sight {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.last = m.mu.last.next(o, source)
	if m.mu.drop == nil {
		m.mu.drop = time.AfterFunc(keepSight, m.forget)
	}
	m.mu.drop.Reset(keepSight)
	return m.mu.last
}

func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.last = nil
}

// census counts what a sight shows. It is kept by what joins and leaves it.
type census struct {
	states  map[string]int // ranges in each
	bytes   uint64         // of data
	unsized int            // ranges of data that no node tells of
	// replicas and leaders count those of each node, data the replicas but that of the
	// meta range.
	replicas, leaders, data map[cluster.NodeID]int
	stored                  map[cluster.NodeID]stored
	notable                 map[cluster.RangeID]*rangeSight // that a rule may have something to say of
}

// stored is what the replicas of a node hold, as it says.
type stored struct {
	live, dead uint64
	uncounted  uint32 // replicas that are being counted
}

func (c *census) clone() {
	c.states, c.replicas, c.leaders, c.data = cloned(c.states), cloned(c.replicas), cloned(c.leaders), cloned(c.data)
	c.stored, c.notable = cloned(c.stored), cloned(c.notable)
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// add counts a range; by is 1, or -1 to count it no more.
func (c *census) add(f *rangeSight, by int) {
	c.states[f.state] += by
	c.leaders[f.leaderNode()] += by
	for _, r := range f.descriptor.Replicas {
		c.replicas[r.Node] += by
		if !f.descriptor.IsMeta() {
			c.data[r.Node] += by
		}
	}
	if !f.descriptor.IsMeta() {
		c.bytes += uint64(by) * f.size().Bytes // modulo 2^64 this takes away, too
		if len(f.reports) == 0 {
			c.unsized += by
		}
	}
	delete(c.notable, f.descriptor.ID)
	if by > 0 && f.notable() {
		c.notable[f.descriptor.ID] = f
	}
}

// store counts what a node says of a replica; by as in add.
func (c *census) store(node cluster.NodeID, st *cluster.RangeStatus, by int) {
	x := c.stored[node]
	x.live, x.dead = x.live+uint64(by)*st.LiveBytes, x.dead+uint64(by)*st.DeadBytes
	if !st.Counted {
		x.uncounted += uint32(by)
	}
	c.stored[node] = x
}

// peersSight is what a node says of its peers, and those that it does not reach.
type peersSight struct {
	of   map[cluster.NodeID]cluster.PeerStatus
	open []cluster.NodeID
}

// roster are the members as all nodes see them.
type roster struct {
	once sync.Once
	list []*adminpb.Member
}

// join makes a sight of the one before it: of the ranges, only those are joined anew
// of which a source says something else. What a range is depends on the meta range's
// descriptor and on reports, whose pointers are states; on who is alive; and on what
// its pool wants. A source that is forgotten here would show what is no more:
// join_test compares with a sight made from nothing.
type join struct {
	old, s *sight
	open   map[cluster.RangeID]*rangeSight
	counts bool // the census is the new sight's own
}

// next returns what o shows. A nil sight has seen nothing.
func (s *sight) next(o *Observation, source cluster.NodeID) *sight {
	if s == nil {
		s = &sight{Observation: &Observation{View: &metastate.View{}}}
	}
	j := join{old: s, open: map[cluster.RangeID]*rangeSight{}}
	j.s = &sight{Observation: o, source: source, ranges: s.ranges, census: s.census}
	j.takeReports()
	o.View.RangesSince(s.View, func(id cluster.RangeID, _ *cluster.RangeDescriptor) { j.touch(id) })
	j.takeLiveness()
	j.takeWishes()
	j.settle()
	j.takePeers()
	j.takeView()
	if j.s.survey = s.survey; j.s.survey == nil || o.Snapshot == nil || s.Snapshot == nil || o.Snapshot.Shape == nil || o.Snapshot.Shape != s.Snapshot.Shape {
		j.s.survey = &survey{}
	}
	return j.s
}

// touch has a range joined anew.
func (j *join) touch(id cluster.RangeID) *rangeSight {
	f := j.open[id]
	if f == nil {
		f = &rangeSight{}
		if was := j.old.find(id); was != nil {
			f.reports = slices.Clone(was.reports)
		} else {
			f.reports = make([]report, 0, cluster.DefaultReplicas)
		}
		j.open[id] = f
	}
	return f
}

// own returns the census to count in.
func (j *join) own() *census {
	if !j.counts {
		j.s.census.clone()
		j.counts = true
	}
	return &j.s.census
}

func (j *join) takeReports() {
	hear := func(node cluster.NodeID, was, is *cluster.NodeStatus) {
		var before, now []*cluster.RangeStatus
		if was != nil {
			before = was.Ranges
		}
		if is != nil {
			now = is.Ranges
		}
		statusboard.Differ(before, now, func(a, b *cluster.RangeStatus) {
			if a != nil {
				j.own().store(node, a, -1)
				if b == nil {
					j.touch(a.Descriptor.ID).see(node, nil)
				}
			}
			if b != nil {
				j.own().store(node, b, 1)
				j.touch(b.Descriptor.ID).see(node, b)
			}
		})
	}
	for node, was := range j.old.Statuses {
		if j.s.Statuses[node] == nil {
			hear(node, was, nil)
		}
	}
	for node, is := range j.s.Statuses {
		hear(node, j.old.Statuses[node], is)
	}
}

// takeLiveness touches the ranges with a replica on a node that is another liveness
// now: one that lives and is silent counts otherwise than one that is dead.
func (j *join) takeLiveness() {
	if maps.Equal(j.old.Liveness, j.s.Liveness) {
		return
	}
	for _, f := range j.old.ranges {
		if slices.ContainsFunc(f.descriptor.Replicas, func(r cluster.ReplicaDescriptor) bool { return j.old.Liveness[r.Node] != j.s.Liveness[r.Node] }) {
			j.touch(f.descriptor.ID)
		}
	}
}

// takeWishes touches all ranges if pools want something else, or are called so. What
// the meta range wants depends on the members, too: it is touched each time.
func (j *join) takeWishes() {
	if j.old.find(cluster.MetaRangeID) != nil {
		j.touch(cluster.MetaRangeID)
	}
	if maps.Equal(j.old.View.Pools, j.s.View.Pools) && (j.old.Snapshot == nil) == (j.s.Snapshot == nil) {
		return
	}
	for _, f := range j.old.ranges {
		j.touch(f.descriptor.ID)
	}
}

// settle puts the ranges that were touched in the place of those before, if they
// differ.
func (j *join) settle() {
	var added []*rangeSight
	gone, mine := false, false
	for id, f := range j.open {
		i, known := j.old.at(id)
		f.settle(j.s.View.Ranges.Get(id))
		if f.descriptor != nil {
			if f.state = j.s.judge(f); !f.descriptor.IsMeta() {
				f.pool = j.s.View.PoolName(f.descriptor.Pool)
			}
			if known && f.same(j.old.ranges[i]) {
				continue
			}
		} else if !known {
			continue
		}
		j.s.joined++
		if !mine {
			j.s.ranges, mine = slices.Clone(j.s.ranges), true
		}
		if known {
			j.own().add(j.old.ranges[i], -1)
		}
		switch {
		case f.descriptor == nil:
			j.s.ranges[i], gone = nil, true
			continue
		case known:
			j.s.ranges[i] = f
		default:
			added = append(added, f)
		}
		j.own().add(f, 1)
	}
	if gone {
		j.s.ranges = slices.DeleteFunc(j.s.ranges, func(f *rangeSight) bool { return f == nil })
	}
	if len(added) > 0 {
		j.s.ranges = append(j.s.ranges, added...)
		slices.SortFunc(j.s.ranges, func(a, b *rangeSight) int { return int(a.descriptor.ID) - int(b.descriptor.ID) })
	}
}

// same reports whether two sights of a range say the same.
func (f *rangeSight) same(o *rangeSight) bool {
	return f.descriptor == o.descriptor && f.pool == o.pool && f.leader == o.leader && f.state == o.state && slices.Equal(f.reports, o.reports)
}

// takePeers takes in what nodes say of each other: a thousand of a thousand.
func (j *join) takePeers() {
	s, old := j.s, j.old
	s.peers = make(map[cluster.NodeID]*peersSight, len(s.Statuses))
	same := old.roster != nil && len(old.Statuses) == len(s.Statuses) && maps.Equal(old.Liveness, s.Liveness) && maps.Equal(old.View.Nodes, s.View.Nodes)
	for node, st := range s.Statuses {
		if was := old.peers[node]; was != nil && sameWords(was.of, st.Peers) {
			s.peers[node] = &peersSight{of: st.Peers, open: was.open}
			continue
		}
		same = false
		s.peers[node] = &peersSight{of: st.Peers, open: statusboard.Unreached(st.Peers)}
	}
	if s.roster = old.roster; !same {
		s.roster = &roster{}
	}
}

// sameWords reports whether a node thinks of its peers what it thought before, but
// for how long pings take.
func sameWords(a, b map[cluster.NodeID]cluster.PeerStatus) bool {
	return statusboard.SamePeers(a, b) || maps.EqualFunc(a, b, func(x, y cluster.PeerStatus) bool { return x.Liveness == y.Liveness && x.Breaker == y.Breaker })
}

// takeView takes in what the metadata alone tells of nodes.
func (j *join) takeView() {
	s := j.s
	s.operations, s.flapped = map[cluster.NodeID]string{}, map[cluster.NodeID]int{}
	for _, id := range s.View.OperationIDs() {
		o := s.View.Operations[id]
		if o.State.Final() {
			continue
		}
		for _, n := range o.Spec.Nodes {
			if s.operations[n] == "" {
				s.operations[n] = id
			}
		}
	}
	for _, e := range s.View.Events {
		if e.Kind == cluster.EventNodeAlive && s.At.Sub(e.Time) < flapWindow {
			s.flapped[e.Node]++
		}
	}
}
