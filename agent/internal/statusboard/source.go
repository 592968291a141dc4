package statusboard

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Base names what an asker has of a node. The zero Base is nothing.
type Base struct {
	Incarnation string `json:"incarnation,omitempty"` // boot nonce
	Ranges      uint64 `json:"ranges,omitempty"`
	Peers       uint64 `json:"peers,omitempty"`
}

// Request asks a node for its status.
type Request struct {
	Have Base `json:"have,omitzero"`
	// Brief leaves out how long pings take: of a thousand nodes that would be a
	// million figures a second. What matters of a peer is told when it changes.
	Brief bool `json:"brief,omitempty"`
}

// Answer leads from what an asker has to what a node says now.
type Answer struct {
	// Head is the status without ranges and peers: figures that are others each time.
	Head   cluster.NodeStatus
	Ranges Changes[cluster.RangeID, cluster.RangeStatus]
	Peers  Changes[cluster.NodeID, cluster.PeerStatus]
}

// Source is what a node tells of itself.
type Source struct {
	// Head returns the status without ranges and peers, and brings the boards up to
	// date.
	Head   func() cluster.NodeStatus
	Ranges *Board[cluster.RangeID, cluster.RangeStatus]
	Peers  *Board[cluster.NodeID, cluster.PeerStatus]
}

// Answer returns what changed since what the asker has.
func (s *Source) Answer(r Request) Answer {
	a := Answer{Head: s.Head()}
	if r.Have.Incarnation != a.Head.BootNonce {
		r.Have = Base{}
	}
	a.Ranges = s.Ranges.Since(r.Have.Ranges, false)
	a.Peers = s.Peers.Since(r.Have.Peers, r.Brief && r.Have.Peers > 0)
	return a
}

// Whole returns all that the node says.
func (s *Source) Whole() cluster.NodeStatus {
	st := s.Head()
	st.Ranges = s.Ranges.All()
	all := s.Peers.Since(0, false)
	st.Peers = make(map[cluster.NodeID]cluster.PeerStatus, len(all.Changed))
	for _, p := range all.Changed {
		st.Peers[p.Key] = *p.Value
	}
	return st
}
