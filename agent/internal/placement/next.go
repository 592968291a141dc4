package placement

import (
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

// arrived reports whether the target holds what the move wants there.
func (n next) arrived() bool {
	rep, ok := n.r.Descriptor.On(n.m.To)
	return ok && (n.m.Learner || rep.Role == cluster.Voter)
}

func (n next) arrive() Step {
	d := &n.r.Descriptor
	if _, ok := d.On(n.m.To); !ok {
		return n.change(cluster.ReplicaChange{Kind: cluster.AddLearner, Add: n.m.To}, "learner")
	}
	if !n.r.CaughtUp(n.m.To) {
		return Step{Kind: StepWait, Name: "catch-up", Why: n.m.To.String() + " is catching up"}
	}
	if from, ok := d.On(n.m.From); ok && from.Role == cluster.Voter {
		return n.change(cluster.ReplicaChange{Kind: cluster.Swap, Add: n.m.To, Remove: n.m.From}, "joint")
	}
	if len(d.Voters()) >= n.s.wanted(n.r) {
		// Someone else filled the place: the learner is not needed any more.
		return n.change(cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: n.m.To}, "remove")
	}
	return n.change(cluster.ReplicaChange{Kind: cluster.Promote, Add: n.m.To}, "joint")
}

func (n next) depart() Step {
	rep, ok := n.r.Descriptor.On(n.m.From)
	switch {
	case !ok || rep.Role == cluster.Learner && n.m.Demote:
		return Step{Kind: StepDone, Name: "done"}
	case rep.Role == cluster.Learner:
		return n.change(cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: n.m.From}, "remove")
	case n.r.Leader == n.m.From:
		return n.transfer("joint")
	}
	return n.change(cluster.ReplicaChange{Kind: cluster.Demote, Remove: n.m.From}, "joint")
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
	if to := Successor(n.s, n.m.Range, nil); to != 0 {
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
		if stays && rep.Node != n.r.Leader && rep.Node != n.m.From && n.s.live(n.r, rep.Node) && n.r.CaughtUp(rep.Node) {
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
