package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// shownColumn is a column of a SHOW statement, and of the system table of the
// same content.
type shownColumn struct {
	name string
	typ  datum.Type
}

// showColumns are the columns of each kind of SHOW.
func showColumns(kind syntax.ShowKind) []shownColumn {
	if columns, ok := lifecycleColumns(kind); ok {
		return columns
	}
	const text, number = datum.Text, datum.Int8
	switch kind {
	case syntax.ShowNodes:
		return []shownColumn{{"id", text}, {"name", text}, {"address", text}, {"membership", text}, {"liveness", text}, {"service", text},
			{"version", text}, {"ranges", number}, {"leaders", number}, {"bytes", number}, {"live_bytes", number}, {"dead_bytes", number}, {"sessions", number}, {"locality", text}}
	case syntax.ShowRanges:
		return []shownColumn{{"range", text}, {"vshards", text}, {"leader", text}, {"voters", text}, {"learners", text}, {"bytes", number},
			{"live_bytes", number}, {"dead_bytes", number}, {"keys", number}, {"reads", number}, {"writes", number}, {"state", text}, {"gen", number}, {"pool", text}, {"start_key", text}, {"end_key", text},
			{"lease", text}, {"compared_at", datum.Timestamptz}, {"compared", text}, {"closed_lag_ms", number}, {"gc_age_ms", number}}
	case syntax.ShowRouting:
		return []shownColumn{{"range", text}, {"vshards", text}, {"leader", text}, {"address", text}, {"replicas", text}, {"gen", number},
			{"pool", text}, {"start_key", text}, {"end_key", text}}
	case syntax.ShowSchemaVersion:
		return []shownColumn{{"version", number}, {"applied_index", number}, {"node", text}}
	case syntax.ShowRebalance:
		return []shownColumn{{"load", text}, {"min", datum.Float8}, {"mean", datum.Float8}, {"max", datum.Float8}, {"min_node", text}, {"max_node", text},
			{"would_act", datum.Bool}, {"why", text}, {"policy", text}, {"verdict", text}}
	case syntax.ShowCollections:
		return []shownColumn{{"name", text}, {"id", number}, {"version", number}, {"columns", number}, {"primary_key", text}}
	default:
		return []shownColumn{{"id", text}, {"kind", text}, {"nodes", text}, {"state", text}, {"phase", text}, {"ranges_done", number},
			{"ranges_total", number}, {"requested_by", text}, {"created_at", datum.Timestamptz}, {"why", text}}
	}
}

// routeColumns are those of SHOW ROUTING FOR.
func routeColumns() []shownColumn {
	return []shownColumn{{"vshard", datum.Int8}, {"range", datum.Text}, {"leader", datum.Text}, {"address", datum.Text}, {"replicas", datum.Text}, {"gen", datum.Int8}}
}

func describeShow(node *syntax.ShowCluster) []Column {
	columns := showColumns(node.Kind)
	if node.Collection != nil {
		columns = routeColumns()
	}
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = typedColumn(c.name, c.typ)
	}
	return out
}

func (s *Session) showCluster(ctx context.Context, node *syntax.ShowCluster, sink RowSink) (string, error) {
	if err := s.maySee(node.Kind, "SHOW "+strings.ToUpper(string(node.Kind))); err != nil {
		return "", err
	}
	var rows [][]datum.Datum
	var err error
	if node.Collection != nil {
		rows, err = s.route(node)
	} else {
		rows, err = s.shown(ctx, node.Kind, node.Node)
	}
	if err == nil && node.Pool != "" {
		rows, err = s.ofPool(node, rows)
	}
	if err != nil {
		return "", err
	}
	out := &output{sink: sink, columns: describeShow(node)}
	for _, row := range rows {
		if err := out.row(row); err != nil {
			return "", err
		}
	}
	return "SHOW", out.begin()
}

// ofPool leaves the rows whose column pool is the pool asked for.
func (s *Session) ofPool(node *syntax.ShowCluster, rows [][]datum.Datum) ([][]datum.Datum, error) {
	if _, err := findPool(s.server.catalog.View(), node.Pool); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(showColumns(node.Kind), func(c shownColumn) bool { return c.name == "pool" })
	return slices.DeleteFunc(rows, func(row []datum.Datum) bool { return row[at].Null || row[at].Text() != node.Pool }), nil
}

// shown makes the rows of a SHOW; name is that of SHOW NODE.
func (s *Session) shown(ctx context.Context, kind syntax.ShowKind, name string) ([][]datum.Datum, error) {
	if _, ok := lifecycleColumns(kind); ok {
		return s.shownLifecycle(ctx, kind, name)
	}
	view := s.server.catalog.View()
	switch kind {
	case syntax.ShowNodes:
		statuses, _ := s.server.cfg.Views.ClusterStatus(ctx)
		return s.server.nodes(view, statuses), ctx.Err()
	case syntax.ShowRanges:
		statuses, _ := s.server.cfg.Views.ClusterStatus(ctx)
		return s.server.ranges(view, statuses), ctx.Err()
	case syntax.ShowRouting:
		return s.server.routing(view), nil
	case syntax.ShowSchemaVersion:
		return [][]datum.Datum{{number(view.SchemaVersion), number(view.Index), datum.MakeText(s.server.cfg.Node.String())}}, nil
	case syntax.ShowRebalance:
		return s.server.evenness(ctx)
	case syntax.ShowCollections:
		return s.collections(), nil
	default:
		return s.server.operations(view), nil
	}
}

func number[T ~uint64 | ~int | ~uint32 | ~uint16](n T) datum.Datum {
	return datum.MakeInt(datum.Int8, int64(n))
}

// nodeNames writes n1,n2,n3; a dash for none.
func nodeNames(nodes []cluster.NodeID) datum.Datum {
	if len(nodes) == 0 {
		return datum.MakeText("–")
	}
	nodes = slices.Sorted(slices.Values(nodes))
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.String()
	}
	return datum.MakeText(strings.Join(names, ","))
}

func leaderName(n cluster.NodeID) datum.Datum {
	if n == 0 {
		return datum.MakeText("–")
	}
	return datum.MakeText(n.String())
}

func (s *Server) nodes(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	liveness := s.cfg.Views.Liveness()
	var out [][]datum.Datum
	for _, id := range view.NodeIDs() {
		n := view.Nodes[id]
		alive := liveness[id]
		if id == s.cfg.Node {
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
			counts[0], counts[1], counts[2], counts[5] = number(len(st.Ranges)), number(leaders), number(st.Bytes), number(st.Sessions)
			if counted { // else the sum would be a guess
				counts[3], counts[4] = number(live), number(dead)
			}
		}
		out = append(out, []datum.Datum{datum.MakeText(id.String()), datum.MakeText(n.Name), datum.MakeText(n.Addresses.SQL),
			datum.MakeText(string(n.Membership)), datum.MakeText(string(alive)), service, datum.MakeText(version),
			counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], datum.MakeText(n.Locality)})
	}
	return out
}

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

func (s *Server) ranges(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
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
				counts[0], counts[1], counts[2], counts[3] = number(l.Bytes), number(l.LiveBytes), number(l.DeadBytes), number(l.Keys)
			}
			counts[4], counts[5] = number(l.Reads), number(l.Writes)
		}
		voters := d.Voters()
		if d.IsMeta() { // it has voters on up to five nodes, and learners everywhere else by design
			wanted = len(voters)
		}
		row := append([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(vshards(d)), leaderName(leader), nodeNames(voters),
			nodeNames(d.Learners()), counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], datum.MakeText(sight.state(wanted)), number(d.Generation)}, place(view, d)...)
		out = append(out, append(append(append(row, sight.lease()), sight.compared(statuses)...), sight.closedLag(statuses, s.cfg.Now()), sight.gcAge(s.cfg.Now())))
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
	return []datum.Datum{momentOf(c.At), datum.MakeText(c.Result())}
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

func (s *Server) routing(view *metastate.View) [][]datum.Datum {
	var out [][]datum.Datum
	for _, id := range view.RangeIDs() {
		if d := view.Ranges.Get(id); !d.IsMeta() {
			leader := s.cfg.Views.Leader(id)
			out = append(out, append([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(vshards(d)), leaderName(leader), address(view, leader),
				nodeNames(replicaNodes(d)), number(d.Generation)}, place(view, d)...))
		}
	}
	return out
}

// route answers SHOW ROUTING FOR collection KEY values.
func (s *Session) route(node *syntax.ShowCluster) ([][]datum.Datum, error) {
	view := s.server.catalog.View()
	table, err := s.scope().Resolve(*node.Collection)
	if err != nil {
		return nil, err
	}
	key, err := encodeKey(table, node.Key, s.style.Location)
	if err != nil {
		return nil, err
	}
	v := keys.VShardOf(table.ID(), key)
	d, ok := view.RangeOf(table.Pool(), keys.Bound(keys.Row(table.Pool(), v, table.ID(), key)))
	if !ok {
		return nil, &Error{Code: "08006", Message: fmt.Sprintf("no range owns vshard %d: this node's metadata is incomplete", v), Hint: "Try again."}
	}
	leader := s.server.cfg.Views.Leader(d.ID)
	return [][]datum.Datum{{number(v), datum.MakeText(d.ID.String()), leaderName(leader), address(view, leader),
		nodeNames(replicaNodes(d)), number(d.Generation)}}, nil
}

func (s *Session) collections() [][]datum.Datum {
	var out [][]datum.Datum
	for _, t := range s.scope().Tables() {
		visible := 0
		for _, c := range t.Columns {
			if !c.Hidden {
				visible++
			}
		}
		var key []string
		for _, i := range t.Key {
			if !t.Columns[i].Hidden {
				key = append(key, t.Columns[i].Name)
			}
		}
		keyText := datum.MakeText(strings.Join(key, ", "))
		if len(key) == 0 {
			keyText = datum.MakeText("(generated)")
		}
		out = append(out, []datum.Datum{datum.MakeText(t.FullName()), number(uint64(t.ID())), number(t.Desc.Version), number(visible), keyText})
	}
	return out
}

func (s *Server) operations(view *metastate.View) [][]datum.Datum {
	var out [][]datum.Datum
	for _, id := range view.OperationIDs() {
		o := view.Operations[id]
		out = append(out, []datum.Datum{datum.MakeText(o.ID), datum.MakeText(string(o.Spec.Kind)), nodeNames(o.Spec.Nodes), datum.MakeText(string(o.State)),
			datum.MakeText(o.Phase), number(o.Done.Ranges), number(o.Total.Ranges), datum.MakeText(o.RequestedBy), datum.FromTime(o.CreatedAt), datum.MakeText(o.Why)})
	}
	return out
}
