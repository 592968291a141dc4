package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// simulated is a cluster that lives in the test. A decommission of n5 goes
// through in steps, one of n1 is refused.
type simulated struct {
	adminpb.AdminClient // calls that no story makes panic

	mu      sync.Mutex
	role    adminpb.Role
	op      *adminpb.Operation
	started []string // specs of what was asked for
	down    bool
	changed chan struct{}
	f       *fixture
}

func newSimulated() *simulated {
	return &simulated{role: adminpb.Role_ROLE_ADMIN, changed: make(chan struct{}, 100), f: newFixture(5, 64, true)}
}

func (s *simulated) WhoAmI(context.Context, *adminpb.WhoAmIRequest) (*adminpb.WhoAmIResponse, error) {
	return &adminpb.WhoAmIResponse{Name: "root", Role: s.role, ClusterName: "prod-eu", Node: 1}, nil
}

func (s *simulated) PlanOperation(_ context.Context, r *adminpb.PlanOperationRequest) (*adminpb.PlanOperationResponse, error) {
	p := &adminpb.Plan{Id: "pl-9c41", Spec: r.GetSpec(), TopologyEpoch: 57, Feasible: true, ChecksOk: 11, Replicas: 39, Leaders: 12, Bytes: 31 << 30, SecondsP50: 300, SecondsP90: 420,
		SurvivesBefore: "any 1 node", SurvivesDuring: "any 1 node", SurvivesAfter: "any 1 node",
		Nodes: []*adminpb.NodeChange{
			{Node: 2, ReplicasBefore: 38, ReplicasAfter: 48, BytesBefore: 31 << 30, BytesAfter: 39 << 30, DiskBefore: 0.25, DiskPeak: 0.33, LeadersBefore: 12, LeadersAfter: 15},
			{Node: 5, ReplicasBefore: 39, BytesBefore: 31 << 30, LeadersBefore: 12},
		},
		Findings: []*adminpb.Finding{{Code: "SPREAD_THIN", Severity: "warn", Text: "after this, losing n2 puts 310 GiB on two nodes"}}}
	if r.GetSpec().GetPool() == "" && r.GetSpec().GetNodes()[0] == 1 {
		p.Feasible, p.Moves = false, nil
		p.Findings = []*adminpb.Finding{{Code: "NO_TARGET", Severity: "refuse", Text: "64 of 64 ranges need 3 voters; only n2 would remain"}}
		p.Fixes = []*adminpb.Fix{{Text: "add a node", Command: "nodedbctl join-token create"}}
	}
	return &adminpb.PlanOperationResponse{AsOf: asOf(), Plan: p}, nil
}

func (s *simulated) StartOperation(_ context.Context, r *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, fmt.Sprintf("%s %v confirm %s", r.GetSpec().GetKind(), r.GetSpec().GetNodes(), r.GetConfirm()))
	if pool := r.GetSpec().GetPool(); pool != "" {
		s.started[len(s.started)-1] = fmt.Sprintf("%s %s %d %s confirm %s", r.GetSpec().GetKind(), pool, r.GetSpec().GetWanted().GetReplicas(), r.GetSpec().GetWanted().GetConstraints(), r.GetConfirm())
		s.op = &adminpb.Operation{Id: "op-7f3a", Spec: r.GetSpec(), State: "running", Phase: "move", CreatedAt: timestamppb.New(epoch), Total: &adminpb.Progress{Ranges: 8}, Done: &adminpb.Progress{Ranges: 3}}
		s.note()
		return &adminpb.StartOperationResponse{Operation: s.op}, nil
	}
	if r.GetSpec().GetNodes()[0] == 2 {
		return nil, &client.Error{Kind: client.StalePlan, Message: "the plan is no longer the same", Sent: true}
	}
	s.op = decommissioning()
	s.op.CreatedAt = timestamppb.New(epoch)
	s.note()
	return &adminpb.StartOperationResponse{Operation: s.op}, nil
}

func (s *simulated) CheckSafe(context.Context, *adminpb.CheckSafeRequest) (*adminpb.CheckSafeResponse, error) {
	return &adminpb.CheckSafeResponse{AsOf: asOf(), Safe: true, SurvivesOne: &adminpb.Survival{Yes: true}, SurvivesTwo: &adminpb.Survival{Failing: 3}}, nil
}

func (s *simulated) SetCordon(_ context.Context, r *adminpb.SetCordonRequest) (*adminpb.SetCordonResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, fmt.Sprintf("cordon %v %v", r.GetNodes(), r.GetCordon()))
	return &adminpb.SetCordonResponse{Changed: r.GetNodes()}, nil
}

func (s *simulated) ListSessions(context.Context, *adminpb.ListSessionsRequest) (*adminpb.ListSessionsResponse, error) {
	list, _ := s.f.sessions()
	return list, nil
}

func (s *simulated) ListTransactions(context.Context, *adminpb.ListTransactionsRequest) (*adminpb.ListTransactionsResponse, error) {
	_, list := s.f.sessions()
	return list, nil
}

func (s *simulated) CancelSession(_ context.Context, r *adminpb.CancelSessionRequest) (*adminpb.CancelSessionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, fmt.Sprintf("cancel %d %v", r.GetPid(), r.GetTerminate()))
	return &adminpb.CancelSessionResponse{Ended: true}, nil
}

func (s *simulated) LookupRoute(_ context.Context, r *adminpb.LookupRouteRequest) (*adminpb.LookupRouteResponse, error) {
	if r.GetCollection() != "orders" {
		return nil, &client.Error{Kind: client.NotFound, Message: "there is no collection " + r.GetCollection(), Sent: true}
	}
	return &adminpb.LookupRouteResponse{AsOf: asOf(), Vshard: 417, Route: &adminpb.Route{Range: 28, Start: 416, End: 432, Leader: 2, LeaderAddress: "10.0.0.11:6432", Replicas: []uint32{1, 2, 3}, Generation: 17}}, nil
}

// note wakes the stream. The caller holds mu.
func (s *simulated) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// change changes the cluster and wakes the stream.
func (s *simulated) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.note()
}

func (s *simulated) response(reset bool) (*adminpb.WatchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, &client.Error{Kind: client.Unavailable, Message: "no node answers; 10.0.0.10:6480: connection refused"}
	}
	r := &adminpb.WatchResponse{AsOf: asOf(), Reset_: reset, Status: s.f.status(), Operations: []*adminpb.Operation{drained()}}
	if reset {
		r.Nodes, r.Ranges, r.Members, r.Events, r.Rebalance = s.f.allNodes(), s.f.allRanges(), s.f.members(), s.f.events(), s.f.rebalance()
	}
	r.Pools = s.f.pools()
	if s.op.GetSpec().GetPool() == r.Pools[1].Name {
		r.Pools[1].Operation = s.op.GetId()
	}
	if s.op != nil {
		r.Operations = append(r.Operations, s.op)
		if !client.Final(s.op.GetState()) {
			r.Status.Running = []*adminpb.Operation{s.op}
		}
	}
	return r, nil
}

func (s *simulated) watch(ctx context.Context, _ *adminpb.WatchRequest, changed feed.Changed, _ func(error)) error {
	for reset := true; ; reset = false {
		r, err := s.response(reset)
		if err != nil {
			return err
		}
		if err := changed(r, time.Now()); err != nil {
			return err
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

// wait sends heartbeats until something has changed.
func (s *simulated) wait(ctx context.Context, changed feed.Changed) error {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case <-s.changed:
			return nil
		case <-beat.C:
			if err := changed(&adminpb.WatchResponse{AsOf: asOf()}, time.Now()); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// screen is a headless terminal: the real program, input parser and renderer,
// talking to a terminal emulator in this process.
type screen struct {
	t    *testing.T
	em   *vt.SafeEmulator
	p    *tea.Program
	in   *io.PipeWriter
	done chan error
	h    *hub
}

// cooked does what a terminal's line discipline does to output.
type cooked struct{ w io.Writer }

func (c cooked) Write(p []byte) (int, error) {
	_, err := c.w.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(string(p), "\r\n", "\n"), "\n", "\r\n")))
	return len(p), err
}

func open(t *testing.T, s *simulated, w, h int) *screen {
	t.Helper()
	sc := &screen{t: t, em: vt.NewSafeEmulator(w, h), done: make(chan error, 1), h: &hub{every: 10 * time.Millisecond}}
	of := func(name string) *cluster {
		return &cluster{name: name, admin: s, watch: s.watch, complete: client.Invocation{"--context", name}.Complete}
	}
	cfg := config{
		want: theme.Want{Name: theme.Dark, Profile: colorprofile.TrueColor}, now: time.Now, mouse: true, contexts: []string{"prod-eu", "staging"}, attach: sc.h.attach,
		connect: func(name string) (*cluster, error) {
			if name == "prod-eu" {
				return nil, errors.New("cannot be read")
			}
			return of(name), nil
		},
	}
	d := newDashboard(cfg, of("prod-eu"))
	pr, pw := io.Pipe()
	sc.in = pw
	sc.p = tea.NewProgram(d, tea.WithInput(pr), tea.WithOutput(cooked{sc.em}), tea.WithWindowSize(w, h), tea.WithColorProfile(colorprofile.TrueColor),
		tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithoutSignals())
	sc.h.program = sc.p
	go func() { _, _ = io.Copy(pw, sc.em) }() // the terminal's answers to questions
	go func() {
		_, err := sc.p.Run()
		sc.h.stop()
		sc.done <- err
	}()
	t.Cleanup(func() {
		sc.p.Kill()
		_ = pw.Close()
		sc.h.stop()
	})
	return sc
}

func (s *screen) keys(text string) { _, _ = io.WriteString(s.in, text) }

func (s *screen) text() string { return ansi.Strip(s.em.Render()) }

// see waits until all words are on the screen.
func (s *screen) see(words ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		text, missing := s.text(), ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return text
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("no %q on the screen:\n%s", missing, text)
		case <-tick.C:
		}
	}
}

// gone waits until a word is no longer on the screen.
func (s *screen) gone(word string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for strings.Contains(s.text(), word) {
		select {
		case <-ctx.Done():
			s.t.Fatalf("still %q on the screen:\n%s", word, s.text())
		case <-tick.C:
		}
	}
}

const esc = "\x1b"

// TestDecommissionStory goes from the plan to the proof.
func TestDecommissionStory(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 100, 32)
	s.see("HEALTHY", "● live", "root admin")
	s.keys("2")
	s.see("STATUS", "n5")
	s.keys("jjjj")
	s.see("sql 10.0.0.14:6432") // the detail of n5
	s.keys("X")
	s.see("decommission n5", "plan pl-9c41", "SPREAD_THIN", "the process of n5 stops at the end", "type n5 to decommission")
	s.keys("n4\r") // the wrong name does nothing
	s.see("decommission: n4")
	s.keys("\x15n5")
	s.see("enter does it")
	s.keys("\r")
	s.see("… running", "op-7f3a", "31%", "128/413 ranges")
	c.change(func() {
		o := decommissioning()
		o.MetaIndex, o.State, o.EndedAt = 81300, "succeeded", timestamppb.New(epoch)
		o.Proof = &adminpb.Proof{Descriptors: 65, Leaders: 65, MetaIndex: 81299, Tombstone: "8d1f77aa0000"}
		c.op = o
	})
	s.see("succeeded", "0 references in 65 descriptors", "power off, delete the volume")
	s.keys(esc)
	s.gone("power off")
	s.keys("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	if want := "decommission [5] confirm pl-9c41"; len(c.started) != 1 || c.started[0] != want {
		t.Errorf("asked for %q, want %q once", c.started, want)
	}
}

// TestSessionStory finds who blocks others, and ends that session.
func TestSessionStory(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 120, 36)
	s.see("HEALTHY", "● live", "root admin")
	s.keys("2\r")
	s.see("node n", "load", "sessions", "idle in transaction for")
	s.keys("w")
	s.see("node:n")
	s.keys(esc)
	s.gone("node:n")
	s.keys("0")
	s.see("2097153", "idle in transaction", "blocks", "1048577 on n1, 3145735 on n3", "SET balance = balance - 70 WHERE id = 9")
	s.keys("j")
	s.see("waits for", "2097153 on n2, for 3s; b goes there")
	s.keys("b")
	s.see("session 2097153")
	s.keys("X")
	s.see("cancel the statement of session 2097153", "it runs no statement: there is nothing to cancel")
	s.keys(esc)
	s.gone("nothing to cancel")
	s.keys("K")
	s.see("end session 2097153", "application billing, is idle in transaction", "its transaction rolled back", "type 2097153")
	s.keys("2097153\r")
	s.see("done")
	s.keys(esc)
	s.gone("done")
	s.keys("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	if want := "cancel 2097153 true"; len(c.started) != 1 || c.started[0] != want {
		t.Errorf("asked for %q, want %q once", c.started, want)
	}
}

// TestPoolStory goes from the list of pools to an alteration at work, and to the
// ranges of a pool.
func TestPoolStory(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 100, 32)
	s.see("HEALTHY", "● live", "root admin")
	s.keys(":pools\r")
	s.see("CONSTRAINTS", "default", "critical", "+region=eu")
	s.keys("j")
	s.see("pool critical", "preferred at zone=b", "payments")
	s.keys("E--replicas many\r")
	s.see("--replicas takes 1, 3, 5 or 7")
	s.keys("E--replicas 3 --constraints -zone=c\r")
	s.see("alter pool critical", "plan pl-9c41", "pools alter critical --replicas 3 --constraints", "type critical to alter")
	s.keys("critical\r")
	s.see("… running", "op-7f3a", "3/8 ranges")
	s.keys(esc)
	s.gone("enter opens the operation")
	s.see("at work", "pool-alter critical")
	s.keys("gX")
	s.see("it is never dropped")
	s.keys("\r")
	s.see("pool:default  esc clears")
	s.keys("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	if want := "pool-alter critical 3 -zone=c confirm pl-9c41"; len(c.started) != 1 || c.started[0] != want {
		t.Errorf("asked for %q, want %q once", c.started, want)
	}
}

func TestRefusalsChangeNothing(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 100, 32)
	s.see("HEALTHY")
	s.keys("2")
	s.see("LEADERS")
	s.keys("gX")
	s.see("REFUSED", "NO_TARGET", "nodedbctl join-token create", "nothing was changed")
	s.keys("n1\r")
	s.keys(esc)
	s.gone("NO_TARGET")
	s.keys("jD") // n2: the plan is stale when it is confirmed
	s.see("type n2 to drain", "nodedbctl --context prod-eu drain n2 --confirm pl-9c41")
	s.keys("y")
	s.see("copied: nodedbctl --context prod-eu drain n2 --confirm pl-9c41")
	s.keys("n2\r")
	s.see("STALE", "the plan is no longer the same", "nothing was changed")
	s.keys(esc)
	s.gone("STALE")
	s.keys("C")
	s.see("nothing new is placed on n2", "survives the loss of any 1 node: yes")
	s.keys(esc)
	s.gone("nothing new is placed")
	if want := "drain [2] confirm pl-9c41"; len(c.started) != 1 || c.started[0] != want {
		t.Errorf("asked for %q, want only %q", c.started, want)
	}
}

func TestViewerSeesNoActions(t *testing.T) {
	c := newSimulated()
	c.role = adminpb.Role_ROLE_VIEWER
	s := open(t, c, 160, 40)
	s.see("root viewer", "HEALTHY")
	s.keys("2")
	if text := s.see("STATUS", "filter"); strings.Contains(text, "X decommission") {
		t.Errorf("a viewer sees actions:\n%s", text)
	}
	s.keys("X")
	s.see("root is a viewer: this needs an operator")
	s.keys(":decom")
	s.see("nothing is called so")
	s.keys(esc)
	if len(c.started) != 0 {
		t.Errorf("a viewer asked for %v", c.started)
	}
}

func TestLostLinkGreysAndComesBack(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 100, 30)
	s.see("HEALTHY", "● live")
	c.change(func() { c.down = true })
	s.see("stale", "this was so at", "connection refused", "HEALTHY")
	s.keys("2")
	s.see("STATUS")
	s.keys("X")
	s.see("nothing can be changed from here now")
	c.change(func() { c.down = false })
	s.keys("\x12") // ctrl+r
	s.see("● live")
	s.gone("this was so at")
	s.keys("X")
	s.see("REFUSED", "NO_TARGET")
}

func TestFilterPaletteMouseAndContexts(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 140, 34)
	s.see("HEALTHY")
	s.keys("2")
	s.see("10.0.0.11")
	s.keys("/node:n3\r")
	s.gone("10.0.0.11:6432")
	s.see(" node:n3 ", "esc clears")
	s.keys(esc)
	s.gone("esc clears")
	s.keys(":lookup orders 4711\r")
	s.see("look-up orders 4711", "vshard 417", "r28")
	s.keys("l")
	s.see("collection and key:")
	s.keys("users 1\r")
	s.see("there is no collection users")
	s.keys("\x1b[<0;18;2M\x1b[<0;18;2m") // a click on the tab of the ranges
	s.see("vshards by state")
	s.keys("m")
	s.see("the mean in the middle")
	s.keys("?")
	s.see("any key closes", "in ranges")
	s.keys(" ")
	s.gone("any key closes")
	s.keys(":ctx prod\r")
	s.see("prod-eu: cannot be read")
	s.keys(":ctx stag\r")
	s.see(" staging ", "● live")
	s.keys("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
}

func TestResize(t *testing.T) {
	s := open(t, newSimulated(), 80, 24)
	s.see("HEALTHY")
	s.em.Resize(160, 48)
	s.p.Send(tea.WindowSizeMsg{Width: 160, Height: 48})
	s.see("busiest ranges")
	s.em.Resize(40, 10)
	s.p.Send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.see("40x10 is too small")
	s.em.Resize(80, 24)
	s.p.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.see("problems none")
}

func TestYCopiesTheCommand(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, false), "dark", 100, 30)
	press(d, "2", "j", "y")
	if want := "copied: nodedbctl nodes show n4"; d.said.Text != want {
		t.Errorf("said %q, want %q", d.said.Text, want)
	}
	if cmd := d.press("y", "y"); cmd == nil || fmt.Sprint(cmd()) != "nodedbctl nodes show n4" {
		t.Error("the command is not put on the clipboard")
	}
}
