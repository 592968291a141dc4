package cluster

import (
	"cmp"
	"errors"
	"fmt"
)

// ReplicaRole is what a replica is in its range's raft configuration.
type ReplicaRole string

// The roles. Outgoing is a voter of the old half of a joint configuration that
// becomes a learner when the range leaves it; incoming is its mirror image.
const (
	Voter         ReplicaRole = "voter"
	Learner       ReplicaRole = "learner"
	VoterIncoming ReplicaRole = "incoming"
	VoterOutgoing ReplicaRole = "outgoing"
)

// ReplicaDescriptor says where one replica of a range is.
type ReplicaDescriptor struct {
	Node    NodeID      `json:"node"`
	Replica ReplicaID   `json:"replica"`
	Role    ReplicaRole `json:"role"`
}

// RangeDescriptor says what a range owns and where its replicas are. It is
// replicated state of the range itself; the meta range keeps a copy that
// follows, ordered by Generation.
type RangeDescriptor struct {
	ID RangeID `json:"id"`
	// Parent is the range that this one was split from; 0: none.
	Parent RangeID `json:"parent,omitempty"`
	// Pool is the pool of whose keys the range owns [Start, End); both bounds are
	// empty for the meta range.
	Pool  PoolID `json:"pool,omitempty"`
	Start Key    `json:"start"`
	End   Key    `json:"end"`
	// Generation rises by one with every applied change of replicas or span. A
	// range that was split off begins with its parent's: it is above every one in
	// which an ancestor owned its keys.
	Generation  uint64              `json:"generation"`
	NextReplica ReplicaID           `json:"nextReplica"`
	Replicas    []ReplicaDescriptor `json:"replicas"`
}

// IsMeta reports whether d describes the meta range.
func (d *RangeDescriptor) IsMeta() bool { return d.ID == MetaRangeID }

// Contains reports whether the range owns the key k of pool p.
func (d *RangeDescriptor) Contains(p PoolID, k Key) bool {
	return p == d.Pool && k >= d.Start && k < d.End
}

// Inside reports whether k can divide the range.
func (d *RangeDescriptor) Inside(k Key) bool { return k > d.Start && k < d.End }

// Overlaps reports whether a key belongs to both ranges.
func (d *RangeDescriptor) Overlaps(o *RangeDescriptor) bool {
	return d.Pool == o.Pool && d.Start < o.End && o.Start < d.End
}

// VShards returns the vshards [first, end) of which the range owns a part.
func (d *RangeDescriptor) VShards() (first, end VShard) {
	return d.Start.VShard(), d.End.NextVShard()
}

// VShardText is the vshards of the range for people: 400-416, with a star at one of
// which it owns a part; 417* if that is all.
func (d *RangeDescriptor) VShardText() string {
	star := func(k Key) string {
		if k.Whole() {
			return ""
		}
		return "*"
	}
	first, end := d.VShards()
	if first+1 == end && star(d.Start)+star(d.End) != "" {
		return fmt.Sprintf("%d*", first)
	}
	return fmt.Sprintf("%d%s-%d%s", first, star(d.Start), end-1, star(d.End))
}

// Span is the span of the range's keys for people: [400,417), its vshards as
// numbers; of another pool than the default one its name follows.
func (d *RangeDescriptor) Span() string {
	if d.IsMeta() {
		return "no keys"
	}
	s := fmt.Sprintf("[%s,%s)", d.Start, d.End)
	if d.Pool != DefaultPool {
		s += " of " + d.Pool.String()
	}
	return s
}

// On returns the replica on node n.
func (d *RangeDescriptor) On(n NodeID) (ReplicaDescriptor, bool) {
	for _, r := range d.Replicas {
		if r.Node == n {
			return r, true
		}
	}
	return ReplicaDescriptor{}, false
}

// ByReplica returns the replica with raft id id.
func (d *RangeDescriptor) ByReplica(id ReplicaID) (ReplicaDescriptor, bool) {
	for _, r := range d.Replicas {
		if r.Replica == id {
			return r, true
		}
	}
	return ReplicaDescriptor{}, false
}

// Joint reports whether the range is between two configurations.
func (d *RangeDescriptor) Joint() bool {
	for _, r := range d.Replicas {
		if r.Role == VoterIncoming || r.Role == VoterOutgoing {
			return true
		}
	}
	return false
}

// Voters returns the nodes that vote, in the order of the descriptor. In a
// joint configuration these are the voters of both halves.
func (d *RangeDescriptor) Voters() []NodeID {
	return d.nodes(func(r ReplicaRole) bool { return r != Learner })
}

// Learners returns the nodes that hold a learner.
func (d *RangeDescriptor) Learners() []NodeID {
	return d.nodes(func(r ReplicaRole) bool { return r == Learner })
}

// Moving reports whether replicas are on their way, as the range's leader sees it:
// the range is between two configurations, or it has learners that are to vote or
// to go. Those of the meta range stay, and so does one copy beside fewer voters
// than wanted once it holds what there is to copy.
func (d *RangeDescriptor) Moving(wanted int, leader *RangeStatus) bool {
	learners := d.Learners()
	switch {
	case d.Joint():
		return true
	case d.IsMeta() || len(learners) == 0:
		return false
	case len(d.Voters()) >= wanted:
		return true
	}
	following, copying := 0, false
	for _, p := range leader.Progress {
		if rep, ok := d.On(p.Node); ok && rep.Role == Learner && p.Active {
			following++
			copying = copying || p.Snapshot || p.Match == 0
		}
	}
	return copying || following > 1
}

func (d *RangeDescriptor) nodes(want func(ReplicaRole) bool) []NodeID {
	var ns []NodeID
	for _, r := range d.Replicas {
		if want(r.Role) {
			ns = append(ns, r.Node)
		}
	}
	return ns
}

// Clone returns a deep copy.
func (d *RangeDescriptor) Clone() *RangeDescriptor {
	c := *d
	c.Replicas = append([]ReplicaDescriptor(nil), d.Replicas...)
	return &c
}

// Validate reports everything that is wrong with d.
func (d *RangeDescriptor) Validate() error {
	var errs []error
	if d.ID == 0 {
		errs = append(errs, errors.New("range id is zero"))
	}
	if !d.IsMeta() {
		if err := cmp.Or(d.Start.Validate(), d.End.Validate()); err != nil {
			errs = append(errs, fmt.Errorf("%s is no span of keys: %w", d.Span(), err))
		} else if d.Start >= d.End {
			errs = append(errs, fmt.Errorf("%s is no span of keys", d.Span()))
		}
	}
	nodes, ids := map[NodeID]bool{}, map[ReplicaID]bool{}
	for _, r := range d.Replicas {
		if r.Node == 0 || r.Replica == 0 || r.Replica >= d.NextReplica {
			errs = append(errs, fmt.Errorf("replica %d on %s: ids must be set and below the next replica id %d", r.Replica, r.Node, d.NextReplica))
		}
		if nodes[r.Node] || ids[r.Replica] {
			errs = append(errs, fmt.Errorf("replica %d on %s: listed twice", r.Replica, r.Node))
		}
		nodes[r.Node], ids[r.Replica] = true, true
	}
	return errors.Join(errs...)
}

// ChangeKind is one step of a change of a range's replicas.
type ChangeKind string

// The steps. A move of a replica from A to B is AddLearner(B), then (when B has
// caught up) ChangeVoters(promote B, demote A), then a transfer if A leads, then
// LeaveJoint, then RemoveLearner(A). A range grows by two voters at once, for
// their number is odd: AddLearner(B), AddLearner(C), ChangeVoters(promote B and
// C), LeaveJoint; it shrinks by two in the same way.
const (
	AddLearner    ChangeKind = "add-learner"
	ChangeVoters  ChangeKind = "change-voters" // enter joint: learners Promote incoming, voters Demote outgoing
	LeaveJoint    ChangeKind = "leave-joint"   // finish a change of voters
	RemoveLearner ChangeKind = "remove-learner"
)

// ReplicaChange asks for one step, on the condition that the range is still at
// generation Expect.
type ReplicaChange struct {
	Kind   ChangeKind `json:"kind"`
	Add    NodeID     `json:"add,omitempty"`    // of AddLearner
	Remove NodeID     `json:"remove,omitempty"` // of RemoveLearner
	// Promote and Demote are of ChangeVoters: the nodes whose learners become voters
	// and whose voters become learners, all at once.
	Promote []NodeID `json:"promote,omitempty"`
	Demote  []NodeID `json:"demote,omitempty"`
	Expect  uint64   `json:"expect"`
}

// RangeSplit asks a range to give its keys from At on to the new range Child, on
// the condition that it is still at generation Expect.
type RangeSplit struct {
	At     Key     `json:"at"`
	Child  RangeID `json:"child"`
	Expect uint64  `json:"expect"`
}
