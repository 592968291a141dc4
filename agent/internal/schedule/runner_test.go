package schedule

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// model is a meta range of two schedules' worth of rules: one run for each time.
type model struct {
	sync.Mutex
	view   metastate.View
	leader cluster.NodeID
	begun  map[string]int // times that were executed
	ends   []metastate.EndRun
	gone   map[cluster.NodeID]bool
	block  chan struct{} // holds up runs; nil: they end at once
}

func newModel() *model {
	m := &model{begun: map[string]int{}, gone: map[cluster.NodeID]bool{}}
	o := &cluster.Object{ID: 100, Name: "s", Kind: cluster.KindSchedule, Version: 1, Schedule: &cluster.Schedule{Cron: "*/10 * * * * *", TimeZone: "UTC", Overlap: cluster.OverlapAllow, Body: "x", TimeoutMS: 5000}}
	m.view.Objects = map[cluster.ObjectID]*cluster.Object{100: o}
	m.view.Schedules = map[cluster.ObjectID]*metastate.ScheduleState{100: {ID: 100, Last: time.Now()}}
	m.view.Runs = map[cluster.ObjectID][]*cluster.ScheduleRun{}
	return m
}

// node is the model as one node sees it.
type node struct {
	*model
	id cluster.NodeID
}

func (n node) View() *metastate.View {
	n.Lock()
	defer n.Unlock()
	out := metastate.View{Objects: n.view.Objects, Schedules: map[cluster.ObjectID]*metastate.ScheduleState{}, Runs: map[cluster.ObjectID][]*cluster.ScheduleRun{}}
	for id, s := range n.view.Schedules {
		state := *s
		out.Schedules[id] = &state
	}
	for id, runs := range n.view.Runs {
		for _, r := range runs {
			run := *r
			out.Runs[id] = append(out.Runs[id], &run)
		}
	}
	return &out
}

func (node) Watch(context.Context) <-chan struct{} { return nil }

// Leader: without one, all believe to lead.
func (n node) Leader() (cluster.NodeID, uint64, bool) {
	return n.leader, 1, n.leader == 0 || n.leader == n.id
}

func (n node) Propose(_ context.Context, cmd metastate.Command) (metastate.Result, error) {
	n.Lock()
	defer n.Unlock()
	stale := metastate.Result{Refusal: &metastate.Refusal{Code: metastate.CodeStale, Message: "stale"}}
	if in := cmd.StartRun; in != nil {
		state := n.view.Schedules[in.Schedule]
		if !in.Due.After(state.Last) {
			return stale, nil
		}
		state.Last, state.Runs = in.Due, state.Runs+1
		n.view.Runs[in.Schedule] = append(n.view.Runs[in.Schedule], &cluster.ScheduleRun{Schedule: in.Schedule, Number: state.Runs, Due: in.Due, State: cluster.RunRunning, Node: in.Node, Started: time.Now()})
		return metastate.Result{Run: state.Runs, TS: hlc.New(time.Now())}, nil
	}
	for _, r := range n.view.Runs[cmd.EndRun.Schedule] {
		if r.Number == cmd.EndRun.Run && r.State == cluster.RunRunning {
			r.State = cmd.EndRun.State
			n.ends = append(n.ends, *cmd.EndRun)
			return metastate.Result{}, nil
		}
	}
	return stale, nil
}

func (m *model) start(ctx context.Context, wg *sync.WaitGroup, id cluster.NodeID) *Runner {
	n := node{m, id}
	r := New(Config{Node: id, Meta: n, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Serves: func() bool { return true },
		Gone:   func(x cluster.NodeID) bool { m.Lock(); defer m.Unlock(); return m.gone[x] },
		Execute: func(ctx context.Context, _ *cluster.Object, run *cluster.ScheduleRun) *metastate.EndRun {
			m.Lock()
			m.begun[run.Due.Format(time.TimeOnly)]++
			block := m.block
			m.Unlock()
			if block != nil {
				select {
				case <-block:
				case <-ctx.Done():
				}
			}
			_, _ = n.Propose(ctx, metastate.Command{EndRun: &metastate.EndRun{Schedule: run.Schedule, Run: run.Number, State: cluster.RunSucceeded}})
			return nil
		}})
	wg.Go(func() { _ = r.Run(ctx, func() {}) })
	return r
}

// TestRunnerStartsOnce: two nodes that both believe to lead run each time once.
func TestRunnerStartsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		m.start(ctx, &wg, 1)
		m.start(ctx, &wg, 2)
		<-time.After(65 * time.Second)
		stop()
		wg.Wait()
		if len(m.begun) != 6 {
			t.Errorf("%d times were run in a minute: %v", len(m.begun), m.begun)
		}
		for due, times := range m.begun {
			if times != 1 {
				t.Errorf("%s was run %d times", due, times)
			}
		}
		for _, e := range m.ends {
			if e.State != cluster.RunSucceeded {
				t.Errorf("run %d is %s", e.Run, e.State)
			}
		}
	})
}

// TestRunnerLosesRuns: a run whose node does not run it is said to be lost, and no other.
func TestRunnerLosesRuns(t *testing.T) {
	for name, c := range map[string]struct {
		node cluster.NodeID
		gone bool
		want time.Duration // until it is lost
	}{
		"of an earlier life": {node: 1, want: time.Second},
		"of who is gone":     {node: 2, gone: true, want: 2 * time.Second},
		"of who is silent":   {node: 2, want: 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.gone[2] = c.gone
				m.view.Runs[100] = []*cluster.ScheduleRun{{Schedule: 100, Number: 900, State: cluster.RunRunning, Node: c.node, Started: time.Now()}}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				m.start(ctx, &wg, 1)
				<-time.After(c.want)
				synctest.Wait()
				m.Lock()
				state := m.view.Runs[100][0].State
				m.Unlock()
				if state != cluster.RunLost {
					t.Errorf("it is %s after %s", state, c.want)
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// TestRunNow: a run that is asked for begins on the node that is asked, beside what is due,
// and is not taken for lost; refusals are told.
func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.leader = 2
		m.block = make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		r := m.start(ctx, &wg, 1)
		propose := func(_ context.Context, cmd metastate.Command) (metastate.Result, error) {
			in := cmd.RunNow
			if in.Reason == "refuse" {
				return metastate.Result{Refusal: &metastate.Refusal{Code: metastate.CodeConflict, Message: "it is running"}}, nil
			}
			m.Lock()
			defer m.Unlock()
			m.view.Schedules[in.Schedule].Runs++
			n := m.view.Schedules[in.Schedule].Runs
			m.view.Runs[in.Schedule] = append(m.view.Runs[in.Schedule], &cluster.ScheduleRun{Schedule: in.Schedule, Number: n, State: cluster.RunRunning, Node: in.Node, Started: time.Now()})
			return metastate.Result{Run: n, TS: hlc.New(time.Now())}, nil
		}
		run, err := r.RunNow(t.Context(), 100, "", propose)
		if err != nil || run.Node != 1 || run.Number != 1 {
			t.Fatalf("%+v, %v", run, err)
		}
		<-time.After(3 * time.Second) // it would be said to be lost within one
		synctest.Wait()
		m.Lock()
		if state := m.view.Runs[100][0].State; state != cluster.RunRunning {
			t.Errorf("it is %s", state)
		}
		m.Unlock()
		close(m.block)
		synctest.Wait()
		m.Lock()
		if state := m.view.Runs[100][0].State; state != cluster.RunSucceeded {
			t.Errorf("it is %s", state)
		}
		m.Unlock()
		if _, err := r.RunNow(t.Context(), 100, "refuse", propose); err == nil {
			t.Error("a refusal is not told")
		}
		if _, err := r.RunNow(t.Context(), 9, "", propose); !errors.Is(err, ErrNoSchedule) {
			t.Errorf("of no schedule: %v", err)
		}
		stop()
		wg.Wait()
	})
}
