package metastate

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Code classifies a refusal.
type Code string

// The codes.
const (
	CodeMalformed     Code = "MALFORMED"      // not a command of any version this node knows
	CodeInvalid       Code = "INVALID"        // understood, but cannot be right
	CodeUninitialized Code = "UNINITIALIZED"  // there is no cluster yet
	CodeExists        Code = "EXISTS"         // the name or id is taken
	CodeNotFound      Code = "NOT_FOUND"      // there is no such thing
	CodeConflict      Code = "CONFLICT"       // another operation or identity is in the way
	CodeTombstoned    Code = "TOMBSTONED"     // the node was decommissioned
	CodeDenied        Code = "DENIED"         // a join token that is wrong, used up, expired or revoked
	CodeStale         Code = "STALE"          // the writer is not the newest
	CodeFinal         Code = "FINAL"          // the operation has ended
	CodeReferenced    Code = "REFERENCED"     // ranges still name the node, or collections are in the pool
	CodeNoReturn      Code = "NO_RETURN"      // past the point of no return
	CodeVersion       Code = "VERSION"        // a binary, or a node, without the version that is needed
	CodePending       Code = "PENDING"        // a transaction that has not ended is in the way
	CodeExhausted     Code = "EXHAUSTED"      // a sequence has no numbers left
	CodeCircle        Code = "CIRCLE"         // roles would be members of each other
	CodeLimit         Code = "LIMIT_EXCEEDED" // too much of something
)

// Refusal says why a command changed nothing. It is an error to callers and a
// result to the state machine.
type Refusal struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Operation is the operation in the way, for CodeConflict.
	Operation string `json:"operation,omitempty"`
	// Txn and Record name the transaction in the way, for CodePending.
	Txn    string `json:"txn,omitempty"`
	Record []byte `json:"record,omitempty"`
}

func (r *Refusal) Error() string { return r.Message }

// Result is what a command gave.
type Result struct {
	Index   uint64        `json:"index"` // of the command; the view at it shows the change
	TS      hlc.Timestamp `json:"ts"`
	Refusal *Refusal      `json:"refusal,omitempty"`
	// Existed is set if the command found its work done before.
	Existed   bool               `json:"existed,omitempty"`
	Node      cluster.NodeID     `json:"node,omitempty"`      // AddNode
	Object    cluster.ObjectID   `json:"object,omitempty"`    // AllocateObjects
	Numbers   *Numbers           `json:"numbers,omitempty"`   // AdvanceSequence
	Run       uint64             `json:"run,omitempty"`       // StartRun, RunNow: the number of the run; 0: it is skipped
	Operation *cluster.Operation `json:"operation,omitempty"` // CreateOperation, UpdateOperation, RequestCancel
	// Operations are the schema changes that carry on what ChangeObjects has begun.
	Operations []string            `json:"operations,omitempty"`
	Plan       *cluster.StoredPlan `json:"plan,omitempty"`  // PutPlan
	Pool       *cluster.Pool       `json:"pool,omitempty"`  // of the commands about pools
	Batch      []Result            `json:"batch,omitempty"` // one per command, if none was refused
}

// Err returns the refusal as an error, or nil.
func (r Result) Err() error {
	if r.Refusal == nil {
		return nil
	}
	return r.Refusal
}
