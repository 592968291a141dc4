package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Code names a reason to refuse or to warn. Scripts rely on the spelling.
type Code string

// The codes.
const (
	QuorumAtRisk Code = "QUORUM_AT_RISK"
	MetaQuorum   Code = "META_QUORUM"
	NoTarget     Code = "NO_TARGET"
	Disk         Code = "DISK"
	Constraint   Code = "CONSTRAINT"
	Conflict     Code = "CONFLICT"
	VersionMix   Code = "VERSION"
	Collecting   Code = "COLLECTING"
	EvenVoters   Code = "EVEN_VOTERS"
	Tombstoned   Code = "TOMBSTONED"
	CAKey        Code = "CA_KEY"

	SpreadThin   Code = "SPREAD_THIN"
	SuspectNodes Code = "SUSPECT_NODES"
	ClockSkew    Code = "CLOCK_SKEW"
	HighLoad     Code = "HIGH_LOAD"
	CertExpiry   Code = "CERT_EXPIRY"
)

// Change is one step on one range.
type Change struct {
	Range cluster.RangeID
	cluster.ReplicaChange
}

// Violation says which rule of the safety kernel a change breaks.
type Violation struct {
	Code  Code
	Rule  string // a, b, c, d, e of operations.md section 3
	Range cluster.RangeID
	Node  cluster.NodeID // 0: no single node is to blame
	Why   string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s %s: %s (rule %s)", v.Code, v.Range, v.Why, v.Rule)
}

// Safe returns the rules that the change would break; none means that it may be
// made now:
//
//	(a) add before remove: a voter leaves only when a caught-up one takes its
//	    place in the same joint change, when the range has too many, or when its
//	    replica has stopped with an error, for it counts for nothing;
//	(b) while a voter is dead, suspect or leaving, no other is removed unless that
//	    one goes too, or unless it is alive and another voter comes in the place;
//	(c) live voters are a quorum after the change, in both halves of a joint one,
//	    and those of the new half have caught up;
//	(d) one change at a time, on the generation that was planned for;
//	(e) nothing is placed on a node that is leaving, cordoned, not alive, whose
//	    disk would be too full, or that the constraints of the range's pool exclude;
//	(f) the voters are an odd number afterwards, unless one goes whose replica has
//	    stopped: an even number outlives no more losses than the odd one below it,
//	    and one voter that becomes two outlives fewer.
func Safe(s *Snapshot, c Change) []Violation {
	r := s.Range(c.Range)
	if r == nil {
		return []Violation{{Code: Conflict, Rule: "d", Range: c.Range, Why: "the range does not exist"}}
	}
	k := kernel{s: s, r: r, c: c}
	k.oneAtATime()
	if len(k.found) > 0 {
		return k.found // the rest would be judged on the wrong configuration
	}
	after := k.after()
	if len(k.found) > 0 {
		return k.found
	}
	k.addBeforeRemove()
	k.worstFirst()
	k.keepsQuorum(after)
	k.oddNumber(after)
	k.target()
	return k.found
}

type kernel struct {
	s     *Snapshot
	r     *Range
	c     Change
	found []Violation
}

func (k *kernel) refuse(code Code, rule string, node cluster.NodeID, format string, args ...any) {
	k.found = append(k.found, Violation{Code: code, Rule: rule, Range: k.c.Range, Node: node, Why: fmt.Sprintf(format, args...)})
}

// oneAtATime is rule (d).
func (k *kernel) oneAtATime() {
	d := &k.r.Descriptor
	if k.c.Expect != d.Generation {
		k.refuse(Conflict, "d", 0, "planned for generation %d, the range is at %d", k.c.Expect, d.Generation)
	}
	if d.Joint() && k.c.Kind != cluster.LeaveJoint {
		k.refuse(Conflict, "d", 0, "another change is in flight: the range is in a joint configuration")
	}
	if !d.Joint() && k.c.Kind == cluster.LeaveJoint {
		k.refuse(Conflict, "d", 0, "the range is not in a joint configuration")
	}
}

// after returns the descriptor once the change is made, and refuses a change
// that does not fit the descriptor.
func (k *kernel) after() *cluster.RangeDescriptor {
	d, problem := Applied(&k.r.Descriptor, k.c.ReplicaChange)
	if problem != "" {
		k.refuse(Conflict, "d", 0, "%s", problem)
	}
	return d
}

// addBeforeRemove is rule (a).
func (k *kernel) addBeforeRemove() {
	for _, n := range k.c.Promote {
		switch {
		case k.r.failed(n):
			k.refuse(NoTarget, "a", n, "the replica on %s has stopped with an error", n)
		case !k.r.CaughtUp(n):
			k.refuse(QuorumAtRisk, "a", n, "%s has not caught up", n)
		}
	}
	before := len(k.r.Descriptor.Voters())
	after, stopped := before+len(k.c.Promote), 0
	for _, n := range k.c.Demote {
		after--
		if k.r.failed(n) {
			stopped++
		}
	}
	if want := odd(min(before, k.s.wanted(k.r))); len(k.c.Demote) > 0 && after < want-stopped {
		k.refuse(QuorumAtRisk, "a", k.c.Demote[0], "%d of %d voters would be left, %d are wanted: add others first", after, before, want)
	}
}

// worstFirst is rule (b).
func (k *kernel) worstFirst() {
	healthy := slices.IndexFunc(k.c.Demote, func(n cluster.NodeID) bool { return !k.ailing(n) })
	if healthy < 0 {
		return
	}
	// If a voter that leaves and works stood in the way of a swap, a move that has
	// begun and the decommission would wait for each other.
	swap := len(k.c.Promote) >= len(k.c.Demote)
	for _, v := range k.r.Descriptor.Voters() {
		works := k.s.Node(v) != nil && k.s.live(k.r, v)
		if k.ailing(v) && !slices.Contains(k.c.Demote, v) && !(swap && works) {
			k.refuse(QuorumAtRisk, "b", v, "%s would be removed although it is healthy and %s is not", k.c.Demote[healthy], v)
			return
		}
	}
}

// oddNumber is rule (f).
func (k *kernel) oddNumber(after *cluster.RangeDescriptor) {
	if k.c.Kind != cluster.ChangeVoters || k.s.Planted.evenVoters() || slices.ContainsFunc(k.c.Demote, k.r.failed) {
		return
	}
	if _, voters := halves(after); len(voters)%2 == 0 {
		k.refuse(EvenVoters, "f", 0, "%d voters outlive no more losses than %d", len(voters), len(voters)-1)
	}
}

func (k *kernel) ailing(id cluster.NodeID) bool {
	n := k.s.Node(id)
	return n == nil || n.Leaving() || !k.s.live(k.r, id)
}

// keepsQuorum is rule (c).
func (k *kernel) keepsQuorum(after *cluster.RangeDescriptor) {
	code := QuorumAtRisk
	if after.IsMeta() {
		code = MetaQuorum
	}
	old, next := halves(after)
	live := func(n cluster.NodeID) bool { return k.s.live(k.r, n) }
	for _, half := range [][]cluster.NodeID{old, next} {
		if !enough(half, live) {
			k.refuse(code, "c", 0, "%d of %d voters would be live, %d are needed", tally(half, live), len(half), quorum(len(half)))
			return
		}
	}
	if k.c.Kind != cluster.ChangeVoters {
		return
	}
	// A live voter that is far behind cannot acknowledge yet: counting on it would
	// stop the range until it has caught up.
	ready := func(n cluster.NodeID) bool { return live(n) && k.r.CaughtUp(n) }
	if !enough(next, ready) {
		k.refuse(code, "c", 0, "%d of %d voters would be live and caught up, %d are needed", tally(next, ready), len(next), quorum(len(next)))
	}
}

// target is rule (e).
func (k *kernel) target() {
	for _, id := range k.c.Promote {
		k.takes(id)
	}
	if k.c.Kind == cluster.AddLearner {
		k.takes(k.c.Add)
	}
}

// takes refuses a node that may not be given a replica.
func (k *kernel) takes(id cluster.NodeID) {
	n := k.s.Node(id)
	if n == nil {
		k.refuse(NoTarget, "e", id, "%s is no node of this cluster", id)
		return
	}
	if k.r.Descriptor.IsMeta() && k.c.Kind == cluster.AddLearner {
		// Every node needs the meta range to know what it is: only one that goes or
		// cannot be reached is refused a copy.
		if n.Leaving() || n.Liveness != cluster.Alive {
			k.refuse(NoTarget, "e", n.ID, "%s is %s and %s", n.ID, n.Membership, n.Liveness)
		}
		return
	}
	if why := n.refuses(); why != "" {
		k.refuse(NoTarget, "e", n.ID, "%s %s", n.ID, why)
	}
	if why := k.s.misplaced(k.r, n); why != "" {
		k.refuse(Constraint, "e", n.ID, "%s %s", n.ID, why)
	}
	if k.c.Kind == cluster.AddLearner && k.s.overfull(n, k.r.Bytes) {
		k.refuse(Disk, "e", n.ID, "the disk of %s would be over %.0f %% full with %s more", n.ID, k.s.MaxDisk*100, weight(k.r.Bytes, k.r.Dead))
	}
}

// overfull reports whether n's disk would pass the limit with more bytes on it.
func (s *Snapshot) overfull(n *Node, more uint64) bool {
	return n.DiskTotal > 0 && float64(n.DiskUsed+more) > s.MaxDisk*float64(n.DiskTotal)
}

// Applied returns d after change c, or what does not fit. It is the rule book
// of the roles; the range itself applies the same.
func Applied(d *cluster.RangeDescriptor, c cluster.ReplicaChange) (*cluster.RangeDescriptor, string) {
	next := d.Clone()
	next.Generation++
	add, remove := index(next, c.Add), index(next, c.Remove)
	switch c.Kind {
	case cluster.AddLearner:
		if add >= 0 {
			return nil, fmt.Sprintf("%s holds a replica already", c.Add)
		}
		next.Replicas = append(next.Replicas, cluster.ReplicaDescriptor{Node: c.Add, Replica: next.NextReplica, Role: cluster.Learner})
		next.NextReplica++
	case cluster.ChangeVoters:
		if problem := changeVoters(next, c.Promote, c.Demote); problem != "" {
			return nil, problem
		}
	case cluster.LeaveJoint:
		for i := range next.Replicas {
			switch next.Replicas[i].Role {
			case cluster.VoterIncoming:
				next.Replicas[i].Role = cluster.Voter
			case cluster.VoterOutgoing:
				next.Replicas[i].Role = cluster.Learner
			}
		}
	case cluster.RemoveLearner:
		if !has(next, remove, cluster.Learner) {
			return nil, fmt.Sprintf("%s holds no learner", c.Remove)
		}
		next.Replicas = slices.Delete(next.Replicas, remove, remove+1)
	default:
		return nil, fmt.Sprintf("no such change: %q", c.Kind)
	}
	return next, ""
}

// changeVoters puts d between two configurations, or says what does not fit.
func changeVoters(d *cluster.RangeDescriptor, promote, demote []cluster.NodeID) string {
	for _, n := range promote {
		i := index(d, n)
		if !has(d, i, cluster.Learner) {
			return fmt.Sprintf("%s holds no learner", n)
		}
		d.Replicas[i].Role = cluster.VoterIncoming
	}
	for _, n := range demote {
		i := index(d, n)
		if !has(d, i, cluster.Voter) {
			return fmt.Sprintf("%s holds no voter", n)
		}
		d.Replicas[i].Role = cluster.VoterOutgoing
	}
	if len(promote)+len(demote) == 0 {
		return "no voter was named that would come or go"
	}
	if _, voters := halves(d); len(voters) == 0 {
		return "the last voter cannot be demoted"
	}
	return ""
}

func index(d *cluster.RangeDescriptor, n cluster.NodeID) int {
	return slices.IndexFunc(d.Replicas, func(r cluster.ReplicaDescriptor) bool { return r.Node == n })
}

func has(d *cluster.RangeDescriptor, i int, role cluster.ReplicaRole) bool {
	return i >= 0 && d.Replicas[i].Role == role
}
