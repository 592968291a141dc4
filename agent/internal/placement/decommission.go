package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// drain plans the transfers that leave nodes without a leadership, and asks
// whether they may stop.
func (p *planner) drain() {
	p.verdict = SafeToStop(p.s, p.in.Nodes)
	p.handOver(p.in.Nodes)
}

// handOver plans a transfer of every leadership away from nodes.
func (p *planner) handOver(nodes []cluster.NodeID) {
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if !slices.Contains(nodes, r.Leader) || !p.s.live(r, r.Leader) {
			continue // an election takes it from a node that is not alive
		}
		if to := p.successor(r, nodes); to != 0 {
			p.transfer(r, to)
		}
	}
}

// decommission plans a move of every replica off nodes.
func (p *planner) decommission() {
	leaving := p.leaving()
	if !p.checkNodes() || !p.checkReports(leaving) {
		return
	}
	var stuck []cluster.RangeID // cannot change at all: no quorum
	missing := map[Code][]cluster.RangeID{}
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if !holdsAny(&r.Descriptor, p.in.Nodes) {
			// A range of another decommission may need what leaves here as its target.
			if code := p.reserved(r, leaving); code != "" {
				missing[code] = append(missing[code], r.Descriptor.ID)
			}
			continue
		}
		if !p.s.HasQuorum(r) {
			stuck = append(stuck, r.Descriptor.ID)
			continue
		}
		if code := p.vacate(r, leaving); code != "" {
			missing[code] = append(missing[code], r.Descriptor.ID)
		}
	}
	p.handOver(p.in.Nodes)
	p.refuseStuck(stuck)
	p.refuseMissing(NoTarget, missing[NoTarget], leaving)
	p.refuseMissing(Disk, missing[Disk], leaving)
	p.refuseConstrained(missing[Constraint], leaving)
	p.checkPools(leaving)
	p.checkCAKey(leaving)
	p.checkConflicts()
	p.warnings(leaving)
}

// checkCAKey refuses to let the key of the cluster's CA go with the only node that
// holds it: no node could join any more, and certificates would run out.
func (p *planner) checkCAKey(leaving []cluster.NodeID) {
	var holders []cluster.NodeID
	var heir cluster.NodeID
	for i := range p.s.Nodes {
		switch n := &p.s.Nodes[i]; {
		case slices.Contains(leaving, n.ID):
			if n.CAKey && slices.Contains(p.in.Nodes, n.ID) {
				holders = append(holders, n.ID)
			}
		case n.CAKey:
			return
		case heir == 0 && n.Live() && n.Membership == cluster.Active:
			heir = n.ID
		}
	}
	if len(holders) == 0 {
		return
	}
	r := Refusal{
		Code: CAKey, Nodes: holders,
		Why: fmt.Sprintf("the key of the cluster's CA is on %s only: without it no node can join, and certificates cannot be renewed", names(holders)),
	}
	if heir != 0 {
		r.Fixes = append(r.Fixes, Fix{Does: "hand it to a node that stays", Command: "nodedbctl cert move-ca --to " + heir.String()})
	}
	p.verdict.refuse("CA key", r)
}

// leaving returns the nodes that a decommission must not count on: its own and
// those of others.
func (p *planner) leaving() []cluster.NodeID {
	out := slices.Clone(p.in.Nodes)
	for i := range p.s.Nodes {
		if p.s.Nodes[i].Leaving() {
			out = append(out, p.s.Nodes[i].ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func holdsAny(d *cluster.RangeDescriptor, nodes []cluster.NodeID) bool {
	return slices.ContainsFunc(d.Replicas, func(r cluster.ReplicaDescriptor) bool { return slices.Contains(nodes, r.Node) })
}

// reserved asks whether a range that only other decommissions concern still finds
// targets for what they take off their nodes.
func (p *planner) reserved(r *Range, leaving []cluster.NodeID) Code {
	if !holdsAny(&r.Descriptor, leaving) || !p.s.HasQuorum(r) {
		return ""
	}
	_, voters := halves(&r.Descriptor)
	return p.reserve(r, voters, leaving, len(voters)-p.keptWithout(r, leaving))
}

// keptWithout is how many voters r keeps when the nodes have left: an odd number,
// no fewer than it has unless fewer are wanted.
func (p *planner) keptWithout(r *Range, leaving []cluster.NodeID) int {
	_, voters := halves(&r.Descriptor)
	return odd(min(len(voters), p.wantedWithout(r, leaving)))
}

// wantedWithout is how many voters r should have when the nodes have left.
func (p *planner) wantedWithout(r *Range, leaving []cluster.NodeID) int {
	if !r.Descriptor.IsMeta() {
		return p.s.wanted(r)
	}
	staying := 0
	for i := range p.s.Nodes {
		if n := &p.s.Nodes[i]; n.Membership == cluster.Active && !slices.Contains(leaving, n.ID) {
			staying++
		}
	}
	return metaVoters(staying)
}

// vacate plans the moves that take r off the intent's nodes.
func (p *planner) vacate(r *Range, leaving []cluster.NodeID) Code {
	_, voters := halves(&r.Descriptor)
	spare := len(voters) - p.keptWithout(r, leaving)
	var out []cluster.NodeID // whose votes are not replaced
	for _, rep := range slices.Clone(r.Descriptor.Replicas) {
		switch {
		case !slices.Contains(p.in.Nodes, rep.Node) || slices.Contains(out, rep.Node):
			continue
		case !slices.Contains(voters, rep.Node):
			p.move(r, Move{From: rep.Node, Why: "a learner on a leaving node"})
			continue
		case spare > 0:
			m := Move{From: rep.Node, Demote: r.Descriptor.IsMeta(), Why: "the range has a voter to spare"}
			out = append(out, rep.Node)
			if (len(voters)-len(out))%2 == 0 { // two at once, so that the rest is an odd number
				m.Also, m.Why = p.spareWith(r, out, leaving), "the range has two voters to spare"
				out = append(out, m.Also)
			}
			spare = len(voters) - len(out) - p.keptWithout(r, leaving)
			p.move(r, m)
			continue
		}
		to, code := p.target(r, leaving)
		if to == 0 {
			return code
		}
		p.move(r, Move{From: rep.Node, To: to, Demote: r.Descriptor.IsMeta(), Why: "the node is leaving"})
		if r.Leader == rep.Node && p.successor(r, p.in.Nodes) == 0 {
			p.load.lead(r.Leader, to) // the only voter's leadership goes over with its vote
		}
	}
	stay := slices.DeleteFunc(voters, func(id cluster.NodeID) bool { return slices.Contains(out, id) })
	return p.reserve(r, stay, leaving, spare)
}

// spareWith picks the voter that loses its vote along with those in out: one that
// is leaving too, else the one that can best be spared.
func (p *planner) spareWith(r *Range, out, leaving []cluster.NodeID) cluster.NodeID {
	spares := slices.DeleteFunc(p.spares(r), func(id cluster.NodeID) bool { return slices.Contains(out, id) })
	for _, among := range [][]cluster.NodeID{p.in.Nodes, leaving} {
		for _, id := range spares {
			if slices.Contains(among, id) {
				return id
			}
		}
	}
	return spares[0]
}

// reserve asks whether the voters of r that other decommissions take off their
// nodes find a target too, when this one's have theirs.
func (p *planner) reserve(r *Range, voters, leaving []cluster.NodeID, spare int) Code {
	not := slices.Clone(leaving)
	for _, id := range voters {
		if !slices.Contains(leaving, id) || slices.Contains(p.in.Nodes, id) {
			continue
		}
		if spare > 0 {
			spare--
			continue
		}
		to, code := p.target(r, not)
		if to == 0 {
			return code
		}
		not = append(not, to)
	}
	return ""
}

func (p *planner) checkNodes() bool {
	for _, id := range p.in.Nodes {
		n := p.s.Node(id)
		switch {
		case n == nil:
			p.verdict.refuse("nodes", Refusal{Code: Constraint, Nodes: []cluster.NodeID{id}, Why: fmt.Sprintf("%s is no node of this cluster", id)})
		case n.Membership == cluster.Decommissioned:
			p.verdict.refuse("nodes", Refusal{Code: Tombstoned, Nodes: []cluster.NodeID{id}, Why: fmt.Sprintf("%s was decommissioned before", id)})
		}
	}
	if len(p.in.Nodes) == 0 {
		p.verdict.refuse("nodes", Refusal{Code: Constraint, Why: "no node was named"})
	}
	if p.verdict.OK() {
		p.verdict.pass("nodes", names(p.in.Nodes)+" can leave the membership")
	}
	return p.verdict.OK()
}

// checkReports refuses to plan on hearsay: every node that is alive must have
// said what it holds.
func (p *planner) checkReports(leaving []cluster.NodeID) bool {
	var silent []cluster.NodeID
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if n.Membership == cluster.Active && n.Liveness == cluster.Alive && !n.Reported && !slices.Contains(leaving, n.ID) {
			silent = append(silent, n.ID)
		}
	}
	if len(silent) > 0 {
		p.verdict.refuse("reports", Refusal{
			Passes: true,
			Code:   Collecting, Nodes: silent, Why: names(silent) + ": alive, but no report has arrived",
			Fixes: []Fix{{Does: "ask again in a few seconds"}, {Does: "see why it is silent", Command: "nodedbctl members why " + silent[0].String()}},
		})
		return false
	}
	p.verdict.pass("reports", "every node that is alive has reported")
	return true
}

func (p *planner) refuseStuck(stuck []cluster.RangeID) {
	if len(stuck) == 0 {
		p.verdict.pass("quorum", "every range concerned has a quorum")
		return
	}
	code := QuorumAtRisk
	if slices.Contains(stuck, cluster.MetaRangeID) {
		code = MetaQuorum
	}
	p.refuseLeaderless(slices.DeleteFunc(slices.Clone(stuck), func(id cluster.RangeID) bool { return !p.s.HasQuorum(p.s.Range(id)) }))
	stuck = slices.DeleteFunc(stuck, func(id cluster.RangeID) bool { return p.s.HasQuorum(p.s.Range(id)) })
	if len(stuck) == 0 {
		return
	}
	r := p.s.Range(stuck[0])
	p.verdict.refuse("quorum", Refusal{
		Code: code, Ranges: stuck, Fixes: p.s.stopFixes(p.in.Nodes, nil),
		Why: fmt.Sprintf("%s cannot change their replicas without a quorum; %s: %s", count(len(stuck), "range"), r.Descriptor.ID, p.s.shortfall(r, nil)),
	})
}

// refuseLeaderless refuses because ranges that have a quorum are led by nobody who
// is known: they elect, or their leader has not told yet.
func (p *planner) refuseLeaderless(ranges []cluster.RangeID) {
	if len(ranges) > 0 {
		p.verdict.refuse("leaders known", Refusal{
			Code: Collecting, Ranges: ranges, Passes: true, Fixes: []Fix{{Does: "ask again in a few seconds"}},
			Why: fmt.Sprintf("no leader is known of %s yet, %s first", count(len(ranges), "range"), ranges[0]),
		})
	}
}

// refuseMissing refuses for want of nodes, or of room on them.
func (p *planner) refuseMissing(code Code, ranges []cluster.RangeID, leaving []cluster.NodeID) {
	name := map[Code]string{NoTarget: "targets", Disk: "disk"}[code]
	if len(ranges) == 0 {
		p.verdict.pass(name, map[Code]string{
			NoTarget: "every replica has a node to go to",
			Disk:     fmt.Sprintf("no disk passes %.0f %%", p.s.MaxDisk*100),
		}[code])
		return
	}
	var remain []cluster.NodeID
	for i := range p.s.Nodes {
		if n := &p.s.Nodes[i]; n.refuses() == "" && !slices.Contains(leaving, n.ID) {
			remain = append(remain, n.ID)
		}
	}
	r := Refusal{Code: code, Ranges: ranges, Nodes: p.in.Nodes}
	need := 0
	for _, id := range ranges {
		_, voters := halves(&p.s.Range(id).Descriptor)
		need = max(need, len(voters))
	}
	if code == NoTarget {
		r.Why = fmt.Sprintf("%d of %s need %s; %s", len(ranges), count(p.dataRanges(), "range"), count(need, "voter"), remaining(remain))
		r.Fixes = append(r.Fixes, Fix{Does: "add " + count(max(need-len(remain), 1), "node"), Command: "nodedbctl join-token create"})
	} else {
		var bytes, dead uint64
		for _, id := range ranges {
			bytes, dead = bytes+p.s.Range(id).Bytes, dead+p.s.Range(id).Dead
		}
		r.Why = fmt.Sprintf("%s with %s have no node whose disk would stay under %.0f %%; %s", count(len(ranges), "range"), weight(bytes, dead), p.s.MaxDisk*100, remaining(remain))
		r.Fixes = append(r.Fixes, Fix{Does: "add 1 node", Command: "nodedbctl join-token create"})
		r.Fixes = append(r.Fixes, p.moreDisk(ranges, leaving)...)
		r.Fixes = append(r.Fixes, Fix{Does: "allow fuller disks, at your own risk", Command: fmt.Sprintf("nodedbctl decommission %s --max-disk 90%%", args(p.in.Nodes))})
	}
	for i := range p.s.Nodes {
		if n := &p.s.Nodes[i]; n.Cordon && !slices.Contains(leaving, n.ID) {
			r.Fixes = append(r.Fixes, Fix{Does: "let " + n.ID.String() + " receive replicas", Command: "nodedbctl uncordon " + n.ID.String()})
		}
	}
	if len(p.in.Nodes) == 1 {
		r.Fixes = append(r.Fixes, Fix{Does: "restart only", Command: "nodedbctl drain " + p.in.Nodes[0].String() + " --shutdown"})
	}
	p.verdict.refuse(name, r)
}

func remaining(nodes []cluster.NodeID) string {
	if len(nodes) == 0 {
		return "no other node could take replicas"
	}
	return "only " + names(nodes) + " would remain"
}

func (p *planner) dataRanges() int {
	n := 0
	for i := range p.s.Ranges {
		if !p.s.Ranges[i].Descriptor.IsMeta() {
			n++
		}
	}
	return n
}

func (p *planner) checkConflicts() {
	var both []cluster.NodeID
	for _, n := range p.in.Nodes {
		if slices.Contains(p.s.Busy, n) {
			both = append(both, n)
		}
	}
	if len(both) > 0 {
		p.verdict.refuse("conflicts", Refusal{
			Code: Conflict, Nodes: both, Why: "another operation works on " + names(both),
			Fixes: []Fix{{Does: "see it", Command: "nodedbctl ops ls"}},
		})
		return
	}
	p.verdict.pass("conflicts", "no other operation works on "+names(p.in.Nodes))
}

// warnings are what an operator should know and may accept.
func (p *planner) warnings(leaving []cluster.NodeID) {
	var suspect []cluster.NodeID
	versions := map[string]bool{}
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if n.Membership == cluster.Active && n.Liveness != cluster.Alive && !slices.Contains(leaving, n.ID) {
			suspect = append(suspect, n.ID)
		}
		if n.Version != "" && n.Membership != cluster.Decommissioned {
			versions[n.Version] = true
		}
	}
	if len(suspect) > 0 {
		p.verdict.warn("liveness", SuspectNodes, names(suspect)+" not alive: ranges with a voter there wait until it is back or replaced")
	} else {
		p.verdict.pass("liveness", "every node that stays is alive")
	}
	if len(versions) > 1 {
		p.verdict.warn("versions", VersionMix, fmt.Sprintf("%d versions run in this cluster", len(versions)))
	} else {
		p.verdict.pass("versions", "one version")
	}
}
