package clusterview

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// RaftGroups makes the rows of SHOW RAFT GROUPS.
func RaftGroups(statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	var out [][]datum.Datum
	for _, node := range nodesOf(statuses) {
		for _, r := range statuses[node].Ranges {
			rep, _ := r.Descriptor.ByReplica(r.Replica)
			state, match := "follower", datum.MakeNull(datum.Int8)
			switch {
			case r.Failed != "":
				state = "failed: " + r.Failed
			case r.IsLeader():
				state = "leader"
			case r.Leader == 0:
				state = "electing"
			}
			if m, ok := matchOf(statuses[r.Leader], r.Descriptor.ID, node); ok {
				match = datum.MakeCount(m)
			}
			out = append(out, append([]datum.Datum{datum.MakeText(r.Descriptor.ID.String()), datum.MakeText(node.String()), datum.MakeCount(uint64(r.Replica)),
				datum.MakeText(string(rep.Role)), NodeName(r.Leader), datum.MakeCount(r.Term), datum.MakeCount(r.Commit), datum.MakeCount(r.Applied), match,
				datum.MakeText(state), datum.MakeCount(r.Descriptor.Generation)}, leaseCells(r, statuses[r.Leader])...))
		}
	}
	slices.SortStableFunc(out, func(a, b []datum.Datum) int { return rangeNumber(a[0]) - rangeNumber(b[0]) })
	return out
}

// leaseCells are, of a leader, its lease, why the range is awake (empty: it sleeps) and
// what reads went by; of another voter what its leader says of it.
func leaseCells(r *cluster.RangeStatus, leader *cluster.NodeStatus) []datum.Datum {
	none, unknown, no := datum.MakeNull(datum.Text), datum.MakeNull(datum.Bool), datum.MakeNull(datum.Int8)
	if l := r.Lease; l != nil {
		return []datum.Datum{leaseWord(l), datum.MakeText(l.Why()), unknown, unknown, datum.MakeText(l.Awake), datum.MakeCount(r.Reads - min(r.Reads, l.Confirmed)), datum.MakeCount(l.Confirmed), datum.MakeCount(l.Refused)}
	}
	out := []datum.Datum{none, none, unknown, unknown, none, no, no, no}
	if leader == nil {
		return out
	}
	rep, _ := r.Descriptor.ByReplica(r.Replica)
	if lr := leader.Range(r.Descriptor.ID); lr != nil && lr.Lease != nil {
		for i := range lr.Lease.Voters {
			if v := &lr.Lease.Voters[i]; v.Node == rep.Node {
				out[2], out[3] = datum.MakeBool(v.Bound != cluster.SupportEpoch{}), datum.MakeBool(v.Supports)
			}
		}
	}
	return out
}

func rangeNumber(d datum.Datum) int {
	id, _ := cluster.ParseRangeID(d.Text()) // it was made of one
	return int(id)                          //nolint:gosec // few ranges
}

// matchOf is how far the leader knows a replica to be.
func matchOf(leader *cluster.NodeStatus, id cluster.RangeID, node cluster.NodeID) (uint64, bool) {
	if leader == nil {
		return 0, false
	}
	r := leader.Range(id)
	if r == nil {
		return 0, false
	}
	for _, p := range r.Progress {
		if p.Node == node {
			return p.Match, true
		}
	}
	return 0, false
}
