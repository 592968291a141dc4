package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Status is the kind Status.
type Status struct {
	Health     string      `json:"health"`
	Nodes      StatusNodes `json:"nodes"`
	MetaLeader *uint32     `json:"metaLeader"`
	MetaTerm   uint64      `json:"metaTerm"`
	AnyOne     Survival    `json:"anyOne"`
	AnyTwo     Survival    `json:"anyTwo"`
	// AnyPlace says for each tier of the localities whether any one place may be
	// lost, the widest first; empty: no locality tells nodes apart.
	AnyPlace    []TierLoss     `json:"anyPlace"`
	Localities  []LocalityLoss `json:"localities"`
	Bytes       uint64         `json:"bytes"`         // of the ranges whose size is known
	Unsized     uint32         `json:"rangesUnsized"` // ranges of which no replica answered
	Replication uint32         `json:"replication"`
	DiskMaxPct  float64        `json:"diskMaxPct"`
	DiskMaxNode *uint32        `json:"diskMaxNode"`
	BytesMoving uint64         `json:"bytesMoving"`
	Ranges      StatusRange    `json:"ranges"`
	Operations  []Operation    `json:"operations"`
	Rebalance   string         `json:"rebalance"` // the policy
	LastMove    *time.Time     `json:"lastMove"`
	Problems    []Problem      `json:"problems"`
}

// StatusNodes counts nodes.
type StatusNodes struct {
	Alive uint32 `json:"alive"`
	Total uint32 `json:"total"`
}

// StatusRange counts ranges by state.
type StatusRange struct {
	OK       uint32 `json:"ok"`
	Under    uint32 `json:"under"`
	NoQuorum uint32 `json:"noQuorum"`
	Moving   uint32 `json:"moving"`
}

// Problem is what a person should look at.
type Problem struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	Command string `json:"command"`
}

// NewStatus makes a Status.
func NewStatus(s *adminpb.GetStatusResponse) Status {
	v := Status{
		Health: s.GetHealth(), Nodes: StatusNodes{s.GetNodesAlive(), s.GetNodesTotal()}, MetaLeader: optionalNode(s.GetMetaLeader()),
		MetaTerm: s.GetMetaTerm(), AnyOne: NewSurvival(s.GetSurvivesOne()), AnyTwo: NewSurvival(s.GetSurvivesTwo()),
		AnyPlace: NewTierLosses(s.GetLocalities()), Localities: NewLocalityLosses(s.GetLocalities()), Bytes: s.GetBytes(), Unsized: s.GetRangesUnsized(),
		Replication: s.GetReplication(), DiskMaxPct: tenth(100 * s.GetDiskMax()), DiskMaxNode: optionalNode(s.GetDiskMaxNode()),
		BytesMoving: s.GetBytesMoving(), Ranges: StatusRange{s.GetRangesOk(), s.GetRangesUnder(), s.GetRangesNoQuorum(), s.GetRangesMoving()},
		Operations: []Operation{}, Problems: []Problem{}, Rebalance: s.GetRebalance(), LastMove: moment(s.GetLastMove()),
	}
	for _, o := range s.GetRunning() {
		v.Operations = append(v.Operations, NewOperation(o))
	}
	for _, p := range s.GetProblems() {
		v.Problems = append(v.Problems, Problem{Code: p.GetCode(), Text: p.GetText(), Command: p.GetCommand()})
	}
	return v
}
