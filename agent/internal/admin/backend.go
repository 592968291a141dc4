package admin

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// Backend is what the admin API needs of the node that serves it. All methods
// may be called at once. Their errors are an *Error, a *metastate.Refusal, a
// context's error, or something unexpected that the caller is not told.
type Backend interface {
	Local
	MetaRange
	Observer
	Operator
	Auditor
	KeyMaker
	Debugger
	Rebalancer
	Sessions
	Schedules
}

// Sessions are the SQL sessions of all nodes, and their transactions.
type Sessions interface {
	// Sessions asks every node for its SQL sessions; perNode as in Observe. Nodes that
	// do not answer are missing.
	Sessions(ctx context.Context, perNode time.Duration) (found map[cluster.NodeID][]cluster.Session, missing []cluster.NodeID)
	// Transactions asks every node for the transactions that it is the gateway of; the
	// oldest are first, and they are linked. perNode and missing as for Sessions.
	Transactions(ctx context.Context, perNode time.Duration) (found []cluster.Transaction, missing []cluster.NodeID)
	// EndSession ends a session of a node, or only the statement that it runs. there:
	// the node has such a session; ended: something was ended.
	EndSession(ctx context.Context, node cluster.NodeID, pid uint32, terminate bool) (there, ended bool, err error)
}

// Schedules are what a node does for schedules.
type Schedules interface {
	// RunSchedule begins a run of a schedule on this node; propose records it.
	RunSchedule(ctx context.Context, id cluster.ObjectID, reason string, propose func(context.Context, metastate.Command) (metastate.Result, error)) (*cluster.ScheduleRun, error)
	// NextDue is when a schedule is due next; zero: it is paused, or never.
	NextDue(o *cluster.Object) time.Time
	// Settle waits for the end of the transaction that a command was refused for.
	Settle(ctx context.Context, refusal *metastate.Refusal) error
}

// KeyMaker has certificates signed and keys made, by the nodes that can.
type KeyMaker interface {
	// SignClient returns the certificate (PEM) of a client whose record the meta
	// range has, for the key of csr (DER).
	SignClient(ctx context.Context, serial string, csr []byte) ([]byte, error)
	// RenewNode has a node replace its certificate now.
	RenewNode(ctx context.Context, id cluster.NodeID) (cluster.KeyStatus, error)
	// NextCA makes the CA that is to come, on a node that holds the present one's
	// key, and returns its certificate (PEM). Asked again, it returns the same.
	NextCA(ctx context.Context) ([]byte, error)
	// MoveCAKey has the node that holds the CA's key hand it to another one, as the
	// meta range has recorded it.
	MoveCAKey(ctx context.Context, record uint64, from, to cluster.NodeID) error
	// NewGossipKey makes the gossip key that is to come and returns its fingerprint.
	NewGossipKey() (fingerprint string, err error)
}

// Auditor is what was asked of the cluster, and by whom.
type Auditor interface {
	// Denied records a call that was not let in, in the node's own log.
	Denied(e audit.Entry)
	// Audit calls fn with the records of changes after the sequence, oldest
	// first, until it returns false.
	Audit(after uint64, fn func(*metastate.AuditRecord) bool) error
	// Logins asks every node for its newest logins and denials since a time.
	// Nodes that do not answer are missing.
	Logins(ctx context.Context, since time.Time, limit int, perNode time.Duration) (found map[cluster.NodeID][]audit.Record, missing []cluster.NodeID)
	// VerifyAudit has every node walk both of its chains.
	VerifyAudit(ctx context.Context, perNode time.Duration) (found map[cluster.NodeID]AuditProof, missing []cluster.NodeID)
}

// AuditProof is what a node found when it walked its chains.
type AuditProof struct {
	Heads     metastate.AuditHeads       `json:"heads"`     // as its state has them
	Records   uint64                     `json:"records"`   // of changes
	Hash      []byte                     `json:"hash"`      // over the records that were asked for; nil: it does not have them all
	BrokenAt  uint64                     `json:"brokenAt"`  // 0: nowhere
	Logins    map[audit.Class]audit.Kept `json:"logins"`    // what is kept of its own log
	LoginsBad uint64                     `json:"loginsBad"` // first login record that does not fit; 0: none
	Why       string                     `json:"why"`
}

// Local is the node itself.
type Local interface {
	// Self is this node.
	Self() cluster.NodeID
	// Version is the version of this binary.
	Version() string
	// Service is what this node does for clients now.
	Service() cluster.Service
	// DrainSelf starts (or finds) a drain of this node for its local operator or
	// its service manager. It works without a quorum of the meta range too: then
	// the returned operation has no id and the drain is this process's own.
	DrainSelf(ctx context.Context, spec cluster.OperationSpec, by string) (cluster.Operation, error)
}

// MetaRange is the cluster's memory.
type MetaRange interface {
	// View is this node's copy; never nil.
	View() *metastate.View
	// Propose carries out cmd at the meta leader, and returns after View shows it.
	// A refusal is in the result, not an error. No quorum: an error with
	// KindUnavailable or a context's error.
	Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error)
	// Subscribe calls fn with each new View, from one goroutine; fn must not block.
	Subscribe(fn func(*metastate.View)) (cancel func())
	// MetaLeader is the leader of the meta range as far as this node knows (0: not
	// known) and its term.
	MetaLeader() (cluster.NodeID, uint64)
}

// Observer asks all nodes.
type Observer interface {
	// Observe asks every node of the cluster for its status at once and waits for
	// each no longer than perNode (0: 3 s). Nodes that do not answer are missing;
	// that is no error. How long pings take is as of some time ago.
	Observe(ctx context.Context, perNode time.Duration) (Observation, error)
	// Pings asks every node, as Observe does, and for how long its pings take, too.
	// Who does not answer is not in the result.
	Pings(ctx context.Context, perNode time.Duration) map[cluster.NodeID]*cluster.NodeStatus
	// InspectRaft asks each of nodes for the raft state of its replica of a range.
	// Who does not answer in time, or has none, is not in the result.
	InspectRaft(ctx context.Context, id cluster.RangeID, nodes []cluster.NodeID, perNode time.Duration) map[cluster.NodeID]*cluster.RaftState
	// VerifyRange has the replicas of a range compared, and waits until all have told
	// or ctx ends: then it says who has not. KindNotFound, KindUnavailable (no leader).
	VerifyRange(ctx context.Context, id cluster.RangeID) (cluster.Comparison, error)
	// Row is the stored row (keys.Row) of collection with this primary key, each
	// column given as text. KindNotFound: no such collection; KindInvalid: the key
	// does not fit its columns.
	Row(collection string, key []string) ([]byte, error)
}

// Observation is the cluster as one fan-out found it.
type Observation struct {
	At       time.Time
	View     *metastate.View
	Statuses map[cluster.NodeID]*cluster.NodeStatus
	// Missing lists, sorted, the nodes that did not answer in time.
	Missing []cluster.NodeID
	// Liveness is this node's view of gossip, itself included.
	Liveness map[cluster.NodeID]cluster.Liveness
	// Snapshot is the same as the planner sees it.
	Snapshot *placement.Snapshot
}

// Operator starts and ends operations.
type Operator interface {
	// Plan is the dry run of Start. A spec that is refused is no error: the
	// preview's verdict says so.
	Plan(ctx context.Context, spec cluster.OperationSpec) (Preview, error)
	// Start checks, records and begins an operation, or attaches to the one that
	// the same request created before (existed). A refusal is an *Error with
	// KindUnsafe, KindConflict or KindStalePlan, and has changed nothing. The
	// operation is in View when Start returns.
	Start(ctx context.Context, r StartRequest) (op cluster.Operation, existed bool, err error)
	// Cancel asks a running operation to end. Asked again, it says the same.
	Cancel(ctx context.Context, r CancelRequest) (cluster.Operation, error)
	// Undrain ends the drains of nodes and makes them ready again; nodes that are
	// not drained are left as they are.
	Undrain(ctx context.Context, r NodesRequest) ([]cluster.Operation, error)
	// Recommission cancels the decommissions of nodes.
	Recommission(ctx context.Context, r NodesRequest) ([]cluster.Operation, error)
}

// Rebalancer says how even the load is, and keeps plans.
type Rebalancer interface {
	// Rebalance asks every node; perNode as in Observe.
	Rebalance(ctx context.Context, perNode time.Duration) (Rebalance, error)
	// CreatePlan plans and stores the plan, unless it is empty. A plan that would
	// be refused is an *Error as of Start.
	CreatePlan(ctx context.Context, spec cluster.OperationSpec, by string) (StoredPlan, Observation, error)
	// Plans returns the plan with the id, or all, the newest first. KindNotFound:
	// there is none of that id.
	Plans(ctx context.Context, id string) ([]StoredPlan, Observation, error)
	// SetRebalancePolicy returns the policy before.
	SetRebalancePolicy(ctx context.Context, policy, by, reason string) (before string, err error)
	// ExplainRange says for every node whether a replica of the range may be there.
	ExplainRange(ctx context.Context, id cluster.RangeID, perNode time.Duration) (placement.Explanation, Observation, error)
}

// Rebalance is how even the load is and what would be done about it.
type Rebalance struct {
	Observation Observation
	Policy      string
	Verdict     string // balanced | would-act | no-data | blocked
	Why         string
	Dimensions  []placement.Dimension
	Gates       []placement.Gate
	Loads       []placement.NodeLoad
	Last, Next  time.Time // sweeps; zero: not known
	Operation   string    // the rebalance that runs
	History     []cluster.Sweep
}

// StoredPlan is a plan that is kept and what has become of it.
type StoredPlan struct {
	cluster.StoredPlan
	Plan  placement.Plan
	State string // valid | stale | applied | expired
	// Stale says of each step that cannot be made any more why.
	Stale []string
}

// Preview is what an operation would do.
type Preview struct {
	Plan    placement.Plan
	Verdict placement.Verdict
	Took    time.Duration
	At      cluster.Key // of a split: the boundary
}

// StartRequest asks for an operation.
type StartRequest struct {
	Spec    cluster.OperationSpec
	Confirm string // plan id that the caller has seen; empty: not asked for
	By      string
	Reason  string
	Key     string // idempotency key; empty: kind and nodes
	Queue   bool   // wait for a conflicting operation rather than be refused
}

// CancelRequest asks to cancel an operation.
type CancelRequest struct {
	ID, By, Reason string
}

// NodesRequest asks for something to be done to nodes.
type NodesRequest struct {
	Nodes      []cluster.NodeID
	By, Reason string
}
