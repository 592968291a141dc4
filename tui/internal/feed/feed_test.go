package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

func ids[T any](list []T, id func(T) uint32) (out []uint32) {
	for _, x := range list {
		out = append(out, id(x))
	}
	return out
}

func nodes(list ...uint32) (out []*adminpb.Node) {
	for _, id := range list {
		out = append(out, &adminpb.Node{Id: id})
	}
	return out
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		old, changed, gone, want []uint32
	}{
		{nil, []uint32{3, 1, 2}, nil, []uint32{1, 2, 3}},
		{[]uint32{1, 3, 5}, []uint32{2, 3, 9}, nil, []uint32{1, 2, 3, 5, 9}},
		{[]uint32{1, 2, 3}, nil, []uint32{2}, []uint32{1, 3}},
		{[]uint32{1}, []uint32{2, 2}, []uint32{1}, []uint32{2}},
	} {
		old := nodes(c.old...)
		got := merge(old, nodes(c.changed...), c.gone, (*adminpb.Node).GetId, func(_, _ *adminpb.Node) {})
		if !slices.Equal(ids(got, (*adminpb.Node).GetId), c.want) {
			t.Errorf("%+v: got %v", c, ids(got, (*adminpb.Node).GetId))
		}
		if !slices.Equal(ids(old, (*adminpb.Node).GetId), c.old) {
			t.Errorf("%+v: the old list was changed", c)
		}
	}
}

func TestResetForgetsOnlyItsTopics(t *testing.T) {
	var st state
	now := time.Unix(1000, 0)
	st.apply(&adminpb.WatchResponse{Reset_: true, Nodes: nodes(1, 2), Ranges: []*adminpb.Range{{Id: 7}}}, []string{Nodes, Ranges}, now)
	before := st.publish()
	st.apply(&adminpb.WatchResponse{Reset_: true, Nodes: nodes(2)}, []string{Nodes, Status}, now)
	after := st.publish()
	if len(before.Nodes) != 2 || len(after.Nodes) != 1 || len(after.Ranges) != 1 {
		t.Errorf("before %v, after %v and %d ranges", before.Nodes, after.Nodes, len(after.Ranges))
	}
	if after.Has(Status) || !after.Has(Nodes) || !after.Has(Ranges) {
		t.Errorf("has: %v", after.have)
	}
	if after.Revision == before.Revision {
		t.Error("the revision did not grow")
	}
	st.apply(&adminpb.WatchResponse{AsOf: &adminpb.AsOf{MetaIndex: 9}}, []string{Nodes}, now.Add(time.Second))
	if s := st.publish(); s.Revision != after.Revision || !s.At.After(after.At) || s.AsOf.GetMetaIndex() != 9 {
		t.Errorf("a heartbeat made %+v", s)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var st state
	now := time.Unix(1000, 0)
	for i := range 2500 {
		now = now.Add(time.Second)
		st.apply(&adminpb.WatchResponse{
			Reset_: i == 0, Events: []*adminpb.Event{{Sequence: uint64(i + 1)}}, Ranges: []*adminpb.Range{{Id: 1, Leader: 1, ReadsPerSecond: float64(i)}},
			Operations: []*adminpb.Operation{{Id: fmt.Sprint("op-", i), CreatedAt: timestamppb.New(now)}},
		}, []string{Events, Operations, Ranges}, now)
	}
	s := st.publish()
	if len(s.Events) != eventsKept || len(s.Operations) != operationsKept || len(s.Load.Reads) != samples || len(s.Load.Of(1).Both) != nodeSamples {
		t.Errorf("%d events, %d operations, %d samples, %d of a node", len(s.Events), len(s.Operations), len(s.Load.Reads), len(s.Load.Of(1).Both))
	}
	if s.Events[len(s.Events)-1].GetSequence() != 2500 || s.Operations[0].GetId() != "op-2499" || s.Load.Reads[samples-1] != 2499 {
		t.Error("the newest is not kept")
	}
	st.apply(&adminpb.WatchResponse{Events: []*adminpb.Event{{Sequence: 17}}}, []string{Events}, now)
	if len(st.publish().Events) != eventsKept {
		t.Error("an event that was seen was added again")
	}
}

func TestSilenceIsFilledInTheCharts(t *testing.T) {
	var l *Load
	var now sums
	first := &adminpb.Range{Id: 1, Leader: 2, ReadsPerSecond: 5}
	now.swap(nil, first)
	l = l.sample(&now, nil, 1)
	now.swap(first, &adminpb.Range{Id: 1, Leader: 3, ReadsPerSecond: 8})
	l = l.sample(&now, []*adminpb.Node{{Id: 2, StatementsPerSecond: 3, LatencyP99: 0.002}, {Id: 4, StatementsPerSecond: 4, LatencyP99: 0.007}}, 4)
	if want := []float64{5, 5, 5, 5, 8}; !slices.Equal(l.Reads, want) {
		t.Errorf("got %v, want %v", l.Reads, want)
	}
	if l.Slowest != 4 || l.Latency[4] != 0.007 || l.Statements[4] != 7 {
		t.Errorf("the slowest is n%d: %v; %v statements", l.Slowest, l.Latency, l.Statements)
	}
	if l.Of(2).Reads != 0 || l.Of(3).Reads != 8 {
		t.Errorf("n2 has %v, n3 %v", l.Of(2), l.Of(3))
	}
}

// sink collects what a feed sends.
type sink struct {
	mu    sync.Mutex
	snaps []*Snapshot
	links []Link
}

func (s *sink) send(msg any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := msg.(type) {
	case *Snapshot:
		s.snaps = append(s.snaps, m)
	case Link:
		s.links = append(s.links, m)
	}
}

func (s *sink) take() ([]*Snapshot, []Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snaps, links := s.snaps, s.links
	s.snaps, s.links = nil, nil
	return snaps, links
}

func TestNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		watch := func(ctx context.Context, _ *adminpb.WatchRequest, changed Changed, _ func(error)) error {
			for i := range 1000 {
				if err := changed(&adminpb.WatchResponse{Reset_: i == 0, Nodes: nodes(uint32(i + 1))}, time.Now()); err != nil {
					return err
				}
				<-time.After(time.Millisecond)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		f := New(watch, 100*time.Millisecond, time.Now, out.send)
		f.Subscribe(Nodes)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		<-time.After(2 * time.Second)
		snaps, links := out.take()
		if n := len(snaps); n < 5 || n > 12 {
			t.Errorf("%d snapshots of 1000 responses in a second, want about 10", n)
		}
		if last := snaps[len(snaps)-1]; len(last.Nodes) != 1000 {
			t.Errorf("the last has %d nodes, want 1000", len(last.Nodes))
		}
		if len(links) != 2 || links[0].State != Connecting || links[1].State != Live {
			t.Errorf("links: %+v", links)
		}
		cancel()
		<-done
	})
}

func TestConnectsAgainForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		attempts := 0
		watch := func(ctx context.Context, _ *adminpb.WatchRequest, changed Changed, _ func(error)) error {
			if attempts++; attempts < 12 {
				return errors.New("refused")
			}
			if err := changed(&adminpb.WatchResponse{Reset_: true, Nodes: nodes(1)}, time.Now()); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
		f := New(watch, 100*time.Millisecond, time.Now, out.send)
		f.Subscribe(Nodes)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		<-time.After(2 * time.Minute)
		snaps, links := out.take()
		if attempts != 12 || len(snaps) != 1 || links[len(links)-1].State != Live {
			t.Errorf("%d attempts, %d snapshots, at last %+v", attempts, len(snaps), links[len(links)-1])
		}
		lost := 0
		for _, l := range links {
			if l.State == Lost {
				if lost++; l.Attempt != lost || l.Err == nil || time.Until(l.Next) > 0 {
					t.Errorf("lost for the %d. time: %+v", lost, l)
				}
			}
		}
		cancel()
		<-done
	})
}

func TestSubscribeChangesTheTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		var mu sync.Mutex
		var asked [][]string
		watch := func(ctx context.Context, r *adminpb.WatchRequest, changed Changed, _ func(error)) error {
			mu.Lock()
			asked = append(asked, r.GetTopics())
			mu.Unlock()
			if err := changed(&adminpb.WatchResponse{Reset_: true}, time.Now()); err != nil {
				return err
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}
		f := New(watch, 100*time.Millisecond, time.Now, out.send)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		synctest.Wait() // nothing is wanted yet
		f.Subscribe(Status)
		synctest.Wait()
		f.Subscribe(Status, Nodes)
		synctest.Wait()
		f.Subscribe(Status, Nodes) // the same: nothing is opened anew
		synctest.Wait()
		mu.Lock()
		if len(asked) != 2 || !slices.Equal(asked[0], []string{Status}) || !slices.Equal(asked[1], []string{Status, Nodes}) {
			t.Errorf("asked for %v", asked)
		}
		mu.Unlock()
		_, links := out.take()
		for _, l := range links {
			if l.State == Lost {
				t.Errorf("a change of topics was told as a loss: %+v", l)
			}
		}
		cancel()
		<-done
	})
}
