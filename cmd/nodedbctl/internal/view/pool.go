package view

import (
	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Pool is the kind Pool: a placement group.
type Pool struct {
	ID               uint32   `json:"id"`
	Name             string   `json:"name"`
	State            string   `json:"state"` // creating | ready
	Replicas         uint32   `json:"replicas"`
	Constraints      string   `json:"constraints"`  // "+zone=a,-disk=hdd"
	PreferLeader     string   `json:"preferLeader"` // "zone=b"
	Ranges           uint32   `json:"ranges"`
	Missing          uint32   `json:"rangesMissing"`    // still to be made
	Misfit           uint32   `json:"rangesMisfit"`     // not as the pool wants them
	LeadersElsewhere uint32   `json:"leadersElsewhere"` // ranges led where it is not preferred
	Bytes            uint64   `json:"bytes"`            // of one copy
	Collections      []string `json:"collections"`
	Nodes            []uint32 `json:"nodes"`   // that may hold its replicas now
	Misfits          []string `json:"misfits"` // what is wrong with the first of them
	Operation        string   `json:"operation,omitempty"`
	Version          uint64   `json:"version"`
}

// DefaultPool is what everything is in of which nothing else is said.
const DefaultPool = "default"

// NewPool makes a Pool.
func NewPool(p *adminpb.Pool) Pool {
	return Pool{
		ID: p.GetId(), Name: p.GetName(), State: p.GetState(), Replicas: p.GetReplicas(), Constraints: p.GetConstraints(), PreferLeader: p.GetPreferLeader(),
		Ranges: p.GetRanges(), Missing: p.GetRangesMissing(), Misfit: p.GetRangesMisfit(), LeadersElsewhere: p.GetLeadersElsewhere(), Bytes: p.GetBytes(),
		Collections: orEmpty(p.GetCollections()), Nodes: orEmpty(p.GetNodes()), Misfits: orEmpty(p.GetMisfits()), Operation: p.GetOperation(), Version: p.GetVersion(),
	}
}

// TierLoss says of one tier of the localities whether any one place of it may be lost.
type TierLoss struct {
	Tier    string `json:"tier"` // "zone"
	Yes     bool   `json:"yes"`
	Failing int    `json:"failing"`         // places whose loss would stop a range
	Worst   string `json:"worst,omitempty"` // "region=eu,zone=a"
	Ranges  uint32 `json:"ranges"`          // that the loss of the worst would stop
}

// NewTierLosses makes TierLosses.
func NewTierLosses(ls []*adminpb.LocalityLoss) []TierLoss {
	out := []TierLoss{}
	for _, t := range client.TierLosses(ls) {
		out = append(out, TierLoss{Tier: t.Tier, Yes: t.Failing == 0, Failing: t.Failing, Worst: t.Worst.GetLocality(), Ranges: t.Worst.GetRanges()})
	}
	return out
}

// LocalityLoss is what the loss of all nodes of a locality would cost.
type LocalityLoss struct {
	Locality string   `json:"locality"`
	Nodes    []uint32 `json:"nodes"`
	Ranges   uint32   `json:"ranges"` // that would lose their quorum
	First    []uint32 `json:"first"`
}

// NewLocalityLosses makes LocalityLosses.
func NewLocalityLosses(ls []*adminpb.LocalityLoss) []LocalityLoss {
	out := []LocalityLoss{}
	for _, l := range ls {
		out = append(out, LocalityLoss{Locality: l.GetLocality(), Nodes: orEmpty(l.GetNodes()), Ranges: l.GetRanges(), First: orEmpty(l.GetFirst())})
	}
	return out
}
