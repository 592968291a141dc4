package placement

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Gate is a condition that holds moves back while it is shut.
type Gate struct {
	Name   string // election | backpressure | no-data | cooldown
	Open   bool
	Why    string
	Nodes  []cluster.NodeID
	Ranges []cluster.RangeID
}

// Gates says what holds a rebalance back in the snapshot. cooling are the ranges
// that moved a short while ago.
func Gates(s *Snapshot, cooling []cluster.RangeID) []Gate {
	election := Gate{Name: "election", Open: true, Why: "every range has a leader"}
	for i := range s.Ranges {
		if r := &s.Ranges[i]; r.Leader == 0 {
			election.Ranges = append(election.Ranges, r.Descriptor.ID)
		}
	}
	if n := len(election.Ranges); n > 0 {
		election.Open, election.Why = false, count(n, "range")+" without a known leader stay as they are"
	}
	pressure := Gate{Name: "backpressure", Open: true, Why: fmt.Sprintf("no node uses more than %.0f %% of its CPU", MaxCPU*100)}
	data := Gate{Name: "no-data", Open: true, Why: "every node that is alive has reported"}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Hot() {
			pressure.Nodes = append(pressure.Nodes, n.ID)
		}
		if n.Membership == cluster.Active && n.Liveness == cluster.Alive && !n.Reported {
			data.Nodes = append(data.Nodes, n.ID)
		}
	}
	if len(pressure.Nodes) > 0 {
		pressure.Open = false
		pressure.Why = fmt.Sprintf("over %.0f %% of the CPU: %s receive nothing and send no snapshots; leaderships may leave them", MaxCPU*100, names(pressure.Nodes))
	}
	if len(data.Nodes) > 0 {
		data.Open, data.Why = false, names(data.Nodes)+": alive, but no report has arrived"
	}
	cooldown := Gate{Name: "cooldown", Open: true, Why: "no range moved a short while ago", Ranges: cooling}
	if len(cooling) > 0 {
		cooldown.Open, cooldown.Why = false, count(len(cooling), "range")+" moved a short while ago and stay where they are"
	}
	return []Gate{election, pressure, data, cooldown}
}

// Held says why m must wait, though it is safe; "" if it need not.
func Held(s *Snapshot, m Move) string {
	r := s.Range(m.Range)
	if r == nil {
		return ""
	}
	if r.Leader == 0 {
		return m.Range.String() + " is electing"
	}
	for _, id := range []cluster.NodeID{m.To, r.Leader} {
		if n := s.Node(id); n != nil && n.Hot() {
			return fmt.Sprintf("%s uses %.0f %% of its CPU", id, n.CPU*100)
		}
	}
	return ""
}
