package operation

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Report is the newest status of a node, and when it came in.
type Report struct {
	Status *cluster.NodeStatus
	At     time.Time
}

// Input is what a Controller learns in one step.
type Input struct {
	Now time.Time
	// Self is the node that the Controller runs on, Term the term at which it
	// leads the meta range; 0: it does not.
	Self     cluster.NodeID
	Term     uint64
	View     *metastate.View
	Reports  map[cluster.NodeID]Report
	Liveness map[cluster.NodeID]cluster.Liveness
	// Done are the actions that have ended since the last step.
	Done []Completion
}

// ActionKind is what is to be done.
type ActionKind string

// The kinds. All but ActCommand and ActSchema are calls of the node To.
const (
	ActCommand  ActionKind = "command"  // propose Command to the meta range
	ActCreate   ActionKind = "create"   // make Descriptor's range, of a new pool, here and nowhere else
	ActPrepare  ActionKind = "prepare"  // make room for Replica of Descriptor's range
	ActChange   ActionKind = "change"   // make Change of Range at its leader
	ActSplit    ActionKind = "split"    // split Range as Split says, at its leader
	ActVerify   ActionKind = "verify"   // have the replicas of Range compared, at its leader
	ActMiddle   ActionKind = "middle"   // where Range's bytes are halved, as its leader finds it
	ActTransfer ActionKind = "transfer" // hand Range's leadership to Node
	ActDestroy  ActionKind = "destroy"  // remove the replica of Range with an id below Replica
	ActStatus   ActionKind = "status"   // how Ranges stand, as their leader sees it
	ActProof    ActionKind = "proof"    // the descriptors of Ranges, read linearizably at their leader
	ActDrain    ActionKind = "drain"    // close the SQL sessions and be idle
	ActUndrain  ActionKind = "undrain"
	ActSchema   ActionKind = "schema" // do a part of the schema change Schema, here
	ActStop     ActionKind = "stop"   // end the process: it was decommissioned, or drained by Operation
)

// Action is one thing that the Controller wants done. Its outcome comes back in
// a later Input as a Completion with the same ID.
type Action struct {
	ID         uint64
	Kind       ActionKind
	Operation  string // on whose behalf; empty: upkeep
	To         cluster.NodeID
	Range      cluster.RangeID
	Ranges     []cluster.RangeID
	Node       cluster.NodeID
	Replica    cluster.ReplicaID
	Change     cluster.ReplicaChange
	Split      cluster.RangeSplit
	Descriptor cluster.RangeDescriptor
	Spec       cluster.OperationSpec // ActDrain
	Command    metastate.Command
	Schema     *cluster.Operation // ActSchema
}

// Completion is the outcome of an action.
type Completion struct {
	Action Action
	Err    error
	// Descriptors come from ActChange, ActSplit and ActProof.
	Descriptors []cluster.RangeDescriptor
	// Statuses come from ActChange, ActTransfer and ActStatus; At is when.
	Statuses []cluster.RangeStatus
	At       time.Time
	Middle   cluster.Key      // ActMiddle
	Result   metastate.Result // ActCommand
	Schema   SchemaProgress   // ActSchema
}

// Config says how a Controller works.
type Config struct {
	// MovesAtOnce bounds the moves of the cluster, MovesPerNode those that one node
	// receives. Too many: the foreground suffers. Defaults 8 and 2.
	MovesAtOnce, MovesPerNode int
	// SmallRange is up to how many bytes a range counts a quarter towards these
	// bounds: its move is all round trips, no copying. Default 4 MiB.
	SmallRange uint64
	// UpkeepMoves bounds the moves of repair that run at once. Default 4.
	UpkeepMoves int
	// TransfersAtOnce bounds the leadership transfers in flight. Default 8.
	TransfersAtOnce int
	// SpreadEvery is the pause between two looks for leaderships on nodes that are
	// on their way out, in each of which at most SpreadTransfers of them go, and
	// whether the rebalancer has reason to sweep. Defaults 1 s and 4.
	SpreadEvery     time.Duration
	SpreadTransfers int
	// SweepEvery is the pause between two sweeps of the rebalancer while nothing
	// happens. For Settle after a change of the membership it sweeps each
	// SpreadEvery instead. Defaults 30 s and 15 s.
	SweepEvery, Settle time.Duration
	// Cooldown is how long the rebalancer leaves a range alone that has moved. Too
	// short: it follows every wave of the load. Default 5 min.
	Cooldown time.Duration
	// Attempts is how often a transfer of a plan is tried. Default 5.
	Attempts int
	// Collect is how long a new coordinator waits for reports before it plans
	// without them. Default 15 s.
	Collect time.Duration
	// Fresh is the age up to which a report counts. Default 5 s.
	Fresh time.Duration
	// Save is the least pause between two records of mere progress. Default 1 s.
	Save time.Duration
	// Retry is the pause after an attempt that failed. Default 500 ms.
	Retry time.Duration
	// Poll is the pause between two looks at a learner that catches up. Default 100 ms.
	Poll time.Duration
	// Stall is how long a learner may make no progress before another target is
	// looked for. Default 60 s.
	Stall time.Duration
	// SQLDrain bounds the wait for a leaving node's sessions. Default 60 s.
	SQLDrain time.Duration
	// HotFor is how long a range's load must be above the threshold before it is
	// split. Default 20 s. Too short: a passing peak splits ranges for ever.
	HotFor time.Duration
	// VerifyPause is how long a range is left alone after its replicas were asked to be
	// compared: a large one takes that long to be read. Default 10 min.
	VerifyPause time.Duration
	// Planted is empty but in tests of the tag "planted".
	Planted Planted
	// SplitCooldown is how long both halves of a split are left alone. Default 60 s.
	SplitCooldown time.Duration
}

// DefaultConfig returns a Config with every default set.
func DefaultConfig() Config {
	return Config{
		MovesAtOnce: 8, MovesPerNode: 2, SmallRange: 4 << 20, UpkeepMoves: 4, TransfersAtOnce: 8,
		SpreadEvery: time.Second, SpreadTransfers: 4, SweepEvery: 30 * time.Second, Settle: 15 * time.Second,
		Cooldown: 5 * time.Minute, Attempts: 5,
		Collect: 15 * time.Second, Fresh: 5 * time.Second, Save: time.Second, Retry: 500 * time.Millisecond,
		Poll: 100 * time.Millisecond, Stall: time.Minute, SQLDrain: time.Minute, HotFor: 20 * time.Second, SplitCooldown: time.Minute,
		VerifyPause: 10 * time.Minute,
	}
}
