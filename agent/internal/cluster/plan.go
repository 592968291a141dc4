package cluster

import (
	"encoding/json"
	"time"
)

// StoredPlan is a plan that was made to be carried out later, by its id.
type StoredPlan struct {
	ID        string        `json:"id"` // pl- and 14 digits, see NewPlanID
	Spec      OperationSpec `json:"spec"`
	Epoch     uint64        `json:"epoch"` // of the topology that it was made for
	CreatedAt time.Time     `json:"createdAt"`
	ExpiresAt time.Time     `json:"expiresAt"`
	CreatedBy string        `json:"createdBy"`
	// Operation is the one that carried it out; empty: none yet.
	Operation string `json:"operation,omitempty"`
	// Body is the plan itself, as package placement writes it.
	Body json.RawMessage `json:"body"`
}

// Expired reports whether the plan is too old at now to be begun.
func (p *StoredPlan) Expired(now time.Time) bool {
	return p.Operation == "" && !now.Before(p.ExpiresAt)
}

// Why a rebalance looked.
const (
	CauseInterval   = "interval"
	CauseMembership = "membership"
	CauseRequest    = "request"
)

// Sweep is one look of the rebalancer that did, or would have done, something.
type Sweep struct {
	ID        string    `json:"id"` // of its operation, else of its plan
	At        time.Time `json:"at"`
	Cause     string    `json:"cause"`   // interval | membership | request
	Outcome   string    `json:"outcome"` // observed | applied | blocked
	Why       string    `json:"why,omitempty"`
	Moves     int       `json:"moves,omitempty"`
	Transfers int       `json:"transfers,omitempty"`
	// Predicted and Achieved are the gain in percent points.
	Predicted float64 `json:"predicted,omitempty"`
	Achieved  float64 `json:"achieved,omitempty"`
	Operation string  `json:"operation,omitempty"`
	Plan      string  `json:"plan,omitempty"`
}
