package lease

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Kind is what a message is to a follower that is bound.
type Kind int

// The kinds.
const (
	Other      Kind = iota
	Vote            // asks for a vote, or whether there would be one
	HandOver        // asks for a vote on behalf of a leader that gives up
	TimeoutNow      // the leader asks for an election
	Append          // from a leader: entries, a heartbeat, a snapshot
)

// Binding ties a follower to the leader of a term (rule 9). The zero Binding ties
// nobody.
type Binding struct {
	Leader  cluster.ReplicaID
	Node    cluster.NodeID
	Term    uint64
	planted Planted
}

// Bind binds to the leader of a term.
func Bind(leader cluster.ReplicaID, node cluster.NodeID, term uint64, planted Planted) Binding {
	return Binding{Leader: leader, Node: node, Term: term, planted: planted}
}

// Bound reports whether b ties.
func (b *Binding) Bound() bool { return b.Leader != 0 }

// Verdict is what to do with a message.
type Verdict int

// The verdicts.
const (
	Pass Verdict = iota
	Drop         // raft must not see it
	Free         // it proves that the leader of the term leads no more, or gave up
)

// Judge decides on a message ahead of raft, whose own check does not suffice: a
// follower that is not ticked grants votes that it should not (rule 11). A binding
// ends by what only a leader that is gone, or gave its lease up, brings about (rule
// 12, c to e), never by a mere change of the follower's own term.
func (b *Binding) Judge(k Kind, from cluster.ReplicaID, term uint64) Verdict {
	if !b.Bound() || b.planted.filtersNothing() {
		return Pass
	}
	switch {
	case k == Append && term > b.Term, // c: somebody was elected
		(k == Vote || k == HandOver) && from == b.Leader && term > b.Term && !b.planted.noRelease(), // d: it campaigns itself
		k == TimeoutNow && from == b.Leader && term == b.Term,                                       // e
		k == HandOver && term == b.Term+1:                                                           // e
		return Free
	case k == Vote || k == HandOver || k == TimeoutNow:
		return Drop
	}
	return Pass
}
