package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// SafeToStop says whether the processes of nodes may stop together: every range,
// the meta range included, must keep a quorum of live, caught-up voters without
// them, without the nodes of operations in flight, and without those that are
// down or suspected already.
func SafeToStop(s *Snapshot, nodes []cluster.NodeID) Verdict {
	var v Verdict
	for _, id := range nodes {
		if s.Node(id) == nil {
			v.refuse("nodes", Refusal{Code: Constraint, Nodes: []cluster.NodeID{id}, Why: fmt.Sprintf("%s is no node of this cluster", id)})
		}
	}
	if !v.OK() {
		return v
	}
	atRisk, behind, waiting := s.losers(nodes)
	if len(waiting) > 0 {
		v.refuse("reports", Refusal{
			Code: Collecting, Ranges: waiting, Passes: true,
			Why:   fmt.Sprintf("the leaders of %s have not reported", count(len(waiting), "range")),
			Fixes: []Fix{{Does: "ask again in a few seconds"}},
		})
	}
	// A range whose only lack is a replica that catches up keeps its quorum in a
	// moment; it is named apart, unless others must wait for a person anyway.
	if len(atRisk) > 0 {
		s.refuseStop(&v, nodes, slices.Sorted(slices.Values(append(atRisk, behind...))), false)
	} else {
		s.refuseStop(&v, nodes, behind, true)
	}
	if v.OK() {
		v.pass("quorum", fmt.Sprintf("%s keep a quorum without %s", count(len(s.Ranges), "range"), names(nodes)))
	}
	return v
}

// losers returns the ranges that would lose their quorum if nodes stopped, those
// that would until a replica has caught up, and those of which it cannot be said
// because no leader has reported.
func (s *Snapshot) losers(nodes []cluster.NodeID) (atRisk, behind, waiting []cluster.RangeID) {
	up := s.living()
	for _, n := range s.gone(nodes) {
		up.drop(n)
	}
	for i := range s.Ranges {
		r := &s.Ranges[i]
		stays := func(n cluster.NodeID) bool { return up.has(n) && !r.failed(n) }
		if !s.quorate(r, stays) {
			atRisk = append(atRisk, r.Descriptor.ID)
			continue
		}
		if r.Leader == 0 || len(r.Caught) == 0 {
			waiting = append(waiting, r.Descriptor.ID)
			continue
		}
		if !s.quorate(r, func(n cluster.NodeID) bool { return stays(n) && r.CaughtUp(n) }) {
			behind = append(behind, r.Descriptor.ID)
		}
	}
	return atRisk, behind, waiting
}

// gone returns nodes and all others that must not be counted on.
func (s *Snapshot) gone(nodes []cluster.NodeID) []cluster.NodeID {
	gone := append(slices.Clone(nodes), s.Busy...)
	for i := range s.Nodes {
		if s.Nodes[i].stops() {
			gone = append(gone, s.Nodes[i].ID)
		}
	}
	slices.Sort(gone)
	return slices.Compact(gone)
}

func (s *Snapshot) refuseStop(v *Verdict, nodes []cluster.NodeID, atRisk []cluster.RangeID, passes bool) {
	if len(atRisk) == 0 {
		return
	}
	fixes, until := s.stopFixes(nodes, atRisk), ""
	if passes {
		fixes, until = []Fix{{Does: "wait until they have caught up", Command: "nodedbctl wait " + args(nodes) + " --for safe-to-stop"}}, " until replicas have caught up"
	}
	if atRisk[0] == cluster.MetaRangeID {
		r := s.Range(cluster.MetaRangeID)
		v.refuse("meta quorum", Refusal{
			Code: MetaQuorum, Ranges: atRisk[:1], Nodes: nodes, Fixes: fixes, Passes: passes,
			Why: "the meta range would stop" + until + ": " + s.shortfall(r, nodes),
		})
		atRisk = atRisk[1:]
	}
	if len(atRisk) > 0 {
		r := s.Range(atRisk[0])
		v.refuse("quorum", Refusal{
			Code: QuorumAtRisk, Ranges: atRisk, Nodes: nodes, Fixes: fixes, Passes: passes,
			Why: fmt.Sprintf("%d of %s would stop%s; %s: %s", len(atRisk), count(len(s.Ranges), "range"), until, r.Descriptor.ID, s.shortfall(r, nodes)),
		})
	}
}

// shortfall is the arithmetic for one range.
func (s *Snapshot) shortfall(r *Range, nodes []cluster.NodeID) string {
	gone := s.gone(nodes)
	voters := r.Descriptor.Voters()
	if len(voters) == 1 && !r.Descriptor.IsMeta() && s.wanted(r) == 1 && s.live(r, voters[0]) {
		return fmt.Sprintf("its only replica is on %s, as pool %s wants it", voters[0], s.poolName(r))
	}
	var out, down, behind []cluster.NodeID
	left := 0
	for _, n := range voters {
		switch {
		case !s.live(r, n):
			down = append(down, n)
		case slices.Contains(gone, n):
			out = append(out, n)
		case !r.CaughtUp(n) && len(r.Caught) > 0:
			behind = append(behind, n)
		default:
			left++
		}
	}
	var why []string
	for _, part := range []struct {
		what  string
		nodes []cluster.NodeID
	}{{"stopping", out}, {"not alive", down}, {"behind", behind}} {
		if len(part.nodes) > 0 {
			why = append(why, part.what+" "+names(part.nodes))
		}
	}
	text := fmt.Sprintf("%d of %s would be left, %s needed", left, count(len(voters), "voter"), are(quorum(len(voters))))
	if len(why) > 0 {
		text += " (" + strings.Join(why, "; ") + ")"
	}
	return text
}

func (s *Snapshot) stopFixes(nodes []cluster.NodeID, atRisk []cluster.RangeID) []Fix {
	fixes := s.singleFixes(atRisk)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !n.Live() && n.Membership != cluster.Decommissioned && !slices.Contains(nodes, n.ID) {
			fixes = append(fixes, Fix{Does: "start " + n.ID.String() + " again"})
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Live() && (n.Membership == cluster.Decommissioning || n.stops() || slices.Contains(s.Busy, n.ID)) && !slices.Contains(nodes, n.ID) {
			fixes = append(fixes, n.backFix())
		}
	}
	if len(nodes) > 1 {
		if some := LargestSafe(s, nodes); len(some) > 0 {
			fixes = append(fixes, Fix{Does: "stop fewer at once", Command: "nodedbctl ok-to-stop " + args(some)})
		}
	}
	if s.fewVoters() {
		fixes = append(fixes, Fix{Does: "add " + count(max(1, 3-s.staying()), "node"), Command: "nodedbctl join-token create"})
	}
	if len(nodes) == 1 {
		if heir := s.heir(nodes[0]); heir != 0 {
			fixes = append(fixes, Fix{Does: fmt.Sprintf("give %s up for good: its votes go over to %s", nodes[0], heir), Command: "nodedbctl decommission " + nodes[0].String()})
		}
	}
	return fixes
}

// backFix is what ends the state of a node that is on its way out.
func (n *Node) backFix() Fix {
	id := n.ID.String()
	switch {
	case n.Leaving():
		return Fix{Does: "wait until " + id + " is decommissioned", Command: "nodedbctl wait " + id + " --for decommissioned"}
	case n.Service == cluster.Drained: // it stays so until somebody says otherwise
		return Fix{Does: "take " + id + " back", Command: "nodedbctl undrain " + id}
	}
	return Fix{Does: "wait until " + id + " is back", Command: "nodedbctl wait " + id + " --for ready"}
}

// singleFixes are for ranges of which their pools want one replica: no node that comes,
// or comes back, lets the one that has it stop.
func (s *Snapshot) singleFixes(atRisk []cluster.RangeID) []Fix {
	var fixes []Fix
	single := map[string][]*Range{}
	for _, id := range atRisk {
		if r := s.Range(id); !r.Descriptor.IsMeta() && s.wanted(r) == 1 {
			single[s.poolName(r)] = append(single[s.poolName(r)], r)
		}
	}
	for _, pool := range slices.Sorted(maps.Keys(single)) {
		fixes = append(fixes, Fix{Does: "have pool " + pool + " keep 3 replicas", Command: "nodedbctl pools alter " + pool + " --replicas 3"})
		if of := single[pool]; len(of) == 1 {
			from := of[0].Descriptor.Voters()[0]
			for i := range s.Nodes {
				if n := &s.Nodes[i]; n.ID != from && n.refuses() == "" && s.misplaced(of[0], n) == "" {
					id := of[0].Descriptor.ID.String()
					fixes = append(fixes, Fix{Does: "move " + id + " away", Command: fmt.Sprintf("nodedbctl ranges move %s --from %s --to %s", id, from, n.ID)})
					break
				}
			}
		}
	}
	return fixes
}

// fewVoters reports whether some range would have more voters if there were more nodes.
func (s *Snapshot) fewVoters() bool {
	for i := range s.Ranges {
		r := &s.Ranges[i]
		want := s.wanted(r)
		if r.Descriptor.IsMeta() {
			want = max(3, want) // it grows with the membership
		}
		if len(r.Descriptor.Voters()) < want {
			return true
		}
	}
	return false
}

// heir returns the node that could take the only votes that node has: it holds a
// caught-up copy of every range that node alone votes for; 0: there is none.
func (s *Snapshot) heir(node cluster.NodeID) cluster.NodeID {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.ID == node || n.refuses() != "" {
			continue
		}
		alone, all := 0, true
		for k := range s.Ranges {
			r := &s.Ranges[k]
			if v := r.Descriptor.Voters(); len(v) == 1 && v[0] == node {
				alone++
				_, holds := r.Descriptor.On(n.ID)
				all = all && holds && r.CaughtUp(n.ID)
			}
		}
		if alone > 0 && all {
			return n.ID
		}
	}
	return 0
}

// LargestSafe returns the longest list it finds, in the order given, of nodes
// that may stop together.
func LargestSafe(s *Snapshot, nodes []cluster.NodeID) []cluster.NodeID {
	var safe []cluster.NodeID
	for _, n := range nodes {
		atRisk, behind, waiting := s.losers(append(slices.Clone(safe), n))
		if len(atRisk)+len(behind)+len(waiting) == 0 {
			safe = append(safe, n)
		}
	}
	return safe
}
