package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// SafeToReset says whether a node's store may be emptied for good: each range of
// which it holds a replica must have a quorum of live, caught-up voters without it.
func SafeToReset(s *Snapshot, node cluster.NodeID) Verdict {
	var v Verdict
	lost := []cluster.NodeID{node}
	atRisk, behind, waiting := s.losers(lost)
	elsewhere := func(id cluster.RangeID) bool {
		_, holds := s.Range(id).Descriptor.On(node)
		return !holds
	}
	atRisk, behind, waiting = slices.DeleteFunc(atRisk, elsewhere), slices.DeleteFunc(behind, elsewhere), slices.DeleteFunc(waiting, elsewhere)
	if len(waiting) > 0 {
		v.refuse("reports", Refusal{
			Code: Collecting, Ranges: waiting, Passes: true, Fixes: []Fix{{Does: "ask again in a few seconds"}},
			Why: fmt.Sprintf("the leaders of %s have not reported", count(len(waiting), "range")),
		})
	}
	fixes, passes := s.stopFixes(lost, nil), len(atRisk) == 0
	if passes {
		fixes, atRisk = []Fix{{Does: "ask again once the others have caught up"}}, behind
	}
	if len(atRisk) > 0 {
		code := QuorumAtRisk
		if atRisk[0] == cluster.MetaRangeID {
			code = MetaQuorum
		}
		r := s.Range(atRisk[0])
		v.refuse("quorum", Refusal{
			Code: code, Ranges: atRisk, Nodes: lost, Passes: passes, Fixes: fixes,
			Why: fmt.Sprintf("%s would have no quorum without the store of %s (%s); %s: %s", count(len(atRisk), "range"), node, rangeNames(atRisk), r.Descriptor.ID, s.left(r, node)),
		})
	}
	if v.OK() {
		v.pass("quorum", fmt.Sprintf("%s keep a quorum without the store of %s", count(len(s.Ranges), "range"), node))
	}
	return v
}

// left is the arithmetic for a range of which the replica on node is lost.
func (s *Snapshot) left(r *Range, node cluster.NodeID) string {
	var out []string
	left := 0
	voters := r.Descriptor.Voters()
	gone := s.gone(nil)
	for _, n := range voters {
		switch {
		case n == node:
			out = append(out, n.String()+" is lost")
		case !s.live(r, n):
			out = append(out, n.String()+" is not alive")
		case slices.Contains(gone, n):
			out = append(out, n.String()+" is stopping")
		case !r.CaughtUp(n) && len(r.Caught) > 0:
			out = append(out, n.String()+" is behind")
		default:
			left++
		}
	}
	text := fmt.Sprintf("%d of %s would be left, %s needed", left, count(len(voters), "voter"), are(quorum(len(voters))))
	for _, o := range out {
		text += ", " + o
	}
	return text
}

// rangeNames lists the first few ranges.
func rangeNames(ids []cluster.RangeID) string {
	const most = 8
	text := ""
	for i, id := range ids[:min(len(ids), most)] {
		if i > 0 {
			text += ", "
		}
		text += id.String()
	}
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}
