package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// TestRules breaks one thing at a time: its rule, and no other of those that
// hold in a healthy cluster, says so with a command that mends it.
func TestRules(t *testing.T) {
	for code, spoil := range map[string]func(b *fakeBackend, v *metastate.View){
		"": func(*fakeBackend, *metastate.View) {},
		"REPLICA_DIVERGED": func(b *fakeBackend, _ *metastate.View) {
			for id := cluster.NodeID(1); id <= 3; id++ {
				b.statuses[id].Ranges[2].Checksums = []cluster.Checksum{{Index: 40, Generation: 4, Sum: map[cluster.NodeID]uint64{2: 8}[id], Versions: 5}}
			}
		},
		"CLOCK_SKEW": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Clock = cluster.ClockStatus{Belief: "sure", Limit: 0.5, Offset: -1.5}
		},
		"CLOCK_STEPPED": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Clock = cluster.ClockStatus{Belief: "sure", Limit: 0.5, Step: -3600}
		},
		"CLOCK_AHEAD": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Clock = cluster.ClockStatus{Belief: "sure", Limit: 0.5, Ahead: 61}
		},
		"CLOCK_UNSETTLED": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Clock = cluster.ClockStatus{Belief: "past", Limit: 0.5}
		},
		"CERT_EXPIRY": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].CertExpires = time.Now().Add(12 * 24 * time.Hour)
		},
		"DISK": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[1].DiskUsed = 81
		},
		"MEMORY_PRESSURE": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Memory = []cluster.MemoryPart{{Name: "node", Used: 10, Limit: 100}, {Name: "statements", Depth: 1, Used: 10, Limit: 50, Refused: 3, RefusedAgo: 12}}
		},
		"STATEMENTS_WAIT": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Queues = []cluster.StatementQueue{{Name: "short", Running: 3, Limit: 256}, {Name: "long", Running: 16, Limit: 16, Waiting: 7, Room: 500, Oldest: 11}}
		},
		"GARBAGE_BEHIND": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Transactions = cluster.TransactionsStatus{Open: 1, Oldest: cluster.TransactionRef{Node: 2, PID: 20}, OldestUser: "app", OldestBegan: time.Now().Add(-5 * time.Hour)}
			for _, st := range b.statuses {
				st.Garbage = cluster.GarbageStatus{Snapshot: time.Now().Add(-5 * time.Hour), Holder: 2}
				for _, r := range st.Ranges {
					if r.IsLeader() && !r.Descriptor.IsMeta() {
						r.DeadBytes, r.Collected = 3<<20, time.Now().Add(-5*time.Hour)
					}
				}
			}
		},
		"LOCK_WAIT": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Transactions = cluster.TransactionsStatus{Open: 3, Waiting: 1, Longest: cluster.TransactionRef{ID: "b", Node: 2, PID: 20}, LongestUser: "app", WaitsFor: cluster.TransactionRef{ID: "a", Node: 1}, WaitSeconds: 31}
		},
		"VERSION_MIX": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[1].Version = "v2"
		},
		"VERSION_REFUSED": func(_ *fakeBackend, v *metastate.View) {
			v.Events = append(v.Events, &cluster.Event{Sequence: 1, Kind: cluster.EventVersionRefused, Node: 3, Text: "n3 was refused by n1: too old"})
		},
		"VERSION_NOT_FINAL": func(_ *fakeBackend, v *metastate.View) {
			v.Active = 1
			for id, n := range v.Nodes {
				m := *n
				m.Supports = gate.Support{Min: 1, Max: 2}
				v.Nodes[id] = &m
			}
		},
		"DRAINED": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[2].Service = cluster.Drained
		},
		"CORDONED": func(_ *fakeBackend, v *metastate.View) {
			n := *v.Nodes[2]
			n.Cordon = true
			v.Nodes[2] = &n
		},
		"BREAKER_OPEN": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[1].Peers = map[cluster.NodeID]cluster.PeerStatus{3: {Liveness: cluster.Alive, Breaker: "open", LastError: "timeout"}}
		},
		"FLAPPING": func(_ *fakeBackend, v *metastate.View) {
			for i := range uint64(3) {
				v.Events = append(v.Events, &cluster.Event{Sequence: i + 1, Time: time.Now(), Kind: cluster.EventNodeAlive, Node: 3})
			}
		},
		"ORPHAN": func(_ *fakeBackend, v *metastate.View) {
			n := *v.Nodes[3]
			n.Membership = cluster.Decommissioning
			v.Nodes[3] = &n
		},
		"CA_KEY": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[1].Keys.Signs = ""
		},
		"OPERATION_STALLED": func(_ *fakeBackend, v *metastate.View) {
			v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpRunning, Stalled: true, Why: "no progress", Spec: cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{3}}}
		},
		"OPERATION_PAUSED": func(_ *fakeBackend, v *metastate.View) {
			v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpPaused, Why: "paused by ann", Spec: cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{3}}}
		},
		"POOL_MISFIT": func(_ *fakeBackend, v *metastate.View) {
			locate(v, "zone=a", "zone=b", "zone=c")
			v.Pools = map[cluster.PoolID]*cluster.Pool{0: {Name: "default", State: cluster.PoolReady,
				PoolSpec: cluster.PoolSpec{Replicas: 3, Constraints: cluster.Constraints{{Tier: cluster.Tier{Key: "zone", Value: "c"}, Forbidden: true}}}}}
		},
		"POOL_STUCK": func(_ *fakeBackend, v *metastate.View) {
			v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpBlocked, Why: "waits for n3", Spec: cluster.OperationSpec{Kind: cluster.OpPoolAlter, Pool: "default"}}
		},
		"SPREAD_ZONES": func(b *fakeBackend, v *metastate.View) {
			locate(v, "zone=a", "zone=a", "zone=b", "zone=c") // all replicas are on the first three
			n := *v.Nodes[3]
			n.ID, n.UUID, n.Name, n.Locality = 4, "uuid-4", "n4", "zone=c"
			v.Nodes[4] = &n
			b.statuses[4] = &cluster.NodeStatus{Node: 4, Service: cluster.Ready, Version: "v1", DiskUsed: 10, DiskTotal: 100}
		},
		"DISK_HUNG": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].Disk = cluster.DiskStatus{Path: "/d/store", State: cluster.DiskHung, Operation: "sync 000007.log", Age: 4}
		},
		"DISK_FULL": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].DiskTotal, b.statuses[3].DiskFull, b.statuses[3].DiskReserve = 1<<30, true, 50<<20
		},
		"DISK_SPENT": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].DiskTotal, b.statuses[3].DiskFull, b.statuses[3].DiskSpent = 1<<30, true, true
		},
		"DISK_SLOW": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].Disk = cluster.DiskStatus{Path: "/d/store", State: cluster.DiskSlow, SyncMedian: 0.2, SyncLongest: 0.3}
		},
		"STORE_STUCK": func(b *fakeBackend, _ *metastate.View) { b.statuses[3].RangesAge = 4 },
		"STORE_BEHIND": func(_ *fakeBackend, v *metastate.View) {
			v.Events = append(v.Events, &cluster.Event{Sequence: 1, Kind: cluster.EventNodeStarted, Node: 3},
				&cluster.Event{Sequence: 2, Kind: cluster.EventStoreBehind, Node: 3})
		},
		"REPLICA_FAILED": func(b *fakeBackend, _ *metastate.View) {
			b.statuses[3].Ranges[1].Failed = "checksum"
		},
	} {
		t.Run(code, func(t *testing.T) {
			r := newRig(t)
			r.backend.change(func(v *metastate.View) { spoil(r.backend, v) })
			got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, x := range got.GetRules() {
				if x.GetSeverity() == severityOK {
					continue
				}
				broken = append(broken, x.GetCode())
				if x.GetText() == "" || !strings.HasPrefix(x.GetCommand(), "nodedbctl ") {
					t.Errorf("%s says %q and is mended by %q", x.GetCode(), x.GetText(), x.GetCommand())
				}
				if code == "GARBAGE_BEHIND" && x.GetCommand() != "nodedbctl sessions cancel 20 --terminate" {
					t.Errorf("a snapshot is ended by %q", x.GetCommand())
				}
			}
			if code == "" && len(broken) > 0 || code != "" && !slices.Contains(broken, code) {
				t.Errorf("broken rules: %v, want %q", broken, code)
			}
		})
	}
}

// locate says where the first nodes are.
func locate(v *metastate.View, where ...string) {
	for i, w := range where {
		id := cluster.NodeID(i + 1) //nolint:gosec // an index
		if v.Nodes[id] == nil {
			continue
		}
		n := *v.Nodes[id]
		n.Locality = w
		v.Nodes[id] = &n
	}
}

// TestMisfitsThatAreMended: what an operation is at work on, or a node that has
// just come changes, is no symptom; nor is a pool's operation told of twice.
func TestMisfitsThatAreMended(t *testing.T) {
	misfit := func(v *metastate.View) {
		locate(v, "zone=a", "zone=b", "zone=c")
		v.Pools = map[cluster.PoolID]*cluster.Pool{0: {Name: "default", State: cluster.PoolReady,
			PoolSpec: cluster.PoolSpec{Replicas: 3, Constraints: cluster.Constraints{{Tier: cluster.Tier{Key: "zone", Value: "c"}, Forbidden: true}}}}}
	}
	alter := func(v *metastate.View, state cluster.OperationState) {
		v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: state, Why: "waits", Spec: cluster.OperationSpec{Kind: cluster.OpPoolAlter, Pool: "default"}}
	}
	for name, tt := range map[string]struct {
		spoil func(v *metastate.View)
		want  []string
	}{
		"at work": {func(v *metastate.View) { alter(v, cluster.OpRunning) }, nil},
		"blocked": {func(v *metastate.View) { alter(v, cluster.OpBlocked) }, []string{"POOL_MISFIT", "POOL_STUCK"}},
		"paused":  {func(v *metastate.View) { alter(v, cluster.OpPaused) }, []string{"POOL_MISFIT", "OPERATION_PAUSED"}},
		"a node has just started": {func(v *metastate.View) {
			v.Events = append(v.Events, &cluster.Event{Sequence: 1, Time: time.Now(), Kind: cluster.EventNodeStarted, Node: 3})
		}, nil},
		"a node started long ago": {func(v *metastate.View) {
			v.Events = append(v.Events, &cluster.Event{Sequence: 1, Time: time.Now().Add(-2 * placementPatience), Kind: cluster.EventNodeStarted, Node: 3})
		}, []string{"POOL_MISFIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.backend.change(func(v *metastate.View) { misfit(v); tt.spoil(v) })
			got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, x := range got.GetRules() {
				if x.GetSeverity() != severityOK {
					broken = append(broken, x.GetCode())
				}
			}
			if !slices.Equal(broken, tt.want) {
				t.Errorf("broken rules: %v, want %v", broken, tt.want)
			}
		})
	}
}

// TestTheRightDiskIsBack: a start ends what was said of an earlier one's store.
func TestTheRightDiskIsBack(t *testing.T) {
	r := newRig(t)
	r.backend.change(func(v *metastate.View) {
		v.Events = append(v.Events, &cluster.Event{Sequence: 1, Kind: cluster.EventStoreBehind, Node: 3},
			&cluster.Event{Sequence: 2, Kind: cluster.EventNodeStarted, Node: 3})
	})
	got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got.GetRules() {
		if x.GetSeverity() != severityOK {
			t.Errorf("%s is %s: %s", x.GetCode(), x.GetSeverity(), x.GetText())
		}
	}
}

// TestWhereTheCAKeyIs: a key on a node that leaves is as good as lost, one that is
// kept offline is not missed.
func TestWhereTheCAKeyIs(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(b *fakeBackend, v *metastate.View)
		text  string
	}{
		"leaves": {func(_ *fakeBackend, v *metastate.View) {
			n := *v.Nodes[1]
			n.Membership = cluster.Decommissioning
			v.Nodes[1] = &n
		}, "only n1, which leaves, holds the CA's key"},
		"silent": {func(b *fakeBackend, _ *metastate.View) { delete(b.statuses, 1) }, "n1 did not answer"},
		"offline": {func(b *fakeBackend, v *metastate.View) {
			b.statuses[1].Keys.Signs = ""
			v.Settings = metastate.Settings{metastate.SettingCAKey: metastate.CAKeyOffline}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.backend.change(func(v *metastate.View) { tt.spoil(r.backend, v) })
			got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range got.GetRules() {
				if x.GetCode() == "CA_KEY" && ((x.GetSeverity() == severityOK) != (tt.text == "") || !strings.Contains(x.GetText(), tt.text)) {
					t.Errorf("got %s %q, want %q", x.GetSeverity(), x.GetText(), tt.text)
				}
			}
		})
	}
}

// TestUnknownIsNotOK: what only a node itself can tell is not known of one that
// does not answer.
func TestUnknownIsNotOK(t *testing.T) {
	r := newRig(t)
	delete(r.backend.statuses, 3)
	got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got.GetRules() {
		if x.GetCode() == "CERT_EXPIRY" && x.GetSeverity() != severityUnknown {
			t.Errorf("CERT_EXPIRY is %s though n3 did not answer", x.GetSeverity())
		}
	}
}

func TestExplainMember(t *testing.T) {
	r := newRig(t)
	r.backend.statuses[1].Peers = map[cluster.NodeID]cluster.PeerStatus{3: {Liveness: cluster.Alive, Breaker: "open", Failures: 4, LastError: "timeout"}}
	r.backend.statuses[2].Peers = map[cluster.NodeID]cluster.PeerStatus{3: {Liveness: cluster.Suspect, Cause: "no acks received", Breaker: "closed", RTT: 0.002}}
	r.backend.change(func(v *metastate.View) {
		for i, kind := range []cluster.EventKind{cluster.EventNodeSuspect, cluster.EventNodeAlive, cluster.EventRangeMoved} {
			v.Events = append(v.Events, &cluster.Event{Sequence: uint64(i + 1), Time: time.Now(), Kind: kind, Node: 3})
		}
	})
	got, err := r.client("viewer").ExplainMember(t.Context(), &adminpb.ExplainMemberRequest{Node: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.GetDoubts()) != 2 || !strings.Contains(got.GetDoubts()[0].GetCause(), "4 calls in a row did not get through: timeout") || got.GetDoubts()[1].GetCause() != "no acks received" {
		t.Errorf("doubts: %v", got.GetDoubts())
	}
	if len(got.GetTransitions()) != 2 || got.GetTransitions()[0].GetKind() != string(cluster.EventNodeAlive) || got.GetFlaps() != 1 {
		t.Errorf("history: %v, flaps %d", got.GetTransitions(), got.GetFlaps())
	}
	if _, err := r.client("viewer").ExplainMember(t.Context(), &adminpb.ExplainMemberRequest{Node: 9}); err == nil {
		t.Error("n9 was explained")
	}
}

func TestInspectRaft(t *testing.T) {
	r := newRig(t)
	got, err := r.client("viewer").InspectRaft(t.Context(), &adminpb.InspectRaftRequest{Range: 2})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, x := range got.GetReplicas() {
		states = append(states, x.GetState())
	}
	if want := []string{"follower", "follower", "missing"}; !slices.Equal(states, want) && !slices.Equal(states, []string{"leader", "follower", "missing"}) && !slices.Equal(states, []string{"follower", "leader", "missing"}) {
		t.Errorf("states %v, want those of n1 and n2, and missing", states)
	}
	if x := got.GetReplicas()[0]; x.GetTerm() != 7 || x.GetFirstIndex() != 11 || x.GetLastIndex() != 50 || x.GetRole() != "voter" {
		t.Errorf("n1: %v", x)
	}
	var l *adminpb.Lease
	for _, x := range got.GetReplicas() {
		if x.GetState() == "leader" {
			l = x.GetLease()
		} else if x.GetLease() != nil {
			t.Errorf("n%d leads not, and has a lease: %v", x.GetNode(), x.GetLease())
		}
	}
	l = cmp.Or(l, got.GetRange().GetLease())
	if l.GetHeld() || l.GetLack() != "unbound" || l.GetWhy() != "not bound to the leader yet: n2" || l.GetReadsLeased() != 6 || l.GetReadsConfirmed() != 3 || l.GetReadsRefused() != 1 || l.GetAsleep() ||
		l.GetVoters()[0].GetEpoch() != "" || l.GetVoters()[1].GetEpoch() != "4.2" {
		t.Errorf("lease: %v", l)
	}
	if _, err := r.client("viewer").InspectRaft(t.Context(), &adminpb.InspectRaftRequest{Range: 99}); err == nil {
		t.Error("r99 was inspected")
	}
}

// TestListSupport: the supporter's word counts, and that of the supported if the
// supporter is silent.
func TestListSupport(t *testing.T) {
	r := newRig(t)
	e := cluster.SupportEpoch{Boot: cluster.NewBoot(4, 7), Count: 2}
	r.backend.change(func(*metastate.View) {
		r.backend.statuses[1].Peers = map[cluster.NodeID]cluster.PeerStatus{
			2: {Given: cluster.Support{Epoch: e, Live: true, Left: 0.9}, Received: cluster.Support{Epoch: e, Ended: 5}},
			3: {Given: cluster.Support{Epoch: e, Ended: 1, Cause: cluster.SupportSilent}, Received: cluster.Support{Epoch: e, Live: true, Left: 0.5}},
		}
		r.backend.statuses[2].Peers = map[cluster.NodeID]cluster.PeerStatus{1: {Given: cluster.Support{Epoch: e, Ended: 6, Cause: cluster.SupportStalled}}}
		delete(r.backend.statuses, 3)
	})
	tell := func(node uint32) string {
		t.Helper()
		got, err := r.client("viewer").ListSupport(t.Context(), &adminpb.ListSupportRequest{Node: node})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range got.GetSupport() {
			out = append(out, fmt.Sprintf("n%d>n%d %v %s %d %s by n%d", s.GetFrom(), s.GetTo(), s.GetLive(), s.GetEpoch(), s.GetEnded(), s.GetCause(), s.GetToldBy()))
		}
		return strings.Join(out, "; ")
	}
	if got, want := tell(0), "n1>n2 true 4.2 0  by n1; n1>n3 false 4.2 1 silent by n1; n2>n1 false 4.2 6 stalled by n2; n3>n1 true 4.2 0  by n1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := tell(3), "n1>n3 false 4.2 1 silent by n1; n3>n1 true 4.2 0  by n1"; got != want {
		t.Errorf("with n3: got %s, want %s", got, want)
	}
	if _, err := r.client("viewer").ListSupport(t.Context(), &adminpb.ListSupportRequest{Node: 9}); err == nil {
		t.Error("n9 has support")
	}
}

func TestListEvents(t *testing.T) {
	r := newRig(t)
	r.backend.change(func(v *metastate.View) {
		for i, kind := range []cluster.EventKind{cluster.EventNodeSuspect, cluster.EventRangeMoved, cluster.EventOperation(cluster.OpFailed)} {
			v.Events = append(v.Events, &cluster.Event{Sequence: uint64(i + 5), Time: time.Now().Add(time.Duration(i-3) * time.Hour), Kind: kind, Node: cluster.NodeID(i + 1), Range: cluster.RangeID(2 * i)})
		}
	})
	for name, c := range map[string]struct {
		filter *adminpb.EventFilter
		limit  uint32
		want   []uint64
	}{
		"all":    {nil, 0, []uint64{5, 6, 7}},
		"after":  {&adminpb.EventFilter{After: 5}, 0, []uint64{6, 7}},
		"noun":   {&adminpb.EventFilter{Kinds: []string{"node", "operation"}}, 0, []uint64{5, 7}},
		"prefix": {&adminpb.EventFilter{Kinds: []string{"nod"}}, 0, nil},
		"node":   {&adminpb.EventFilter{Node: 2}, 0, []uint64{6}},
		"range":  {&adminpb.EventFilter{Range: 4}, 0, []uint64{7}},
		"newest": {nil, 1, []uint64{7}},
	} {
		got, err := r.client("viewer").ListEvents(t.Context(), &adminpb.ListEventsRequest{Filter: c.filter, Limit: c.limit})
		if err != nil {
			t.Fatal(err)
		}
		var seen []uint64
		for _, e := range got.GetEvents() {
			seen = append(seen, e.GetSequence())
		}
		if !slices.Equal(seen, c.want) || got.GetFirst() != 5 {
			t.Errorf("%s: events %v from %d, want %v from 5", name, seen, got.GetFirst(), c.want)
		}
	}
	r.backend.change(func(v *metastate.View) {
		v.Events = []*cluster.Event{{Sequence: 8, Kind: cluster.EventTokenCreated}, {Sequence: 9, Kind: cluster.EventUserChanged}, {Sequence: 10, Kind: cluster.EventNodeActive}}
	})
	for who, want := range map[string]int{"viewer": 1, "operator": 1, "admin": 3} {
		if got, err := r.client(who).ListEvents(t.Context(), &adminpb.ListEventsRequest{}); err != nil || len(got.GetEvents()) != want {
			t.Errorf("events of credentials as %s: got %v %v, want %d", who, got.GetEvents(), err, want)
		}
	}
}

// TestTheMetaRangeOfFive: it has a voter on each of five nodes; with four it lacks
// none that a range must have.
func TestTheMetaRangeOfFive(t *testing.T) {
	d := cluster.RangeDescriptor{ID: cluster.MetaRangeID, Generation: 1, NextReplica: 6}
	f := &rangeSight{}
	s := &sight{Observation: &Observation{View: &metastate.View{}, Liveness: map[cluster.NodeID]cluster.Liveness{}}}
	snap := &placement.Snapshot{}
	for id := cluster.NodeID(1); id <= 5; id++ {
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: id, Replica: cluster.ReplicaID(id), Role: cluster.Voter})
		f.see(id, &cluster.RangeStatus{Descriptor: d, Leader: 1})
		s.Liveness[id] = cluster.Alive
		snap.Nodes = append(snap.Nodes, placement.Node{ID: id, Membership: cluster.Active, Liveness: cluster.Alive})
	}
	snap.Ranges = []placement.Range{{Descriptor: d, Leader: 1}}
	f.descriptor, f.leader, s.Snapshot = &d, f.on(1), snap.Sort()
	for lost, want := range []string{rangeHealthy, rangeHealthy, rangeHealthy, rangeNoQuorum} {
		if lost > 0 {
			id := cluster.NodeID(6 - lost)
			f.see(id, nil)
			s.Liveness[id] = cluster.Dead
		}
		if got := s.judge(f); got != want {
			t.Errorf("%d of 5 voters lost: %s, want %s", lost, got, want)
		}
	}
}

// TestAReplicaThatMetNewerBytes: making it anew does not help, a newer binary does.
func TestAReplicaThatMetNewerBytes(t *testing.T) {
	r := newRig(t)
	r.backend.change(func(*metastate.View) { r.backend.statuses[3].Ranges[1].Failed = gate.Newer("batch format 2").Error() })
	got, err := r.client("viewer").Check(t.Context(), &adminpb.CheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got.GetRules() {
		if x.GetCode() == "REPLICA_FAILED" && strings.HasSuffix(x.GetText(), "start n3 with the newer nodedb-agent") && x.GetCommand() == "nodedbctl upgrade status" {
			return
		}
	}
	t.Errorf("rules: %v", got.GetRules())
}
