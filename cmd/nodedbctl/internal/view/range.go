package view

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Range is the kind Range. It owns a part of the vshards [start, end): the keys
// [startKey, endKey) of its pool, in hex.
type Range struct {
	ID        uint32    `json:"id"`
	Name      string    `json:"name"`
	Meta      bool      `json:"metaRange"` // "meta" is the envelope's
	Start     uint32    `json:"start"`
	End       uint32    `json:"end"`
	Pool      string    `json:"pool,omitempty"` // nothing: the meta range
	StartKey  string    `json:"startKey"`
	EndKey    string    `json:"endKey"`
	Leader    *uint32   `json:"leader"`
	Term      uint64    `json:"term"`
	Voters    []uint32  `json:"voters"`
	Learners  []uint32  `json:"learners"`
	Replicas  []Replica `json:"replicas"`
	Bytes     *uint64   `json:"bytes"` // null: no replica answered, or it is being counted
	LiveBytes *uint64   `json:"liveBytes"`
	DeadBytes *uint64   `json:"deadBytes"`
	// Collected is up to where nothing of the range is garbage; null: no leader answered,
	// or nobody has looked.
	Collected    *time.Time `json:"collected"`
	Keys         *uint64    `json:"keys"`
	ReadsPerSec  *float64   `json:"readsPerSec"` // null: no leader answered
	WritesPerSec *float64   `json:"writesPerSec"`
	State        string     `json:"state"`
	Generation   uint64     `json:"generation"`
	Commit       uint64     `json:"commit"`
	Applied      uint64     `json:"applied"`
	// Comparison is what the replicas told when they were compared last; null: never.
	Comparison *Comparison `json:"comparison"`
	// Lease is as the leader last said; null: no leader answered.
	Lease *Lease `json:"lease"`
	// History is what became of the range, oldest first; of ranges show.
	History []Event `json:"history,omitempty"`
}

// Replica is one copy of a range.
type Replica struct {
	Node     uint32 `json:"node"`
	Replica  uint64 `json:"replica"`
	Role     string `json:"role"`
	Match    uint64 `json:"match"`
	Applied  uint64 `json:"applied"`
	Active   bool   `json:"active"`
	Snapshot bool   `json:"snapshot"`
	Failed   string `json:"failed,omitempty"`
	// Closed is up to where the replica serves the past; null: it cannot, or its node
	// did not answer.
	Closed *time.Time `json:"closed"`
}

// NewRange makes a Range.
func NewRange(r *adminpb.Range) Range {
	v := Range{
		ID: r.GetId(), Name: fmt.Sprintf("r%d", r.GetId()), Meta: r.GetMeta(), Start: r.GetStart(), End: r.GetEnd(),
		Pool: r.GetPool(), StartKey: r.GetStartKey(), EndKey: r.GetEndKey(),
		Leader: optionalNode(r.GetLeader()), Term: r.GetTerm(), Voters: []uint32{}, Learners: []uint32{}, Replicas: []Replica{},
		State: r.GetState(), Generation: r.GetGeneration(), Commit: r.GetCommit(), Applied: r.GetApplied(),
	}
	if !r.GetSizeUnknown() {
		v.Bytes = new(r.GetBytes())
		if !r.GetMeta() {
			v.LiveBytes, v.DeadBytes, v.Keys = new(r.GetLiveBytes()), new(r.GetDeadBytes()), new(r.GetKeys())
		}
	}
	if !r.GetLoadUnknown() {
		v.ReadsPerSec, v.WritesPerSec = new(tenth(r.GetReadsPerSecond())), new(tenth(r.GetWritesPerSecond()))
	}
	v.Collected = moment(r.GetCollected())
	if c := r.GetComparison(); c != nil {
		v.Comparison = new(NewComparison(c))
	}
	if l := r.GetLease(); l != nil {
		v.Lease = new(NewLease(l))
	}
	for _, rep := range r.GetReplicas() {
		if rep.GetRole() == "learner" {
			v.Learners = append(v.Learners, rep.GetNode())
		} else {
			v.Voters = append(v.Voters, rep.GetNode())
		}
		v.Replicas = append(v.Replicas, Replica{
			Node: rep.GetNode(), Replica: rep.GetReplica(), Role: rep.GetRole(), Match: rep.GetMatch(), Applied: rep.GetApplied(),
			Active: rep.GetActive(), Snapshot: rep.GetSnapshot(), Failed: rep.GetFailed(), Closed: moment(rep.GetClosed()),
		})
	}
	slices.Sort(v.Voters)
	slices.Sort(v.Learners)
	return v
}

// Comparison is what the replicas of a range hold, beside each other, at one entry of
// its log.
type Comparison struct {
	Index uint64     `json:"index"`
	At    *time.Time `json:"at"`
	// Same are nodes; Differ those that hold something else than most, or all.
	Same   []uint32 `json:"same"`
	Differ []uint32 `json:"differ"`
	Untold []uint32 `json:"untold"`
}

// NewComparison makes a Comparison.
func NewComparison(c *adminpb.Comparison) Comparison {
	return Comparison{
		Index: c.GetIndex(), At: moment(c.GetAt()), Same: orEmpty(c.GetSame()), Differ: orEmpty(c.GetDiffer()), Untold: orEmpty(c.GetUntold()),
	}
}

// Result is a comparison in one word: same, differ, or unknown.
func (c Comparison) Result() string {
	switch {
	case len(c.Differ) > 0:
		return "differ"
	case len(c.Same) > 0 && len(c.Untold) == 0:
		return "same"
	}
	return "unknown"
}

// RangeVerification is the kind RangeVerification.
type RangeVerification struct {
	Range  uint32 `json:"range"`
	Name   string `json:"name"`
	Result string `json:"result"` // same | differ | unknown: not all have told
	Comparison
}

// NewRangeVerification makes a RangeVerification.
func NewRangeVerification(r *adminpb.VerifyRangeResponse) RangeVerification {
	c := NewComparison(r.GetComparison())
	return RangeVerification{Range: r.GetRange(), Name: fmt.Sprintf("r%d", r.GetRange()), Result: c.Result(), Comparison: c}
}

// Route is an item of the kind RoutingTable.
type Route struct {
	Range         uint32   `json:"range"`
	Start         uint32   `json:"start"`
	End           uint32   `json:"end"`
	Pool          string   `json:"pool"`
	StartKey      string   `json:"startKey"`
	EndKey        string   `json:"endKey"`
	Leader        *uint32  `json:"leader"`
	LeaderAddress string   `json:"leaderAddress"`
	Replicas      []uint32 `json:"replicas"`
	Generation    uint64   `json:"generation"`
}

// NewRoute makes a Route.
func NewRoute(r *adminpb.Route) Route {
	slices.Sort(r.Replicas)
	return Route{
		Range: r.GetRange(), Start: r.GetStart(), End: r.GetEnd(), Pool: r.GetPool(), StartKey: r.GetStartKey(), EndKey: r.GetEndKey(), Leader: optionalNode(r.GetLeader()),
		LeaderAddress: r.GetLeaderAddress(), Replicas: orEmpty(r.GetReplicas()), Generation: r.GetGeneration(),
	}
}

// RouteLookup is the kind RouteLookup.
type RouteLookup struct {
	Collection string   `json:"collection"`
	Key        []string `json:"key"`
	VShard     uint32   `json:"vshard"`
	RowKey     string   `json:"rowKey"`
	Route
}

// RoutingDiff is an item of the kind RoutingDiffList: how far a node's routing
// table is from the meta range.
type RoutingDiff struct {
	Node              uint32   `json:"node"`
	MetaIndex         uint64   `json:"metaIndex"`
	BehindSeconds     float64  `json:"behindSeconds"`
	Stale             []uint32 `json:"stale"`
	WrongLeader       []uint32 `json:"wrongLeader"`
	WrongLeaderPerSec float64  `json:"wrongLeaderPerSec"`
}

// NewRoutingDiff makes a RoutingDiff.
func NewRoutingDiff(d *adminpb.RoutingDiff) RoutingDiff {
	return RoutingDiff{
		Node: d.GetNode(), MetaIndex: d.GetMetaIndex(), BehindSeconds: d.GetBehindSeconds(), Stale: orEmpty(d.GetStale()),
		WrongLeader: orEmpty(d.GetWrongLeader()), WrongLeaderPerSec: tenth(d.GetWrongLeaderPerSecond()),
	}
}
