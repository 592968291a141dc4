package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Event is the kind Event.
type Event struct {
	Sequence  uint64            `json:"sequence"`
	Time      time.Time         `json:"time"`
	Kind      string            `json:"eventKind"`
	Severity  string            `json:"severity"`
	Text      string            `json:"text"`
	Node      *uint32           `json:"node"`
	Range     *uint32           `json:"range"`
	Operation *string           `json:"operation"`
	By        string            `json:"by"`
	Source    *uint32           `json:"source"`
	Data      map[string]string `json:"data,omitempty"`
}

// NewEvent makes an Event.
func NewEvent(e *adminpb.Event) Event {
	return Event{
		Sequence: e.GetSequence(), Time: e.GetTime().AsTime().UTC(), Kind: e.GetKind(), Severity: e.GetSeverity(), Text: e.GetText(),
		Node: optionalNode(e.GetNode()), Range: optionalNode(e.GetRange()), Operation: optional(e.GetOperationId()), By: e.GetBy(),
		Source: optionalNode(e.GetSource()), Data: e.GetData(),
	}
}

// NewEvents makes Events.
func NewEvents(es []*adminpb.Event) []Event {
	out := []Event{}
	for _, e := range es {
		out = append(out, NewEvent(e))
	}
	return out
}

// Rule is one rule of a CheckReport.
type Rule struct {
	Code     string   `json:"code"`
	Severity string   `json:"severity"`
	Text     string   `json:"text"`
	Command  string   `json:"command"`
	Nodes    []uint32 `json:"nodes"`
	Ranges   []uint32 `json:"ranges"`
}

// CheckReport is the kind CheckReport.
type CheckReport struct {
	OK    bool   `json:"ok"`
	Rules []Rule `json:"rules"`
}

// NewCheckReport makes a CheckReport.
func NewCheckReport(r *adminpb.CheckResponse) CheckReport {
	v := CheckReport{OK: true, Rules: []Rule{}}
	for _, x := range r.GetRules() {
		if x.GetSeverity() == "warn" || x.GetSeverity() == "error" {
			v.OK = false
		}
		v.Rules = append(v.Rules, Rule{
			Code: x.GetCode(), Severity: x.GetSeverity(), Text: x.GetText(), Command: x.GetCommand(), Nodes: orEmpty(x.GetNodes()), Ranges: orEmpty(x.GetRanges()),
		})
	}
	return v
}

// MemberExplanation is the kind MemberExplanation.
type MemberExplanation struct {
	Member      Member  `json:"member"`
	Doubts      []Doubt `json:"seenBy"`
	Transitions []Event `json:"transitions"`
	Flaps       uint32  `json:"flaps"`
	// Support is what the member gives others and others give it.
	Support []Support `json:"support"`
}

// Doubt is how one node finds another.
type Doubt struct {
	Observer     uint32     `json:"observer"`
	Liveness     string     `json:"liveness"`
	Since        *time.Time `json:"since"`
	Cause        string     `json:"cause"`
	Incarnation  uint32     `json:"incarnation"`
	RTT          float64    `json:"rttSeconds"`
	LastPing     *time.Time `json:"lastPing"`
	Breaker      string     `json:"breaker"`
	BreakerSince *time.Time `json:"breakerSince"`
	LastError    string     `json:"lastError,omitempty"`
	ClockOffset  float64    `json:"clockOffsetSeconds"`
}

// NewMemberExplanation makes a MemberExplanation.
func NewMemberExplanation(r *adminpb.ExplainMemberResponse) MemberExplanation {
	v := MemberExplanation{Member: NewMember(r.GetMember()), Doubts: []Doubt{}, Transitions: NewEvents(r.GetTransitions()), Flaps: r.GetFlaps(), Support: NewSupport(r.GetSupport())}
	for _, d := range r.GetDoubts() {
		v.Doubts = append(v.Doubts, Doubt{
			Observer: d.GetObserver(), Liveness: d.GetLiveness(), Since: moment(d.GetSince()), Cause: d.GetCause(), Incarnation: d.GetIncarnation(),
			RTT: d.GetRtt(), LastPing: moment(d.GetLastPing()), Breaker: d.GetBreaker(), BreakerSince: moment(d.GetBreakerSince()),
			LastError: d.GetLastError(), ClockOffset: d.GetClockOffset(),
		})
	}
	return v
}

// RaftReport is the kind RaftReport.
type RaftReport struct {
	Range    Range         `json:"range"`
	Replicas []RaftReplica `json:"replicas"`
}

// RaftReplica is a replica's raft state on its own node.
type RaftReplica struct {
	Node       uint32    `json:"node"`
	Replica    uint64    `json:"replica"`
	Role       string    `json:"role"`
	State      string    `json:"state"`
	Term       uint64    `json:"term"`
	Vote       uint64    `json:"vote"`
	Leader     *uint32   `json:"leader"`
	Commit     uint64    `json:"commit"`
	Applied    uint64    `json:"applied"`
	FirstIndex uint64    `json:"firstIndex"`
	LastIndex  uint64    `json:"lastIndex"`
	LogBytes   uint64    `json:"logBytes"`
	Generation uint64    `json:"generation"`
	Progress   []Replica `json:"progress,omitempty"`
	Failed     string    `json:"failed,omitempty"`
	// Asleep says that the replica neither ticks nor sends.
	Asleep bool `json:"asleep"`
	// BoundTo is the node of the leader that a follower is bound to, in BoundTerm.
	BoundTo   *uint32 `json:"boundTo"`
	BoundTerm uint64  `json:"boundTerm"`
	Lease     *Lease  `json:"lease"` // of a leader
	// LeaseLeft is for how long the lease would last if nobody answered any more.
	LeaseLeft float64 `json:"leaseLeftSeconds"`
	// Age is how old this is if the node's store does not get on; its log and vote are
	// not known then. 0: it is now.
	Age float64 `json:"ageSeconds"`
}

// NewRaftReport makes a RaftReport.
func NewRaftReport(r *adminpb.InspectRaftResponse) RaftReport {
	v := RaftReport{Range: NewRange(r.GetRange()), Replicas: []RaftReplica{}}
	for _, x := range r.GetReplicas() {
		rep := RaftReplica{
			Node: x.GetNode(), Replica: x.GetReplica(), Role: x.GetRole(), State: x.GetState(), Term: x.GetTerm(), Vote: x.GetVote(),
			Leader: optionalNode(x.GetLeader()), Commit: x.GetCommit(), Applied: x.GetApplied(), FirstIndex: x.GetFirstIndex(),
			LastIndex: x.GetLastIndex(), LogBytes: x.GetLogBytes(), Generation: x.GetGeneration(), Failed: x.GetFailed(),
			Asleep: x.GetAsleep(), BoundTo: optionalNode(x.GetBoundTo()), BoundTerm: x.GetBoundTerm(), LeaseLeft: x.GetLeaseLeft(), Age: x.GetAge(),
		}
		if l := x.GetLease(); l != nil {
			rep.Lease = new(NewLease(l))
		}
		for _, p := range x.GetProgress() {
			rep.Progress = append(rep.Progress, Replica{
				Node: p.GetNode(), Replica: p.GetReplica(), Role: p.GetRole(), Match: p.GetMatch(), Active: p.GetActive(), Snapshot: p.GetSnapshot(),
			})
		}
		v.Replicas = append(v.Replicas, rep)
	}
	return v
}
