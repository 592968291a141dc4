package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LeaseLack is what the lease of a range lacks to be held, or to serve a read.
type LeaseLack string

// What a lease may lack. The last three are of single reads.
const (
	LeaseHeld        LeaseLack = ""
	LeaseStarting    LeaseLack = "starting"     // the leader has not applied an entry of its term yet
	LeaseHandingOver LeaseLack = "handing-over" // leadership goes elsewhere, or was to: this term has no lease any more
	LeaseUnsupported LeaseLack = "unsupported"  // too few voters' nodes support the leader's
	LeaseUnbound     LeaseLack = "unbound"      // they do, and too few voters are bound to the leader
	LeaseOff         LeaseLack = "off"          // it is not used: lease_reads is off
	LeaseClock       LeaseLack = "clock"        // the leader's clock may not pass the timestamp of the read
	LeaseCeiling     LeaseLack = "ceiling"      // the timestamp is above what the voters promised to stay above
	LeaseEnded       LeaseLack = "ended"        // it ended, or was made anew, while the read was under way
)

// LeaseLacks are those for which a leader asks a quorum, in the order in which they
// are looked for.
var LeaseLacks = [...]LeaseLack{LeaseOff, LeaseStarting, LeaseHandingOver, LeaseUnsupported, LeaseUnbound, LeaseClock, LeaseCeiling, LeaseEnded}

// RangeLacks are those of whole ranges.
var RangeLacks = [...]LeaseLack{LeaseOff, LeaseStarting, LeaseHandingOver, LeaseUnsupported, LeaseUnbound}

// LeaseStatus is what the leader of a range says of its lease.
type LeaseStatus struct {
	// Lack is what the lease lacks; empty: it is held.
	Lack LeaseLack `json:"lack,omitempty"`
	// Voters are the others that vote, in the order of the descriptor.
	Voters []LeaseVoter `json:"voters,omitempty"`
	// Awake says why the range does not sleep; empty: it sleeps.
	Awake string `json:"awake,omitempty"`
	// Confirmed are the reads for which a quorum confirmed the leader, Refused those
	// that the replica did not serve. All others went by the lease. All count since
	// the process started.
	Confirmed uint64 `json:"confirmed,omitempty"`
	Refused   uint64 `json:"refused,omitempty"`
}

// LeaseVoter is one voter, as the leader sees it.
type LeaseVoter struct {
	Node NodeID `json:"node"`
	// Bound is the epoch of support in which the voter has bound itself; zero: it has not.
	Bound SupportEpoch `json:"bound,omitzero"`
	// Supports says that its node supports the leader's now, in that epoch if it is bound.
	Supports bool `json:"supports,omitempty"`
}

// Counts reports whether the lease may rest on the voter.
func (v *LeaseVoter) Counts() bool { return v.Supports && v.Bound != SupportEpoch{} }

// Held reports whether the lease is held.
func (s *LeaseStatus) Held() bool { return s.Lack == LeaseHeld }

// Same reports whether o says the same.
func (s *LeaseStatus) Same(o *LeaseStatus) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Lack == o.Lack && s.Awake == o.Awake && s.Confirmed == o.Confirmed && s.Refused == o.Refused && slices.Equal(s.Voters, o.Voters)
}

// Why says in a sentence why the lease is not held; empty: it is.
func (s *LeaseStatus) Why() string {
	names := func(which func(*LeaseVoter) bool) string {
		var out []string
		for i := range s.Voters {
			if which(&s.Voters[i]) {
				out = append(out, s.Voters[i].Node.String())
			}
		}
		return strings.Join(out, ", ")
	}
	switch s.Lack {
	case LeaseHeld:
		return ""
	case LeaseStarting:
		return "the leader has not applied an entry of its term yet"
	case LeaseHandingOver:
		return "leadership is handed over, or was to be: this term has no lease any more"
	case LeaseUnsupported:
		return "no promise of support counts from " + names(func(v *LeaseVoter) bool { return !v.Supports })
	case LeaseUnbound:
		return "not bound to the leader yet: " + names(func(v *LeaseVoter) bool { return !v.Counts() })
	case LeaseOff:
		return "lease_reads is off: each read asks a quorum"
	default:
		return string(s.Lack)
	}
}

// SupportEpoch names a stretch of support: the supporter's boot, and how often it had
// withdrawn support before in that boot. The zero value names nothing.
type SupportEpoch struct {
	Boot  Boot   `json:"boot,omitempty"`
	Count uint64 `json:"count,omitempty"`
}

// String is the number of the boot and the stretch in it, for people; empty: none.
func (e SupportEpoch) String() string {
	if e == (SupportEpoch{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d", e.Boot.Number(), e.Count)
}

// Support is how one node's support of another stands, as one of both has it.
type Support struct {
	Epoch SupportEpoch `json:"epoch,omitzero"` // zero: it never was
	Live  bool         `json:"live,omitempty"`
	// Since is when the stretch began, or, of one that is over, when it ended.
	Since time.Time `json:"since,omitzero"`
	// Left is for how long the promise counts, in seconds, and Ceiling up to which
	// timestamp reads may go by it. Both move with each answer.
	Left    float64   `json:"left,omitempty"`
	Ceiling time.Time `json:"ceiling,omitzero"`
	// Ended is how often it ended since the process started, Cause why it did last:
	// who is supported does not know.
	Ended uint64       `json:"ended,omitempty"`
	Cause SupportCause `json:"cause,omitempty"`
}

// SupportCause is why a node withdrew its support.
type SupportCause string

// The causes.
const (
	SupportSilent    SupportCause = "silent"    // the other did not ask for it in time
	SupportRestarted SupportCause = "restarted" // the other started again
	SupportStalled   SupportCause = "stalled"   // this node itself stood still, and asked nobody
)
