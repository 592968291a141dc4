package clusterview

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Nodes makes the rows of SHOW NODES.
func (s *Source) Nodes(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	liveness := s.Views.Liveness()
	var out [][]datum.Datum
	for _, id := range view.NodeIDs() {
		n := view.Nodes[id]
		alive := liveness[id]
		if id == s.Node {
			alive = cluster.Alive
		}
		if alive == "" {
			alive = "unknown"
		}
		service, version := datum.MakeNull(datum.Text), n.Version
		counts := [6]datum.Datum{} // ranges, leaders; bytes, live and dead ones; sessions
		for i := range counts {
			counts[i] = datum.MakeNull(datum.Int8)
		}
		if st := statuses[id]; st != nil {
			service, version = datum.MakeText(string(st.Service)), st.Version
			leaders, live, dead, counted := 0, uint64(0), uint64(0), true
			for _, r := range st.Ranges {
				if r.IsLeader() {
					leaders++
				}
				live, dead, counted = live+r.LiveBytes, dead+r.DeadBytes, counted && r.Counted
			}
			counts[0], counts[1], counts[2], counts[5] = datum.MakeCount(len(st.Ranges)), datum.MakeCount(leaders), datum.MakeCount(st.Bytes), datum.MakeCount(st.Sessions)
			if counted { // else the sum would be a guess
				counts[3], counts[4] = datum.MakeCount(live), datum.MakeCount(dead)
			}
		}
		out = append(out, []datum.Datum{datum.MakeText(id.String()), datum.MakeText(n.Name), datum.MakeText(n.Addresses.SQL),
			datum.MakeText(string(n.Membership)), datum.MakeText(string(alive)), service, datum.MakeText(version),
			counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], datum.MakeText(n.Locality)})
	}
	return out
}

// OneNode makes the rows of SHOW NODE.
func (s *Source) OneNode(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus, id cluster.NodeID) [][]datum.Datum {
	n := view.Nodes[id]
	live := s.Views.Liveness()[id]
	if id == s.Node {
		live = cluster.Alive
	}
	out := [][]datum.Datum{
		pair("id", id.String()), pair("name", n.Name), pair("uuid", n.UUID), pair("membership", string(n.Membership)), pair("liveness", string(live)),
		pair("sql", n.Addresses.SQL), pair("rpc", n.Addresses.RPC), pair("gossip", n.Addresses.Gossip), pair("admin", n.Addresses.Admin),
		pair("locality", n.Locality), pair("version", n.Version), pair("cordoned", strconv.FormatBool(n.Cordon)), pair("joined", n.JoinedAt.Format(time.RFC3339)),
	}
	for _, op := range view.OperationIDs() {
		if o := view.Operations[op]; !o.State.Final() && slices.Contains(o.Spec.Nodes, id) {
			out = append(out, pair("operation", fmt.Sprintf("%s (%s, %s)", o.ID, o.Spec.Kind, o.State)))
		}
	}
	st := statuses[id]
	if st == nil {
		return append(out, pair("reported", "no: it did not answer in time"))
	}
	leaders := 0
	for _, r := range st.Ranges {
		if r.IsLeader() {
			leaders++
		}
	}
	out = append(out, pair("service", string(st.Service)), pair("started", st.StartedAt.Format(time.RFC3339)), pair("ranges", strconv.Itoa(len(st.Ranges))),
		pair("leaders", strconv.Itoa(leaders)), pair("bytes", fmt.Sprint(st.Bytes)), pair("disk_used", fmt.Sprint(st.DiskUsed)),
		pair("disk_total", fmt.Sprint(st.DiskTotal)), pair("cpu", fmt.Sprintf("%.2f", st.CPU)), pair("sessions", strconv.Itoa(st.Sessions)),
		pair("meta_index", fmt.Sprint(st.MetaIndex)), pair("certificate_expires", st.CertExpires.Format(time.RFC3339)))
	for _, q := range st.Queues {
		out = append(out, pair("statements_"+q.Name, fmt.Sprintf("%d of %d run, %d of %d wait, %d refused", q.Running, q.Limit, q.Waiting, q.Room, q.Refused)))
	}
	return out
}

// rangeState is the column of SHOW RANGES with the state.
const rangeState = 11

// Summary makes the rows of SHOW CLUSTER; missing are the nodes that did not answer.
func (s *Source) Summary(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus, missing []cluster.NodeID) [][]datum.Datum {
	members, alive, running := 0, 0, 0
	live := s.Views.Liveness()
	for id, n := range view.Nodes {
		if n.Membership == cluster.Decommissioned {
			continue
		}
		members++
		if live[id] == cluster.Alive || id == s.Node {
			alive++
		}
	}
	for _, o := range view.Operations {
		if !o.State.Final() {
			running++
		}
	}
	states := map[string]int{}
	for _, row := range s.Ranges(view, statuses) {
		states[row[rangeState].Text()]++
	}
	out := [][]datum.Datum{
		pair("name", view.ClusterName), pair("id", view.ClusterID), pair("nodes", strconv.Itoa(members)), pair("nodes_alive", strconv.Itoa(alive)),
		pair("meta_leader", NodeName(s.Views.Leader(cluster.MetaRangeID)).Text()), pair("meta_index", fmt.Sprint(view.Index)),
		pair("replicas", strconv.Itoa(view.DefaultPool().Replicas)), pair("pools", strconv.Itoa(len(view.Pools))), pair("ranges", strconv.Itoa(view.Ranges.Len())),
	}
	for _, state := range []string{"healthy", "under", "over", "moving", "electing", "no-quorum"} {
		out = append(out, pair("ranges_"+state, strconv.Itoa(states[state])))
	}
	out = append(out, pair("operations", strconv.Itoa(running)), pair("schema_version", fmt.Sprint(view.SchemaVersion)))
	if len(missing) > 0 {
		out = append(out, pair("missing", NodeNames(missing).Text()))
	}
	return out
}

// PeerHealth makes the rows of SHOW PEER HEALTH.
func PeerHealth(statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	var out [][]datum.Datum
	millis := func(seconds float64) datum.Datum { return datum.MakeFloat(datum.Float8, seconds*1000) }
	for _, from := range nodesOf(statuses) {
		for _, to := range nodesOf(statuses[from].Peers) {
			p := statuses[from].Peers[to]
			out = append(out, []datum.Datum{datum.MakeText(from.String()), datum.MakeText(to.String()), datum.MakeText(string(p.Liveness)), Moment(p.Since),
				datum.MakeText(p.Cause), datum.MakeText(p.Breaker), datum.MakeCount(p.Failures), millis(p.RTT), millis(p.ClockOffset), datum.MakeText(p.LastError),
				datum.MakeBool(p.Given.Live), Moment(p.Given.Since), datum.MakeCount(p.Given.Ended), datum.MakeText(string(p.Given.Cause))})
		}
	}
	return out
}
