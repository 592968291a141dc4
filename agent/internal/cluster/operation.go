package cluster

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// OperationKind is what an operation does.
type OperationKind string

// The kinds.
const (
	OpDrain        OperationKind = "drain"
	OpDecommission OperationKind = "decommission"
	OpRepair       OperationKind = "repair"
	OpSplit        OperationKind = "split"     // one range at a key
	OpRebalance    OperationKind = "rebalance" // carry out a stored plan
	OpMove         OperationKind = "move"      // one replica of one range
	OpTransfer     OperationKind = "transfer"  // the leadership of one range
	OpPoolCreate   OperationKind = "pool-create"
	OpPoolAlter    OperationKind = "pool-alter" // have a pool's ranges as it wants them now
	OpPoolDrop     OperationKind = "pool-drop"
	OpUpgrade      OperationKind = "upgrade" // raise the cluster's version
	// OpSchemaChange has a table become what its rows have to be checked for, or written
	// anew for, while others write to it.
	OpSchemaChange OperationKind = "schema-change"
)

// OperationState is where an operation stands; operations.md section 4.
type OperationState string

// The states.
const (
	OpQueued     OperationState = "queued"
	OpRunning    OperationState = "running"
	OpPaused     OperationState = "paused"
	OpBlocked    OperationState = "blocked"
	OpCancelling OperationState = "cancelling"
	OpCancelled  OperationState = "cancelled"
	OpSucceeded  OperationState = "succeeded"
	OpFailed     OperationState = "failed"
)

// Final reports whether an operation in state s never changes again.
func (s OperationState) Final() bool {
	return s == OpCancelled || s == OpSucceeded || s == OpFailed
}

// OperationSpec is what was asked for. Durations are seconds.
type OperationSpec struct {
	Kind       OperationKind `json:"kind"`
	Nodes      []NodeID      `json:"nodes"` // sorted
	Shutdown   bool          `json:"shutdown,omitempty"`
	LBWait     float64       `json:"lbWait,omitempty"`
	TxnTimeout float64       `json:"txnTimeout,omitempty"`
	Deadline   float64       `json:"deadline,omitempty"`
	OnDeadline string        `json:"onDeadline,omitempty"` // stop | force
	TTL        float64       `json:"ttl,omitempty"`
	Rate       uint64        `json:"rate,omitempty"`    // snapshot bytes/s per node; 0: the default
	MaxDisk    float64       `json:"maxDisk,omitempty"` // 0..1; 0: the default 0.8
	Keep       bool          `json:"keep,omitempty"`    // --keep-running after decommission
	At         Key           `json:"at,omitempty"`      // of a split: the first key of the new range
	Range      RangeID       `json:"range,omitempty"`   // of a move, transfer or split
	From       NodeID        `json:"from,omitempty"`
	To         NodeID        `json:"to,omitempty"`
	Goal       string        `json:"goal,omitempty"` // of a rebalance: bytes | load | leaders; empty: all
	MaxMoves   int           `json:"maxMoves,omitempty"`
	Plan       string        `json:"plan,omitempty"`   // the stored plan that a rebalance carries out
	Strict     bool          `json:"strict,omitempty"` // refuse the plan if a part of it is stale
	// Pool is the name of a pool, Wanted what a pool-create or pool-alter makes of it,
	// and Ranges how many ranges a new one begins with.
	Pool    string       `json:"pool,omitempty"`
	Wanted  *PoolSpec    `json:"wanted,omitempty"`
	Ranges  int          `json:"ranges,omitempty"`
	Version gate.Version `json:"version,omitempty"` // of an upgrade: the one to come
	Change  *TableChange `json:"change,omitempty"`  // of a schema change
}

// Operation is the durable record of a plan being carried out.
type Operation struct {
	ID             string         `json:"id"` // op-7f3a
	Spec           OperationSpec  `json:"spec"`
	PlanID         string         `json:"planId,omitempty"`
	Child          RangeID        `json:"child,omitempty"` // of a split: the new range
	RequestedBy    string         `json:"requestedBy"`
	Reason         string         `json:"reason,omitempty"`
	IdempotencyKey string         `json:"idempotencyKey,omitempty"`
	CreatedAt      time.Time      `json:"createdAt"`
	StartedAt      time.Time      `json:"startedAt,omitzero"`
	EndedAt        time.Time      `json:"endedAt,omitzero"`
	State          OperationState `json:"state"`
	// Why explains a state that is not final, or the final one.
	Why string `json:"why,omitempty"`
	// Phase is the first phase that has not ended.
	Phase  string  `json:"phase,omitempty"`
	Phases []Phase `json:"phases,omitempty"`
	// Totals are set when the operation starts, and grow with what clients write
	// meanwhile; Done counts towards them.
	Total Progress `json:"total"`
	Done  Progress `json:"done"`
	Items []Item   `json:"items,omitempty"`
	Proof *Proof   `json:"proof,omitempty"`
	// Incarnations holds the boot nonce of each node when a drain began.
	Incarnations map[NodeID]string `json:"incarnations,omitempty"`
	// CoordinatorTerm is the meta term of the leader that last wrote the record:
	// writes of an older term are refused.
	CoordinatorTerm uint64  `json:"coordinatorTerm,omitempty"`
	Planned         float64 `json:"planned,omitempty"` // predicted seconds, p50
	// Queue says that it waits for the operations in its way, instead of being refused.
	Queue bool `json:"queue,omitempty"`
	// Limit is the rate that was set while it runs; 0: that of its Spec.
	Limit uint64 `json:"limit,omitempty"`
	// Pace is how fast it goes and how long it will take.
	Pace Pace `json:"pace,omitzero"`
	// Stalled says that nothing has progressed for long; Why says what it waits for.
	Stalled bool `json:"stalled,omitempty"`
	// Refusals are what the last check found, if it refused.
	Refusals []Obstacle `json:"refusals,omitempty"`
	// Blockers are the sessions that a drain waits for.
	Blockers []Blocker `json:"blockers,omitempty"`
	// ItemsTotal counts the items, of which Items holds the first.
	ItemsTotal int `json:"itemsTotal,omitempty"`
	// ModelError is the actual over the planned seconds, less 1; of one that succeeded.
	ModelError float64 `json:"modelError,omitempty"`
	// Cause is why a rebalance began: interval, membership or request.
	Cause string `json:"cause,omitempty"`
	// PreemptedBy is the operation that paused this one; it goes on when that ends.
	PreemptedBy string `json:"preemptedBy,omitempty"`
	// Held is why a person has paused it as well: then it stays paused when what
	// preempted it ends.
	Held string `json:"held,omitempty"`
	// GainPredicted and GainAchieved are by how many percent points a rebalance
	// brings, and brought, the fullest and the emptiest node nearer.
	GainPredicted float64 `json:"gainPredicted,omitempty"`
	GainAchieved  float64 `json:"gainAchieved,omitempty"`
	// PoolID is the pool that a pool-alter or pool-drop is about.
	PoolID PoolID `json:"poolId,omitempty"`
	// PoolBefore is, of a pool-alter, what its pool wanted before: a cancellation
	// gives it back.
	PoolBefore *PoolSpec `json:"poolBefore,omitempty"`
	// Cursor is, of a schema change, how far it has come in its phase, and Rows how many
	// rows it has looked at.
	Cursor []byte `json:"cursor,omitempty"`
	Rows   uint64 `json:"rows,omitempty"`
	// Failure is what the statement is told that began it.
	Failure *Failure `json:"failure,omitempty"`
}

// Rate is the bytes per second that the operation lets each node send and
// receive of snapshots; 0: the cluster's setting.
func (o *Operation) Rate() uint64 {
	if o.Limit > 0 {
		return o.Limit
	}
	return o.Spec.Rate
}

// Pace is how fast an operation goes. Times are seconds, 0: not known.
type Pace struct {
	Rate uint64  `json:"rate,omitempty"` // bytes/s of the last 10 s, snapshots on their way included
	ETA  float64 `json:"eta,omitempty"`  // seconds left
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
	// Limit is the bytes per second that an operation has asked the nodes to keep,
	// and LimitOf that operation; 0: none has, the cluster's setting holds.
	Limit   uint64 `json:"limit,omitempty"`
	LimitOf string `json:"limitOf,omitempty"`
}

// Obstacle is what keeps an operation from going on, and how to clear it.
type Obstacle struct {
	Code   string    `json:"code"`
	Why    string    `json:"why"`
	Ranges []RangeID `json:"ranges,omitempty"`
	Nodes  []NodeID  `json:"nodes,omitempty"`
	Fixes  []Remedy  `json:"fixes,omitempty"`
}

// Remedy is what to do about an obstacle, and the command that does it.
type Remedy struct {
	Does    string `json:"does"`
	Command string `json:"command,omitempty"`
}

// Blocker is a session that a drain waits for.
type Blocker struct {
	Node        NodeID  `json:"node"`
	PID         uint32  `json:"pid"`
	User        string  `json:"user"`
	Application string  `json:"application,omitempty"`
	Seconds     float64 `json:"seconds"`             // that its transaction has taken
	Statement   string  `json:"statement,omitempty"` // its head

	State SessionState `json:"state,omitempty"`
}

// MovesOnly reports whether an operation of kind k moves replicas or leaderships
// between nodes that all stay: it takes no process away, and gives way to those
// that do.
func (k OperationKind) MovesOnly() bool {
	return k == OpRebalance || k == OpMove || k == OpTransfer
}

// OfPool reports whether an operation is about a pool.
func (k OperationKind) OfPool() bool {
	return k == OpPoolCreate || k == OpPoolAlter || k == OpPoolDrop
}

// NamesNodes reports whether an operation of kind k is of nodes that it names.
func (k OperationKind) NamesNodes() bool {
	return k != OpSplit && k != OpUpgrade && k != OpSchemaChange && !k.OfPool()
}

// Phase is one step of an operation.
type Phase struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // pending | running | done | skipped
	Note  string    `json:"note,omitempty"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Progress counts work.
type Progress struct {
	Ranges   int    `json:"ranges"`
	Replicas int    `json:"replicas"`
	Leaders  int    `json:"leaders"`
	Bytes    uint64 `json:"bytes"`
	Sessions int    `json:"sessions"`
}

// Item is one range's part of an operation.
type Item struct {
	Range    RangeID `json:"range"`
	From     NodeID  `json:"from"`
	To       NodeID  `json:"to,omitempty"`
	Step     string  `json:"step"` // pending | learner | snapshot | catch-up | joint | remove | done | blocked
	Attempts int     `json:"attempts,omitempty"`
	Error    string  `json:"error,omitempty"`
	Why      string  `json:"why,omitempty"`
	Bytes    uint64  `json:"bytes,omitempty"`
	// Needs is the condition that the item waits for, RetryAt when it tries again.
	Needs     string    `json:"needs,omitempty"`
	RetryAt   time.Time `json:"retryAt,omitzero"`
	BytesDone uint64    `json:"bytesDone,omitempty"` // of Bytes, that were copied
	// Leadership says that this is a transfer, not a move.
	Leadership bool `json:"leadership,omitempty"`
}

// Proof is what makes an operation done rather than finished.
type Proof struct {
	MetaIndex   uint64 `json:"metaIndex"`
	Descriptors int    `json:"descriptors"` // range descriptors read linearizably
	References  int    `json:"references"`  // to the nodes that leave; zero
	Leaders     int    `json:"leaders"`     // range leaders that applied that configuration
	Tombstone   string `json:"tombstone,omitempty"`
}
