package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// Lease is what lets the leader of a range serve reads without asking anybody.
type Lease struct {
	Held bool `json:"held"`
	// Lack is what it lacks: starting, handing-over, unsupported, unbound or off; empty:
	// it is held. Why is the same for people.
	Lack   string       `json:"lack"`
	Why    string       `json:"why"`
	Voters []LeaseVoter `json:"voters"` // those other than the leader
	Asleep bool         `json:"asleep"`
	Awake  string       `json:"awake"` // why the range does not sleep
	// Reads since the leader's process started: under the lease, after a quorum had
	// confirmed the leader, and not served.
	ReadsLeased    uint64 `json:"readsLeased"`
	ReadsConfirmed uint64 `json:"readsConfirmed"`
	ReadsRefused   uint64 `json:"readsRefused"`
}

// LeaseVoter is one voter on which a lease may rest.
type LeaseVoter struct {
	Node     uint32 `json:"node"`
	Bound    bool   `json:"bound"`
	Epoch    string `json:"epoch"` // of the support in which it is bound: boot and stretch
	Supports bool   `json:"supports"`
}

// NewLease makes a Lease.
func NewLease(l *adminpb.Lease) Lease {
	v := Lease{
		Held: l.GetHeld(), Lack: l.GetLack(), Why: l.GetWhy(), Voters: []LeaseVoter{}, Asleep: l.GetAsleep(), Awake: l.GetAwake(),
		ReadsLeased: l.GetReadsLeased(), ReadsConfirmed: l.GetReadsConfirmed(), ReadsRefused: l.GetReadsRefused(),
	}
	for _, x := range l.GetVoters() {
		v.Voters = append(v.Voters, LeaseVoter{Node: x.GetNode(), Bound: x.GetBound(), Epoch: x.GetEpoch(), Supports: x.GetSupports()})
	}
	return v
}

// Text is the lease in one line: held by whom and on whom it rests, or why not.
func (l Lease) Text(leader *uint32) string {
	var parts []string
	for _, v := range l.Voters {
		parts = append(parts, render.Node(v.Node)+" "+v.Text())
	}
	rests := ""
	if len(parts) > 0 {
		rests = " (" + strings.Join(parts, ", ") + ")"
	}
	if !l.Held {
		return "not held: " + l.Why + rests
	}
	if leader == nil {
		return "held" + rests
	}
	return "held by " + render.Node(*leader) + rests
}

// Text is what a voter does for the lease.
func (v LeaseVoter) Text() string {
	switch {
	case v.Bound && v.Supports:
		return "bound in " + v.Epoch
	case v.Bound:
		return "bound in " + v.Epoch + ", which is over"
	case v.Supports:
		return "supports, not bound"
	}
	return "no support"
}

// Reads is what reads went by, in one line.
func (l Lease) Reads() string {
	return fmt.Sprintf("%d under the lease, %d confirmed by a quorum, %d refused", l.ReadsLeased, l.ReadsConfirmed, l.ReadsRefused)
}

// Sleep says whether the range sleeps, and why not.
func (l Lease) Sleep() string {
	if l.Asleep {
		return "asleep"
	}
	return "awake: " + l.Awake
}

// Support is an item of the kind SupportList: the promise of one node to another to
// follow nobody else, which leases rest on.
type Support struct {
	From  uint32     `json:"from"`
	To    uint32     `json:"to"`
	Live  bool       `json:"live"`
	Epoch string     `json:"epoch"` // of the stretch: the supporter's boot, and how many there were in it
	Since *time.Time `json:"since"` // when the stretch began, or ended
	Left  float64    `json:"leftSeconds"`
	// Ceiling is up to which timestamp reads may go by it.
	Ceiling *time.Time `json:"ceiling"`
	Ended   uint64     `json:"ended"` // stretches that are over
	Cause   string     `json:"cause"` // of the last end: silent, restarted or stalled; empty: not known
	ToldBy  uint32     `json:"toldBy"`
}

// NewSupport makes a list of Support.
func NewSupport(list []*adminpb.Support) []Support {
	out := []Support{}
	for _, s := range list {
		out = append(out, Support{
			From: s.GetFrom(), To: s.GetTo(), Live: s.GetLive(), Epoch: s.GetEpoch(), Since: moment(s.GetSince()), Left: s.GetLeft(),
			Ceiling: moment(s.GetCeiling()), Ended: s.GetEnded(), Cause: s.GetCause(), ToldBy: s.GetToldBy(),
		})
	}
	return out
}

// CauseText is why support was withdrawn last, for people.
func (s Support) CauseText() string {
	switch s.Cause {
	case "silent":
		return fmt.Sprintf("%s did not ask in time", render.Node(s.To))
	case "restarted":
		return fmt.Sprintf("%s started again", render.Node(s.To))
	case "stalled":
		return fmt.Sprintf("%s stood still itself", render.Node(s.From))
	}
	return s.Cause
}
