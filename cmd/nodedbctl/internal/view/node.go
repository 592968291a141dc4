// Package view holds what -o json writes: one struct per kind, made from the
// admin protocol's messages. Names are camelCase, enums are words in lower case,
// times RFC 3339 in UTC, sizes bytes, durations seconds, all numbers numbers.
// Fields are only ever added.
package view

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// Address is where a node listens.
type Address struct {
	SQL    string `json:"sql"`
	RPC    string `json:"rpc"`
	Gossip string `json:"gossip"`
	Admin  string `json:"admin"`
}

// Node is the kind Node.
type Node struct {
	ID         uint32  `json:"id"`
	Name       string  `json:"name"`
	UUID       string  `json:"uuid"`
	Membership string  `json:"membership"`
	Liveness   string  `json:"liveness"`
	Service    string  `json:"service"`
	Status     string  `json:"status"`
	Cordoned   bool    `json:"cordoned"`
	Address    Address `json:"address"`
	Locality   string  `json:"locality"`
	Version    string  `json:"version"`
	Replicas   uint32  `json:"replicas"`
	Leaders    uint32  `json:"leaders"`
	Bytes      uint64  `json:"bytes"`
	// LiveBytes and DeadBytes are what its replicas hold, before compression; null:
	// not known, or some are being counted.
	LiveBytes   *uint64    `json:"liveBytes"`
	DeadBytes   *uint64    `json:"deadBytes"`
	DiskUsed    uint64     `json:"diskUsed"`
	DiskTotal   uint64     `json:"diskTotal"`
	DiskUsedPct float64    `json:"diskUsedPct"`
	CPUPct      float64    `json:"cpuPct"`
	Sessions    uint32     `json:"sessions"`
	MetaIndex   uint64     `json:"metaIndex"`
	Reported    bool       `json:"reported"`
	JoinedAt    *time.Time `json:"joinedAt"`
	StartedAt   *time.Time `json:"startedAt"`
	Operation   *string    `json:"operation"`
	Tombstone   *Tombstone `json:"tombstone,omitempty"`
	// Memory is what others make the node hold: the whole, then its parts.
	Memory []MemoryPart `json:"memory"`
	// StatementQueues are the SQL statements that run and wait.
	StatementQueues []StatementQueue `json:"statementQueues"`
	// Transactions are those of its sessions; null: it did not answer.
	Transactions *NodeTransactions `json:"transactions"`
}

// NodeTransactions are the transactions of a node's sessions, in short.
type NodeTransactions struct {
	Open    uint32 `json:"open"`    // also those that only wait for their client
	Waiting uint32 `json:"waiting"` // for locks
	// LongestWait is for how many seconds LongestPID waits; null: none waits.
	LongestWait *float64 `json:"longestWaitSeconds"`
	LongestPID  *uint32  `json:"longestWaitPid"`
}

// StatementQueue is the SQL statements of one kind that run on a node, and that wait
// until they may.
type StatementQueue struct {
	Name    string  `json:"name"`
	Running uint32  `json:"running"`
	Limit   uint32  `json:"limit"`
	Waiting uint32  `json:"waiting"`
	Room    uint32  `json:"room"`
	Oldest  float64 `json:"oldestSeconds"`
	Refused uint64  `json:"refused"`
	// RefusedAgo is the age of the last refusal in seconds; null: there was none.
	RefusedAgo *float64 `json:"refusedAgo"`
}

// MemoryPart is a part of a node's memory that has a bound; beyond it requests are
// refused.
type MemoryPart struct {
	Name    string `json:"name"`
	Depth   uint32 `json:"depth"`
	Used    uint64 `json:"used"`
	Peak    uint64 `json:"peak"`
	Limit   uint64 `json:"limit"`
	Refused uint64 `json:"refused"`
	// RefusedAgo is the age of the last refusal in seconds; null: there was none.
	RefusedAgo *float64 `json:"refusedAgo"`
}

// Tombstone says how a node's membership ended.
type Tombstone struct {
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	Operation string    `json:"operation"`
}

// NewNode makes a Node.
func NewNode(n *adminpb.Node) Node {
	a := n.GetAddresses()
	v := Node{
		ID: n.GetId(), Name: n.GetName(), UUID: n.GetUuid(), Membership: n.GetMembership(), Liveness: n.GetLiveness(),
		Service: n.GetService(), Status: n.GetStatus(), Cordoned: n.GetCordoned(), Locality: n.GetLocality(), Version: n.GetVersion(),
		Address:  Address{SQL: a.GetSql(), RPC: a.GetRpc(), Gossip: a.GetGossip(), Admin: a.GetAdmin()},
		Replicas: n.GetReplicas(), Leaders: n.GetLeaders(), Bytes: n.GetBytes(),
		DiskUsed: n.GetDiskUsed(), DiskTotal: n.GetDiskTotal(), CPUPct: tenth(n.GetCpu() * 100), Sessions: n.GetSessions(),
		MetaIndex: n.GetMetaIndex(), Reported: n.GetReported(), JoinedAt: moment(n.GetJoinedAt()), StartedAt: moment(n.GetStartedAt()),
		Operation: optional(n.GetOperationId()),
	}
	v.Memory = make([]MemoryPart, len(n.GetMemory()))
	for i, m := range n.GetMemory() {
		v.Memory[i] = MemoryPart{Name: m.GetName(), Depth: m.GetDepth(), Used: m.GetUsed(), Peak: m.GetPeak(), Limit: m.GetLimit(), Refused: m.GetRefused()}
		if ago := m.GetRefusedAgo(); ago > 0 {
			v.Memory[i].RefusedAgo = &ago
		}
	}
	v.StatementQueues = make([]StatementQueue, len(n.GetStatementQueues()))
	for i, q := range n.GetStatementQueues() {
		v.StatementQueues[i] = StatementQueue{Name: q.GetName(), Running: q.GetRunning(), Limit: q.GetLimit(), Waiting: q.GetWaiting(), Room: q.GetRoom(), Oldest: q.GetOldest(), Refused: q.GetRefused()}
		if ago := q.GetRefusedAgo(); ago > 0 {
			v.StatementQueues[i].RefusedAgo = &ago
		}
	}
	if t := n.GetTransactions(); t != nil {
		v.Transactions = &NodeTransactions{Open: t.GetOpen(), Waiting: t.GetWaiting(), LongestPID: optionalNode(t.GetLongestPid())}
		if secs := t.GetLongest(); t.GetWaiting() > 0 {
			secs = tenth(secs)
			v.Transactions.LongestWait = &secs
		}
	}
	if n.GetReported() && n.GetReplicasUncounted() == 0 {
		v.LiveBytes, v.DeadBytes = new(n.GetLiveBytes()), new(n.GetDeadBytes())
	}
	if n.GetDiskTotal() > 0 {
		v.DiskUsedPct = tenth(100 * float64(n.GetDiskUsed()) / float64(n.GetDiskTotal()))
	}
	if t := n.GetTombstone(); t != nil {
		v.Tombstone = &Tombstone{At: t.GetAt().AsTime().UTC(), By: t.GetBy(), Reason: t.GetReason(), Operation: t.GetOperationId()}
	}
	return v
}

// Member is the kind Member.
type Member struct {
	ID       uint32        `json:"id"`
	Name     string        `json:"name"`
	Address  string        `json:"address"`
	Liveness string        `json:"liveness"`
	SeenBy   []Observation `json:"seenBy"`
}

// Observation is what one node thinks of another.
type Observation struct {
	Node     uint32 `json:"node"`
	Liveness string `json:"liveness"`
}

// NewMember makes a Member.
func NewMember(m *adminpb.Member) Member {
	v := Member{ID: m.GetNode(), Name: m.GetName(), Address: m.GetGossipAddress(), Liveness: m.GetLiveness(), SeenBy: []Observation{}}
	for _, o := range m.GetSeenBy() {
		v.SeenBy = append(v.SeenBy, Observation{Node: o.GetNode(), Liveness: o.GetLiveness()})
	}
	return v
}

func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	u := t.AsTime().UTC()
	return &u
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalNode(id uint32) *uint32 {
	if id == 0 {
		return nil
	}
	return &id
}

// tenth rounds to one digit after the point.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Age is how long ago an answer was made.
func Age(m render.Meta, now time.Time) time.Duration { return max(0, now.Sub(m.AsOf.Time)) }
