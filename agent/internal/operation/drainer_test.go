package operation

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func TestDrainAndUndrain(t *testing.T) {
	inShell(t, 4, func(t *testing.T, s *shell) {
		n := s.nodes[1] // it leads the meta range: the coordinator moves in the middle
		n.sessions.idle = 3
		n.sessions.begin(Blocker{PID: 42, User: "app", Application: "shop", Since: time.Now()})
		op := s.start(drain(1))
		s.eventually("the blocker is named", time.Minute, func() bool {
			o := s.r.view().Operations[op.ID]
			return o.Phase == PhaseTransactions && strings.Contains(o.Why, "pid 42 (user app, application \"shop\"")
		})
		if got := s.led(1); got != 0 {
			t.Errorf("n1 still leads %d ranges", got)
		}
		if !n.sessions.draining || len(n.sessions.Blockers()) != 1 {
			t.Errorf("draining %v, open %v: want the idle ones closed", n.sessions.draining, n.sessions.Blockers())
		}
		n.sessions.CloseAll() // the transaction ends
		done := s.wait(op.ID, time.Minute)
		if done.State != cluster.OpSucceeded || s.serviceOf(1) != cluster.Drained || done.Phase != PhaseDrained {
			t.Fatalf("ended %s %q, service %s, phase %s", done.State, done.Why, s.serviceOf(1), done.Phase)
		}
		if len(n.stopped) > 0 {
			t.Error("the process was stopped although only a drain was asked for")
		}
		// Drained as it is, the same again ends at once, and takes nothing back.
		if again := s.wait(s.start(drain(1)).ID, 10*time.Second); again.State != cluster.OpSucceeded {
			t.Errorf("a drain of a drained node ended %s %q", again.State, again.Why)
		}
		if _, err := s.nodes[3].service.Undrain(context.Background(), []cluster.NodeID{1}, "test", ""); err != nil {
			t.Fatalf("undrain: %v", err)
		}
		if s.serviceOf(1) != cluster.Ready || n.sessions.draining || n.drainer.Draining() {
			t.Errorf("undrained, but service %s", s.serviceOf(1))
		}
		s.eventually("leaders return", time.Minute, func() bool { return s.led(1) > 0 })
	})
}

func TestDrainShutdown(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		spec := drain(3)
		spec.Shutdown, spec.LBWait = true, 2
		began := time.Now()
		op := s.wait(s.start(spec).ID, time.Minute)
		if op.State != cluster.OpSucceeded {
			t.Fatalf("ended %s %q", op.State, op.Why)
		}
		s.eventually("n3 stops", time.Second, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.nodes[3].stopped) == 1
		})
		if took := time.Since(began); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("took %s, want the two seconds of --lb-wait and little more", took)
		}
	})
}

// TestDrainSaysWhatItWaitsFor: while load balancers are given their time, the
// record says so, second by second, and counts the leaderships that are gone.
func TestDrainSaysWhatItWaitsFor(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		spec := drain(2)
		spec.LBWait = 20
		op := s.start(spec)
		state := func(o *cluster.Operation, phase string) string {
			i := slices.IndexFunc(o.Phases, func(p cluster.Phase) bool { return p.Name == phase })
			return o.Phases[i].State
		}
		s.eventually("leaderships are handed over", 5*time.Second, func() bool {
			o := s.r.view().Operations[op.ID]
			return s.led(2) == 0 && o.Total.Leaders > 0 && o.Done.Leaders == o.Total.Leaders
		})
		told := map[string]bool{}
		s.eventually("each second of the wait is told", 10*time.Second, func() bool {
			o := s.r.view().Operations[op.ID]
			if state(o, PhaseUnready) != phaseRunning || state(o, PhaseLeaders) != phaseDone || o.Phase != PhaseUnready {
				t.Fatalf("phase %s: unready is %s, leaders is %s", o.Phase, state(o, PhaseUnready), state(o, PhaseLeaders))
			}
			told[o.Why] = true
			return len(told) == 4
		})
		for why := range told {
			if left, ok := strings.CutPrefix(why, "waiting for load balancers, "); !ok || !strings.HasSuffix(left, " s left") {
				t.Errorf("it waits for load balancers and says %q", why)
			}
		}
		if done := s.wait(op.ID, time.Minute); done.State != cluster.OpSucceeded || state(&done, PhaseUnready) != phaseDone {
			t.Errorf("ended %s %q", done.State, done.Why)
		}
	})
}

func TestDrainCancelled(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		s.nodes[2].sessions.begin(Blocker{PID: 7})
		op := s.start(drain(2))
		s.eventually("transactions", time.Minute, func() bool { return s.r.view().Operations[op.ID].Phase == PhaseTransactions })
		if _, err := s.nodes[1].service.Undrain(context.Background(), []cluster.NodeID{2}, "test", ""); err != nil {
			t.Fatal(err)
		}
		if done := s.wait(op.ID, 10*time.Second); done.State != cluster.OpCancelled || s.serviceOf(2) != cluster.Ready {
			t.Errorf("ended %s, service %s", done.State, s.serviceOf(2))
		}
		if len(s.nodes[2].sessions.Blockers()) != 1 {
			t.Error("the session was closed all the same")
		}
	})
}

func TestDrainDeadline(t *testing.T) {
	for _, on := range []string{"", "stop", "force"} {
		t.Run("on deadline "+on, func(t *testing.T) {
			inShell(t, 3, func(t *testing.T, s *shell) {
				s.nodes[2].sessions.begin(Blocker{PID: 7, User: "batch"})
				spec := drain(2)
				spec.Deadline, spec.OnDeadline = 5, on
				began := time.Now()
				op := s.wait(s.start(spec).ID, time.Minute)
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("took %s", took)
				}
				if on == "force" {
					if op.State != cluster.OpSucceeded || s.serviceOf(2) != cluster.Drained || len(s.nodes[2].sessions.Blockers()) > 0 {
						t.Errorf("ended %s %q, service %s", op.State, op.Why, s.serviceOf(2))
					}
					return
				}
				if op.State != cluster.OpFailed || !strings.Contains(op.Why, "pid 7 (user batch") {
					t.Errorf("ended %s %q", op.State, op.Why)
				}
				s.eventually("n2 serves again", time.Second, func() bool { return s.serviceOf(2) == cluster.Ready })
			})
		})
	}
}

func TestDrainTTLAndTxnTimeout(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		s.nodes[2].sessions.begin(Blocker{PID: 7})
		spec := drain(2)
		spec.TTL, spec.TxnTimeout = 60, 3
		op := s.wait(s.start(spec).ID, 20*time.Second)
		if op.State != cluster.OpSucceeded || len(s.nodes[2].sessions.Blockers()) != 0 {
			t.Fatalf("ended %s %q", op.State, op.Why)
		}
		i := slices.IndexFunc(op.Phases, func(p cluster.Phase) bool { return p.Name == PhaseTransactions })
		if note := op.Phases[i].Note; !strings.Contains(note, "pid 7") {
			t.Errorf("the note does not say what was closed: %q", note)
		}
		s.eventually("the drain's time is up", 70*time.Second, func() bool { return s.serviceOf(2) == cluster.Ready })
	})
}

// TestDrainAlone: SIGTERM while the meta range does not answer, and in a cluster
// of one, where no drain is safe: the process gets ready to stop all the same.
func TestDrainAlone(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		s.mu.Lock()
		s.cut = true
		s.mu.Unlock()
		s.nodes[2].sessions.idle = 2
		if err := s.nodes[2].drainer.Drain(context.Background(), drain(2)); err != nil {
			t.Fatalf("drain: %v", err)
		}
		if s.led(2) != 0 || s.serviceOf(2) != cluster.Drained {
			t.Errorf("leads %d, service %s", s.led(2), s.serviceOf(2))
		}
		op, err := s.nodes[3].service.DrainSelf(context.Background(), cluster.OperationSpec{}, "console")
		if err != nil || op.ID != "" {
			t.Fatalf("drain --self without a quorum: %v %+v", err, op)
		}
		s.eventually("n3 is drained", 10*time.Second, func() bool { return s.serviceOf(3) == cluster.Drained })
	})
	inShell(t, 1, func(t *testing.T, s *shell) {
		if err := s.nodes[1].drainer.Drain(context.Background(), drain(1)); err != nil {
			t.Fatalf("drain: %v", err)
		}
		wantRefusal(t, Unsafe)(s.nodes[1].service.Start(context.Background(), StartRequest{Spec: drain(1)}))
	})
}

// TestDrainSelfNeedsTheRole: a drain that is asked for over the network by
// somebody whose role has gone by the time it is recorded does not begin by itself
// instead, and is told so; this holds for every operation.
func TestDrainSelfNeedsTheRole(t *testing.T) {
	inShell(t, 4, func(t *testing.T, s *shell) {
		ctx := metastate.WithActor(context.Background(), metastate.Actor{By: "nobody", Via: metastate.ViaAdmin})
		_, err := s.nodes[3].service.DrainSelf(ctx, cluster.OperationSpec{}, "nobody")
		if !isRefused(err, Denied) || s.serviceOf(3) != cluster.Ready {
			t.Errorf("a drain by nobody: %v, and n3 is %s", err, s.serviceOf(3))
		}
		if _, _, err := s.nodes[2].service.Start(ctx, StartRequest{Spec: decommission(3)}); !isRefused(err, Denied) {
			t.Errorf("a decommission by nobody: %v", err)
		}
	})
}

// raced is the meta range of a rig; the coordinator writes between a drainer's look
// at it and its first command.
type raced struct {
	r      *rig
	before func()
}

func (m *raced) View() *metastate.View { return m.r.view() }

func (m *raced) Subscribe(func(*metastate.View)) (cancel func()) { return func() {} }

func (m *raced) Leader() (cluster.NodeID, uint64, bool) { return 1, 5, false }

func (m *raced) Propose(_ context.Context, cmd metastate.Command) (metastate.Result, error) {
	if m.before != nil {
		m.before()
		m.before = nil
	}
	return m.r.propose(cmd), nil
}

// TestCancelRacesAdmission: a drain that is cancelled just as the coordinator
// admits it ends, although the drainer's first word is older than the admission.
func TestCancelRacesAdmission(t *testing.T) {
	r := newRig(t, 1, 3, 3, 4)
	id := r.start(drain(3))
	admitted := *r.op(id)
	admitted.State = cluster.OpRunning
	r.must(metastate.Command{By: "test", RequestCancel: &metastate.RequestCancel{ID: id}})
	d := NewDrainer(DrainerConfig{Self: 3, Meta: &raced{r: r, before: func() {
		r.must(metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: admitted, Term: 99}})
	}}})
	for range 2 {
		d.look(context.Background(), r.view())
	}
	if st := r.op(id).State; st != cluster.OpCancelled {
		t.Errorf("after two looks it is %s", st)
	}
}
