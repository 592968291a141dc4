package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// movesPerRange bounds the moves that a plan makes of one range: more than from one
// replica to seven, each on another node, takes.
const movesPerRange = 16

// wanting is s with a pool that wants something else.
func (s *Snapshot) wanting(id cluster.PoolID, spec *cluster.PoolSpec) *Snapshot {
	if spec == nil {
		return s
	}
	out := *s
	out.Pools = slices.Clone(s.Pools)
	if p := out.Pool(id); p != nil {
		p.PoolSpec = *spec
	}
	return &out
}

// pool plans what brings the ranges of a pool to what it wants: what repair would
// do, one move after another.
func (p *planner) pool() {
	pool := p.s.Pool(p.in.Pool)
	if pool == nil {
		p.verdict.refuse("pool", Refusal{Code: Constraint, Why: fmt.Sprintf("there is no pool %d", p.in.Pool)})
		return
	}
	if r := p.s.unsatisfiable(pool.Name, &pool.PoolSpec); r != nil {
		p.verdict.refuse("nodes", *r)
		if p.in.Wanted != nil {
			return // else it goes as far as it can
		}
	} else {
		p.verdict.pass("nodes", fmt.Sprintf("pool %s finds %s for its replicas", pool.Name, count(len(p.s.able(&pool.PoolSpec)), "node")))
	}
	p.warnPreference(pool)
	if !p.checkReports(nil) {
		return
	}
	var stuck, short []cluster.RangeID
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if r.Descriptor.IsMeta() || r.Descriptor.Pool != p.in.Pool {
			continue
		}
		if !p.s.HasQuorum(r) || r.Leader == 0 {
			stuck = append(stuck, r.Descriptor.ID)
			continue
		}
		after := p.bring(r)
		if p.s.Misfit(after) != "" {
			short = append(short, r.Descriptor.ID)
		}
		if to := p.preferred(r); to != 0 {
			p.transfer(r, to)
		}
	}
	p.refuseStuck(stuck)
	p.refuseShort(pool, short)
}

// bring plans the moves of one range, and returns the range as it is then.
func (p *planner) bring(r *Range) *Range {
	one := Range{Descriptor: *r.Descriptor.Clone(), Leader: r.Leader, Bytes: r.Bytes, Dead: r.Dead, Caught: slices.Clone(r.Caught), Failed: r.Failed}
	s := Snapshot{Nodes: p.s.Nodes, Ranges: []Range{one}}
	x := &s.Ranges[0]
	here := planner{s: p.s, in: p.in, load: p.load} // x is as the moves before leave it: they are not to be counted again
	for range movesPerRange {
		m, ok := here.cure(x)
		if !ok {
			break
		}
		p.move(x, m)
		m.Range = r.Descriptor.ID
		s.settle(m)
		x.Caught = append(x.Caught, m.comes()...)
		if slices.Contains(m.goes(), x.Leader) {
			x.Leader = s.anyVoter(x)
		}
		for j := range x.Descriptor.Replicas { // a joint configuration has been left
			if rep := &x.Descriptor.Replicas[j]; rep.Role == cluster.VoterIncoming {
				rep.Role = cluster.Voter
			}
		}
	}
	return x
}

// anyVoter is who may lead once the leader is gone: which one does not matter to
// where replicas go.
func (s *Snapshot) anyVoter(r *Range) cluster.NodeID {
	for _, id := range r.Descriptor.Voters() {
		if s.live(r, id) {
			return id
		}
	}
	return 0
}

// preferred is the voter that should lead r because its pool prefers it; 0: none,
// or the leader is one that is preferred.
func (p *planner) preferred(r *Range) cluster.NodeID {
	if p.s.likes(r, r.Leader) {
		return 0
	}
	if to := p.successor(r, nil); to != 0 && p.s.likes(r, to) {
		return to
	}
	return 0
}

// Misfit says in what r is not as its pool wants it: exactly the voters, where
// they may be, and nothing half-way; "": in nothing.
func (s *Snapshot) Misfit(r *Range) string {
	d := &r.Descriptor
	voters, want := d.Voters(), s.wanted(r)
	switch {
	case d.Joint():
		return "is in a joint configuration"
	case len(voters) != want:
		return fmt.Sprintf("has %d of %s", len(voters), count(want, "voter"))
	case len(d.Learners()) > 0:
		return "has a learner on " + names(d.Learners())
	}
	for _, id := range voters {
		if n := s.Node(id); n != nil && !s.admits(r, id) {
			return "has a replica on " + id.String() + ", which " + s.misplaced(r, n)
		}
	}
	return ""
}

// able lists the nodes that may hold replicas of a pool that wants spec.
func (s *Snapshot) able(spec *cluster.PoolSpec) []cluster.NodeID {
	var out []cluster.NodeID
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.refuses() == "" && spec.Constraints.Admit(n.Locality) {
			out = append(out, n.ID)
		}
	}
	return out
}

// Able lists the nodes that may hold replicas of a pool that wants spec.
func (s *Snapshot) Able(spec *cluster.PoolSpec) []cluster.NodeID { return s.able(spec) }

// Likes reports whether the pool of r prefers that the node leads.
func (s *Snapshot) Likes(r *Range, id cluster.NodeID) bool { return s.likes(r, id) }

// unsatisfiable says why no pool can have what spec says, and what would let it;
// nil: one can.
func (s *Snapshot) unsatisfiable(name string, spec *cluster.PoolSpec) *Refusal {
	able := s.able(spec)
	if len(able) >= spec.Replicas {
		return nil
	}
	with, out := "", Refusal{Code: NoTarget, Nodes: able}
	if len(spec.Constraints) > 0 {
		with, out.Code = " with "+spec.Constraints.String(), Constraint
	}
	is := "are"
	if len(able) == 1 {
		is = "is"
	}
	out.Why = fmt.Sprintf("pool %s needs %s%s, there %s %d", name, count(spec.Replicas, "node"), with, is, len(able))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if why := n.refuses(); why != "" && n.Membership != cluster.Decommissioned && spec.Constraints.Admit(n.Locality) {
			out.Why += fmt.Sprintf("; %s %s", n.ID, why)
			out.Fixes = append(out.Fixes, s.nodeFixes(n.ID, &Range{})...)
		}
	}
	missing := spec.Replicas - len(able)
	out.Fixes = append(out.Fixes, Fix{Does: fmt.Sprintf("start %s%s", more(missing, "node"), with), Command: "nodedbctl join-token create"})
	if fewer := fitting(len(able)); fewer > 0 {
		out.Fixes = append(out.Fixes, Fix{Does: fmt.Sprintf("want replicas = %d", fewer)})
	}
	return &out
}

// CheckPool says whether a new pool can have what spec says.
func CheckPool(s *Snapshot, name string, spec *cluster.PoolSpec) Verdict {
	p := planner{s: s}
	if r := s.unsatisfiable(name, spec); r != nil {
		p.verdict.refuse("nodes", *r)
		return p.verdict
	}
	p.verdict.pass("nodes", fmt.Sprintf("pool %s finds %s for its replicas", name, count(len(s.able(spec)), "node")))
	p.warnPreference(&cluster.Pool{Name: name, PoolSpec: *spec})
	return p.verdict
}

// Seed picks the nodes on which the ranges of a new pool are made, one after
// another: those that carry least, where leaders are preferred if there are any.
func Seed(s *Snapshot, spec *cluster.PoolSpec, ranges int) []cluster.NodeID {
	able := s.able(spec)
	liked := slices.DeleteFunc(slices.Clone(able), func(id cluster.NodeID) bool { return !spec.PreferLeader.Likes(s.Node(id).Locality) })
	if len(liked) > 0 {
		able = liked
	}
	if len(able) == 0 {
		return nil
	}
	l := newLoad(s)
	out := make([]cluster.NodeID, ranges)
	for i := range out {
		out[i] = slices.MinFunc(able, l.emptiest)
		l.at(out[i]).replicas++
	}
	return out
}

// warnPreference warns of leaders that are preferred where no node is.
func (p *planner) warnPreference(pool *cluster.Pool) {
	if len(pool.PreferLeader) == 0 {
		return
	}
	for _, id := range p.s.able(&pool.PoolSpec) {
		if pool.PreferLeader.Likes(p.s.Node(id).Locality) {
			p.verdict.pass("leaders", "leaders are preferred at "+pool.PreferLeader.String())
			return
		}
	}
	p.verdict.warn("leaders", Constraint, fmt.Sprintf("leaders are preferred at %s, where no node of pool %s is: they stay where they are", pool.PreferLeader, pool.Name))
}

// refuseShort refuses because ranges would not get what their pool wants.
func (p *planner) refuseShort(pool *cluster.Pool, short []cluster.RangeID) {
	if len(short) == 0 {
		p.verdict.pass("targets", "every range gets the replicas that the pool wants")
		return
	}
	r := p.s.Range(short[0])
	_, code := p.target(r, nil)
	out := Refusal{
		Code: code, Ranges: short,
		Why:   fmt.Sprintf("%s of pool %s would not get what it wants: there are nodes, but none that can take %s now", count(len(short), "range"), pool.Name, short[0]),
		Fixes: []Fix{{Does: "see where it may go", Command: "nodedbctl ranges explain " + short[0].String()}},
	}
	if code == Disk {
		out.Why = strings.Replace(out.Why, "that can take", "with room on its disk for", 1)
		out.Fixes = append(p.moreDisk(short, nil), out.Fixes...)
	}
	p.verdict.refuse("targets", out)
}
