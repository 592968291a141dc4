package cluster

import "time"

// PeerStatus is how one node finds another: by gossip and by its own calls.
type PeerStatus struct {
	Liveness Liveness `json:"liveness,omitempty"`
	// Since is when Liveness began, Cause what it comes from.
	Since time.Time `json:"since,omitzero"`
	Cause string    `json:"cause,omitempty"`
	// Breaker is closed, open or half-open; Failures are those in a row.
	Breaker      string    `json:"breaker,omitempty"`
	BreakerSince time.Time `json:"breakerSince,omitzero"`
	Failures     int       `json:"failures,omitempty"`
	// RTT, of the last health ping that came back, and ClockOffset, how far the
	// other's clock is ahead, are seconds.
	RTT         float64   `json:"rtt,omitempty"`
	ClockOffset float64   `json:"clockOffset,omitempty"`
	LastPing    time.Time `json:"lastPing,omitzero"`
	LastError   string    `json:"lastError,omitempty"`
	// Given is the support that this node gives the peer, Received what it has of the
	// peer's.
	Given    Support `json:"given,omitzero"`
	Received Support `json:"received,omitzero"`
}

// RaftState is a replica's raft state as its own node has it.
type RaftState struct {
	Status     RangeStatus `json:"status"`
	State      string      `json:"state"` // leader | follower | candidate | pre-candidate
	Vote       ReplicaID   `json:"vote,omitempty"`
	FirstIndex uint64      `json:"firstIndex"`
	LastIndex  uint64      `json:"lastIndex"`
	LogBytes   uint64      `json:"logBytes"`
	// Asleep says that the replica neither ticks nor sends; BoundTo is the node of the
	// leader that a follower is bound to, in BoundTerm.
	Asleep    bool   `json:"asleep,omitempty"`
	BoundTo   NodeID `json:"boundTo,omitempty"`
	BoundTerm uint64 `json:"boundTerm,omitempty"`
	// LeaseLeft is for how long the lease of a leader would last if nobody answered
	// any more, in seconds.
	LeaseLeft float64 `json:"leaseLeft,omitempty"`
	// Age is how old this is, in seconds, if the node's store does not get on: then
	// it is what was published, and the log and the vote are not known.
	Age float64 `json:"age,omitempty"`
}
