package clusterview

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// rangeSight is what the nodes say of one range together.
type rangeSight struct {
	descriptor *cluster.RangeDescriptor
	leader     *cluster.RangeStatus // as the leader itself reports; nil: nobody says that it leads
	answered   int                  // voters that answered
}

// seeAll joins what the nodes say, by range, in one pass over all of it.
func seeAll(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) map[cluster.RangeID]*rangeSight {
	sights := make(map[cluster.RangeID]*rangeSight, view.Ranges.Len())
	for id, d := range view.Ranges.All() {
		sights[id] = &rangeSight{descriptor: d}
	}
	for _, node := range nodesOf(statuses) {
		for _, r := range statuses[node].Ranges {
			sight := sights[r.Descriptor.ID]
			if sight == nil {
				continue
			}
			if r.Descriptor.Generation > sight.descriptor.Generation {
				sight.descriptor = &r.Descriptor
			}
			if r.IsLeader() && (sight.leader == nil || r.Term > sight.leader.Term) {
				sight.leader = r
			}
		}
	}
	for _, sight := range sights {
		for _, v := range sight.descriptor.Voters() {
			if statuses[v] != nil {
				sight.answered++
			}
		}
	}
	return sights
}

// state says how the range is: healthy, under, over, no-quorum, moving, electing.
func (r *rangeSight) state(wanted int) string {
	voters := len(r.descriptor.Voters())
	switch {
	case r.answered <= voters/2:
		return "no-quorum"
	case r.leader == nil:
		return "electing"
	case r.descriptor.Moving(wanted, r.leader):
		return "moving"
	case voters < wanted || r.answered < voters:
		return "under"
	case voters > wanted:
		return "over"
	default:
		return "healthy"
	}
}

// Ranges makes the rows of SHOW RANGES.
func (s *Source) Ranges(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	active := 0
	for _, n := range view.Nodes {
		if n.Membership == cluster.Active || n.Membership == cluster.Decommissioning {
			active++
		}
	}
	sights := seeAll(view, statuses)
	out := make([][]datum.Datum, 0, len(sights))
	for _, id := range view.RangeIDs() {
		sight := sights[id]
		d := sight.descriptor
		wanted := min(view.ReplicasWanted(d), active)
		leader := cluster.NodeID(0)
		counts := [6]datum.Datum{} // bytes, live and dead ones, keys; reads, writes
		for i := range counts {
			counts[i] = datum.MakeNull(datum.Int8)
		}
		if l := sight.leader; l != nil {
			leader = l.Leader
			if l.Counted {
				counts[0], counts[1], counts[2], counts[3] = datum.MakeCount(l.Bytes), datum.MakeCount(l.LiveBytes), datum.MakeCount(l.DeadBytes), datum.MakeCount(l.Keys)
			}
			counts[4], counts[5] = datum.MakeCount(l.Reads), datum.MakeCount(l.Writes)
		}
		voters := d.Voters()
		if d.IsMeta() { // it has voters on up to five nodes, and learners everywhere else by design
			wanted = len(voters)
		}
		row := append([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(vshards(d)), NodeName(leader), NodeNames(voters),
			NodeNames(d.Learners()), counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], datum.MakeText(sight.state(wanted)), datum.MakeCount(d.Generation)}, place(view, d)...)
		out = append(out, append(append(append(row, sight.lease()), sight.compared(statuses)...), sight.closedLag(statuses, s.Now()), sight.gcAge(s.Now())))
	}
	return out
}

// closedLag is how old, in milliseconds, the time is that all replicas serve of the past
// whose nodes answered; NULL: one serves none. Of a range that is neither written nor
// read by followers it grows, and means nothing.
func (r *rangeSight) closedLag(statuses map[cluster.NodeID]*cluster.NodeStatus, now time.Time) datum.Datum {
	oldest := now
	for _, rep := range r.descriptor.Replicas {
		st := statuses[rep.Node]
		if st == nil {
			continue
		}
		x := st.Range(r.descriptor.ID)
		if x == nil || x.Closed.IsZero() {
			return datum.MakeNull(datum.Int8)
		}
		if x.Closed.Before(oldest) {
			oldest = x.Closed
		}
	}
	return datum.MakeInt(datum.Int8, now.Sub(oldest).Milliseconds())
}

// gcAge is how long, in milliseconds, the oldest of what is dead in the range may have
// been so; NULL: nothing is, or it is not known.
func (r *rangeSight) gcAge(now time.Time) datum.Datum {
	if l := r.leader; l != nil && l.DeadBytes > 0 && !l.Collected.IsZero() {
		return datum.MakeInt(datum.Int8, now.Sub(l.Collected).Milliseconds())
	}
	return datum.MakeNull(datum.Int8)
}

// lease is how the range's lease stands; NULL: no leader has told.
func (r *rangeSight) lease() datum.Datum {
	if r.leader == nil || r.leader.Lease == nil {
		return datum.MakeNull(datum.Text)
	}
	return leaseWord(r.leader.Lease)
}

// leaseWord is held, or what the lease lacks.
func leaseWord(l *cluster.LeaseStatus) datum.Datum {
	if l.Held() {
		return datum.MakeText("held")
	}
	return datum.MakeText(string(l.Lack))
}

// compared is when the replicas were compared last, and what came of it; NULL: never.
func (r *rangeSight) compared(statuses map[cluster.NodeID]*cluster.NodeStatus) []datum.Datum {
	c := cluster.Compare(r.descriptor, func(rep cluster.ReplicaDescriptor) []cluster.Checksum {
		if st := statuses[rep.Node]; st != nil {
			if x := st.Range(r.descriptor.ID); x != nil && x.Replica == rep.Replica {
				return x.Checksums
			}
		}
		return nil
	})
	if c.Index == 0 {
		return []datum.Datum{datum.MakeNull(datum.Timestamptz), datum.MakeNull(datum.Text)}
	}
	return []datum.Datum{Moment(c.At), datum.MakeText(c.Result())}
}

// place is the pool of a range and its bounds in hex; of the meta range nothing.
func place(view *metastate.View, d *cluster.RangeDescriptor) []datum.Datum {
	if d.IsMeta() {
		none := datum.MakeNull(datum.Text)
		return []datum.Datum{none, none, none}
	}
	return []datum.Datum{datum.MakeText(view.PoolName(d.Pool)), datum.MakeText(d.Start.Hex()), datum.MakeText(d.End.Hex())}
}

func vshards(d *cluster.RangeDescriptor) string {
	if d.IsMeta() {
		return "meta"
	}
	return d.VShardText()
}

func replicaNodes(d *cluster.RangeDescriptor) []cluster.NodeID {
	var out []cluster.NodeID
	for _, r := range d.Replicas {
		out = append(out, r.Node)
	}
	return out
}

// address is where a node takes SQL clients.
func address(view *metastate.View, node cluster.NodeID) datum.Datum {
	if n, ok := view.Nodes[node]; ok {
		return datum.MakeText(n.Addresses.SQL)
	}
	return datum.MakeNull(datum.Text)
}

// Routing makes the rows of SHOW ROUTING.
func (s *Source) Routing(view *metastate.View) [][]datum.Datum {
	var out [][]datum.Datum
	for _, id := range view.RangeIDs() {
		if d := view.Ranges.Get(id); !d.IsMeta() {
			leader := s.Views.Leader(id)
			out = append(out, append([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(vshards(d)), NodeName(leader), address(view, leader),
				NodeNames(replicaNodes(d)), datum.MakeCount(d.Generation)}, place(view, d)...))
		}
	}
	return out
}

// Route makes the row of SHOW ROUTING FOR a key in a vshard.
func (s *Source) Route(view *metastate.View, v cluster.VShard, d *cluster.RangeDescriptor) []datum.Datum {
	leader := s.Views.Leader(d.ID)
	return []datum.Datum{datum.MakeCount(v), datum.MakeText(d.ID.String()), NodeName(leader), address(view, leader), NodeNames(replicaNodes(d)), datum.MakeCount(d.Generation)}
}
