package operation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// tick is the unit of the rig's time.
const tick = 100 * time.Millisecond

// rig is a cluster of pretence in one goroutine: the real Controller and the
// real meta state machine over nodes and ranges that follow the rules of raft
// as far as a coordinator can see. It is deterministic for a seed.
type rig struct {
	t    testing.TB
	rng  *rand.Rand
	skew time.Duration // of the clocks that coordinators go by
	// sums are what the replicas told when they were compared, verified when they were.
	sums     map[cluster.RangeID]map[cluster.NodeID][]cluster.Checksum
	verified []verified
	now      time.Time
	machine  *metastate.Machine
	index    uint64
	nodes    map[cluster.NodeID]*fakeNode
	ranges   map[cluster.RangeID]*fakeRange
	pending  []*pending
	// Of the coordinator of now.
	coordinator cluster.NodeID
	actions     int // carried out so far
	begun       []Begun
	log         []string
	// copyRate is how many bytes per second all snapshots together send; 0: a
	// learner has none to wait for.
	copyRate uint64
	// shelled says that real Runners coordinate.
	shelled bool
	still   bool // nobody writes
	// watch, if set, sees every action before it is carried out.
	watch    func(a Action)
	locality func(cluster.NodeID) string
	// pendingMiddle counts the questions for middles: every third is answered, by middle.
	pendingMiddle int
	middle        func(id cluster.RangeID) cluster.Key
	// refuse, if set, says why a call is answered with an error.
	refuse func(a Action) error
}

type fakeNode struct {
	id      cluster.NodeID
	up      bool
	downAt  time.Time
	left    bool
	service cluster.Service
	nonce   int
	drainAt time.Time
	ctl     *Controller
	reports map[cluster.NodeID]Report
	done    []Completion
	polled  time.Time
	held    map[cluster.RangeID]cluster.ReplicaID // what is on its disk
	buried  map[cluster.RangeID]cluster.ReplicaID // below which none comes back
	stopped map[cluster.RangeID]cluster.ReplicaID // replicas that stopped with an error
	slow    bool                                  // learners here never catch up
	disk    cluster.DiskState
}

type fakeRange struct {
	desc     cluster.RangeDescriptor
	leader   cluster.NodeID
	term     uint64
	lostAt   time.Time
	commit   uint64
	match    map[cluster.NodeID]uint64
	bytes    uint64
	sent     map[cluster.NodeID]uint64 // of a snapshot, to learners
	load     *cluster.RangeLoad
	reads    float64 // per second, at the leader
	writes   float64
	cleared  uint64 // the newest drop of which it holds nothing
	unsaid   bool   // the newest descriptor is not in the meta range yet
	sayAfter time.Time
}

type pending struct {
	due    time.Time
	from   cluster.NodeID
	nonce  int
	action Action
}

// memory takes the writes of the meta state machine and forgets them.
type memory struct{ storage.Reader }

func (memory) Set(_, _ []byte) error         { return nil }
func (memory) Delete(_ []byte) error         { return nil }
func (memory) DeleteRange(_, _ []byte) error { return nil }

// DeleteSized removes a key.
func (m memory) DeleteSized(key []byte, _ int) error { return m.Delete(key) }

// newRig starts a cluster of n active nodes; ranges are spread over the first on.
type verified struct {
	id cluster.RangeID
	at time.Time
}

func newRig(t testing.TB, seed uint64, n, on, ranges int) *rig {
	return newRigAt(t, seed, n, on, ranges, func(cluster.NodeID) string { return "" })
}

// newRigAt says where the nodes are, too.
func newRigAt(t testing.TB, seed uint64, n, on, ranges int, at func(cluster.NodeID) string) *rig {
	r := &rig{
		locality: at,
		t:        t, rng: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		sums:    map[cluster.RangeID]map[cluster.NodeID][]cluster.Checksum{},
		machine: metastate.New(), nodes: map[cluster.NodeID]*fakeNode{}, ranges: map[cluster.RangeID]*fakeRange{},
	}
	init := &metastate.InitCluster{ClusterID: "c1", Name: "rig", CACert: "PEM", Node: cluster.Node{ID: 1, UUID: "uuid-1", Locality: at(1)},
		Users: []metastate.PutUser{{Name: "test", AdminRole: "admin"}, {Name: "other", AdminRole: "admin"}}}
	for i := range ranges + 1 {
		d := cluster.RangeDescriptor{ID: cluster.RangeID(i + 1), Generation: 1, NextReplica: 1}
		if i > 0 {
			d.Start, d.End = cluster.VShard((i-1)*cluster.VShards/ranges).Key(), cluster.VShard(i*cluster.VShards/ranges).Key()
		}
		voters := 3
		if i == 0 && on >= 5 {
			voters = 5
		}
		if i == 0 && on < 3 {
			voters = 1
		}
		for k := range min(on, cluster.VShards) {
			if i > 0 && k >= 3 {
				break
			}
			role := cluster.Voter
			if k >= voters {
				role = cluster.Learner
			}
			at := k
			if i > 0 {
				at = (i + k) % on
			}
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(at + 1), Replica: d.NextReplica, Role: role})
			d.NextReplica++
		}
		r.ranges[d.ID] = &fakeRange{desc: d, leader: d.Replicas[0].Node, term: 5, commit: 100, match: map[cluster.NodeID]uint64{}, bytes: 1 << 20}
		init.Ranges = append(init.Ranges, *d.Clone())
	}
	r.must(metastate.Command{By: "init", InitCluster: init})
	for i := 1; i <= n; i++ {
		r.join(cluster.NodeID(i))
	}
	for _, x := range r.ranges {
		for _, rep := range x.desc.Replicas {
			r.nodes[rep.Node].held[x.desc.ID] = rep.Replica
			x.match[rep.Node] = x.commit
		}
	}
	return r
}

// join adds a node, active at once if it is to hold ranges from the start.
func (r *rig) join(id cluster.NodeID) {
	r.nodes[id] = &fakeNode{
		id: id, up: true, service: cluster.Ready, nonce: 1, ctl: NewController(DefaultConfig()),
		reports: map[cluster.NodeID]Report{}, held: map[cluster.RangeID]cluster.ReplicaID{},
		stopped: map[cluster.RangeID]cluster.ReplicaID{}, buried: map[cluster.RangeID]cluster.ReplicaID{},
	}
	if id == 1 {
		return
	}
	token := fmt.Sprintf("t%d", id)
	r.must(metastate.Command{CreateJoinToken: &metastate.CreateJoinToken{ID: token, Hash: []byte{1}, Uses: 1, ExpiresAt: r.now.Add(time.Hour)}})
	r.must(metastate.Command{AddNode: &metastate.AddNode{
		UUID: fmt.Sprintf("uuid-%d", id), Version: "v1", TokenID: token, TokenHash: []byte{1}, KeyHash: []byte{byte(id)},
		BootNonce: "1", Locality: r.locality(id),
	}})
	if _, holds := r.ranges[cluster.MetaRangeID].desc.On(id); holds {
		r.must(metastate.Command{SetMembership: &metastate.SetMembership{Nodes: []cluster.NodeID{id}, To: cluster.Active}})
	}
}

func (r *rig) view() *metastate.View { return r.machine.View() }

func (r *rig) note(format string, args ...any) {
	r.log = append(r.log, r.now.Format("04:05.0 ")+fmt.Sprintf(format, args...))
}

// propose applies a command to the meta range.
func (r *rig) propose(cmd metastate.Command) metastate.Result {
	b, err := metastate.EncodeCommand(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	r.index++
	out, err := r.machine.Apply(memory{}, nil, r.index, hlc.New(r.now), b)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := metastate.DecodeResult(out)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func (r *rig) must(cmd metastate.Command) metastate.Result {
	res := r.propose(cmd)
	if res.Refusal != nil {
		r.t.Fatalf("refused: %+v: %s", cmd, res.Refusal.Message)
	}
	return res
}

// start asks for an operation as a Service does after its checks.
func (r *rig) start(spec cluster.OperationSpec) string {
	res := r.must(metastate.Command{By: "test", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{Spec: spec, State: cluster.OpQueued}}})
	r.note("%s %s %v", res.Operation.ID, spec.Kind, spec.Nodes)
	return res.Operation.ID
}

func (r *rig) op(id string) *cluster.Operation { return r.view().Operations[id] }

func (r *rig) kill(id cluster.NodeID) {
	n := r.nodes[id]
	n.up, n.downAt, n.left = false, r.now, false
	r.note("%s is killed", id)
}

func (r *rig) restart(id cluster.NodeID) {
	n := r.nodes[id]
	n.up, n.service = true, cluster.Ready
	n.nonce++
	n.ctl, n.reports, n.done = NewController(DefaultConfig()), map[cluster.NodeID]Report{}, nil
	r.note("%s is started", id)
}

func (r *rig) liveness() map[cluster.NodeID]cluster.Liveness {
	out := map[cluster.NodeID]cluster.Liveness{}
	for id, n := range r.nodes {
		switch {
		case n.up:
			out[id] = cluster.Alive
		case n.left:
			out[id] = cluster.Left
		case r.now.Sub(n.downAt) < time.Second:
			out[id] = cluster.Alive
		case r.now.Sub(n.downAt) < 3*time.Second:
			out[id] = cluster.Suspect
		default:
			out[id] = cluster.Dead
		}
	}
	return out
}

func (r *rig) up(id cluster.NodeID) bool { return r.nodes[id] != nil && r.nodes[id].up }

// works reports whether a replica of the range takes part.
func (r *rig) works(id cluster.RangeID, rep cluster.ReplicaDescriptor) bool {
	return r.up(rep.Node) && r.nodes[rep.Node].stopped[id] != rep.Replica
}

// quorum reports whether the range can commit: the voters that work of both halves.
func (r *rig) quorum(d *cluster.RangeDescriptor) bool {
	var before, after, haveBefore, haveAfter int
	for _, rep := range d.Replicas {
		have := 0
		if r.works(d.ID, rep) {
			have = 1
		}
		if rep.Role == cluster.Voter || rep.Role == cluster.VoterOutgoing {
			before, haveBefore = before+1, haveBefore+have
		}
		if rep.Role == cluster.Voter || rep.Role == cluster.VoterIncoming {
			after, haveAfter = after+1, haveAfter+have
		}
	}
	return haveBefore > before/2 && haveAfter > after/2
}

// advance lets one tick pass.
func (r *rig) advance() {
	r.now = r.now.Add(tick)
	r.copy()
	for _, id := range sorted(r.ranges) {
		r.advanceRange(r.ranges[id])
	}
	for _, id := range sorted(r.nodes) {
		n := r.nodes[id]
		if !r.shelled && n.up && n.service == cluster.Draining && r.now.After(n.drainAt) {
			n.service = cluster.Drained
		}
	}
	if r.shelled {
		return
	}
	r.carryOutDue()
	r.coordinate()
}

// copy lets the snapshots that are on their way send, at copyRate together.
func (r *rig) copy() {
	if r.copyRate == 0 {
		return
	}
	type copying struct {
		x  *fakeRange
		to cluster.NodeID
	}
	var all []copying
	for _, id := range sorted(r.ranges) {
		x := r.ranges[id]
		if x.sent == nil {
			x.sent = map[cluster.NodeID]uint64{}
		}
		for _, rep := range x.desc.Replicas {
			if rep.Role == cluster.Learner && x.match[rep.Node] == 0 && r.up(rep.Node) && r.up(x.leader) {
				all = append(all, copying{x, rep.Node})
			}
		}
	}
	for _, c := range all {
		c.x.sent[c.to] = min(c.x.bytes, c.x.sent[c.to]+uint64(float64(r.copyRate)*tick.Seconds())/uint64(len(all)))
	}
}

func (r *rig) advanceRange(x *fakeRange) {
	if !r.up(x.leader) {
		if x.leader != 0 {
			x.leader, x.lostAt = 0, r.now
		}
		if r.now.Sub(x.lostAt) > time.Second && r.quorum(&x.desc) {
			r.elect(x)
		}
		return
	}
	if !r.quorum(&x.desc) {
		return
	}
	if !r.still {
		x.commit += uint64(r.rng.IntN(3))
	}
	for _, rep := range x.desc.Replicas {
		n := r.nodes[rep.Node]
		if !r.works(x.desc.ID, rep) || n.slow && rep.Role == cluster.Learner {
			continue
		}
		if r.copyRate > 0 && rep.Role == cluster.Learner && x.match[rep.Node] == 0 && x.sent[rep.Node] < x.bytes {
			continue
		}
		// A voter follows the log; a learner catches up in a few ticks.
		if x.match[rep.Node]+200 < x.commit {
			x.match[rep.Node] += 200
		} else {
			x.match[rep.Node] = min(x.commit, x.match[rep.Node]+20)
		}
		if rep.Node == x.leader {
			x.match[rep.Node] = x.commit
		}
	}
	if x.unsaid && r.now.After(x.sayAfter) && r.metaWorks() {
		x.unsaid = false
		r.propose(metastate.Command{UpdateRanges: &metastate.UpdateRanges{Descriptors: []cluster.RangeDescriptor{*x.desc.Clone()}}})
	}
}

// elect makes the up voter that holds most the leader.
func (r *rig) elect(x *fakeRange) {
	best := cluster.NodeID(0)
	for _, rep := range x.desc.Replicas {
		if rep.Role == cluster.Learner || !r.works(x.desc.ID, rep) {
			continue
		}
		if best == 0 || x.match[rep.Node] > x.match[best] {
			best = rep.Node
		}
	}
	x.leader = best
	x.term++
	x.match[best] = max(x.match[best], x.commit)
	r.note("%s leads %s at term %d", best, x.desc.ID, x.term)
}

func (r *rig) metaWorks() bool {
	m := r.ranges[cluster.MetaRangeID]
	return r.up(m.leader) && r.quorum(&m.desc)
}

func (r *rig) status(id cluster.NodeID) *cluster.NodeStatus {
	n := r.nodes[id]
	st := &cluster.NodeStatus{Node: id, Service: n.service, Version: "v1", BootNonce: fmt.Sprint(n.nonce), Disk: cluster.DiskStatus{State: n.disk}}
	for _, rid := range sorted(n.held) {
		if rs, ok := r.rangeStatus(id, rid); ok {
			st.Ranges = append(st.Ranges, &rs)
		}
	}
	return st
}

func (r *rig) rangeStatus(id cluster.NodeID, rid cluster.RangeID) (cluster.RangeStatus, bool) {
	replica, held := r.nodes[id].held[rid]
	x := r.ranges[rid]
	if !held {
		return cluster.RangeStatus{}, false
	}
	rs := cluster.RangeStatus{Descriptor: *x.desc.Clone(), Replica: replica, Leader: x.leader, Term: x.term, Commit: x.commit, Applied: x.match[id], Bytes: x.bytes, WritesPerSecond: x.writes, Cleared: x.cleared}
	rs.Checksums = r.sums[rid][id]
	if rep, ok := x.desc.On(id); !ok || rep.Replica != replica {
		rs.Leader, rs.Term = 0, 0 // removed, or not added yet: it knows nothing
		rs.Descriptor.Generation = 0
	}
	if r.nodes[id].stopped[rid] == replica {
		rs.Failed, rs.Leader = "its log lost entries", 0
		return rs, true
	}
	if x.leader == id {
		rs.Load = x.load
		rs.ReadsPerSecond = x.reads
		for _, rep := range x.desc.Replicas {
			if rep.Node != id {
				p := cluster.ReplicaProgress{Node: rep.Node, Match: x.match[rep.Node], Active: r.up(rep.Node), Snapshot: x.match[rep.Node] == 0}
				if p.Snapshot {
					p.Sent = x.sent[rep.Node]
				}
				rs.Progress = append(rs.Progress, p)
			}
		}
	}
	return rs, true
}

// coordinate steps the Controller of the node that leads the meta range.
func (r *rig) coordinate() {
	m := r.ranges[cluster.MetaRangeID]
	live := r.liveness()
	for _, id := range sorted(r.nodes) {
		n := r.nodes[id]
		if !n.up {
			continue
		}
		in := Input{Now: r.now.Add(r.skew), Self: id, View: r.view(), Liveness: live, Reports: n.reports, Done: n.done}
		n.done = nil
		if m.leader == id && r.quorum(&m.desc) {
			in.Term = m.term
			if r.coordinator != id {
				r.note("%s coordinates", id)
			}
			r.coordinator = id
			if r.now.Sub(n.polled) >= time.Second {
				n.polled = r.now
				for _, other := range sorted(r.nodes) {
					if r.up(other) {
						n.reports[other] = Report{Status: r.status(other), At: r.now.Add(r.skew)}
					}
				}
			}
		}
		for _, a := range n.ctl.Step(in) {
			r.pending = append(r.pending, &pending{due: r.now.Add(time.Duration(1+r.rng.IntN(3)) * tick), from: id, nonce: n.nonce, action: a})
		}
		r.begun = append(r.begun, n.ctl.Begun()...)
	}
}
