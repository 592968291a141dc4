package placement_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

var histories = flag.Int("placement.histories", 2000, "number of random histories")

// TestRandomHistories runs random plans, half carried out and mixed with each
// other, on random clusters under random failures. No change may take a quorum
// that the state before had, and once everything is healed the cluster comes to
// rest with every range whole.
func TestRandomHistories(t *testing.T) {
	first := seed.Of(t)
	for i := range *histories {
		h := newHistory(t, first+uint64(i))
		h.run()
		if t.Failed() {
			t.Fatalf("history failed: NODEDB_TEST_SEED=%d go test -run TestRandomHistories -placement.histories=1", h.seed)
		}
	}
}

type history struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	s     *placement.Snapshot
	moves []placement.Move
	log   []string
}

func newHistory(t *testing.T, seed uint64) *history {
	rng := rand.New(rand.NewPCG(seed, 1))
	nodes := 1 + rng.IntN(8)
	on := 1 + rng.IntN(nodes)
	rf := []int{1, 3, 3, 3, 5}[rng.IntN(5)]
	h := &history{t: t, seed: seed, rng: rng, s: build(nodes, 1+rng.IntN(6), rf, on, uint64(rng.IntN(500))<<20)}
	if rng.IntN(2) == 0 {
		h.locate()
	}
	h.halve()
	return h
}

// halve leaves some ranges with an even number of voters, as a crash or an older
// state may have.
func (h *history) halve() {
	for i := range h.s.Ranges {
		d := &h.s.Ranges[i].Descriptor
		if l := d.Learners(); len(l) > 0 && h.rng.IntN(4) == 0 {
			d.Replicas[slices.IndexFunc(d.Replicas, func(r cluster.ReplicaDescriptor) bool { return r.Node == l[0] })].Role = cluster.Voter
		}
	}
}

// locate puts the nodes into zones, some of the ranges into a second pool, and
// constrains it.
func (h *history) locate() {
	for i := range h.s.Nodes {
		h.relocate(&h.s.Nodes[i])
	}
	h.s.Pools = append(h.s.Pools, cluster.Pool{ID: 1, Name: "second"})
	h.constrain()
	for i := range h.s.Ranges {
		if r := &h.s.Ranges[i]; !r.Descriptor.IsMeta() && i%2 == 0 {
			r.Descriptor.Pool = 1
		}
	}
}

func (h *history) relocate(n *placement.Node) {
	n.Locality = locality([]string{"", "region=eu,zone=a", "region=eu,zone=b", "region=eu,zone=c", "region=us,zone=d"}[h.rng.IntN(5)])
}

// constrain gives the second pool other wishes, if there is one.
func (h *history) constrain() {
	p := h.s.Pool(1)
	if p == nil {
		return
	}
	p.Replicas = []int{1, 3, 5}[h.rng.IntN(3)]
	p.Constraints, _ = cluster.ParseConstraints([]string{"", "+region=eu", "-zone=a", "+region=eu,-zone=b"}[h.rng.IntN(4)])
	p.PreferLeader, _ = cluster.ParsePreference([]string{"", "zone=c"}[h.rng.IntN(2)])
	h.note("pool second wants %d replicas, %s, leaders %s", p.Replicas, p.Constraints, p.PreferLeader)
}

func (h *history) run() {
	for range 60 {
		switch h.rng.IntN(10) {
		case 0:
			if h.rng.IntN(8) == 0 {
				h.declare()
				continue
			}
			h.fail()
		case 1:
			h.heal()
		case 2:
			h.plan()
		case 3:
			h.lag()
		case 4:
			switch h.rng.IntN(8) {
			case 0:
				h.constrain()
			case 1:
				if h.s.Pool(1) != nil {
					h.relocate(h.node())
				}
			default:
				h.load()
			}
		default:
			h.step()
		}
		if h.t.Failed() {
			h.dump()
			return
		}
	}
	h.rest()
}

// declare wants another number of replicas.
func (h *history) declare() {
	p := h.s.Pool(0)
	p.Replicas = []int{1, 3, 5}[h.rng.IntN(3)]
	h.note("pool default wants %d replicas", p.Replicas)
}

// load lets the load of a range and of a node be another one.
func (h *history) load() {
	r := &h.s.Ranges[h.rng.IntN(len(h.s.Ranges))]
	r.Reads, r.Writes, r.Bytes = float64(h.rng.IntN(5000)), float64(h.rng.IntN(2000)), uint64(h.rng.IntN(900))<<20
	h.node().CPU = h.rng.Float64()
}

func (h *history) node() *placement.Node { return &h.s.Nodes[h.rng.IntN(len(h.s.Nodes))] }

func (h *history) fail() {
	n := h.node()
	switch h.rng.IntN(4) {
	case 0:
		n.Liveness, n.DownFor = cluster.Suspect, 1
	case 1:
		n.Liveness, n.DownFor = cluster.Dead, float64(h.rng.IntN(600))
	case 2:
		n.Cordon = true
	case 3:
		n.Service = cluster.Draining
		if h.rng.IntN(3) == 0 {
			h.stop(&h.s.Ranges[h.rng.IntN(len(h.s.Ranges))])
		}
	}
	h.note("%s %s %s cordon %v", n.ID, n.Liveness, n.Service, n.Cordon)
	h.elect()
}

// stop lets a replica stop with an error, if its range keeps its quorum.
func (h *history) stop(r *placement.Range) {
	rep := r.Descriptor.Replicas[h.rng.IntN(len(r.Descriptor.Replicas))]
	c := h.s.Clone()
	x := c.Range(r.Descriptor.ID)
	x.Failed, x.Caught = append(x.Failed, rep.Node), slices.DeleteFunc(x.Caught, func(n cluster.NodeID) bool { return n == rep.Node })
	if rep.Node == r.Leader || !c.HasQuorum(x) || !h.committed(x) {
		return
	}
	r.Failed, r.Caught = x.Failed, x.Caught
	h.note("%s on %s has stopped", r.Descriptor.ID, rep.Node)
}

func (h *history) heal() {
	n := h.node()
	n.Liveness, n.DownFor, n.Service, n.Cordon = cluster.Alive, 0, cluster.Ready, false
	h.note("%s healed", n.ID)
	h.elect()
}

// lag lets a replica fall behind, as far as a commit leaves it possible: the
// rest of both halves must be a quorum.
func (h *history) lag() {
	r := &h.s.Ranges[h.rng.IntN(len(h.s.Ranges))]
	rep := r.Descriptor.Replicas[h.rng.IntN(len(r.Descriptor.Replicas))]
	if rep.Node == r.Leader {
		return
	}
	with := slices.Clone(r.Caught)
	r.Caught = slices.DeleteFunc(r.Caught, func(n cluster.NodeID) bool { return n == rep.Node })
	if !h.committed(r) {
		r.Caught = with
	}
}

func (h *history) committed(r *placement.Range) bool {
	c := h.s.Clone()
	for i := range c.Nodes {
		c.Nodes[i].Liveness = cluster.Dead
		if r.CaughtUp(c.Nodes[i].ID) {
			c.Nodes[i].Liveness = cluster.Alive
		}
	}
	return c.HasQuorum(c.Range(r.Descriptor.ID))
}

// elect gives every range with a quorum a leader that is alive and holds all.
func (h *history) elect() {
	for i := range h.s.Ranges {
		r := &h.s.Ranges[i]
		if n := h.s.Node(r.Leader); n != nil && n.Live() && h.s.HasQuorum(r) {
			continue
		}
		r.Leader = 0
		if !h.s.HasQuorum(r) {
			continue
		}
		for _, rep := range r.Descriptor.Replicas {
			if rep.Role != cluster.Learner && r.CaughtUp(rep.Node) && h.s.Node(rep.Node).Live() {
				r.Leader = rep.Node
			}
		}
	}
}

func (h *history) plan() {
	in := placement.Intent{Goal: placement.GoalRepair}
	switch h.rng.IntN(6) {
	case 4:
		in.Goal, in.Pool = placement.GoalPool, cluster.PoolID(h.rng.IntN(len(h.s.Pools)))
	case 0:
		in.Goal = placement.GoalRebalance
		in.Balance = []placement.Balance{placement.BalanceAll, placement.BalanceBytes, placement.BalanceLeaders, placement.BalanceLoad}[h.rng.IntN(4)]
	case 1:
		in.Goal, in.Nodes = placement.GoalDecommission, []cluster.NodeID{h.node().ID}
	case 2:
		r := &h.s.Ranges[h.rng.IntN(len(h.s.Ranges))]
		in.Goal, in.Range, in.From, in.To = placement.GoalMove, r.Descriptor.ID, h.node().ID, h.node().ID
	case 3:
		r := &h.s.Ranges[h.rng.IntN(len(h.s.Ranges))]
		in.Goal, in.Range, in.To = placement.GoalTransfer, r.Descriptor.ID, h.node().ID
	}
	p, v := placement.Make(h.s, in)
	if !v.OK() {
		h.note("plan %s %v refused: %s", in.Goal, in.Nodes, v.String())
		return
	}
	if in.Goal == placement.GoalDecommission {
		h.s.Node(in.Nodes[0]).Membership = cluster.Decommissioning
	}
	h.note("plan %s %v: %v %v", in.Goal, in.Nodes, p.Moves, p.Transfers)
	h.moves = append(h.moves, p.Moves...)
	if in.Goal == placement.GoalRebalance || in.Goal == placement.GoalTransfer {
		h.transfer(p.Transfers)
	}
}

// transfer hands leaderships over, each to a voter that may lead.
func (h *history) transfer(ts []placement.Transfer) {
	for _, x := range ts {
		r := h.s.Range(x.Range)
		if why := placement.StaleTransfer(h.s, x); why != "" {
			h.t.Errorf("planned %s, which is stale at once: %s", x, why)
		}
		r.Leader = x.To
	}
}

// step carries on one move by one step and checks the invariant.
func (h *history) step() {
	if len(h.moves) == 0 {
		h.plan()
		return
	}
	i := h.rng.IntN(len(h.moves))
	h.carry(i)
}

func (h *history) carry(i int) {
	m := h.moves[i]
	before := h.s.Clone()
	step := placement.Next(h.s, m)
	switch step.Kind {
	case placement.StepDone, placement.StepBlocked:
		h.moves = slices.Delete(h.moves, i, i+1)
		return
	case placement.StepWait:
		if h.s.Range(m.Range).Leader == 0 {
			return
		}
		if n := h.s.Node(m.To); n == nil || !n.Live() {
			h.moves = slices.Delete(h.moves, i, i+1) // a dead target never catches up
			return
		}
	}
	advance(h.s, m.Range, step)
	h.note("%s: %s", m, describe(step))
	h.check(before, m.Range)
}

func (h *history) check(before *placement.Snapshot, id cluster.RangeID) {
	was, is := before.Range(id), h.s.Range(id)
	if before.HasQuorum(was) && !h.s.HasQuorum(is) {
		h.t.Errorf("%s lost its quorum", id)
	}
	if h.holdsAll(before, was) && !h.holdsAll(h.s, is) {
		h.t.Errorf("%s lost its quorum of live, caught-up voters", id)
	}
	if err := is.Descriptor.Validate(); err != nil {
		h.t.Errorf("%s: %v", id, err)
	}
	stopped := staying(&was.Descriptor) - staying(&is.Descriptor)
	if len(was.Failed) == 0 {
		stopped = 0
	}
	d, voters := &is.Descriptor, staying(&was.Descriptor)
	if !d.IsMeta() && staying(d) < min(voters-1+voters%2, h.s.Wanted(is))-stopped {
		h.t.Errorf("%s shrank below what is declared: %v", id, d.Replicas)
	}
	if voters%2 == 1 && staying(d)%2 == 0 && stopped == 0 {
		h.t.Errorf("%s has an even number of voters: %v", id, d.Replicas)
	}
	for _, rep := range d.Replicas {
		if had, there := was.Descriptor.On(rep.Node); (!there || had.Role == cluster.Learner && rep.Role != cluster.Learner) && !h.admits(is, rep.Node) {
			h.t.Errorf("%s was given a %s on %s, which its pool excludes", id, rep.Role, rep.Node)
		}
	}
	h.checkLosses(before, was, is)
}

// checkLosses holds that a step makes no range weaker: each node whose loss it
// outlived before, it outlives after. What is asked for may: that the only voter
// goes elsewhere, that three become one, that a healthy voter of a range with an
// ill one goes elsewhere, which needs both configurations for a moment.
func (h *history) checkLosses(before *placement.Snapshot, was, is *placement.Range) {
	from, to := staying(&was.Descriptor), staying(&is.Descriptor)
	swap := slices.ContainsFunc(is.Descriptor.Replicas, func(r cluster.ReplicaDescriptor) bool { return r.Role == cluster.VoterOutgoing })
	ill := slices.ContainsFunc(was.Descriptor.Voters(), func(n cluster.NodeID) bool {
		return slices.Contains(was.Failed, n) || !before.Node(n).Live()
	})
	if swap && (from == 1 || to == 1 && h.s.Wanted(is) == 1 || ill) {
		return
	}
	for i := range before.Nodes {
		id := before.Nodes[i].ID
		if outlives(before, was.Descriptor.ID, id) && !outlives(h.s, is.Descriptor.ID, id) {
			h.t.Errorf("%s outlived the loss of %s, and does not any more: %v, then %v", is.Descriptor.ID, id, was.Descriptor.Replicas, is.Descriptor.Replicas)
		}
	}
}

// admits reports whether the constraints of r's pool let a replica be on a node.
func (h *history) admits(r *placement.Range, id cluster.NodeID) bool {
	p := h.s.Pool(r.Descriptor.Pool)
	return r.Descriptor.IsMeta() || p == nil || p.Constraints.Admit(h.s.Node(id).Locality)
}

func outlives(s *placement.Snapshot, id cluster.RangeID, lost cluster.NodeID) bool {
	c := s.Clone()
	c.Node(lost).Liveness = cluster.Dead
	return c.HasQuorum(c.Range(id))
}

// staying counts the voters that d has once it is out of a joint configuration.
func staying(d *cluster.RangeDescriptor) int {
	n := 0
	for _, r := range d.Replicas {
		if r.Role == cluster.Voter || r.Role == cluster.VoterIncoming {
			n++
		}
	}
	return n
}

// holdsAll reports whether live voters that hold everything are a quorum.
func (h *history) holdsAll(s *placement.Snapshot, r *placement.Range) bool {
	c := s.Clone()
	for i := range c.Nodes {
		if !r.CaughtUp(c.Nodes[i].ID) {
			c.Nodes[i].Liveness = cluster.Dead
		}
	}
	return c.HasQuorum(c.Range(r.Descriptor.ID))
}

// rest heals everything and lets upkeep run until it has nothing to do.
func (h *history) rest() {
	h.note("everything is healed")
	for i := range h.s.Nodes {
		n := &h.s.Nodes[i]
		n.Liveness, n.DownFor, n.Service, n.Cordon = cluster.Alive, 0, cluster.Ready, false
	}
	for i := range h.s.Ranges {
		h.s.Ranges[i].Failed = nil
	}
	h.elect()
	for range 40 {
		h.catchUp()
		h.moves = nil
		idle := true
		for _, goal := range []placement.Goal{placement.GoalRepair, placement.GoalRebalance} {
			p, v := placement.Make(h.s, placement.Intent{Goal: goal})
			if !v.OK() {
				h.t.Errorf("%s is refused: %v", goal, v.Refusals)
			}
			h.moves = append(h.moves, p.Moves...)
			idle = idle && p.Empty()
			for _, x := range p.Transfers {
				h.s.Range(x.Range).Leader = x.To
				h.note("%s", x)
			}
			for n := 0; len(h.moves) > 0 && n < 2000 && !h.t.Failed(); n++ {
				h.carry(0)
			}
		}
		if h.t.Failed() {
			break
		}
		if idle {
			h.settled()
			return
		}
	}
	h.t.Errorf("no rest after 40 rounds")
	h.dump()
}

// catchUp lets every replica hold everything.
func (h *history) catchUp() {
	for i := range h.s.Ranges {
		r := &h.s.Ranges[i]
		r.Caught = nil
		for _, rep := range r.Descriptor.Replicas {
			r.Caught = append(r.Caught, rep.Node)
		}
	}
	h.elect()
}

// settled checks what upkeep promises once it has nothing left to do.
func (h *history) settled() {
	for i := range h.s.Ranges {
		r := &h.s.Ranges[i]
		d := &r.Descriptor
		var eligible []cluster.NodeID
		for i := range h.s.Nodes {
			if n := &h.s.Nodes[i]; n.Membership == cluster.Active && h.admits(r, n.ID) {
				eligible = append(eligible, n.ID)
			}
		}
		if d.Joint() {
			h.t.Errorf("%s is left in a joint configuration", d.ID)
		}
		copies := min(h.s.Wanted(r), len(eligible))
		voters := copies - 1 + copies%2
		away := slices.ContainsFunc(d.Replicas, func(x cluster.ReplicaDescriptor) bool { return !slices.Contains(eligible, x.Node) })
		exact := away || len(d.Voters()) == voters && len(d.Learners()) == copies-voters
		if !d.IsMeta() && (len(d.Voters()) < voters || len(d.Voters())%2 == 0 || !exact) {
			h.t.Errorf("%s is not whole: %v", d.ID, d.Replicas)
		}
		if !d.IsMeta() && len(eligible) >= h.s.Wanted(r) {
			h.placed(r, eligible)
		}
		if d.IsMeta() && (len(d.Voters()) != h.s.Wanted(r) || len(d.Replicas) < len(eligible)) {
			h.t.Errorf("the meta range is not whole: %v", d.Replicas)
		}
	}
	if h.t.Failed() {
		h.dump()
	}
}

// placed checks that r lies where its pool wants it, and that no move of a replica
// would bring its replicas further apart.
func (h *history) placed(r *placement.Range, eligible []cluster.NodeID) {
	voters := r.Descriptor.Voters()
	shared := func(nodes []cluster.NodeID) (out [cluster.MaxTiers]int) {
		for i, a := range nodes {
			for _, b := range nodes[i+1:] {
				for tier := range h.s.Node(a).Locality.Shared(h.s.Node(b).Locality) {
					out[tier]++
				}
			}
		}
		return out
	}
	now, hot := shared(voters), false
	for _, id := range voters {
		if h.s.Node(id).Membership != cluster.Active {
			return // its decommission moves it, and the others stay until then
		}
	}
	for _, id := range voters {
		hot = hot || h.s.Node(id).Hot()
		if !h.admits(r, id) {
			h.t.Errorf("%s is on %s, which its pool excludes", r.Descriptor.ID, id)
		}
	}
	for i, out := range voters {
		for _, in := range eligible {
			if out == r.Leader || hot || h.s.Node(in).Hot() || slices.Contains(voters, in) {
				continue
			}
			moved := slices.Clone(voters)
			moved[i] = in
			if c := shared(moved); slices.Compare(c[:], now[:]) < 0 {
				h.t.Errorf("%s is on %v, and %s instead of %s would spread it further", r.Descriptor.ID, voters, in, out)
			}
		}
	}
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func (h *history) dump() {
	h.t.Helper()
	h.t.Logf("seed %d, rf %d, %d nodes", h.seed, h.s.Pools[0].Replicas, len(h.s.Nodes))
	for _, line := range h.log[max(0, len(h.log)-80):] {
		h.t.Log("  " + line)
	}
	h.t.Log("\n" + show(h.s))
}

// BenchmarkDecommission plans on 1,000 nodes and 100,000 ranges.
func BenchmarkDecommission(b *testing.B) {
	s := build(1000, 100_000, 3, 1000, 64<<20)
	b.ResetTimer()
	for b.Loop() {
		if _, v := placement.Make(s, placement.Intent{Goal: placement.GoalDecommission, Nodes: []cluster.NodeID{7}}); !v.OK() {
			b.Fatal(v.Refusals)
		}
	}
}

// BenchmarkOKToStop asks for one node of 1,000 with 100,000 ranges.
func BenchmarkOKToStop(b *testing.B) {
	s := build(1000, 100_000, 3, 1000, 64<<20)
	b.ResetTimer()
	for b.Loop() {
		if v := placement.SafeToStop(s, []cluster.NodeID{7}); !v.OK() {
			b.Fatal(v.Refusals)
		}
	}
}

// BenchmarkRebalance evens out 1,000 nodes after one joined.
func BenchmarkRebalance(b *testing.B) {
	s := build(1000, 100_000, 3, 999, 64<<20)
	b.ResetTimer()
	for b.Loop() {
		if p, v := placement.Make(s, placement.Intent{Goal: placement.GoalRebalance}); !v.OK() || p.Empty() {
			b.Fatal(v.Refusals)
		}
	}
}
