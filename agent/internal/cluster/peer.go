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
}

// RaftState is a replica's raft state as its own node has it.
type RaftState struct {
	Status     RangeStatus `json:"status"`
	State      string      `json:"state"` // leader | follower | candidate | pre-candidate
	Vote       ReplicaID   `json:"vote,omitempty"`
	FirstIndex uint64      `json:"firstIndex"`
	LastIndex  uint64      `json:"lastIndex"`
	LogBytes   uint64      `json:"logBytes"`
}
