package placement

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// StepKind is what carries a move on.
type StepKind string

// The kinds.
const (
	StepChange   StepKind = "change"   // make Change at the leader; AddLearner: prepare the target first
	StepTransfer StepKind = "transfer" // hand the leadership to To
	StepWait     StepKind = "wait"     // something is under way
	StepBlocked  StepKind = "blocked"  // the kernel forbids what would be next
	StepDone     StepKind = "done"
)

// Step is the next thing to do for a move.
type Step struct {
	Kind   StepKind
	Change cluster.ReplicaChange
	To     cluster.NodeID // StepTransfer
	Name   string         // the item's step: learner, catch-up, joint, remove, done
	Why    string
	Code   Code // StepBlocked
}

// Next returns the step that carries m on from where its range stands now. It
// depends on nothing else, so a coordinator that takes over goes on where the
// one before stopped, and nothing is done twice.
func Next(s *Snapshot, m Move) Step {
	r := s.Range(m.Range)
	if r == nil {
		return Step{Kind: StepBlocked, Code: Conflict, Name: "blocked", Why: "the range does not exist"}
	}
	if r.Leader == 0 {
		return Step{Kind: StepWait, Name: "pending", Why: "no leader has reported"}
	}
	n := next{s: s, r: r, m: m}
	d := &r.Descriptor
	switch {
	case d.Joint():
		return n.leave()
	case m.To != 0 && m.Learner:
		return n.copy()
	case m.To != 0 && !n.arrived():
		return n.arrive()
	case m.From != 0:
		return n.depart()
	}
	return Step{Kind: StepDone, Name: "done"}
}

type next struct {
	s *Snapshot
	r *Range
	m Move
}

// leave finishes a joint configuration, after a transfer if the leader is on
// its way out of it.
func (n next) leave() Step {
	d := &n.r.Descriptor
	if rep, ok := d.On(n.r.Leader); ok && rep.Role == cluster.VoterOutgoing {
		return n.transfer("joint")
	}
	return n.change(cluster.ReplicaChange{Kind: cluster.LeaveJoint}, "joint")
}

// copy gives the target a learner. One of a data range is waited for: it is to
// be promoted, or to be counted on as a copy. Of the meta range every node has
// one, and others are not to wait for it.
func (n next) copy() Step {
	switch _, there := n.r.Descriptor.On(n.m.To); {
	case !there:
		return n.change(cluster.ReplicaChange{Kind: cluster.AddLearner, Add: n.m.To}, "learner")
	case !n.r.Descriptor.IsMeta() && !n.r.CaughtUp(n.m.To):
		return n.catchUp(n.m.To)
	}
	return Step{Kind: StepDone, Name: "done"}
}

func (n next) catchUp(id cluster.NodeID) Step {
	return Step{Kind: StepWait, Name: "catch-up", Why: id.String() + " is catching up"}
}

// arrived reports whether the targets vote.
func (n next) arrived() bool {
	return !slices.ContainsFunc(n.m.comes(), func(id cluster.NodeID) bool { return !n.votes(id) })
}

func (n next) votes(id cluster.NodeID) bool {
	rep, ok := n.r.Descriptor.On(id)
	return ok && rep.Role == cluster.Voter
}

func (n next) arrive() Step {
	d := &n.r.Descriptor
	if n.m.From != 0 && !n.votes(n.m.From) {
		// Someone else took its vote: whether To is needed is for repair to say.
		return n.depart()
	}
	for _, to := range n.m.comes() {
		if _, ok := d.On(to); !ok {
			return n.change(cluster.ReplicaChange{Kind: cluster.AddLearner, Add: to}, "learner")
		}
	}
	for _, to := range n.m.comes() {
		if !n.r.CaughtUp(to) {
			return n.catchUp(to)
		}
	}
	change := cluster.ReplicaChange{Kind: cluster.ChangeVoters, Promote: n.m.comes()}
	if n.m.From != 0 {
		change.Demote = []cluster.NodeID{n.m.From}
		return n.change(change, "joint")
	}
	switch grown := len(d.Voters()) + len(change.Promote); {
	case grown > n.s.wanted(n.r):
		return n.unneeded() // someone else filled the place
	case grown%2 == 0 && !n.s.Planted.evenVoters() || slices.ContainsFunc(change.Promote, n.votes):
		return Step{Kind: StepDone, Name: "done"} // for repair to plan anew
	}
	return n.change(change, "joint")
}

// unneeded removes the learners of the move, of a data range, and ends it.
func (n next) unneeded() Step {
	for _, to := range n.m.comes() {
		if rep, ok := n.r.Descriptor.On(to); ok && rep.Role == cluster.Learner && !n.r.Descriptor.IsMeta() {
			return n.change(cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: to}, "remove")
		}
	}
	return Step{Kind: StepDone, Name: "done"}
}

func (n next) depart() Step {
	var vote []cluster.NodeID
	for _, from := range n.m.goes() {
		if n.votes(from) {
			vote = append(vote, from)
		}
	}
	if len(vote) > 0 {
		if slices.Contains(vote, n.r.Leader) {
			return n.transfer("joint")
		}
		return n.change(cluster.ReplicaChange{Kind: cluster.ChangeVoters, Demote: vote}, "joint")
	}
	for _, from := range n.m.goes() {
		if _, ok := n.r.Descriptor.On(from); ok && !n.m.Demote {
			return n.change(cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: from}, "remove")
		}
	}
	return Step{Kind: StepDone, Name: "done"}
}

// change asks the kernel, and is blocked by what it says.
func (n next) change(c cluster.ReplicaChange, name string) Step {
	c.Expect = n.r.Descriptor.Generation
	if found := Safe(n.s, Change{Range: n.m.Range, ReplicaChange: c}); len(found) > 0 {
		return Step{Kind: StepBlocked, Change: c, Name: name, Code: found[0].Code, Why: found[0].Why}
	}
	return Step{Kind: StepChange, Change: c, Name: name}
}

func (n next) transfer(name string) Step {
	if to := Successor(n.s, n.m.Range, n.m.goes()); to != 0 {
		return Step{Kind: StepTransfer, To: to, Name: name}
	}
	if to := n.stopgap(); to != 0 {
		return Step{Kind: StepTransfer, To: to, Name: name}
	}
	return Step{Kind: StepBlocked, Name: name, Code: QuorumAtRisk, Why: "no voter that stays has caught up and could lead"}
}

// stopgap returns a voter to lead although it is leaving, cordoned or draining
// itself: better than a range that is held in a joint configuration.
func (n next) stopgap() cluster.NodeID {
	for _, rep := range n.r.Descriptor.Replicas {
		stays := rep.Role == cluster.Voter || rep.Role == cluster.VoterIncoming
		if stays && rep.Node != n.r.Leader && !slices.Contains(n.m.goes(), rep.Node) && n.s.live(n.r, rep.Node) && n.r.CaughtUp(rep.Node) {
			return rep.Node
		}
	}
	return 0
}

// Successor returns the voter that should lead the range instead of its leader,
// disregarding the nodes in not; 0 if there is none.
func Successor(s *Snapshot, id cluster.RangeID, not []cluster.NodeID) cluster.NodeID {
	r := s.Range(id)
	if r == nil {
		return 0
	}
	p := planner{s: s, load: newLoad(s)}
	return p.successor(r, not)
}
