// Package evaluation is what a leader and its state machine say to each other about
// requests: what one asks, and what becomes of it.
//
// # Concurrency
//
// A Request does not change. Its methods may be called by any goroutine.
package evaluation

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Request is what a gateway asks of a range, as the range's state machine reads it.
type Request interface {
	// Rows are all rows that it reads or writes.
	Rows() [][]byte
	// Evaluate decides what becomes of the request, over what rows show of the range
	// that desc describes, and over pending: of each row, in the order of Rows, what
	// a command left that is not applied yet. Nobody else decides about these rows
	// meanwhile. An error means that the engine failed.
	Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []Pending) (Decision, error)
}

// Pending is what a command that is not applied yet leaves of a row.
type Pending struct {
	// Version is the state machine's own, from a Decision; nil: no command is under way.
	Version any
	// TS is when; 0: that is not known yet, but above all that anybody has seen.
	TS hlc.Timestamp
}

// Decision is what becomes of a request.
type Decision struct {
	// Command is to be replicated; nil: the request is refused.
	Command []byte
	// Result is the answer once Command is applied.
	Result []byte
	// Leaves has for each row, in the order of Rows, what Command leaves of it; nil:
	// it does not touch the row.
	Leaves []any
	// Saw is the newest timestamp that the evaluation met; Command comes after it.
	Saw hlc.Timestamp

	// Refusal is the answer if there is no Command. It asks for the timestamp of the
	// pending version that it was decided on, if it was one: that is known when the
	// answer is due.
	Refusal func(pending hlc.Timestamp) []byte
	// Row is which row decided.
	Row int
	// Again says that who is refused may ask anew, about the rows as they are.
	Again bool
}
