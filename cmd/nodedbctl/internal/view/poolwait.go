package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// PoolWait is something that is to be done in a pool and is not done yet.
type PoolWait struct {
	Pool      string  `json:"pool"`
	What      string  `json:"what"`      // operation | move | transfer | range (still to be made) | misfit (nobody moves it yet)
	Operation *string `json:"operation"` // its id; null: none works on it yet
	Kind      string  `json:"kind"`      // of the operation
	Range     *uint32 `json:"range"`
	From      *uint32 `json:"from"` // of a move
	To        *uint32 `json:"to"`
	// State is that of the operation, or the step of the move; empty: nobody has begun.
	State string `json:"state"`
	Why   string `json:"why"` // what it waits for
	// Since is when the operation was asked for, RetryAt when a blocked move is tried again.
	Since   *time.Time `json:"since"`
	AgeSecs *float64   `json:"ageSeconds"`
	RetryAt *time.Time `json:"retryAt"`
	Count   uint32     `json:"count"` // of an operation: its moves in the pool that are not done; of range: how many
}

// NewPoolWaits makes the PoolWaits of a pool; asOf is when it was looked at.
func NewPoolWaits(p *adminpb.Pool, asOf time.Time) []PoolWait {
	out := make([]PoolWait, 0, len(p.GetQueue()))
	for _, w := range p.GetQueue() {
		x := PoolWait{
			Pool: p.GetName(), What: w.GetWhat(), Operation: optional(w.GetOperation()), Kind: w.GetKind(), Range: optionalNode(w.GetRange()), From: optionalNode(w.GetFrom()),
			To: optionalNode(w.GetTo()), State: w.GetState(), Why: w.GetWhy(), Since: moment(w.GetSince()), RetryAt: moment(w.GetRetryAt()), Count: w.GetCount(),
		}
		if x.Since != nil {
			secs := age(*x.Since, asOf)
			x.AgeSecs = &secs
		}
		out = append(out, x)
	}
	return out
}
