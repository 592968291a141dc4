package view

import (
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Operation is the kind Operation; OperationProgress has the same fields.
type Operation struct {
	ID          string     `json:"id"`
	Kind        string     `json:"operationKind"`
	Nodes       []uint32   `json:"nodes"`
	State       string     `json:"state"`
	Why         string     `json:"why"`
	Phase       string     `json:"phase"`
	Phases      []Phase    `json:"phases"`
	Total       Progress   `json:"total"`
	Done        Progress   `json:"done"`
	Pct         float64    `json:"pct"`
	Items       []Item     `json:"items"`
	Plan        *string    `json:"plan"`
	RequestedBy string     `json:"requestedBy"`
	Reason      string     `json:"reason"`
	CreatedAt   *time.Time `json:"createdAt"`
	StartedAt   *time.Time `json:"startedAt"`
	EndedAt     *time.Time `json:"endedAt"`
	Planned     float64    `json:"plannedSeconds"`
	Took        *float64   `json:"tookSeconds"`
	Proof       *Proof     `json:"proof"`
	MetaIndex   uint64     `json:"metaIndex"`
	Rate        uint64     `json:"rate"`
	Limit       uint64     `json:"limit"`
	LimitOf     string     `json:"limitOf,omitempty"` // the other operation whose limit it is
	ETA         ETA        `json:"etaSeconds"`
	Stalled     bool       `json:"stalled"`
	Findings    []Finding  `json:"findings"`
	Blockers    []Blocker  `json:"blockers"`
	Next        []Fix      `json:"next"`
	ItemsTotal  uint32     `json:"itemsTotal"`
	ModelError  *float64   `json:"modelErrorPct"`
	Pool        string     `json:"pool,omitempty"`  // of pool-create, pool-alter, pool-drop
	Table       string     `json:"table,omitempty"` // of schema-change: the name that the table had when it began
	Range       *uint32    `json:"range,omitempty"` // of a move, transfer or split
	At          *uint32    `json:"at,omitempty"`    // of a split: the vshard with which the new range begins, or in which
	AtKey       string     `json:"atKey,omitempty"` // the key with which it begins
	// Of a rebalance, in percent points.
	GainPredicted float64 `json:"gainPredicted,omitempty"`
	GainAchieved  float64 `json:"gainAchieved,omitempty"`
}

// ETA is how many seconds are left; nothing: not known.
type ETA struct {
	Left *float64 `json:"left"`
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// Blocker is a session that a drain waits for.
type Blocker struct {
	Node        uint32  `json:"node"`
	PID         uint32  `json:"pid"`
	User        string  `json:"user"`
	Application string  `json:"application"`
	Seconds     float64 `json:"seconds"`
	Statement   string  `json:"statement"`
	State       string  `json:"state"` // as of Session
}

// Phase is a step of an operation.
type Phase struct {
	Name  string     `json:"name"`
	State string     `json:"state"`
	Note  string     `json:"note,omitempty"`
	Began *time.Time `json:"began"`
	Ended *time.Time `json:"ended"`
}

// Progress counts work.
type Progress struct {
	Ranges   uint32 `json:"ranges"`
	Replicas uint32 `json:"replicas"`
	Leaders  uint32 `json:"leaders"`
	Bytes    uint64 `json:"bytes"`
	Sessions uint32 `json:"sessions"`
}

// Item is one range's part of an operation.
type Item struct {
	Range     uint32     `json:"range"`
	From      uint32     `json:"from"`
	To        *uint32    `json:"to"`
	Step      string     `json:"step"`
	Attempts  uint32     `json:"attempts"`
	Error     string     `json:"error,omitempty"`
	Why       string     `json:"why,omitempty"`
	Bytes     uint64     `json:"bytes"`
	BytesDone uint64     `json:"bytesDone"`
	Needs     string     `json:"needs,omitempty"`
	RetryAt   *time.Time `json:"retryAt,omitempty"`
}

// Proof is what makes an operation done.
type Proof struct {
	MetaIndex   uint64 `json:"metaIndex"`
	Descriptors uint32 `json:"descriptors"`
	References  uint32 `json:"references"`
	Leaders     uint32 `json:"leaders"`
	Tombstone   string `json:"tombstone,omitempty"`
}

// NewOperation makes an Operation.
func NewOperation(o *adminpb.Operation) Operation {
	v := Operation{
		ID: o.GetId(), Kind: o.GetSpec().GetKind(), Nodes: orEmpty(o.GetSpec().GetNodes()), State: o.GetState(), Why: o.GetWhy(),
		Phase: o.GetPhase(), Phases: []Phase{}, Total: progress(o.GetTotal()), Done: progress(o.GetDone()), Items: []Item{},
		Plan: optional(o.GetPlanId()), RequestedBy: o.GetRequestedBy(), Reason: o.GetReason(), CreatedAt: moment(o.GetCreatedAt()),
		StartedAt: moment(o.GetStartedAt()), EndedAt: moment(o.GetEndedAt()), Planned: o.GetPlannedSeconds(), MetaIndex: o.GetMetaIndex(),
		Rate: o.GetRate(), Limit: o.GetLimit(), LimitOf: o.GetLimitOf(), Stalled: o.GetStalled(), Findings: NewFindings(o.GetFindings()), Blockers: []Blocker{},
		Next: NewFixes(o.GetNext()), ItemsTotal: o.GetItemsTotal(),
		ETA: ETA{Left: known(o.GetEtaSeconds()), Low: known(o.GetEtaLow()), High: known(o.GetEtaHigh())},
	}
	if o.GetState() == "succeeded" && o.GetPlannedSeconds() > 0 && o.GetSpec().GetKind() != "drain" {
		pct := tenth(100 * o.GetModelError())
		v.ModelError = &pct
	}
	for _, b := range o.GetBlockers() {
		v.Blockers = append(v.Blockers, Blocker{
			Node: b.GetNode(), PID: b.GetPid(), User: b.GetUser(), Application: b.GetApplication(), Seconds: b.GetSeconds(), Statement: b.GetStatement(), State: b.GetState(),
		})
	}
	v.GainPredicted, v.GainAchieved = tenth(o.GetGainPredicted()), tenth(o.GetGainAchieved())
	v.Pool, v.Table = o.GetSpec().GetPool(), o.GetSpec().GetTable()
	v.Range, v.At, v.AtKey = optionalNode(o.GetSpec().GetRange()), optionalNode(o.GetSpec().GetAt()), o.GetSpec().GetAtKey()
	v.Pct = tenth(100 * client.Share(o))
	for _, p := range o.GetPhases() {
		v.Phases = append(v.Phases, Phase{Name: p.GetName(), State: p.GetState(), Note: p.GetNote(), Began: moment(p.GetBegan()), Ended: moment(p.GetEnded())})
	}
	for _, it := range o.GetItems() {
		v.Items = append(v.Items, Item{
			Range: it.GetRange(), From: it.GetFrom(), To: optionalNode(it.GetTo()), Step: it.GetStep(),
			Attempts: it.GetAttempts(), Error: it.GetError(), Why: it.GetWhy(), Bytes: it.GetBytes(), BytesDone: it.GetBytesDone(), Needs: it.GetNeeds(), RetryAt: moment(it.GetRetryAt()),
		})
	}
	if p := o.GetProof(); p != nil {
		v.Proof = &Proof{MetaIndex: p.GetMetaIndex(), Descriptors: p.GetDescriptors(), References: p.GetReferences(), Leaders: p.GetLeaders(), Tombstone: p.GetTombstone()}
	}
	if d, ok := Took(o); ok {
		s := d.Seconds()
		v.Took = &s
	}
	return v
}

func progress(p *adminpb.Progress) Progress {
	return Progress{Ranges: p.GetRanges(), Replicas: p.GetReplicas(), Leaders: p.GetLeaders(), Bytes: p.GetBytes(), Sessions: p.GetSessions()}
}

// Took is how long an operation took, once it has ended.
func Took(o *adminpb.Operation) (time.Duration, bool) {
	if o.GetEndedAt() == nil {
		return 0, false
	}
	began := o.GetStartedAt()
	if began == nil {
		began = o.GetCreatedAt()
	}
	return o.GetEndedAt().AsTime().Sub(began.AsTime()), true
}

func known(seconds float64) *float64 {
	if seconds == 0 {
		return nil
	}
	v := tenth(seconds)
	return &v
}
