package cluster

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Membership answers: does this node belong to the cluster? The meta range decides.
type Membership string

// The memberships.
const (
	Joining         Membership = "joining"
	Active          Membership = "active"
	Decommissioning Membership = "decommissioning"
	Decommissioned  Membership = "decommissioned"
)

// Liveness answers: does the node's process answer? Gossip publishes it, as a hint.
type Liveness string

// The livenesses.
const (
	Alive   Liveness = "alive"
	Suspect Liveness = "suspect"
	Dead    Liveness = "dead"
	Left    Liveness = "left"
)

// Service answers: what does the node do for clients? The node itself says so,
// for one incarnation.
type Service string

// The services.
const (
	Starting Service = "starting"
	Ready    Service = "ready"
	Cordoned Service = "cordoned"
	Draining Service = "draining"
	Drained  Service = "drained"
	Stopping Service = "stopping"
)

// Addresses are where a node listens, each host:port as other machines reach it.
type Addresses struct {
	SQL    string `json:"sql"`
	RPC    string `json:"rpc"`
	Gossip string `json:"gossip"`
	Admin  string `json:"admin"`
}

// Node is the meta range's record of a node.
type Node struct {
	ID        NodeID    `json:"id"`
	UUID      string    `json:"uuid"` // in the data directory; the identity
	Name      string    `json:"name"`
	Addresses Addresses `json:"addresses"`
	Locality  string    `json:"locality,omitempty"` // "region=eu,zone=a"
	Version   string    `json:"version"`
	// Supports are the versions of a cluster that the node's binary can run at.
	Supports   gate.Support `json:"supports"`
	Membership Membership   `json:"membership"`
	Cordon     bool         `json:"cordon,omitempty"`
	// CordonUntil is when the cordon ends by itself; zero: never.
	CordonUntil  time.Time `json:"cordonUntil,omitzero"`
	CordonReason string    `json:"cordonReason,omitempty"`
	JoinedAt     time.Time `json:"joinedAt"`
	// BootNonce names the running incarnation: two processes that claim one
	// identity have two nonces.
	BootNonce string `json:"bootNonce,omitempty"`
	// StoreGeneration counts how often the node's store was emptied.
	StoreGeneration uint64     `json:"storeGeneration,omitempty"`
	Tombstone       *Tombstone `json:"tombstone,omitempty"`
}

// Tombstone says for ever that a node was decommissioned.
type Tombstone struct {
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Reason    string    `json:"reason,omitempty"`
	Operation string    `json:"operation"`
}

// NodeStatus is what a node says of itself when asked. It is never stored.
type NodeStatus struct {
	Node      NodeID  `json:"node"`
	BootNonce string  `json:"bootNonce"`
	Service   Service `json:"service"`
	Version   string  `json:"version"`
	// Active is the cluster version that the node acts upon, Promised the one that it
	// has promised; 0: none.
	Active    gate.Version `json:"active,omitempty"`
	Promised  gate.Version `json:"promised,omitempty"`
	StartedAt time.Time    `json:"startedAt"`
	MetaIndex uint64       `json:"metaIndex"` // applied index of the meta range here
	MetaTerm  uint64       `json:"metaTerm"`
	Sessions  int          `json:"sessions"`
	Bytes     uint64       `json:"bytes"` // live bytes of the store on disk
	DiskUsed  uint64       `json:"diskUsed"`
	DiskTotal uint64       `json:"diskTotal"`
	// DiskReserve is what is kept for DELETE, DROP, drains and moves when the disk is
	// full; DiskFull: less than that is left, and ranges most of whose nodes are so take
	// no more rows.
	DiskReserve uint64 `json:"diskReserve,omitempty"`
	DiskFull    bool   `json:"diskFull,omitempty"`
	// DiskSpent: a quarter of the reserve is left, and this node takes no
	// commands of rows.
	DiskSpent bool `json:"diskSpent,omitempty"`
	// Disk is how that disk does.
	Disk DiskStatus `json:"disk,omitzero"`
	CPU  float64    `json:"cpu"` // share of one machine, 0..1
	// ReadsPerSecond and WritesPerSecond are the sums over the replicas here.
	ReadsPerSecond  float64    `json:"readsPerSecond,omitempty"`
	WritesPerSecond float64    `json:"writesPerSecond,omitempty"`
	Statements      Statements `json:"statements,omitzero"`
	// Ranges are the replicas here, by range. They are shared: not to be changed.
	Ranges []*RangeStatus `json:"ranges,omitempty"`
	// RangesAge is how old Ranges is, in seconds, if the store does not get on.
	RangesAge float64 `json:"rangesAge,omitempty"`
	// Peers is how this node finds each of its peers.
	Peers       map[NodeID]PeerStatus `json:"peers,omitempty"`
	Clock       ClockStatus           `json:"clock,omitzero"`
	CertExpires time.Time             `json:"certExpires,omitzero"`
	Keys        KeyStatus             `json:"keys,omitzero"`
	// Memory is what others make the node hold: the whole, then its parts, each after
	// the one that it is a part of.
	Memory []MemoryPart `json:"memory,omitempty"`
	// Queues are the statements that run and wait.
	Queues       []StatementQueue   `json:"queues,omitempty"`
	Transactions TransactionsStatus `json:"transactions,omitzero"`
	Garbage      GarbageStatus      `json:"garbage,omitzero"`
}

// GarbageStatus is what keeps the garbage of ranges that a node leads, as far as it has
// asked: it asks when there is some.
type GarbageStatus struct {
	// Snapshot is the oldest that is open of those that are older than gc_ttl, Holder the
	// gateway whose session has it; zero: there is none.
	Snapshot time.Time `json:"snapshot,omitzero"`
	Holder   NodeID    `json:"holder,omitempty"`
}

// StatementQueue is the SQL statements of one kind that run on a node, and that wait
// until they may.
type StatementQueue struct {
	Name    string  `json:"name"` // short or long
	Running int     `json:"running"`
	Limit   int     `json:"limit"`
	Waiting int     `json:"waiting"`
	Room    int     `json:"room"`             // for so many to wait
	Oldest  float64 `json:"oldest,omitempty"` // seconds that the longest waits; 0: nobody does
	// Refused counts those that could not even wait, since the start, RefusedAgo is the
	// age of the last one in seconds; 0: there was none.
	Refused    uint64  `json:"refused,omitempty"`
	RefusedAgo float64 `json:"refusedAgo,omitempty"`
}

// MemoryPart is one part of a node's memory that has a bound. What would be beyond
// it is refused.
type MemoryPart struct {
	Name  string `json:"name"`
	Depth int    `json:"depth,omitempty"` // below the part before it that has a smaller one
	Used  int64  `json:"used"`            // bytes, as Peak and Limit
	Peak  int64  `json:"peak,omitempty"`  // since the start; 0: not known
	Limit int64  `json:"limit"`
	// Refused counts requests since the start, RefusedAgo is the age of the last one
	// in seconds; 0: there was none.
	Refused    uint64  `json:"refused,omitempty"`
	RefusedAgo float64 `json:"refusedAgo,omitempty"`
}

// DiskState is how the disk of a store does.
type DiskState string

// The states of disks.
const (
	DiskWell DiskState = "well"
	DiskSlow DiskState = "slow" // or it hung a moment ago
	DiskHung DiskState = "hung"
)

// DiskStatus is how the disk of a node's store does. Times are in seconds.
type DiskStatus struct {
	Path  string    `json:"path"`
	State DiskState `json:"state"`
	// Operation is what has been under way for longest, for Age: "sync 000007.log".
	Operation string  `json:"operation,omitempty"`
	Age       float64 `json:"age,omitempty"`
	// SyncMedian and SyncLongest are of the last syncs of the log.
	SyncMedian  float64 `json:"syncMedian,omitempty"`
	SyncLongest float64 `json:"syncLongest,omitempty"`
}

// Hung reports whether the node's disk hangs: it holds data and serves none.
func (s *NodeStatus) Hung() bool { return s.Disk.State == DiskHung }

// Range returns what the node says of its replica of a range; nil: it has none.
func (s *NodeStatus) Range(id RangeID) *RangeStatus {
	i, ok := slices.BinarySearchFunc(s.Ranges, id, func(r *RangeStatus, id RangeID) int { return cmp.Compare(r.Descriptor.ID, id) })
	if !ok {
		return nil
	}
	return s.Ranges[i]
}

// ClockStatus is where a node's time stands. All but Waits are seconds.
type ClockStatus struct {
	// Belief is what the time rests on: asking, past or sure; empty: not told.
	Belief string `json:"belief,omitempty"`
	// Offset is how far the median of the peers' times is ahead.
	Offset float64 `json:"offset,omitempty"`
	// Step is how far the machine's clock is ahead of the node's time, Limit how far
	// it may be. Taking says that a majority of the machines' clocks agrees with it:
	// a step forward is taken in Due.
	Step   float64 `json:"step,omitempty"`
	Limit  float64 `json:"limit,omitempty"`
	Taking bool    `json:"taking,omitempty"`
	Due    float64 `json:"due,omitempty"`
	// Ahead is how far the newest timestamp is ahead of the node's time, Waits the
	// time for which the node is silent after a start.
	Ahead float64   `json:"ahead,omitempty"`
	Waits time.Time `json:"waits,omitzero"`
}

// Stepped reports whether the node does not follow its machine's clock.
func (s *ClockStatus) Stepped() bool { return math.Abs(s.Step) > s.Limit }

// IsAhead reports whether others refuse the node's timestamps.
func (s *ClockStatus) IsAhead() bool { return s.Ahead > s.Limit }

// KeyStatus is what a node has of certificates and keys, by fingerprint: the
// hexadecimal SHA-256 of a public key, or of a gossip key.
type KeyStatus struct {
	Serial    string    `json:"serial,omitempty"` // of the node's certificate
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Key       string    `json:"key,omitempty"`    // of the node
	Issuer    string    `json:"issuer,omitempty"` // the CA that signed it
	Trusts    []string  `json:"trusts,omitempty"` // CAs
	Signs     string    `json:"signs,omitempty"`  // the CA whose key the node holds
	Gossip    []string  `json:"gossip,omitempty"` // the first one encrypts
}

// Statements is how many SQL statements a node runs, and how long they take, in
// seconds, lately.
type Statements struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
}

// RangeStatus is what one replica knows of its range.
type RangeStatus struct {
	Descriptor RangeDescriptor `json:"descriptor"`
	Replica    ReplicaID       `json:"replica"`
	Leader     NodeID          `json:"leader"` // 0: unknown
	Term       uint64          `json:"term"`
	Commit     uint64          `json:"commit"`
	// Settled is what was committed an election timeout ago. The leader knows it;
	// 0: it has not led for so long.
	Settled uint64 `json:"settled,omitempty"`
	Applied uint64 `json:"applied"`
	// Bytes is what the replica holds, live and dead; unless it is Counted, a guess.
	Bytes uint64 `json:"bytes"`
	// Counted says that the figures are exact: Keys are rows that have a value,
	// LiveBytes those of their newest versions, DeadBytes of all other versions.
	// They are 0 until then.
	Counted   bool   `json:"counted,omitempty"`
	Keys      uint64 `json:"keys"`
	LiveBytes uint64 `json:"liveBytes,omitempty"`
	DeadBytes uint64 `json:"deadBytes,omitempty"`
	// Reads and Writes count since the process started.
	Reads  uint64 `json:"reads"`
	Writes uint64 `json:"writes"`
	// Load is what the leader serves now; nil: next to nothing, or not known.
	Load *RangeLoad `json:"load,omitempty"`
	// ReadsPerSecond and WritesPerSecond are smoothed over some ten seconds. A
	// leader serves reads; every replica applies writes.
	ReadsPerSecond  float64 `json:"readsPerSecond,omitempty"`
	WritesPerSecond float64 `json:"writesPerSecond,omitempty"`
	// Progress is known by the leader only: one row per other replica.
	Progress []ReplicaProgress `json:"progress,omitempty"`
	// Lease is known by the leader only; nil: the replica does not lead.
	Lease *LeaseStatus `json:"lease,omitempty"`
	// Closed is up to where the replica can serve the past; zero: it cannot.
	Closed time.Time `json:"closed,omitzero"`
	// Cleared is the newest drop of which, as of all before it, the range holds no rows any
	// more: its index in the log of the meta range.
	Cleared uint64 `json:"cleared,omitempty"`
	// Collected is up to where nothing of the range is garbage, as its leader knows;
	// zero: the replica does not lead, or nobody has looked yet.
	Collected time.Time `json:"collected,omitzero"`
	// Failed says why this replica has stopped, if it has.
	Failed string `json:"failed,omitempty"`
	// Checksums are what the replica held when it was compared last, the newest first.
	Checksums []Checksum `json:"checksums,omitempty"`
}

// RangeLoad is how busy a range is.
type RangeLoad struct {
	// Rate is rows read and written per second.
	Rate float64 `json:"rate"`
	// Middle is the boundary at which a split would come closest to halving the
	// load; empty: there is none. Left is the share of the load before it.
	Middle Key     `json:"middle,omitempty"`
	Left   float64 `json:"left,omitempty"`
}

// ReplicaProgress is the leader's view of one follower or learner.
type ReplicaProgress struct {
	Node     NodeID `json:"node"`
	Match    uint64 `json:"match"`
	Active   bool   `json:"active"`   // answered within an election timeout
	Snapshot bool   `json:"snapshot"` // waits for a snapshot
	// Sent is how many bytes of the snapshot that is on its way have been sent.
	Sent uint64 `json:"sent,omitempty"`
}

// IsLeader reports whether the replica that reported s leads its range.
func (s *RangeStatus) IsLeader() bool {
	r, ok := s.Descriptor.ByReplica(s.Replica)
	return ok && s.Leader == r.Node
}
