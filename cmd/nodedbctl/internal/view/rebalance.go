package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Dimension is how evenly one kind of load lies on the nodes.
type Dimension struct {
	Name     string  `json:"name"`
	Min      float64 `json:"min"`
	Mean     float64 `json:"mean"`
	Max      float64 `json:"max"`
	MinNode  *uint32 `json:"minNode"`
	MaxNode  *uint32 `json:"maxNode"`
	WouldAct bool    `json:"wouldAct"`
	Why      string  `json:"why"`
}

// NewDimensions makes Dimensions.
func NewDimensions(ds []*adminpb.Dimension) []Dimension {
	out := []Dimension{}
	for _, d := range ds {
		out = append(out, Dimension{
			Name: d.GetName(), Min: d.GetMin(), Mean: d.GetMean(), Max: d.GetMax(), MinNode: optionalNode(d.GetMinNode()),
			MaxNode: optionalNode(d.GetMaxNode()), WouldAct: d.GetWouldAct(), Why: d.GetWhy(),
		})
	}
	return out
}

// Rebalance is the kind Rebalance.
type Rebalance struct {
	Policy     string      `json:"policy"`
	Verdict    string      `json:"verdict"`
	WouldAct   bool        `json:"wouldAct"`
	Why        string      `json:"why"`
	Dimensions []Dimension `json:"dimensions"`
	Gates      []Gate      `json:"gates"`
	Nodes      []NodeLoad  `json:"nodes"`
	LastSweep  *time.Time  `json:"lastSweep"`
	NextSweep  *time.Time  `json:"nextSweep"`
	Operation  *string     `json:"operation"`
	History    []Sweep     `json:"history"`
}

// Gate is a condition that holds moves back while it is not open.
type Gate struct {
	Name   string   `json:"name"`
	Open   bool     `json:"open"`
	Why    string   `json:"why"`
	Nodes  []uint32 `json:"nodes"`
	Ranges []uint32 `json:"ranges"`
}

// NodeLoad is what a node carries of the data ranges.
type NodeLoad struct {
	Node         uint32  `json:"node"`
	Carries      bool    `json:"carries"`
	Why          string  `json:"why"`
	Replicas     uint32  `json:"replicas"`
	Leaders      uint32  `json:"leaders"`
	Bytes        uint64  `json:"bytes"`
	ReadsPerSec  float64 `json:"readsPerSec"`
	WritesPerSec float64 `json:"writesPerSec"`
	CPUPct       float64 `json:"cpuPct"`
	DiskUsed     uint64  `json:"diskUsed"`
	DiskTotal    uint64  `json:"diskTotal"`
}

// Sweep is one look of the rebalancer that did, or would have done, something.
type Sweep struct {
	At            *time.Time `json:"at"`
	Cause         string     `json:"cause"`
	Outcome       string     `json:"outcome"`
	Why           string     `json:"why"`
	Moves         uint32     `json:"moves"`
	Transfers     uint32     `json:"transfers"`
	GainPredicted float64    `json:"gainPredicted"`
	GainAchieved  float64    `json:"gainAchieved"`
	Operation     *string    `json:"operation"`
}

// NewRebalance makes a Rebalance.
func NewRebalance(r *adminpb.GetRebalanceResponse) Rebalance {
	v := Rebalance{
		Policy: r.GetPolicy(), Verdict: r.GetVerdict(), WouldAct: r.GetVerdict() == "would-act", Why: r.GetWhy(),
		Dimensions: NewDimensions(r.GetDimensions()), Gates: []Gate{}, Nodes: []NodeLoad{}, LastSweep: moment(r.GetLastSweep()),
		NextSweep: moment(r.GetNextSweep()), Operation: optional(r.GetOperationId()), History: NewSweeps(r.GetHistory()),
	}
	for _, g := range r.GetGates() {
		v.Gates = append(v.Gates, Gate{Name: g.GetName(), Open: g.GetOpen(), Why: g.GetWhy(), Nodes: orEmpty(g.GetNodes()), Ranges: orEmpty(g.GetRanges())})
	}
	for _, n := range r.GetNodes() {
		v.Nodes = append(v.Nodes, NodeLoad{
			Node: n.GetNode(), Carries: n.GetCarries(), Why: n.GetWhy(), Replicas: n.GetReplicas(), Leaders: n.GetLeaders(), Bytes: n.GetBytes(),
			ReadsPerSec: tenth(n.GetReadsPerSecond()), WritesPerSec: tenth(n.GetWritesPerSecond()), CPUPct: tenth(100 * n.GetCpu()),
			DiskUsed: n.GetDiskUsed(), DiskTotal: n.GetDiskTotal(),
		})
	}
	return v
}

// NewSweeps makes Sweeps.
func NewSweeps(ss []*adminpb.Sweep) []Sweep {
	out := []Sweep{}
	for _, s := range ss {
		out = append(out, Sweep{
			At: moment(s.GetAt()), Cause: s.GetCause(), Outcome: s.GetOutcome(), Why: s.GetWhy(), Moves: s.GetMoves(), Transfers: s.GetTransfers(),
			GainPredicted: s.GetGainPredicted(), GainAchieved: s.GetGainAchieved(), Operation: optional(s.GetOperationId()),
		})
	}
	return out
}

// NewStoredPlan makes a Plan of one that is stored.
func NewStoredPlan(s *adminpb.StoredPlan) Plan {
	v := NewPlan(s.GetPlan())
	v.State, v.CreatedAt, v.ExpiresAt = s.GetState(), moment(s.GetCreatedAt()), moment(s.GetExpiresAt())
	v.CreatedBy, v.AppliedBy = s.GetCreatedBy(), optional(s.GetOperationId())
	return v
}

// RangeExplanation is the kind RangeExplanation.
type RangeExplanation struct {
	Range
	Nodes []PlacementVerdict `json:"nodes"`
	Why   string             `json:"why"`
}

// PlacementVerdict is whether a replica of a range may be on a node.
type PlacementVerdict struct {
	Node        uint32  `json:"node"`
	Holds       bool    `json:"holds"`
	May         bool    `json:"may"`
	Why         string  `json:"why"`
	WouldChange string  `json:"wouldChange"`
	Gain        float64 `json:"gain"`
	Code        string  `json:"code,omitempty"` // of a no that is the pool's: CONSTRAINT
}

// NewRangeExplanation makes a RangeExplanation.
func NewRangeExplanation(r *adminpb.ExplainRangeResponse) RangeExplanation {
	v := RangeExplanation{Range: NewRange(r.GetRange()), Nodes: []PlacementVerdict{}, Why: r.GetWhy()}
	for _, n := range r.GetNodes() {
		v.Nodes = append(v.Nodes, PlacementVerdict{
			Node: n.GetNode(), Holds: n.GetHolds(), May: n.GetMay() == "yes", Why: n.GetWhy(), WouldChange: n.GetWouldChange(), Gain: tenth(n.GetGain()), Code: n.GetCode(),
		})
	}
	return v
}
