package schedule

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Meta is what a Runner needs of the meta range; *meta.Meta is one.
type Meta interface {
	View() *metastate.View
	Watch(ctx context.Context) <-chan struct{}
	Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error)
	Leader() (node cluster.NodeID, term uint64, self bool)
}

// Config is what a Runner needs.
type Config struct {
	Node cluster.NodeID
	Meta Meta
	// Execute carries out a run, and has it be recorded with its end. What it returns is
	// the end that is to be recorded because nothing was committed; nil: the run is over,
	// or nobody knows.
	Execute func(ctx context.Context, o *cluster.Object, run *cluster.ScheduleRun) *metastate.EndRun
	// Settle waits for the end of the transaction that a command was refused for.
	Settle func(ctx context.Context, refusal *metastate.Refusal) error
	// Gone reports whether a node has ended, as far as this one knows.
	Gone func(cluster.NodeID) bool
	// Serves reports whether the node may start runs.
	Serves func() bool
	Now    func() time.Time
	Logger *slog.Logger
}

// Runner has schedules run.
type Runner struct {
	cfg   Config
	wake  chan struct{}
	asks  chan *ask // of RunNow
	runs  sync.WaitGroup
	times map[timesKey]*Times // of the deciding goroutine
	mu    struct {
		sync.Mutex
		active map[runID]bool // what this process runs
		losing map[runID]bool // what it says is lost
	}
	counts [len(states)]atomic.Int64
}

type timesKey struct{ cron, zone string }

// runID names a run.
type runID struct {
	schedule cluster.ObjectID
	number   uint64
}

// states are those that Counts tells of.
var states = [...]cluster.RunState{cluster.RunRunning, cluster.RunSucceeded, cluster.RunFailed, cluster.RunSkipped, cluster.RunMissed, cluster.RunLost} //nolint:gochecknoglobals // never changed

const (
	// look is how often a Runner looks anew while there are schedules: nodes die, and
	// leaderships move, without a change of the view.
	look = time.Second
	// grace is how much longer than it may a run is waited for, by who does not run it.
	grace = time.Minute
	// proposeTimeout bounds one command.
	proposeTimeout = 10 * time.Second
)

// New returns a Runner.
func New(cfg Config) *Runner {
	r := &Runner{cfg: cfg, wake: make(chan struct{}, 1), asks: make(chan *ask), times: map[timesKey]*Times{}}
	r.mu.active, r.mu.losing = map[runID]bool{}, map[runID]bool{}
	return r
}

// Counts are how many runs this node has seen come to each state since its start.
func (r *Runner) Counts() map[cluster.RunState]int64 {
	out := map[cluster.RunState]int64{}
	for i, s := range states {
		out[s] = r.counts[i].Load()
	}
	return out
}

func (r *Runner) count(s cluster.RunState, n int) {
	if i := slices.Index(states[:], s); i >= 0 {
		r.counts[i].Add(int64(n))
	}
}

// Run works until ctx is done, and then ends what runs.
func (r *Runner) Run(ctx context.Context, ready func()) error {
	defer r.runs.Wait()
	news := r.cfg.Meta.Watch(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-news:
		case <-r.wake:
		case a := <-r.asks:
			a.begun <- r.answer(ctx, a)
		}
		r.lose(ctx)
		timer.Stop()
		if wait := r.start(ctx); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// start starts what is due, and says when to look again; 0: when something changes.
func (r *Runner) start(ctx context.Context) time.Duration {
	view := r.cfg.Meta.View()
	if len(view.Schedules) == 0 {
		return 0
	}
	wait := look
	if _, _, leads := r.cfg.Meta.Leader(); !leads || !r.cfg.Serves() {
		return wait
	}
	for _, id := range slices.Sorted(maps.Keys(view.Schedules)) {
		o := view.Objects[id]
		if o == nil || o.Schedule == nil || o.Schedule.Disabled {
			continue
		}
		times, err := r.timesOf(o.Schedule)
		if err != nil { // another node knows more zones
			r.cfg.Logger.Warn("schedule cannot be read on this node", slog.String("schedule", o.Name), logattr.Err(err))
			continue
		}
		now := r.cfg.Now()
		last := view.Schedules[id].Last
		due := times.Due(last, now)
		if !due.Newest.IsZero() {
			r.begin(ctx, o, due)
			last = due.Newest
		}
		if next := times.Next(last); !next.IsZero() {
			wait = min(wait, max(next.Sub(r.cfg.Now()), time.Millisecond))
		}
	}
	return wait
}

func (r *Runner) timesOf(s *cluster.Schedule) (*Times, error) {
	key := timesKey{s.Cron, s.TimeZone}
	if t, ok := r.times[key]; ok {
		return t, nil
	}
	t, err := Of(s)
	if err != nil {
		return nil, err
	}
	if len(r.times) > 10_000 {
		clear(r.times) // what was dropped would stay for ever
	}
	r.times[key] = t
	return t, nil
}

// begin records the run of what is due, and hands it over.
func (r *Runner) begin(ctx context.Context, o *cluster.Object, due Due) {
	ask := &metastate.StartRun{Schedule: o.ID, Version: o.Version, Due: due.Newest, Node: r.cfg.Node, Missed: due.Before, LastMissed: due.Last}
	bounded, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	res, err := r.cfg.Meta.Propose(bounded, metastate.Command{By: r.cfg.Node.String(), Via: metastate.ViaAgent, StartRun: ask})
	if err == nil {
		err = res.Err()
	}
	if err != nil { // if it was recorded all the same, lose finds it
		r.cfg.Logger.Debug("run of a schedule is not started", slog.String("schedule", o.Name), logattr.Err(err))
		return
	}
	if due.Before > 0 {
		r.count(cluster.RunMissed, due.Before)
	}
	if res.Run == 0 {
		r.count(cluster.RunSkipped, 1)
		return
	}
	r.carryOut(ctx, o, &cluster.ScheduleRun{Schedule: o.ID, Number: res.Run, Due: due.Newest, State: cluster.RunRunning, Node: r.cfg.Node, Started: res.TS.Time()})
}

// carryOut hands a run that was recorded over.
func (r *Runner) carryOut(ctx context.Context, o *cluster.Object, run *cluster.ScheduleRun) {
	r.count(cluster.RunRunning, 1)
	id := runID{run.Schedule, run.Number}
	r.mu.Lock()
	r.mu.active[id] = true
	r.mu.Unlock()
	r.runs.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, o.Schedule.Timeout())
		defer cancel()
		end := r.cfg.Execute(bounded, o, run)
		if end != nil {
			r.end(ctx, end)
		} else {
			r.count(cluster.RunSucceeded, 1)
		}
		r.mu.Lock()
		delete(r.mu.active, id)
		r.mu.Unlock()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	})
}

// end records an end that came without a commit.
func (r *Runner) end(ctx context.Context, end *metastate.EndRun) {
	// A node that stops says what became of its runs, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), proposeTimeout)
	defer cancel()
	for {
		res, err := r.cfg.Meta.Propose(ctx, metastate.Command{By: r.cfg.Node.String(), Via: metastate.ViaAgent, EndRun: end})
		if err == nil {
			err = res.Err()
		}
		var refusal *metastate.Refusal
		switch {
		case err == nil:
			r.count(end.State, 1)
			return
		case errors.As(err, &refusal) && refusal.Code == metastate.CodePending:
			if r.cfg.Settle(ctx, refusal) == nil {
				continue
			}
		}
		r.cfg.Logger.Debug("end of a run is not recorded", slog.Uint64("run", end.Run), logattr.Err(err))
		return // lose finds it
	}
}

// lose looks for runs that nobody runs any more.
func (r *Runner) lose(ctx context.Context) {
	view := r.cfg.Meta.View()
	_, _, leads := r.cfg.Meta.Leader()
	for _, id := range slices.Sorted(maps.Keys(view.Runs)) {
		for _, run := range view.Runs[id] {
			if run.State != cluster.RunRunning || ctx.Err() != nil {
				continue
			}
			if why := r.lost(view, run, leads); why != "" {
				r.sayLost(ctx, run, why)
			}
		}
	}
}

// sayLost says that a run is lost, beside what is started meanwhile: a transaction whose
// gateway is gone is waited for.
func (r *Runner) sayLost(ctx context.Context, run *cluster.ScheduleRun, why string) {
	id := runID{run.Schedule, run.Number}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.losing[id] {
		return
	}
	r.mu.losing[id] = true
	r.runs.Go(func() {
		r.end(ctx, &metastate.EndRun{Schedule: id.schedule, Run: id.number, State: cluster.RunLost, Error: why})
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.mu.losing, id)
	})
}

// lost is why a run is lost; "": it is not.
func (r *Runner) lost(view *metastate.View, run *cluster.ScheduleRun, leads bool) string {
	if run.Node == r.cfg.Node {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.mu.active[runID{run.Schedule, run.Number}] {
			return "the node ended, or nobody knows whether it was committed"
		}
		return ""
	}
	o := view.Objects[run.Schedule]
	switch {
	case !leads || o == nil:
		return ""
	case r.cfg.Gone(run.Node):
		return "the node that ran it is gone"
	case r.cfg.Now().Sub(run.Started) > o.Schedule.Timeout()+grace:
		return "the node that ran it has not said that it ended"
	}
	return ""
}
