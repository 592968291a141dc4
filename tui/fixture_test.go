package tui

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/charmbracelet/colorprofile"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// epoch is when every test happens.
var epoch = time.Date(2026, 11, 27, 3, 12, 45, 0, time.UTC)

func TestMain(m *testing.M) {
	time.Local = time.UTC // frames show times of day
	os.Exit(m.Run())
}

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(epoch.Add(-d)) }

func asOf() *adminpb.AsOf {
	return &adminpb.AsOf{ClusterName: "prod-eu", MetaIndex: 81234, Time: timestamppb.New(epoch), Complete: true, SourceNode: 1}
}

// fixture makes the data of a cluster, the same for the same numbers.
type fixture struct {
	nodes, ranges int
	quiet         bool // nothing is wrong
	random        *rand.Rand
}

func newFixture(nodes, ranges int, quiet bool) *fixture {
	return &fixture{nodes: nodes, ranges: ranges, quiet: quiet, random: rand.New(rand.NewPCG(7, 7))}
}

func (f *fixture) node(i int) *adminpb.Node {
	id := uint32(i + 1)
	n := &adminpb.Node{
		Id: id, Name: fmt.Sprintf("n%d", id), Uuid: fmt.Sprintf("7e57%04d-0000-4000-8000-000000000000", id), Membership: "active", Liveness: "alive", Service: "ready",
		Status: "ready", Locality: fmt.Sprintf("region=eu,zone=%c", 'a'+i%3), Version: "v1.0.0", Replicas: uint32(3 * f.ranges / f.nodes), Leaders: uint32(f.ranges / f.nodes),
		Bytes: 62 << 30, DiskUsed: uint64(20+f.random.IntN(40)) << 30, DiskTotal: 100 << 30, Cpu: 0.15 + 0.4*f.random.Float64(), Sessions: uint32(20 + f.random.IntN(60)),
		Transactions:        &adminpb.NodeTransactions{Open: 4, Waiting: uint32(i % 2), Longest: 12.5 * float64(i%2)},
		StatementsPerSecond: 700, LatencyP50: 0.0011, LatencyP99: 0.004 + 0.001*float64(i%5),
		Reported: true, JoinedAt: ago(300 * time.Hour), StartedAt: ago(time.Duration(20+i*7) * time.Hour), MetaIndex: 81234,
		Addresses: &adminpb.Addresses{
			Sql: fmt.Sprintf("10.0.%d.%d:6432", i/200, i%200+10), Rpc: fmt.Sprintf("10.0.%d.%d:6433", i/200, i%200+10),
			Gossip: fmt.Sprintf("10.0.%d.%d:6434", i/200, i%200+10), Admin: fmt.Sprintf("10.0.%d.%d:6480", i/200, i%200+10),
		},
	}
	if f.quiet {
		return n
	}
	switch id {
	case 3:
		n.Liveness, n.Status, n.Service, n.Leaders, n.Reported = "dead", "dead", "", 0, false
		n.StatementsPerSecond, n.LatencyP50, n.LatencyP99 = 0, 0, 0
	case 4:
		n.Liveness, n.Status = "suspect", "suspect"
	case 5:
		n.Membership, n.Status, n.OperationId = "decommissioning", "decommissioning", "op-7f3a"
	}
	return n
}

func (f *fixture) allNodes() []*adminpb.Node {
	var out []*adminpb.Node
	for i := range f.nodes {
		out = append(out, f.node(i))
	}
	return out
}

func (f *fixture) rng(i int) *adminpb.Range {
	span := 1024 / min(f.ranges, 1024)
	start := uint32(i * span % 1024)
	leader := uint32(i%f.nodes) + 1
	r := &adminpb.Range{
		Id: uint32(i + 2), Start: start, End: start + uint32(span), Leader: leader, Term: uint64(3 + i%5), Bytes: uint64(800+f.random.IntN(900)) << 20,
		Keys: uint64(40000 + f.random.IntN(20000)), ReadsPerSecond: 40 * f.random.ExpFloat64() * float64(1+i%7), WritesPerSecond: 25 * f.random.ExpFloat64(), State: "healthy",
		Generation: uint64(4 + i%9), Commit: 90000 + uint64(i)*37, Applied: 90000 + uint64(i)*37,
	}
	for k := range 3 {
		r.Replicas = append(r.Replicas, &adminpb.Replica{Node: uint32((i+k)%f.nodes) + 1, Replica: uint64(k + 1), Role: "voter", Match: r.Commit - uint64(k), Active: true, Applied: r.Commit, Closed: ago(time.Duration(3+60*k) * time.Second)})
	}
	r.Comparison = &adminpb.Comparison{Index: r.GetCommit() - 100, At: ago(7 * time.Hour), Same: []uint32{r.Replicas[0].Node, r.Replicas[1].Node, r.Replicas[2].Node}}
	r.Lease = &adminpb.Lease{Held: true, Awake: "it is used", ReadsLeased: 81200, ReadsConfirmed: 12, ReadsRefused: 1}
	voters := func() {
		for _, x := range r.Replicas {
			if x.Node != r.Leader {
				r.Lease.Voters = append(r.Lease.Voters, &adminpb.LeaseVoter{Node: x.Node, Bound: true, Epoch: "3.1", Supports: x.Active})
			}
		}
	}
	if f.quiet {
		voters()
		r.Lease.Asleep, r.Lease.Awake = true, ""
		return r
	}
	for _, x := range r.Replicas {
		if x.Node == 3 {
			r.State, x.Active = "under", false
			if r.Leader == 3 {
				r.Leader = r.Replicas[1].Node
			}
		}
	}
	if voters(); r.State == "under" {
		r.Lease.Awake = "a replica is not bound to the leader: its node is away, or not yet asked"
	}
	switch i % 31 {
	case 8:
		r.State = "moving"
		r.Replicas = append(r.Replicas, &adminpb.Replica{Node: uint32((i+3)%f.nodes) + 1, Replica: 9, Role: "learner", Snapshot: true})
	case 19:
		r.State, r.Leader, r.Lease = "no-quorum", 0, nil
	}
	return r
}

// why is what the others say of n1, and which support there is between them.
func why() *adminpb.ExplainMemberResponse {
	return &adminpb.ExplainMemberResponse{
		AsOf: asOf(), Member: &adminpb.Member{Node: 1, Name: "n1", Liveness: "alive"}, Flaps: 1,
		Doubts: []*adminpb.Doubt{{Observer: 2, Liveness: "alive", Since: ago(3 * time.Hour), Cause: "it said so, or another node did", Rtt: 0.0008, LastPing: ago(time.Second), Breaker: "closed", ClockOffset: -0.012}},
		Support: []*adminpb.Support{
			{From: 1, To: 2, Live: true, Epoch: "3.1", Since: ago(3 * time.Hour), Left: 0.82, ToldBy: 1},
			{From: 1, To: 3, Epoch: "3.2", Since: ago(4 * time.Minute), Ended: 2, Cause: "silent", ToldBy: 1},
			{From: 2, To: 1, Live: true, Epoch: "1.4", Since: ago(time.Minute), Left: 0.9, Ended: 3, Cause: "stalled", ToldBy: 2},
		},
	}
}

// raft is a range as each of its replicas has it: the leader's lease, and its voters
// bound to it.
func (f *fixture) raft(r *adminpb.Range) *adminpb.InspectRaftResponse {
	out := &adminpb.InspectRaftResponse{AsOf: asOf(), Range: r}
	for _, x := range r.GetReplicas() {
		s := &adminpb.RaftState{
			Node: x.GetNode(), Replica: x.GetReplica(), Role: x.GetRole(), State: "follower", Term: r.GetTerm(), Vote: 1, Leader: r.GetLeader(), Commit: r.GetCommit(), Applied: r.GetApplied(),
			FirstIndex: r.GetCommit() - 500, LastIndex: r.GetCommit(), LogBytes: 1 << 20, Generation: r.GetGeneration(), BoundTo: r.GetLeader(), BoundTerm: r.GetTerm(),
		}
		switch {
		case x.GetNode() == r.GetLeader():
			s.State, s.BoundTo, s.BoundTerm, s.Lease, s.LeaseLeft = "leader", 0, 0, r.GetLease(), 0.73
		case !x.GetActive():
			s = &adminpb.RaftState{Node: x.GetNode(), Replica: x.GetReplica(), Role: x.GetRole(), State: "missing"}
		}
		out.Replicas = append(out.Replicas, s)
	}
	return out
}

func (f *fixture) allRanges() []*adminpb.Range {
	out := []*adminpb.Range{{
		Id: 1, Meta: true, Leader: 1, Term: 41, Bytes: 1258291, WritesPerSecond: 3, State: "healthy", Generation: 4, Commit: 81234, Applied: 81234,
		Replicas: []*adminpb.Replica{{Node: 1, Replica: 1, Role: "voter", Active: true}, {Node: 2, Replica: 2, Role: "voter", Active: true}},
	}}
	for i := range f.ranges {
		out = append(out, f.rng(i))
	}
	return out
}

func decommissioning() *adminpb.Operation {
	return &adminpb.Operation{
		Id: "op-7f3a", Spec: &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{5}}, RequestedBy: "root", Reason: "disk swap", PlanId: "pl-9c41",
		CreatedAt: ago(282 * time.Second), StartedAt: ago(281 * time.Second), State: "running", Phase: "move",
		Phases: []*adminpb.Phase{
			{Name: "check", State: "done", Note: "11 ok", Began: ago(281 * time.Second), Ended: ago(280 * time.Second)}, {Name: "cordon", State: "done"},
			{Name: "leaders", State: "done", Began: ago(280 * time.Second), Ended: ago(268 * time.Second)}, {Name: "move", State: "running"},
			{Name: "sql-drain", State: "pending"}, {Name: "verify", State: "pending"}, {Name: "tombstone", State: "pending"}, {Name: "stop", State: "pending"},
		},
		Total: &adminpb.Progress{Ranges: 413, Replicas: 413, Leaders: 138, Bytes: 103 << 30}, Done: &adminpb.Progress{Ranges: 128, Replicas: 128, Leaders: 138, Bytes: 32 << 30},
		Items: []*adminpb.Item{
			{Range: 12, From: 5, To: 2, Step: "snapshot", Bytes: 1 << 30, BytesDone: 640 << 20}, {Range: 17, From: 5, To: 1, Step: "catch-up"},
			{Range: 44, From: 5, To: 2, Step: "blocked", Why: "TARGET_SUSPECT n4", Needs: "n4 alive", Attempts: 2},
		},
		PlannedSeconds: 900, Rate: 122 << 20, EtaSeconds: 600, EtaLow: 480, EtaHigh: 780, MetaIndex: 81234, ItemsTotal: 413,
		Next: []*adminpb.Fix{{Text: "stop for a while", Command: "nodedbctl ops pause op-7f3a"}},
	}
}

func drained() *adminpb.Operation {
	return &adminpb.Operation{
		Id: "op-11c2", Spec: &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{2}}, RequestedBy: "ada", Reason: "kernel", CreatedAt: ago(5 * time.Hour), StartedAt: ago(5 * time.Hour),
		EndedAt: ago(5*time.Hour - 19*time.Second), State: "succeeded", Phase: "drained", Total: &adminpb.Progress{Leaders: 22}, Done: &adminpb.Progress{Leaders: 22}, MetaIndex: 80000,
	}
}

func (f *fixture) status() *adminpb.GetStatusResponse {
	s := &adminpb.GetStatusResponse{
		AsOf: asOf(), Health: "healthy", NodesAlive: uint32(f.nodes), NodesTotal: uint32(f.nodes), MetaLeader: 1, MetaTerm: 41, SurvivesOne: &adminpb.Survival{Yes: true},
		SurvivesTwo: &adminpb.Survival{Failing: 6, Worst: []uint32{2, 4}, WorstRanges: 138}, Bytes: 310 << 30, Replication: 3, DiskMax: 0.57, DiskMaxNode: 2, RangesOk: uint32(f.ranges + 1),
	}
	if f.quiet {
		return s
	}
	s.Health, s.NodesAlive, s.RangesOk, s.RangesUnder, s.RangesNoQuorum, s.RangesMoving = "unavailable", uint32(f.nodes-2), 22, 38, 2, 2
	s.SurvivesOne = &adminpb.Survival{Failing: 3, Worst: []uint32{1}, WorstRanges: 26}
	s.BytesMoving = 1540 << 20
	s.Running = []*adminpb.Operation{decommissioning()}
	s.Problems = []*adminpb.Problem{
		{Code: "NO_QUORUM", Text: "2 ranges without a quorum", Command: "nodedbctl ranges --state no-quorum"},
		{Code: "NODE_DOWN", Text: "n3 is dead; its replicas are re-created after 5m0s", Command: "nodedbctl nodes show n3"},
		{Code: "NODE_SUSPECT", Text: "n4 is suspect", Command: "nodedbctl members"},
		{Code: "UNDER_REPLICATED", Text: "38 ranges with fewer than 3 live voters", Command: "nodedbctl ranges --state under"},
	}
	return s
}

func (f *fixture) members() *adminpb.ListMembersResponse {
	r := &adminpb.ListMembersResponse{AsOf: asOf()}
	for i := range f.nodes {
		n := f.node(i)
		m := &adminpb.Member{Node: n.GetId(), Name: n.GetName(), GossipAddress: n.GetAddresses().GetGossip(), Liveness: n.GetLiveness()}
		for k := range f.nodes {
			word := n.GetLiveness()
			if word == "suspect" && k%2 == 0 {
				word = "alive"
			}
			if k != i && (f.quiet || k != 2) {
				m.SeenBy = append(m.SeenBy, &adminpb.Observation{Node: uint32(k + 1), Liveness: word})
			}
		}
		r.Members = append(r.Members, m)
	}
	return r
}

func (f *fixture) events() []*adminpb.Event {
	lines := []struct{ kind, severity, text string }{
		{"node.started", "info", "n1 has started"}, {"range.moved", "info", "r14 moved from n5 to n2 in 8.2s"}, {"leader.changed", "info", "r9 is led by n2 (term 5)"},
		{"node.suspect", "warn", "n4 does not answer probes of n1"}, {"range.moved", "info", "r31 moved from n5 to n1 in 6.9s"}, {"node.dead", "error", "n3 is dead: no answer for 10 s"},
		{"operation.started", "info", "op-7f3a decommission n5, asked for by root"}, {"snapshot.sent", "info", "r12 to n2, 1.1 GiB"},
	}
	var out []*adminpb.Event
	for i := range 60 {
		l := lines[i%len(lines)]
		e := &adminpb.Event{Sequence: uint64(i + 1), Time: ago(time.Duration(60-i) * 3 * time.Second), Kind: l.kind, Severity: l.severity, Text: l.text, Node: uint32(i%f.nodes) + 1, Source: 1}
		if f.quiet {
			e.Severity = "info"
		}
		out = append(out, e)
	}
	return out
}

func (f *fixture) rebalance() *adminpb.GetRebalanceResponse {
	d := func(name string, low, mean, high float64, act bool, why string) *adminpb.Dimension {
		return &adminpb.Dimension{Name: name, Min: low, Mean: mean, Max: high, MinNode: 2, MaxNode: 4, WouldAct: act, Why: why}
	}
	return &adminpb.GetRebalanceResponse{
		AsOf: asOf(), Policy: "auto", Verdict: "would-act", Why: "leaders of n4 are 41% above the mean; the threshold is 20%",
		Dimensions: []*adminpb.Dimension{
			d("bytes", 55<<30, 62<<30, 66<<30, false, "within 20% of the mean"), d("replicas", 36, 39, 43, false, "within 20% of the mean"),
			d("leaders", 9, 13, 18, true, "41% above the mean"), d("reads", 1200, 1810, 2100, false, "within 20% of the mean"), d("cpu", 0.2, 0.31, 0.44, false, "no move would help"),
		},
		Gates: []*adminpb.Gate{
			{Name: "election", Open: true, Why: "no range is electing"}, {Name: "backpressure", Open: false, Why: "CPU above 80%", Nodes: []uint32{4}}, {Name: "operation", Open: true, Why: "no operation moves replicas"},
		},
		LastSweep: ago(12 * time.Second), NextSweep: timestamppb.New(epoch.Add(18 * time.Second)),
		History: []*adminpb.Sweep{{At: ago(3 * time.Hour), Cause: "membership", Outcome: "applied", Moves: 4, Transfers: 9, GainPredicted: 11.5, GainAchieved: 10.9, OperationId: "op-02aa"}},
	}
}

// sessions are some clients: one holds what two others want.
func (f *fixture) sessions() (*adminpb.ListSessionsResponse, *adminpb.ListTransactionsResponse) {
	ago := func(s int) *timestamppb.Timestamp {
		return timestamppb.New(asOf().GetTime().AsTime().Add(-time.Duration(s) * time.Second))
	}
	session := func(node, n uint32, user, app, state, statement string, since int) *adminpb.Session {
		return &adminpb.Session{Pid: node<<20 + n, Node: node, User: user, Application: app, Client: fmt.Sprintf("10.0.1.%d:4%04d", n, n), State: state, Since: ago(since),
			Began: ago(7200), Statement: statement, StatementAt: ago(since)}
	}
	s := &adminpb.ListSessionsResponse{AsOf: asOf(), Sessions: []*adminpb.Session{
		session(1, 1, "app", "shop", "active", "UPDATE orders SET state = 'paid' WHERE id = 4711", 3),
		session(1, 2, "root", "nodedbctl", "idle", "SELECT 1", 60),
		session(2, 1, "app", "billing", "idle in transaction", "UPDATE accounts SET balance = balance - 70\n\tWHERE id = 9", 95),
		session(3, 7, "app", "shop", "active", "SELECT * FROM orders WHERE id = 4711 FOR UPDATE", 1),
		session(3, 8, "report", "", "active", "SELECT region, sum(total) FROM orders GROUP BY region", 12),
	}}
	holder := &adminpb.TransactionRef{Id: "18a2", Node: 2, Pid: 2<<20 + 1}
	first, second := &adminpb.TransactionRef{Id: "18a7", Node: 1, Pid: 1<<20 + 1}, &adminpb.TransactionRef{Id: "18a9", Node: 3, Pid: 3<<20 + 7}
	x := &adminpb.ListTransactionsResponse{AsOf: asOf(), Transactions: []*adminpb.Transaction{
		{Id: holder.Id, Node: 2, Pid: holder.Pid, User: "app", State: "idle", Isolation: "read committed", Began: ago(101), Locks: 3, Ranges: 2, RangeIds: []uint32{4, 10}, Blocks: []*adminpb.TransactionRef{first, second}},
		{Id: first.Id, Node: 1, Pid: first.Pid, User: "app", State: "waiting", Isolation: "read committed", Began: ago(4), Locks: 1, Ranges: 1, WaitsFor: []*adminpb.TransactionRef{holder}, WaitsSince: ago(3)},
		{Id: second.Id, Node: 3, Pid: second.Pid, User: "app", State: "waiting", Isolation: "repeatable read", Began: ago(1), WaitsFor: []*adminpb.TransactionRef{holder}, WaitsSince: ago(1)},
	}}
	return s, x
}

// schedules are one that runs, one that fails, one that is paused; and runs of the first.
func (f *fixture) schedules() page.SchedulesAnswer {
	at := func(s int) *timestamppb.Timestamp {
		return timestamppb.New(asOf().GetTime().AsTime().Add(time.Duration(s) * time.Second))
	}
	run := func(number uint64, due int, state string) *adminpb.ScheduleRun {
		return &adminpb.ScheduleRun{Number: number, Due: at(due), State: state, Node: 1, Started: at(due), Ended: timestamppb.New(at(due).AsTime().Add(13 * time.Millisecond)), Rows: 1}
	}
	running, failed, missed := run(4712, 0, "running"), run(31, -3600, "failed"), run(4709, -10, "missed")
	running.Ended, running.Rows = nil, 0
	failed.Code, failed.Error, failed.Rows = "23505", "duplicate key value violates unique constraint \"totals_pkey\"", 0
	missed.Node, missed.Missed = 0, 7
	skipped := run(4708, -20, "skipped")
	skipped.Node = 0
	asked := run(4710, -4, "succeeded")
	asked.By = "root"
	ticks := &adminpb.Schedule{Id: 105, Database: "nodedb", Schema: "public", Name: "ticks", Owner: "app", Cron: "* * * * * *", TimeZone: "UTC", Overlap: "skip", Enabled: true,
		NextDue: at(1), Last: running, Running: 1, Timeout: 3600, Body: "INSERT INTO ticks\n\tVALUES (current_setting('schedule.due'))"}
	return page.SchedulesAnswer{
		Schedules: &adminpb.ListSchedulesResponse{AsOf: asOf(), Schedules: []*adminpb.Schedule{
			{Id: 107, Database: "nodedb", Schema: "archive", Name: "yearly", Owner: "root", Cron: "0 0 1 1 *", TimeZone: "Europe/Berlin", Overlap: "skip", Timeout: 3600, Body: "DELETE FROM old", Comment: "not yet"},
			{Id: 106, Database: "nodedb", Schema: "public", Name: "rollup", Owner: "report", Cron: "@hourly", TimeZone: "UTC", Overlap: "allow", Enabled: true, NextDue: at(3600), Last: failed,
				Timeout: 30, Body: "INSERT INTO totals SELECT region, sum(total) FROM orders GROUP BY region"},
			ticks,
		}},
		Runs: &adminpb.ListScheduleRunsResponse{AsOf: asOf(), Schedule: ticks, Runs: []*adminpb.ScheduleRun{running, run(4711, -1, "succeeded"), asked, missed, skipped}},
	}
}

func (f *fixture) pools() []*adminpb.Pool {
	pools := []*adminpb.Pool{
		{Name: "default", State: "ready", Replicas: 3, Ranges: uint32(f.ranges), Bytes: 310 << 30, Collections: []string{"orders", "users"}, Nodes: []uint32{1, 2, 3, 4, 5}, Version: 1},
		{Id: 1, Name: "critical", State: "ready", Replicas: 5, Constraints: "+region=eu", PreferLeader: "zone=b", Ranges: 8, Bytes: 12 << 30, Collections: []string{"payments"}, Nodes: []uint32{1, 2, 3, 4, 5}, Version: 4},
	}
	if f.quiet {
		return pools
	}
	p := pools[1]
	p.RangesMisfit, p.LeadersElsewhere = 2, 1
	p.Misfits = []string{"r70 has 3 of 5 voters", "r71 has a learner on n4"}
	return append(pools, &adminpb.Pool{Id: 2, Name: "archive", State: "creating", Replicas: 3, Constraints: "-disk=ssd", RangesMissing: 6, Ranges: 2, Nodes: []uint32{1, 2, 4}, Operation: "op-40c1", Version: 1})
}

// whole is a first response of all topics.
func (f *fixture) whole() *adminpb.WatchResponse {
	r := &adminpb.WatchResponse{
		AsOf: asOf(), Reset_: true, Status: f.status(), Nodes: f.allNodes(), Ranges: f.allRanges(), Members: f.members(), Rebalance: f.rebalance(), Events: f.events(),
		Operations: []*adminpb.Operation{drained()}, Pools: f.pools(),
	}
	if !f.quiet {
		r.Operations = append(r.Operations, decommissioning())
	}
	return r
}

// divided is a first response of a cluster where three ranges share the vshard 72,
// one of which moves and one of which is being counted, and where the pool crit has
// four ranges of its own, the last of them divided too.
func (f *fixture) divided() *adminpb.WatchResponse {
	const row, next = "0048000000000000000700026b000100", "0048000000000000000700026b900100"
	w := f.whole()
	left := w.Ranges[5] // [64,80)
	middle, right := cloneRange(left), cloneRange(left)
	left.End, left.EndKey = 73, row
	middle.Id, middle.Start, middle.End, middle.StartKey, middle.EndKey = 70, 72, 73, row, next
	middle.ReadsPerSecond, middle.State = 2000, "moving"
	right.Id, right.Start, right.StartKey, right.SizeUnknown = 71, 72, next, true
	w.Ranges = append(w.Ranges, middle, right)
	for i := range uint32(5) {
		r := cloneRange(left)
		r.Id, r.Pool, r.Start, r.End, r.StartKey, r.EndKey = 80+i, "crit", i*256, (i+1)*256, "", ""
		r.ReadsPerSecond = float64(10 * (i + 1))
		switch i {
		case 3:
			r.End, r.EndKey = 1001, "03e8000000000000000900026b000100"
		case 4:
			r.Start, r.End, r.StartKey, r.State = 1000, 1024, "03e8000000000000000900026b000100", "under"
		}
		w.Ranges = append(w.Ranges, r)
	}
	w.Status.RangesOk = uint32(len(w.Ranges))
	return w
}

var allTopics = []string{feed.Status, feed.Nodes, feed.Ranges, feed.Operations, feed.Members, feed.Rebalance, feed.Events, feed.Pools}

// fold makes the snapshot that a feed makes of responses, one a second.
func fold(t testing.TB, responses ...*adminpb.WatchResponse) *feed.Snapshot {
	t.Helper()
	got := make(chan *feed.Snapshot, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := 0
	clock := epoch.Add(-time.Duration(len(responses)) * time.Second)
	watch := func(ctx context.Context, _ *adminpb.WatchRequest, changed feed.Changed, _ func(error)) error {
		for _, r := range responses {
			clock = clock.Add(time.Second)
			if err := changed(r, clock); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	f := feed.New(watch, time.Millisecond, func() time.Time { return clock }, func(msg any) {
		if s, ok := msg.(*feed.Snapshot); ok && int(s.Revision) == len(responses) {
			if seen++; seen == 1 {
				got <- s
			}
		}
	})
	f.Subscribe(allTopics...)
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	s := <-got
	cancel()
	<-done
	return s
}

// still is a subscriber that only notes what was asked for.
type still struct {
	topics  []string
	retries int
}

func (s *still) Subscribe(topics ...string) { s.topics = topics }
func (s *still) Retry()                     { s.retries++ }

// testDashboard is a dashboard of f's cluster without a terminal, with the clock
// standing still.
func testDashboard(t testing.TB, f *fixture, look string, width, height int) *Dashboard {
	t.Helper()
	return dashboardOf(t, fold(t, f.story(90)...), &adminpb.WhoAmIResponse{Name: "root", Role: adminpb.Role_ROLE_ADMIN}, look, width, height)
}

func dashboardOf(t testing.TB, s *feed.Snapshot, me *adminpb.WhoAmIResponse, look string, width, height int) *Dashboard {
	t.Helper()
	w := theme.Want{Name: look, Profile: colorprofile.TrueColor}
	switch look {
	case "16":
		w.Profile = colorprofile.ANSI
	case "mono":
		w.Profile = colorprofile.ASCII
	case "ascii":
		w.Name, w.Profile, w.Ascii = "mono", colorprofile.ASCII, true
	}
	cfg := config{want: w, fixed: true, now: func() time.Time { return epoch }, contexts: []string{"prod-eu", "staging"}, attach: func(*cluster, int) subscriber { return &still{} }}
	d := newDashboard(cfg, &cluster{name: "prod-eu"})
	d.w, d.h = width, height
	d.number = 1
	d.feed = &still{}
	d.me = me
	d.link = feed.Link{State: feed.Live}
	if s != nil {
		d.take(s)
	}
	return d
}

// story is a first response and what came after it, one a second, so that charts
// have something to show.
func (f *fixture) story(seconds int) []*adminpb.WatchResponse {
	out := []*adminpb.WatchResponse{f.whole()}
	ranges := out[0].Ranges
	for i := range seconds {
		r := &adminpb.WatchResponse{AsOf: asOf()}
		wave := 0.6 + 0.4*float64((i*7)%13)/13 + 0.3*float64(i%5)/5
		for _, x := range ranges[1:min(len(ranges), 65)] {
			c := cloneRange(x)
			c.ReadsPerSecond, c.WritesPerSecond = x.ReadsPerSecond*wave, x.WritesPerSecond*(1.6-wave)
			r.Ranges = append(r.Ranges, c)
		}
		out = append(out, r)
	}
	return out
}

func cloneRange(r *adminpb.Range) *adminpb.Range {
	return &adminpb.Range{
		Id: r.Id, Meta: r.Meta, Start: r.Start, End: r.End, Leader: r.Leader, Term: r.Term, Replicas: r.Replicas, Bytes: r.Bytes, Keys: r.Keys, LiveBytes: r.LiveBytes, DeadBytes: r.DeadBytes,
		ReadsPerSecond: r.ReadsPerSecond, WritesPerSecond: r.WritesPerSecond, State: r.State, Generation: r.Generation, Lease: r.Lease, Comparison: r.Comparison, Commit: r.Commit, Applied: r.Applied,
	}
}
