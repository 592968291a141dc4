package view

// RebalancePolicy is the kind RebalancePolicy: what the rebalancer does by itself.
type RebalancePolicy struct {
	Policy string `json:"policy"`
	Before string `json:"before,omitempty"`
}
