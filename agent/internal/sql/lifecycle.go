package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Operator starts and ends what ALTER NODE asks for. The context carries who
// asks; errors are those of package operation.
type Operator interface {
	Start(ctx context.Context, r operation.StartRequest) (op cluster.Operation, existed bool, err error)
	Undrain(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error)
	Recommission(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error)
	SetCordon(ctx context.Context, node cluster.NodeID, cordon bool, by string) error
	RenamePool(ctx context.Context, name, to, by string) (cluster.Pool, error)
	Wait(ctx context.Context, id string, until func(*cluster.Operation) bool) (cluster.Operation, error)
}

// lifecycleColumns are the columns of what showLifecycle shows.
func lifecycleColumns(kind syntax.ShowKind) ([]shownColumn, bool) {
	const text, number, at, decimal = datum.Text, datum.Int8, datum.Timestamptz, datum.Float8
	switch kind {
	case syntax.ShowRaftGroups:
		return []shownColumn{{"range", text}, {"node", text}, {"replica", number}, {"role", text}, {"leader", text}, {"term", number},
			{"commit", number}, {"applied", number}, {"match", number}, {"state", text}, {"gen", number},
			{"lease", text}, {"lease_why", text}, {"bound", datum.Bool}, {"supports", datum.Bool}, {"awake", text}, {"reads_leased", number}, {"reads_confirmed", number}, {"reads_refused", number}}, true
	case syntax.ShowPeerHealth:
		return []shownColumn{{"observer", text}, {"peer", text}, {"liveness", text}, {"since", at}, {"cause", text}, {"breaker", text},
			{"failures", number}, {"rtt_ms", decimal}, {"clock_offset_ms", decimal}, {"last_error", text},
			{"supports", datum.Bool}, {"support_since", at}, {"supports_withdrawn", number}, {"withdrawn_cause", text}}, true
	case syntax.ShowNode, syntax.ShowSummary:
		return []shownColumn{{"item", text}, {"value", text}}, true
	case syntax.ShowSessions:
		return []shownColumn{{"pid", number}, {"node", text}, {"username", text}, {"application", text}, {"client", text}, {"state", text}, {"since", at}, {"began", at},
			{"transaction_at", at}, {"statement_at", at}, {"statement", text}}, true
	case syntax.ShowTransactions:
		return []shownColumn{{"id", text}, {"node", text}, {"pid", number}, {"username", text}, {"application", text}, {"state", text}, {"isolation", text}, {"began", at},
			{"locks", number}, {"ranges", number}, {"waits_since", at}, {"waits_for", text}, {"waits_for_pids", text}, {"blocks_pids", text}, {"statement", text}}, true
	case syntax.ShowHostRules:
		return []shownColumn{{"line", number}, {"type", text}, {"database", text}, {"user_name", text}, {"address", text}, {"auth_method", text}, {"options", text}}, true
	case syntax.ShowDropped:
		return []shownColumn{{"name", text}, {"id", number}, {"pool", text}, {"dropped_at", at}, {"frees_at", at}, {"ranges", number}, {"cleared", number}}, true
	case syntax.ShowPools:
		return []shownColumn{{"name", text}, {"state", text}, {"replicas", number}, {"constraints", text}, {"prefer_leader", text},
			{"ranges", number}, {"misfit", number}, {"collections", number}, {"operation", text}}, true
	case syntax.ShowPool:
		return []shownColumn{{"item", text}, {"value", text}}, true
	case syntax.ShowEvents:
		return []shownColumn{{"sequence", number}, {"time", at}, {"kind", text}, {"severity", text}, {"node", text}, {"range", text},
			{"operation", text}, {"by", text}, {"text", text}}, true
	}
	return nil, false
}

// lifecycleTables are shown as tables of nodedb_internal too.
var lifecycleTables = map[string]syntax.ShowKind{
	"raft_groups": syntax.ShowRaftGroups, "peer_health": syntax.ShowPeerHealth, "cluster": syntax.ShowSummary, "events": syntax.ShowEvents, "pools": syntax.ShowPools,
	"sessions": syntax.ShowSessions, "transactions": syntax.ShowTransactions, "dropped_collections": syntax.ShowDropped,
}

// shownLifecycle makes the rows of what lifecycleColumns describes.
func (s *Session) shownLifecycle(ctx context.Context, kind syntax.ShowKind, name string) ([][]datum.Datum, error) {
	view := s.server.catalog.View()
	switch kind {
	case syntax.ShowSessions:
		return sessionRows(s.allSessions(ctx)), ctx.Err()
	case syntax.ShowTransactions:
		return transactionRows(s.allTransactions(ctx)), ctx.Err()
	case syntax.ShowPools:
		statuses, _ := s.server.cfg.Views.ClusterStatus(ctx)
		return s.server.pools(view, statuses), ctx.Err()
	case syntax.ShowPool:
		return s.server.onePool(view, name)
	case syntax.ShowDropped:
		if len(view.Dropped) == 0 {
			return nil, nil
		}
		statuses, _ := s.server.cfg.Views.ClusterStatus(ctx)
		return dropped(view, statuses), ctx.Err()
	}
	switch kind {
	case syntax.ShowEvents:
		return events(s.visibleEvents(view)), nil
	case syntax.ShowHostRules:
		return hostRules(view), nil
	}
	var n cluster.NodeID
	if kind == syntax.ShowNode {
		var err error
		if n, err = findNode(view, name); err != nil {
			return nil, err
		}
	}
	statuses, missing := s.server.cfg.Views.ClusterStatus(ctx)
	switch kind {
	case syntax.ShowRaftGroups:
		return raftGroups(statuses), ctx.Err()
	case syntax.ShowPeerHealth:
		return peerHealth(statuses), ctx.Err()
	case syntax.ShowNode:
		return s.server.oneNode(view, statuses, n), ctx.Err()
	}
	return s.server.summary(view, statuses, missing), ctx.Err()
}

func raftGroups(statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
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
				match = number(m)
			}
			out = append(out, append([]datum.Datum{datum.MakeText(r.Descriptor.ID.String()), datum.MakeText(node.String()), number(uint64(r.Replica)),
				datum.MakeText(string(rep.Role)), leaderName(r.Leader), number(r.Term), number(r.Commit), number(r.Applied), match,
				datum.MakeText(state), number(r.Descriptor.Generation)}, leaseCells(r, statuses[r.Leader])...))
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
		return []datum.Datum{leaseWord(l), datum.MakeText(l.Why()), unknown, unknown, datum.MakeText(l.Awake), number(r.Reads - min(r.Reads, l.Confirmed)), number(l.Confirmed), number(l.Refused)}
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

func momentOf(t time.Time) datum.Datum {
	if t.IsZero() {
		return datum.MakeNull(datum.Timestamptz)
	}
	return datum.FromTime(t)
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

func nodesOf[T any](m map[cluster.NodeID]T) []cluster.NodeID {
	out := make([]cluster.NodeID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func peerHealth(statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	var out [][]datum.Datum
	millis := func(seconds float64) datum.Datum { return datum.MakeFloat(datum.Float8, seconds*1000) }
	for _, from := range nodesOf(statuses) {
		for _, to := range nodesOf(statuses[from].Peers) {
			p := statuses[from].Peers[to]
			out = append(out, []datum.Datum{datum.MakeText(from.String()), datum.MakeText(to.String()), datum.MakeText(string(p.Liveness)), momentOf(p.Since),
				datum.MakeText(p.Cause), datum.MakeText(p.Breaker), number(p.Failures), millis(p.RTT), millis(p.ClockOffset), datum.MakeText(p.LastError),
				datum.MakeBool(p.Given.Live), momentOf(p.Given.Since), number(p.Given.Ended), datum.MakeText(string(p.Given.Cause))})
		}
	}
	return out
}

func pair(item, value string) []datum.Datum {
	return []datum.Datum{datum.MakeText(item), datum.MakeText(value)}
}

func (s *Server) oneNode(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus, id cluster.NodeID) [][]datum.Datum {
	n := view.Nodes[id]
	live := s.cfg.Views.Liveness()[id]
	if id == s.cfg.Node {
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

func (s *Server) summary(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus, missing []cluster.NodeID) [][]datum.Datum {
	members, alive, running := 0, 0, 0
	live := s.cfg.Views.Liveness()
	for id, n := range view.Nodes {
		if n.Membership == cluster.Decommissioned {
			continue
		}
		members++
		if live[id] == cluster.Alive || id == s.cfg.Node {
			alive++
		}
	}
	for _, o := range view.Operations {
		if !o.State.Final() {
			running++
		}
	}
	states := map[string]int{}
	for _, row := range s.ranges(view, statuses) {
		states[row[rangeState].Text()]++
	}
	out := [][]datum.Datum{
		pair("name", view.ClusterName), pair("id", view.ClusterID), pair("nodes", strconv.Itoa(members)), pair("nodes_alive", strconv.Itoa(alive)),
		pair("meta_leader", leaderName(s.cfg.Views.Leader(cluster.MetaRangeID)).Text()), pair("meta_index", fmt.Sprint(view.Index)),
		pair("replicas", strconv.Itoa(view.DefaultPool().Replicas)), pair("pools", strconv.Itoa(len(view.Pools))), pair("ranges", strconv.Itoa(view.Ranges.Len())),
	}
	for _, state := range []string{"healthy", "under", "over", "moving", "electing", "no-quorum"} {
		out = append(out, pair("ranges_"+state, strconv.Itoa(states[state])))
	}
	out = append(out, pair("operations", strconv.Itoa(running)), pair("schema_version", fmt.Sprint(view.SchemaVersion)))
	if len(missing) > 0 {
		out = append(out, pair("missing", nodeNames(missing).Text()))
	}
	return out
}

// rangeState is the column of SHOW RANGES with the state.
const rangeState = 11

func events(list []*cluster.Event) [][]datum.Datum {
	var out [][]datum.Datum
	optional := func(name string, set bool) datum.Datum {
		if !set {
			return datum.MakeNull(datum.Text)
		}
		return datum.MakeText(name)
	}
	for _, e := range list {
		out = append(out, []datum.Datum{number(e.Sequence), datum.FromTime(e.Time), datum.MakeText(string(e.Kind)), datum.MakeText(string(e.Severity)),
			optional(e.Node.String(), e.Node != 0), optional(e.Range.String(), e.Range != 0), optional(e.Operation, e.Operation != ""),
			optional(e.By, e.By != ""), datum.MakeText(e.Text)})
	}
	return out
}

// findNode finds a node as cluster.FindNode does.
func findNode(view *metastate.View, name string) (cluster.NodeID, error) {
	n, err := cluster.FindNode(view.Nodes, name)
	var ambiguous *cluster.AmbiguousNodeError
	if errors.As(err, &ambiguous) {
		return 0, &Error{Code: "42725", Message: "node " + ambiguous.Error(), Hint: "Use the node's number."}
	}
	if err != nil {
		return 0, &Error{Code: "42704", Message: fmt.Sprintf("node %q does not exist", name), Hint: "SHOW NODES lists them."}
	}
	return n.ID, nil
}

// alterColumns are those of ALTER NODE.
func alterColumns() []Column {
	return []Column{typedColumn("node", datum.Text), typedColumn("operation", datum.Text), typedColumn("state", datum.Text), typedColumn("why", datum.Text)}
}

// alterNode asks for an operation on a node, in the user's name.
func (s *Session) alterNode(ctx context.Context, node *syntax.AlterNode, sink RowSink) (string, error) {
	if s.tx != nil {
		return "", &Error{Code: "25001", Message: "ALTER NODE cannot run inside a transaction block"}
	}
	if err := s.need(roleOperator, "ALTER NODE"); err != nil {
		return "", err
	}
	if s.server.cfg.Operator == nil {
		return "", &Error{Code: "0A000", Message: "this node does not change the cluster"}
	}
	view := s.server.catalog.View()
	id, err := findNode(view, node.Node)
	if err != nil {
		return "", err
	}
	ctx = metastate.WithActor(ctx, metastate.Actor{By: s.options.User, Via: metastate.ViaSQL, Source: s.options.Remote})
	ops, err := s.operate(ctx, id, node.Action)
	if err != nil {
		return "", operationError(err)
	}
	out := &output{sink: sink, columns: alterColumns()}
	if len(ops) == 0 {
		ops = []cluster.Operation{{State: cluster.OpSucceeded}}
	}
	for _, op := range ops {
		if err := out.row([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(op.ID), datum.MakeText(string(op.State)), datum.MakeText(op.Why)}); err != nil {
			return "", err
		}
	}
	return "ALTER NODE", out.begin()
}

func (s *Session) operate(ctx context.Context, id cluster.NodeID, action string) ([]cluster.Operation, error) {
	o, nodes, by := s.server.cfg.Operator, []cluster.NodeID{id}, s.options.User
	switch action {
	case "undrain":
		return o.Undrain(ctx, nodes, by, "")
	case "recommission":
		return o.Recommission(ctx, nodes, by, "")
	case "cordon", "uncordon":
		return nil, o.SetCordon(ctx, id, action == "cordon", by)
	}
	op, _, err := o.Start(ctx, operation.StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OperationKind(action), Nodes: nodes}, By: by})
	return []cluster.Operation{op}, err
}

// operationError says a refusal in PostgreSQL's terms.
func operationError(err error) error {
	var refused *operation.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	codes := map[operation.RefusedKind]string{
		operation.Unsafe: "55000", operation.Conflict: "55006", operation.StalePlan: "55000", operation.NotFound: "42704", operation.Invalid: "22023",
		operation.Exists: "42710", operation.InUse: "2BP01", operation.Denied: "42501",
	}
	e := &Error{Code: codes[refused.Kind], Message: refused.Message, cause: err}
	for _, r := range refused.Verdict.Refusals {
		for _, f := range r.Fixes {
			if e.Hint == "" {
				e.Hint = f.Does
				if f.Command != "" {
					e.Hint += ": " + f.Command
				}
			}
		}
		if len(r.Ranges) > 0 && e.Detail == "" {
			e.Detail = fmt.Sprintf("%s concerns %d ranges, %s first. Nothing was changed.", r.Code, len(r.Ranges), r.Ranges[0])
		}
	}
	if refused.Operation != "" && e.Detail == "" {
		e.Detail = "The operation in the way is " + refused.Operation + "."
	}
	return e
}
