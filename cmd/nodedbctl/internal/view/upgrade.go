package view

import "github.com/nodedb/nodedb/client/adminpb"

// UpgradeStatus says at which version the cluster is, and whether it can be raised.
type UpgradeStatus struct {
	Active      uint32        `json:"active"` // the version of the cluster
	Newest      uint32        `json:"newest"` // that every node supports
	Target      uint32        `json:"target"` // that finalize would raise it to; active: nothing to do
	Raising     uint32        `json:"raising"`
	Operation   string        `json:"operation"`
	CanFinalize bool          `json:"canFinalize"`
	Why         []Finding     `json:"why"` // not
	Allows      []string      `json:"allows"`
	Nodes       []NodeUpgrade `json:"nodes"`
}

// NodeUpgrade is what a node's binary supports, and what the node has stored.
type NodeUpgrade struct {
	Node     uint32 `json:"node"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Min      uint32 `json:"min"`
	Max      uint32 `json:"max"`
	Active   uint32 `json:"active"` // 0: it did not answer
	Promised uint32 `json:"promised"`
	Liveness string `json:"liveness"`
}

// NewUpgradeStatus makes it of the API's answer.
func NewUpgradeStatus(r *adminpb.GetUpgradeResponse) UpgradeStatus {
	s := UpgradeStatus{
		Active: r.GetActive(), Newest: r.GetNewest(), Target: r.GetTarget(), Raising: r.GetRaising(), Operation: r.GetOperationId(),
		CanFinalize: r.GetCanFinalize(), Why: NewFindings(r.GetFindings()), Allows: orEmpty(r.GetAllows()), Nodes: []NodeUpgrade{},
	}
	for _, n := range r.GetNodes() {
		s.Nodes = append(s.Nodes, NodeUpgrade{
			Node: n.GetNode(), Name: n.GetName(), Version: n.GetVersion(), Min: n.GetMin(), Max: n.GetMax(),
			Active: n.GetActive(), Promised: n.GetPromised(), Liveness: n.GetLiveness(),
		})
	}
	return s
}
