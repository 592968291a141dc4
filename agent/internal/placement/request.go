package placement

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// moveOne plans the one move that was asked for.
func (p *planner) moveOne() {
	r := p.requested()
	if r == nil {
		return
	}
	m := Move{Range: p.in.Range, From: p.in.From, To: p.in.To, Demote: r.Descriptor.IsMeta(), Why: "asked for"}
	if r.Descriptor.IsMeta() {
		p.verdict.refuse("range", Refusal{Code: Constraint, Ranges: []cluster.RangeID{m.Range}, Why: "the meta range has a replica on every node, and chooses its voters itself"})
		return
	}
	if _, on := r.Descriptor.On(m.From); !on && p.arrived(r, m.To) {
		p.verdict.pass("range", fmt.Sprintf("the replica of %s is on %s already", m.Range, m.To))
		return
	}
	if v := p.s.moveProblem(r, m, p.load.at(m.To).in); v != nil {
		p.verdict.refuse("move", p.s.refusalOf(r, v))
		return
	}
	p.verdict.pass("range", fmt.Sprintf("%s has a quorum, and %s a voter of it", m.Range, m.From))
	p.verdict.pass("target", fmt.Sprintf("%s may receive a replica of %s", m.To, m.Range))
	p.warnNode(m.To)
	p.checkRequestConflicts(m.From, m.To)
	if p.verdict.OK() {
		p.move(r, m)
	}
}

// transferOne plans the one transfer that was asked for.
func (p *planner) transferOne() {
	r := p.requested()
	if r == nil {
		return
	}
	if r.Leader == p.in.To {
		p.verdict.pass("range", fmt.Sprintf("%s leads %s already", p.in.To, p.in.Range))
		return
	}
	t := Transfer{Range: p.in.Range, From: r.Leader, To: p.in.To}
	if why := StaleTransfer(p.s, t); why != "" {
		code := Constraint
		if r.Leader == 0 {
			code = QuorumAtRisk
		}
		refusal := Refusal{Code: code, Ranges: []cluster.RangeID{t.Range}, Nodes: []cluster.NodeID{t.To}, Why: why}
		if to := p.successor(r, nil); to != 0 {
			refusal.Fixes = []Fix{{Does: "hand it to " + to.String(), Command: fmt.Sprintf("nodedbctl ranges transfer %s --to %s", t.Range, to)}}
		}
		p.verdict.refuse("transfer", refusal)
		return
	}
	p.verdict.pass("range", fmt.Sprintf("%s has caught up with %s and may lead it", t.To, t.Range))
	p.warnNode(t.To)
	p.transfer(r, t.To)
}

// requested finds the range and the nodes of the intent.
func (p *planner) requested() *Range {
	r := p.s.Range(p.in.Range)
	if r == nil {
		p.verdict.refuse("range", Refusal{Code: Constraint, Why: fmt.Sprintf("there is no range %s", p.in.Range)})
		return nil
	}
	for _, id := range []cluster.NodeID{p.in.From, p.in.To} {
		if id != 0 && p.s.Node(id) == nil {
			p.verdict.refuse("nodes", Refusal{Code: Constraint, Nodes: []cluster.NodeID{id}, Why: fmt.Sprintf("%s is no node of this cluster", id)})
			return nil
		}
	}
	return r
}

// arrived reports whether node holds a voter of r.
func (p *planner) arrived(r *Range, node cluster.NodeID) bool {
	rep, ok := r.Descriptor.On(node)
	return ok && rep.Role == cluster.Voter
}

func (p *planner) warnNode(id cluster.NodeID) {
	if n := p.s.Node(id); n.Hot() {
		p.verdict.warn("load", HighLoad, fmt.Sprintf("%s uses %.0f %% of its CPU", id, n.CPU*100))
	}
}

func (p *planner) checkRequestConflicts(nodes ...cluster.NodeID) {
	for _, n := range nodes {
		for _, busy := range p.s.Busy {
			if n == busy {
				p.verdict.refuse("conflicts", Refusal{
					Code: Conflict, Nodes: []cluster.NodeID{n}, Why: "another operation works on " + n.String(),
					Fixes: []Fix{{Does: "see it", Command: "nodedbctl ops ls"}},
				})
				return
			}
		}
	}
}

// moveProblem rehearses m on a copy of its range: the learner, then the joint
// change with the learner caught up, each through the kernel. more is what else
// is to be copied to the target.
func (s *Snapshot) moveProblem(r *Range, m Move, more uint64) *Violation {
	no := func(code Code, node cluster.NodeID, format string, args ...any) *Violation {
		return &Violation{Code: code, Range: m.Range, Node: node, Why: fmt.Sprintf(format, args...)}
	}
	d := &r.Descriptor
	from, on := d.On(m.From)
	_, taken := d.On(m.To)
	switch {
	case m.From == m.To:
		return no(Constraint, m.To, "a move needs two nodes")
	case d.Joint():
		return no(Conflict, 0, "%s is in a joint configuration: another change is in flight", m.Range)
	case !on || from.Role != cluster.Voter:
		return no(Constraint, m.From, "%s holds no voter of %s", m.From, m.Range)
	case taken:
		return no(Constraint, m.To, "%s holds a replica of %s already", m.To, m.Range)
	case !s.HasQuorum(r) || r.Leader == 0:
		return no(QuorumAtRisk, 0, "%s cannot change its replicas: %s", m.Range, s.shortfall(r, nil))
	}
	if n := s.Node(m.To); n != nil && s.overfull(n, more+r.Bytes) {
		return no(Disk, m.To, "the disk of %s would be over %.0f %% full", m.To, s.MaxDisk*100)
	}
	one := *s
	one.Ranges = []Range{{Descriptor: *d.Clone(), Leader: r.Leader, Bytes: r.Bytes, Dead: r.Dead, Caught: append([]cluster.NodeID(nil), r.Caught...), Failed: r.Failed}}
	copied := &one.Ranges[0]
	for _, c := range []cluster.ReplicaChange{
		{Kind: cluster.AddLearner, Add: m.To},
		{Kind: cluster.ChangeVoters, Promote: []cluster.NodeID{m.To}, Demote: []cluster.NodeID{m.From}},
	} {
		c.Expect = copied.Descriptor.Generation
		if found := Safe(&one, Change{Range: m.Range, ReplicaChange: c}); len(found) > 0 {
			return &found[0]
		}
		after, problem := Applied(&copied.Descriptor, c)
		if problem != "" {
			return no(Constraint, 0, "%s", problem)
		}
		copied.Descriptor = *after
		copied.Caught = append(copied.Caught, m.To)
	}
	return nil
}

// refusalOf turns what forbids a move into a refusal with the ways out.
func (s *Snapshot) refusalOf(r *Range, v *Violation) Refusal {
	out := Refusal{Code: v.Code, Ranges: []cluster.RangeID{r.Descriptor.ID}, Why: v.Why}
	if v.Node != 0 {
		out.Nodes = []cluster.NodeID{v.Node}
		out.Fixes = s.nodeFixes(v.Node, r)
	}
	out.Fixes = append(out.Fixes, Fix{Does: "see where it may go", Command: "nodedbctl ranges explain " + r.Descriptor.ID.String()})
	return out
}

// StaleMove says why m, of an older plan, can not be made any more; "" if it can
// be, or has been.
func StaleMove(s *Snapshot, m Move) string {
	r := s.Range(m.Range)
	if r == nil {
		return fmt.Sprintf("there is no range %s any more", m.Range)
	}
	if Moved(s, m) || UnderWay(s, m) {
		return ""
	}
	if v := s.moveProblem(r, m, 0); v != nil {
		return v.Why
	}
	return ""
}

// Moved reports whether m has been made: To votes and From holds nothing.
func Moved(s *Snapshot, m Move) bool {
	r := s.Range(m.Range)
	if r == nil {
		return false
	}
	to, arrived := r.Descriptor.On(m.To)
	_, holds := r.Descriptor.On(m.From)
	return arrived && to.Role == cluster.Voter && !holds
}

// UnderWay reports whether m has begun and not ended: its target holds a learner,
// or the range is between the two configurations.
func UnderWay(s *Snapshot, m Move) bool {
	r := s.Range(m.Range)
	if r == nil || m.To == 0 || Moved(s, m) {
		return false
	}
	to, arrived := r.Descriptor.On(m.To)
	from, holds := r.Descriptor.On(m.From)
	if !arrived || !holds {
		return false
	}
	return to.Role == cluster.Learner || to.Role == cluster.VoterIncoming ||
		from.Role == cluster.VoterOutgoing || from.Role == cluster.Learner
}

// StaleTransfer says why t can not be made any more; "" if it can be, or has been.
func StaleTransfer(s *Snapshot, t Transfer) string {
	r := s.Range(t.Range)
	switch {
	case r == nil:
		return fmt.Sprintf("there is no range %s any more", t.Range)
	case r.Leader == t.To && r.Leader != 0:
		return ""
	case r.Leader == 0:
		return fmt.Sprintf("%s is electing: no leader has reported", t.Range)
	case r.Leader != t.From:
		return fmt.Sprintf("%s is led by %s, no longer by %s", t.Range, r.Leader, t.From)
	}
	if why := SafeTransfer(s, r, t.To); why != "" {
		return fmt.Sprintf("%s %s", t.To, why)
	}
	return ""
}
