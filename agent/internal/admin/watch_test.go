package admin

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// watch opens a watch as user.
func (r *rig) watch(user string, req *adminpb.WatchRequest) adminpb.AdminWatchClientStream {
	r.t.Helper()
	if req.GetInterval() == 0 {
		req.Interval = intervalLeast
	}
	s, err := r.client(user).Watch(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// until receives until a response satisfies ok.
func until(t *testing.T, s adminpb.AdminWatchClientStream, ok func(*adminpb.WatchResponse) bool) *adminpb.WatchResponse {
	t.Helper()
	for {
		m, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if ok(m) {
			return m
		}
	}
}

func isReset(m *adminpb.WatchResponse) bool { return m.GetReset_() }

// setStatus replaces what a node says of itself; nil: it does not answer.
func (b *fakeBackend) setStatus(id cluster.NodeID, fn func(*cluster.NodeStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.statuses = maps.Clone(b.statuses)
	if fn == nil {
		delete(b.statuses, id)
		return
	}
	st := *b.statuses[id]
	st.Ranges = slices.Clone(st.Ranges)
	fn(&st)
	b.statuses[id] = &st
}

func TestWatchSendsWhatChanged(t *testing.T) {
	r := newRig(t)
	s := r.watch("viewer", &adminpb.WatchRequest{Topics: []string{"status", "nodes", "ranges", "operations", "members", "rebalance", "events"}})
	first := until(t, s, func(*adminpb.WatchResponse) bool { return true })
	if !first.GetReset_() || len(first.GetNodes()) != 3 || len(first.GetRanges()) != 5 || first.GetStatus().GetHealth() != healthGood || len(first.GetMembers().GetMembers()) != 3 || first.GetResume() == "" {
		t.Fatalf("first response: got %v, want all of it", first)
	}
	r.backend.setStatus(2, func(st *cluster.NodeStatus) { st.Sessions = 7 })
	m := until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetNodes()) > 0 })
	if m.GetReset_() || len(m.GetNodes()) != 1 || m.GetNodes()[0].GetSessions() != 7 || len(m.GetRanges()) != 0 || m.GetStatus() != nil || m.GetMembers() != nil {
		t.Errorf("after a change of n2: got %v, want n2 alone", m)
	}
	r.backend.change(func(v *metastate.View) {
		v.Operations["op-1"] = &cluster.Operation{ID: "op-1", State: cluster.OpRunning}
	})
	m = until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetOperations()) > 0 })
	if m.GetOperations()[0].GetId() != "op-1" || len(m.GetNodes()) != 0 {
		t.Errorf("after an operation began: got %v", m)
	}
	r.backend.change(func(v *metastate.View) {
		v.Ranges = v.Ranges.Without(5)
		for id := cluster.NodeID(1); id <= 3; id++ {
			go r.backend.setStatus(id, func(st *cluster.NodeStatus) { st.Ranges = st.Ranges[:4] })
		}
	})
	m = until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetRangesGone()) > 0 })
	if !slices.Equal(m.GetRangesGone(), []uint32{5}) {
		t.Errorf("after r5 is gone: got %v", m)
	}
}

func TestWatchIsNarrowed(t *testing.T) {
	r := newRig(t)
	s := r.watch("viewer", &adminpb.WatchRequest{Topics: []string{"nodes", "ranges"}, Nodes: []uint32{2}, Ranges: []uint32{4, 1}})
	m := until(t, s, isReset)
	if len(m.GetNodes()) != 1 || m.GetNodes()[0].GetId() != 2 || len(m.GetRanges()) != 2 || m.GetRanges()[0].GetId() != 1 || m.GetRanges()[1].GetId() != 4 || m.GetStatus() != nil {
		t.Errorf("got %v, want n2, r1 and r4", m)
	}
}

func TestWatchResumes(t *testing.T) {
	r := newRig(t)
	req := &adminpb.WatchRequest{Topics: []string{"nodes", "ranges"}}
	s := r.watch("viewer", req)
	req.Resume = until(t, s, isReset).GetResume()
	_ = s.Close()
	r.backend.setStatus(3, func(st *cluster.NodeStatus) { st.Sessions = 9 })
	m := until(t, r.watch("viewer", req), func(m *adminpb.WatchResponse) bool { return m.GetReset_() || len(m.GetNodes()) > 0 })
	if m.GetReset_() || len(m.GetNodes()) != 1 || m.GetNodes()[0].GetId() != 3 {
		t.Errorf("resumed: got %v, want n3 alone", m)
	}
	epoch, rest, _ := strings.Cut(req.GetResume(), ".")
	for name, bad := range map[string]string{
		"another node": "0000." + rest, "the future": epoch + ".99999999.0." + rest[strings.LastIndex(rest, ".")+1:],
		"another watch": epoch + ".1.0.zzz", "garbage": "\x00", "long": strings.Repeat("9", 4000),
	} {
		m := until(t, r.watch("viewer", &adminpb.WatchRequest{Topics: req.GetTopics(), Resume: bad}), func(*adminpb.WatchResponse) bool { return true })
		if !m.GetReset_() || len(m.GetNodes()) != 3 {
			t.Errorf("token of %s: got %v, want a reset", name, m)
		}
	}
}

func TestBadWatchesAreRefused(t *testing.T) {
	r := newRig(t)
	for name, req := range map[string]*adminpb.WatchRequest{
		"no topic":      {},
		"unknown topic": {Topics: []string{"weather"}},
		"too often":     {Topics: []string{"nodes"}, Interval: 0.01},
		"too seldom":    {Topics: []string{"nodes"}, Interval: 61},
		"backwards":     {Topics: []string{"nodes"}, Interval: -1},
		"too narrow":    {Topics: []string{"nodes"}, Ranges: make([]uint32, narrowMost+1)},
	} {
		s, err := r.client("viewer").Watch(t.Context(), req)
		if err == nil {
			_, err = s.Receive()
			_ = s.Close()
		}
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: got %v, want invalid argument", name, err)
		}
	}
}

func TestOneLookServesAllWatches(t *testing.T) {
	r := newRig(t)
	req := &adminpb.WatchRequest{Topics: []string{"nodes"}}
	var all []adminpb.AdminWatchClientStream
	for range 8 {
		s := r.watch("viewer", req)
		until(t, s, isReset)
		all = append(all, s)
	}
	before := r.backend.observed.Load()
	r.backend.setStatus(1, func(st *cluster.NodeStatus) { st.Sessions = 1 })
	for _, s := range all {
		until(t, s, func(m *adminpb.WatchResponse) bool { return len(m.GetNodes()) > 0 })
	}
	// More than one may have been made meanwhile, on a slow machine; not one each.
	if n := r.backend.observed.Load() - before; n >= int64(len(all)) {
		t.Errorf("%d watches were told of one change by %d fan-outs", len(all), n)
	}
	for _, s := range all {
		_ = s.Close()
	}
	eventually(t, "the loop ends without watches", func() bool {
		r.server.hub.mu.Lock()
		defer r.server.hub.mu.Unlock()
		return !r.server.hub.mu.running
	})
}

func TestWatchesAreLimited(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	for range watchesMost {
		s, err := c.Watch(t.Context(), &adminpb.WatchRequest{Topics: []string{"nodes"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		until(t, s, isReset)
	}
	s, err := c.Watch(t.Context(), &adminpb.WatchRequest{Topics: []string{"nodes"}})
	if err == nil {
		_, err = s.Receive()
		_ = s.Close()
	}
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one watch too many: got %v, want unavailable", err)
	}
}

func TestWatchEndsWithTheRights(t *testing.T) {
	r := newRig(t)
	id, token, hash := auth.NewBearerToken()
	r.backend.change(func(v *metastate.View) {
		v.Tokens[id] = &metastate.Token{ID: id, Owner: "operator", Role: "operator", Hash: hash[:]}
	})
	open := func(c adminpb.AdminClient) adminpb.AdminWatchClientStream {
		t.Helper()
		s, err := c.Watch(t.Context(), &adminpb.WatchRequest{Topics: []string{"nodes"}, Interval: intervalMost})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		until(t, s, isReset)
		return s
	}
	end := func(s adminpb.AdminWatchClientStream) connect.Code {
		for {
			if _, err := s.Receive(); err != nil {
				return connect.CodeOf(err)
			}
		}
	}
	byToken, byCert := open(r.tokenClient(token)), open(r.client("operator"))
	began := time.Now()
	r.backend.change(func(v *metastate.View) {
		gone := *v.Tokens[id]
		gone.RevokedAt = time.Now()
		v.Tokens[id] = &gone
	})
	if code := end(byToken); code != connect.CodeUnauthenticated {
		t.Errorf("revoked token: got %v, want unauthenticated", code)
	}
	r.backend.change(func(v *metastate.View) { v.Users["operator"] = &metastate.User{Name: "operator", AdminRole: "viewer"} })
	if code := end(byCert); code != connect.CodeUnavailable {
		t.Errorf("role lowered: got %v, want unavailable", code)
	}
	t.Logf("both watches ended within %s", time.Since(began))
}

func TestViewersSeeNoStatements(t *testing.T) {
	o := &adminpb.Operation{Id: "op-1", Blockers: []*adminpb.Blocker{{Node: 2, Statement: "UPDATE secrets"}}}
	if got := discreet(auth.RoleViewer, o); got.GetBlockers()[0].GetStatement() != "" || got.GetBlockers()[0].GetNode() != 2 {
		t.Errorf("viewer: got %v", got)
	}
	if o.GetBlockers()[0].GetStatement() == "" || discreet(auth.RoleOperator, o) != o {
		t.Error("the operation that others see was changed")
	}
}

func TestWatchAsLines(t *testing.T) {
	r := newRig(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/nodedb.admin.v1.Admin/Watch", strings.NewReader(`{"topics":["nodes"]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := r.http("viewer").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"reset"`) || !strings.Contains(lines.Text(), `"n2"`) {
		t.Errorf("first line: %q %v", lines.Text(), lines.Err())
	}
}

func TestEventsOfAWatch(t *testing.T) {
	at := time.Unix(1000, 0)
	events := []*adminpb.Event{
		{Sequence: 5, Kind: "node.suspect", Node: 2, Time: timestamp(at)}, {Sequence: 6, Kind: "operation.started", Time: timestamp(at.Add(time.Second))},
		{Sequence: 7, Kind: "nodes", Node: 3, Range: 4, Time: timestamp(at.Add(2 * time.Second))},
		{Sequence: 8, Kind: "token.created", Time: timestamp(at)}, // not for a viewer
	}
	for name, c := range map[string]struct {
		filter *adminpb.EventFilter
		want   string
	}{
		"all":       {nil, "[5 6 7]"},
		"after":     {&adminpb.EventFilter{After: 5}, "[6 7]"},
		"prefix":    {&adminpb.EventFilter{Kinds: []string{"node"}}, "[5]"},
		"whole":     {&adminpb.EventFilter{Kinds: []string{"nodes", "operation.started"}}, "[6 7]"},
		"node":      {&adminpb.EventFilter{Node: 3}, "[7]"},
		"range":     {&adminpb.EventFilter{Range: 5}, "[]"},
		"since":     {&adminpb.EventFilter{Since: timestamp(at.Add(time.Second))}, "[6 7]"},
		"two of it": {&adminpb.EventFilter{Since: timestamp(at.Add(time.Second)), Node: 2}, "[]"},
	} {
		w, err := newWatching(&adminpb.WatchRequest{Topics: []string{"events"}, Events: c.filter}, auth.RoleViewer)
		if err != nil {
			t.Fatal(err)
		}
		got := []uint64{}
		for _, e := range events {
			if w.wantsEvent(e) {
				got = append(got, e.GetSequence())
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

// TestLedgerAgainstAModel makes random changes and asks at random stamps: whoever
// applies what it is told has the same as whoever is told all.
func TestLedgerAgainstAModel(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	l := newLedger[int](func(a, b string) bool { return a == b })
	model := map[int]string{}
	type reader struct {
		seen uint64
		has  map[int]string
	}
	readers := make([]reader, 5)
	for stamp := uint64(1); stamp < 3000; stamp++ {
		for range rng.IntN(4) {
			model[int(stamp)+rng.IntN(50)] = fmt.Sprint(rng.IntN(3))
			delete(model, int(stamp)-rng.IntN(50))
		}
		l.apply(l.compare(model), stamp)
		r := &readers[rng.IntN(len(readers))]
		if r.seen < l.lost {
			*r = reader{}
		}
		if r.seen == 0 {
			r.has = map[int]string{}
		}
		for _, at := range l.entriesSince(r.seen) {
			if at.gone {
				delete(r.has, at.key)
			} else {
				r.has[at.key] = at.value
			}
		}
		r.seen = stamp
		if !maps.Equal(r.has, model) {
			t.Fatalf("seed %d: at stamp %d a reader has %d items, want %d", seed, stamp, len(r.has), len(model))
		}
		if l.gone > goneMost || len(l.entries) != len(model)+l.gone {
			t.Fatalf("seed %d: %d entries, %d of them gone, for %d items", seed, len(l.entries), l.gone, len(model))
		}
	}
	if l.lost == 0 {
		t.Errorf("seed %d: nothing was forgotten: the test does not test it", seed)
	}
}

// eventually waits for a condition that no signal tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// TestASlowCallerIsLetGo opens a watch and does not read: the node lets go of it.
func TestASlowCallerIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe() // without buffers: nothing is written that is not read
		l := &oneConn{conn: make(chan net.Conn, 1), addr: server.LocalAddr()}
		l.conn <- server
		ended := make(chan error, 1)
		srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: writeDeadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for err == nil {
				_, err = w.Write(make([]byte, 1<<16))
			}
			ended <- err
		}))}
		go func() { _ = srv.Serve(l) }()
		go func() { _, _ = client.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) }()
		began := time.Now()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 2*writeWait {
			t.Errorf("got %v after %s, want the deadline's", err, time.Since(began))
		}
		_ = srv.Close()
		_ = client.Close()
	})
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn chan net.Conn
	addr net.Addr
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conn
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.conn) }); return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }

// TestBriefCountsAll: what a watch shows of an operation's items is cut, their
// number is not: a decommission's record holds the first of many itself.
func TestBriefCountsAll(t *testing.T) {
	long := &cluster.Operation{ID: "op-1", ItemsTotal: 5000, Items: make([]cluster.Item, itemsShown+1)}
	if o := brief(operationProto(long, 1)); o.GetItemsTotal() != 5000 || len(o.GetItems()) != itemsShown {
		t.Errorf("got %d items of %d, want %d of 5000", len(o.GetItems()), o.GetItemsTotal(), itemsShown)
	}
}

// TestNextStepsOfThePreempted: nobody is told to resume what goes on by itself, and
// cannot be resumed before.
func TestNextStepsOfThePreempted(t *testing.T) {
	resumes := func(o *cluster.Operation) bool {
		return slices.ContainsFunc(nextSteps(o), func(f *adminpb.Fix) bool { return strings.Contains(f.GetCommand(), "ops resume") })
	}
	for _, o := range []*cluster.Operation{
		{State: cluster.OpPaused, PreemptedBy: "op-2"},
		{State: cluster.OpPaused},
		{State: cluster.OpPaused, PreemptedBy: "op-2", Held: "paused by alice"},
	} {
		if got, want := resumes(o), o.PreemptedBy == "" || o.Held != ""; got != want {
			t.Errorf("preempted by %q, held %q: resume is offered: %v, want %v", o.PreemptedBy, o.Held, got, want)
		}
	}
}

// TestWatchCatchesUpWithEvents: a watch that comes back after more events than the
// hub keeps is told all that the meta range still has.
func TestWatchCatchesUpWithEvents(t *testing.T) {
	r := newRig(t)
	const all, seen = eventsKept + 500, 100
	r.backend.change(func(v *metastate.View) {
		v.Events = nil
		for i := range all {
			v.Events = append(v.Events, &cluster.Event{Sequence: uint64(i + 1), Kind: cluster.EventRangeMoved, Text: "moved"})
		}
	})
	s := r.watch("viewer", &adminpb.WatchRequest{Topics: []string{"events"}, Events: &adminpb.EventFilter{After: seen}})
	next := uint64(seen + 1)
	until(t, s, func(m *adminpb.WatchResponse) bool {
		for _, e := range m.GetEvents() {
			if e.GetSequence() != next {
				t.Fatalf("event %d follows, want %d", e.GetSequence(), next)
			}
			next++
		}
		return next > all
	})
}
