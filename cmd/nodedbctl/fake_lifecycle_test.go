package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// events are what has happened in the fake cluster.
func events() []*adminpb.Event {
	at := func(ago time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-ago)) }
	return []*adminpb.Event{
		{Sequence: 1, Time: at(3 * time.Hour), Kind: "cluster.created", Severity: "info", Text: "cluster test was created with n1", Node: 1, By: "root"},
		{Sequence: 2, Time: at(2 * time.Hour), Kind: "range.moved", Severity: "info", Text: "r2 moved from n4 to n3", Node: 3, Range: 2, By: "n1"},
		{Sequence: 3, Time: at(5 * time.Minute), Kind: "node.suspect", Severity: "warn", Text: "n4 is suspect, before alive", Node: 4, Source: 1},
		{Sequence: 4, Time: at(4 * time.Minute), Kind: "node.dead", Severity: "error", Text: "n4 is dead, before suspect", Node: 4, Source: 1},
	}
}

func (f *fakeCluster) ListEvents(_ context.Context, r *adminpb.ListEventsRequest) (*adminpb.ListEventsResponse, error) {
	out := &adminpb.ListEventsResponse{AsOf: asOf(), First: 1}
	for _, e := range events() {
		q := r.GetFilter()
		noun, _, _ := strings.Cut(e.GetKind(), ".")
		switch {
		case e.GetSequence() <= q.GetAfter(),
			q.GetSince() != nil && e.GetTime().AsTime().Before(q.GetSince().AsTime()),
			q.GetNode() != 0 && q.GetNode() != e.GetNode(),
			q.GetRange() != 0 && q.GetRange() != e.GetRange(),
			len(q.GetKinds()) > 0 && !slices.Contains(q.GetKinds(), e.GetKind()) && !slices.Contains(q.GetKinds(), noun):
			continue
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}

func (f *fakeCluster) Check(context.Context, *adminpb.CheckRequest) (*adminpb.CheckResponse, error) {
	return &adminpb.CheckResponse{AsOf: asOf(), Rules: []*adminpb.Rule{
		{Code: "NODE_DOWN", Severity: "error", Text: "n4 is dead; its replicas are re-created after 5m0s", Command: "nodedbctl members why n4", Nodes: []uint32{4}},
		{Code: "CERT_EXPIRY", Severity: "warn", Text: "the certificate of n2 expires in 12 days", Command: "nodedbctl cert renew n2", Nodes: []uint32{2}},
		{Code: "NO_QUORUM", Severity: "ok", Text: "every range has a quorum"},
		{Code: "DISK_HUNG", Severity: "unknown", Text: "no disk hangs, as far as is known: n4 did not answer", Nodes: []uint32{4}},
		{Code: "DISK_SLOW", Severity: "unknown", Text: "every disk syncs in time, as far as is known: n4 did not answer", Nodes: []uint32{4}},
	}}, nil
}

func (f *fakeCluster) ExplainMember(_ context.Context, r *adminpb.ExplainMemberRequest) (*adminpb.ExplainMemberResponse, error) {
	es := events()
	return &adminpb.ExplainMemberResponse{
		AsOf: asOf(), Member: &adminpb.Member{Node: r.GetNode(), Name: "n4", Liveness: "dead"}, Flaps: 2,
		Doubts: []*adminpb.Doubt{
			{Observer: 1, Liveness: "dead", Since: timestamppb.New(now.Add(-4 * time.Minute)), Cause: "no acks received", Breaker: "open", LastError: "connection refused"},
			{Observer: 2, Liveness: "suspect", Cause: "another node's accusation", Rtt: 0.0012, LastPing: timestamppb.New(now.Add(-time.Second)), Breaker: "closed"},
		},
		Transitions: []*adminpb.Event{es[3], es[2]}, Support: support(r.GetNode()),
	}, nil
}

// support is that of n2 and n1 for each other, and what n4 had before it died.
func support(node uint32) []*adminpb.Support {
	all := []*adminpb.Support{
		{From: 1, To: 2, Live: true, Epoch: "3.1", Since: timestamppb.New(now.Add(-3 * time.Hour)), Left: 0.82, Ceiling: timestamppb.New(now.Add(time.Second)), ToldBy: 1},
		{From: 1, To: 4, Epoch: "3.2", Since: timestamppb.New(now.Add(-4 * time.Minute)), Ended: 2, Cause: "silent", ToldBy: 1},
		{From: 2, To: 1, Live: true, Epoch: "1.4", Since: timestamppb.New(now.Add(-time.Minute)), Left: 0.9, Ended: 3, Cause: "stalled", ToldBy: 2},
		{From: 4, To: 1, Epoch: "7.1", Since: timestamppb.New(now.Add(-4 * time.Minute)), Ended: 1, ToldBy: 1},
	}
	return slices.DeleteFunc(all, func(s *adminpb.Support) bool { return node != 0 && s.GetFrom() != node && s.GetTo() != node })
}

func (f *fakeCluster) ListSupport(_ context.Context, r *adminpb.ListSupportRequest) (*adminpb.ListSupportResponse, error) {
	return &adminpb.ListSupportResponse{AsOf: asOf(), Support: support(r.GetNode())}, nil
}

// lease is one that n1 or n2 holds by the other's word, or, with n3 unbound, does not.
func lease(leader uint32, held bool) *adminpb.Lease {
	l := &adminpb.Lease{
		Held: held, Voters: []*adminpb.LeaseVoter{{Node: 3 - leader, Bound: true, Epoch: "1.4", Supports: held}, {Node: 3}}, Awake: "a replica is not bound to the leader: its node is away, or not yet asked",
		ReadsLeased: 1200, ReadsConfirmed: 14, ReadsRefused: 2,
	}
	if !held {
		l.Lack, l.Why = "unsupported", "no promise of support counts from n2, n3"
	}
	return l
}

func (f *fakeCluster) VerifyRange(_ context.Context, r *adminpb.VerifyRangeRequest) (*adminpb.VerifyRangeResponse, error) {
	c := &adminpb.Comparison{Index: 90, At: timestamppb.New(now.Add(-time.Second)), Same: []uint32{1, 2, 3}}
	switch r.GetRange() {
	case 1:
		c.Same, c.Differ = []uint32{1, 3}, []uint32{2}
	case 3:
		c.Same, c.Untold = []uint32{1, 2}, []uint32{3}
	}
	return &adminpb.VerifyRangeResponse{AsOf: asOf(), Range: r.GetRange(), Comparison: c}, nil
}

func (f *fakeCluster) InspectRaft(ctx context.Context, r *adminpb.InspectRaftRequest) (*adminpb.InspectRaftResponse, error) {
	ranges, err := f.ListRanges(ctx, &adminpb.ListRangesRequest{Ids: []uint32{r.GetRange()}})
	if err != nil {
		return nil, err
	}
	return &adminpb.InspectRaftResponse{AsOf: asOf(), Range: ranges.GetRanges()[0], Replicas: []*adminpb.RaftState{
		{Node: 1, Replica: 1, Role: "voter", State: "leader", Term: 7, Vote: 1, Leader: 1, Commit: 90, Applied: 90, FirstIndex: 11, LastIndex: 90, LogBytes: 4096, Generation: 17,
			Progress: []*adminpb.Replica{{Node: 2, Replica: 2, Role: "voter", Match: 90, Active: true}}, Lease: lease(1, true), LeaseLeft: 0.71},
		{Node: 2, Replica: 2, Role: "voter", State: "follower", Term: 7, Vote: 1, Leader: 1, Commit: 90, Applied: 89, FirstIndex: 11, LastIndex: 90, LogBytes: 4096, Generation: 17, Asleep: true, BoundTo: 1, BoundTerm: 7},
		{Node: 3, Replica: 3, Role: "voter", State: "missing"},
	}}, nil
}

// control changes the operation, if there is one that may be.
func (f *fakeCluster) control(id string, change func(*adminpb.Operation)) (*adminpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.ops[id]
	switch {
	case o == nil:
		return nil, refuse(connect.CodeNotFound, "there is no operation "+id, &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	case o.GetState() == "succeeded":
		return nil, refuse(connect.CodeAborted, "operation "+id+" has ended: succeeded", &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_CONFLICT, OperationId: id})
	}
	o = clone(o)
	change(o)
	f.ops[id] = o
	return o, nil
}

func (f *fakeCluster) PauseOperation(_ context.Context, r *adminpb.PauseOperationRequest) (*adminpb.PauseOperationResponse, error) {
	o, err := f.control(r.GetId(), func(o *adminpb.Operation) { o.State, o.Why = "paused", "paused by root: "+r.GetReason() })
	return &adminpb.PauseOperationResponse{Operation: o}, err
}

func (f *fakeCluster) ResumeOperation(_ context.Context, r *adminpb.ResumeOperationRequest) (*adminpb.ResumeOperationResponse, error) {
	o, err := f.control(r.GetId(), func(o *adminpb.Operation) { o.State = "running" })
	return &adminpb.ResumeOperationResponse{Operation: o}, err
}

func (f *fakeCluster) LimitOperation(_ context.Context, r *adminpb.LimitOperationRequest) (*adminpb.LimitOperationResponse, error) {
	o, err := f.control(r.GetId(), func(o *adminpb.Operation) {
		o.Limit, o.Rate, o.EtaSeconds, o.EtaLow, o.EtaHigh, o.ItemsTotal = r.GetRate(), 30<<20, 600, 500, 900, 12
		o.Items = []*adminpb.Item{
			{Range: 812, From: 4, To: 2, Step: "snapshot", Bytes: 1 << 20},
			{Range: 441, From: 4, To: 5, Step: "blocked", Why: "DISK n5 would pass 80 %", Needs: "a node with room", Attempts: 2, RetryAt: timestamppb.New(time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC))},
		}
		o.Next = []*adminpb.Fix{{Text: "pause it", Command: "nodedbctl ops pause " + o.Id}}
	})
	return &adminpb.LimitOperationResponse{Operation: o}, err
}

// Watch tells the events that are kept once more, and one that is new.
func (f *fakeCluster) Watch(ctx context.Context, r *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
	es := append(events(), &adminpb.Event{Sequence: 5, Time: timestamppb.New(now), Kind: "node.alive", Severity: "info", Text: "n4 is alive again", Node: 4})
	if err := out.Send(&adminpb.WatchResponse{AsOf: asOf(), Resume: "a", Events: es}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
