package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Meta is the meta range as this package needs it; meta.Meta satisfies it.
type Meta interface {
	View() *metastate.View
	Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error)
	Subscribe(fn func(*metastate.View)) (cancel func())
	Leader() (node cluster.NodeID, term uint64, self bool)
}

// Config of the shell: how often it looks, how long it waits.
const (
	// tickEvery is how often the Controller looks at most while time matters or nodes
	// have news; restEvery, when nothing has happened.
	tickEvery     = 200 * time.Millisecond
	restEvery     = time.Second
	pollEvery     = time.Second
	pollTimeout   = 3 * time.Second
	actionTimeout = 10 * time.Second
	// stopPolling is how long after its tombstone a node is still asked.
	stopPolling = time.Minute
)

// RunnerConfig is what a Runner needs of the node.
type RunnerConfig struct {
	Self     cluster.NodeID
	Meta     Meta
	Caller   Caller
	Server   *Server // answers the calls to this node itself
	Liveness func() map[cluster.NodeID]cluster.Liveness
	// Leads holds a signal when this node has come to lead the meta range; nil: that is
	// seen within a second.
	Leads <-chan struct{}
	// Schemas does the work of schema changes; nil: they wait.
	Schemas SchemaChanger
	Logger  *slog.Logger // nil discards
	Config  Config       // zero: DefaultConfig
	// Now is what this node takes for the time: wall clocks jump; nil: time.Now.
	Now func() time.Time
}

// Runner is the shell of a Controller: it asks, waits, calls.
type Runner struct {
	cfg   RunnerConfig
	ctl   *Controller
	local map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error)
	heard intake
	wake  chan struct{}
	news  chan struct{} // holds a signal when a node has told something new
	// diverged is how many ranges have replicas that differ, if this node coordinates.
	diverged atomic.Int64
	wg       sync.WaitGroup
	logged   map[string]cluster.OperationState

	mu struct {
		sync.Mutex
		reports map[cluster.NodeID]Report
		asking  map[cluster.NodeID]bool
		done    []Completion
		granted map[cluster.NodeID]grant // certificates to stop
		sweeps  Sweeps
	}
}

// NewRunner returns a Runner that does nothing until Run.
func NewRunner(cfg RunnerConfig) *Runner {
	if cfg.Config == (Config{}) {
		cfg.Config = DefaultConfig()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Runner{cfg: cfg, ctl: NewController(cfg.Config), wake: make(chan struct{}, 1), news: make(chan struct{}, 1), logged: map[string]cluster.OperationState{}}
	r.local, r.heard.brief = cfg.Server.Methods(), true
	r.mu.reports = map[cluster.NodeID]Report{}
	r.mu.asking = map[cluster.NodeID]bool{}
	r.mu.granted = map[cluster.NodeID]grant{}
	return r
}

// Run coordinates whenever this node leads the meta range, until ctx is done and
// all that it started has returned.
func (r *Runner) Run(ctx context.Context, ready func()) error {
	cancel := r.cfg.Meta.Subscribe(func(*metastate.View) { r.poke() })
	defer cancel()
	defer r.wg.Wait()
	if ready != nil {
		ready()
	}
	p := paced{timer: time.NewTimer(tickEvery)}
	defer p.timer.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return nil
		case <-p.timer.C:
		case <-r.news:
			p.news = true
		case <-r.wake:
			woken = true
		case <-r.cfg.Leads:
			woken = true
		}
		_, term, self := r.cfg.Meta.Leader()
		if !self {
			term = 0
		}
		now := time.Now()
		if term != 0 && p.polls(now) {
			woken = true // one look for both
			r.poll(ctx)
		}
		if woken || p.steps(now, r.ctl.Busy() || term != p.led) {
			p.stepped, p.led, p.news = now, term, false
			r.step(ctx, r.now(), term)
		}
		p.timer.Reset(p.pause(now, r.ctl.Busy()))
	}
}

// paced says when a Runner looks next. All times are of the monotonic clock.
type paced struct {
	timer           *time.Timer
	polled, stepped time.Time
	news            bool // a node has told something new since the last step
	led             uint64
}

// polls reports whether nodes are to be asked now.
func (p *paced) polls(now time.Time) bool {
	if now.Sub(p.polled) < pollEvery {
		return false
	}
	p.polled = now
	return true
}

// steps reports whether the Controller is to look now.
func (p *paced) steps(now time.Time, busy bool) bool {
	since := now.Sub(p.stepped)
	return since >= restEvery || since >= tickEvery && (p.news || busy)
}

// pause returns how long there is nothing to do unless somebody wakes the Runner. A
// node that does not coordinate looks, too: since when others are down outlives terms.
func (p *paced) pause(now time.Time, busy bool) time.Duration {
	next := p.stepped.Add(restEvery)
	if p.led != 0 {
		next = p.polled.Add(pollEvery)
	}
	if soon := p.stepped.Add(tickEvery); (p.news || busy) && soon.Before(next) {
		next = soon
	}
	return max(next.Sub(now), 0)
}

func (r *Runner) now() time.Time { return r.cfg.Now().UTC().Round(0) }

// Wake has the Runner look at once: a node's liveness changed. It does not block.
func (r *Runner) Wake() { r.poke() }

func (r *Runner) poke() { signal(r.wake) }

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *Runner) step(ctx context.Context, now time.Time, term uint64) {
	in := Input{Now: now, Self: r.cfg.Self, Term: term, View: r.cfg.Meta.View(), Liveness: r.cfg.Liveness()}
	r.mu.Lock()
	in.Reports = maps.Clone(r.mu.reports)
	in.Done, r.mu.done = r.mu.done, nil
	r.mu.Unlock()
	actions := r.ctl.Step(in)
	r.diverged.Store(0)
	if term != 0 {
		r.diverged.Store(int64(r.ctl.Diverged()))
	}
	r.mu.Lock()
	r.mu.sweeps = r.ctl.Sweeps()
	r.mu.Unlock()
	if term != 0 {
		r.logOperations(in.View)
	}
	for _, b := range r.ctl.Begun() {
		r.cfg.Logger.Info("replica moves", logattr.Range(b.Move.Range), logattr.From(node(b.Move.From)), logattr.To(node(b.Move.To)), logattr.Operation(b.Operation), logattr.Reason(b.Move.Why))
	}
	for _, a := range actions {
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			done := r.carryOut(ctx, a)
			r.mu.Lock()
			r.mu.done = append(r.mu.done, done)
			r.mu.Unlock()
			r.poke()
		}()
	}
}

// node names a node in a log line; the empty string is none.
func node(id cluster.NodeID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

// logOperations logs each change of an operation's state once.
func (r *Runner) logOperations(v *metastate.View) {
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if was, ok := r.logged[id]; ok && was != op.State || !ok && !op.State.Final() {
			r.cfg.Logger.Info("operation", "operation", id, "kind", string(op.Spec.Kind), "from", string(was), "to", string(op.State), "phase", op.Phase, "reason", op.Why)
		}
		r.logged[id] = op.State
	}
	for id := range r.logged {
		if v.Operations[id] == nil {
			delete(r.logged, id)
		}
	}
}

// Diverged is how many ranges have replicas that differ, as this node sees it while
// it coordinates; 0 on others.
func (r *Runner) Diverged() int64 { return r.diverged.Load() }

// Sweeps is when the rebalancer looked last and looks next.
func (r *Runner) Sweeps() Sweeps {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.sweeps
}

// poll asks every node for its status that is not being asked already.
func (r *Runner) poll(ctx context.Context) {
	v := r.cfg.Meta.View()
	for _, id := range v.NodeIDs() {
		n := v.Nodes[id]
		if n.Tombstone != nil && time.Since(n.Tombstone.At) > stopPolling {
			continue
		}
		r.mu.Lock()
		asking := r.mu.asking[id]
		r.mu.asking[id] = true
		r.mu.Unlock()
		if asking {
			continue
		}
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			r.ask(ctx, id)
		}()
	}
}

func (r *Runner) ask(ctx context.Context, id cluster.NodeID) {
	_ = r.refresh(ctx, id) // a node that does not answer has an old report
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.asking[id] = false
}

// refresh stores the node's status as of now, unless a newer one is there.
func (r *Runner) refresh(ctx context.Context, id cluster.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	began := r.now()
	st, news, err := r.heard.ask(ctx, id, r.call)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.mu.reports[id]
	if was.At.Before(began) {
		r.mu.reports[id] = Report{Status: st, At: began}
	}
	if news || was.Status == nil || was.Status.Service != st.Service || began.Sub(was.At) > r.cfg.Config.Fresh {
		signal(r.news)
	}
	return nil
}

// MethodChanged tells the coordinator that the caller's status has changed. When
// it answers, no new action rests on the old one: a node that begins to drain
// gets no leadership any more.
const MethodChanged = "node.changed"

// Methods returns the coordinator's handlers, to register with the transport.
func (r *Runner) Methods() map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	return map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error){
		MethodSweeps: func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return json.Marshal(r.Sweeps()) },
		MethodChanged: func(ctx context.Context, from cluster.NodeID, _ []byte) ([]byte, error) {
			defer r.poke()
			return nil, r.refresh(ctx, from)
		},
		MethodMayStop: r.serveMayStop,
		MethodReset:   r.serveReset,
	}
}

// call reaches a node, this one without a hop.
func (r *Runner) call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	if to == r.cfg.Self {
		return r.local[method](ctx, to, payload)
	}
	return r.cfg.Caller.Call(ctx, to, method, payload)
}

// carryOut does one action and waits for its outcome.
func (r *Runner) carryOut(ctx context.Context, a Action) Completion {
	if a.Kind == ActSchema {
		return r.changeSchema(ctx, a)
	}
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	done := Completion{Action: a, At: r.now()}
	if a.Kind == ActCommand {
		done.Result, done.Err = r.cfg.Meta.Propose(ctx, a.Command)
		return done
	}
	method, req := a.call()
	payload, err := json.Marshal(req)
	if err != nil {
		done.Err = fmt.Errorf("encode %s: %w", a.Kind, err)
		return done
	}
	b, err := r.call(ctx, a.To, method, payload)
	done.At = r.now()
	if err != nil {
		done.Err = err
		r.cfg.Logger.Debug("action did not succeed", "action", string(a.Kind), "node", a.To.String(), "range", a.Range.String(), "error", err)
		return done
	}
	var rep reply
	if err := json.Unmarshal(b, &rep); err != nil {
		done.Err = fmt.Errorf("decode the answer to %s: %w", a.Kind, err)
		return done
	}
	done.Descriptors, done.Statuses, done.Middle = rep.Descriptors, rep.Statuses, rep.At
	return done
}

// call returns the method and the request that an action is.
func (a *Action) call() (string, *request) {
	switch a.Kind {
	case ActCreate:
		return MethodCreate, &request{Range: a.Range, Descriptor: &a.Descriptor}
	case ActPrepare:
		return MethodPrepare, &request{Range: a.Range, Descriptor: &a.Descriptor, Replica: a.Replica}
	case ActChange:
		return MethodChange, &request{Range: a.Range, Change: &a.Change}
	case ActSplit:
		return MethodSplit, &request{Range: a.Range, Split: &a.Split}
	case ActVerify:
		return MethodVerify, &request{Range: a.Range}
	case ActMiddle:
		return MethodMiddle, &request{Range: a.Range}
	case ActTransfer:
		return MethodTransfer, &request{Range: a.Range, Node: a.Node}
	case ActDestroy:
		return MethodDestroy, &request{Range: a.Range, Replica: a.Replica}
	case ActStatus:
		return MethodStatuses, &request{Ranges: a.Ranges}
	case ActProof:
		return MethodProof, &request{Ranges: a.Ranges}
	case ActDrain:
		return MethodDrain, &request{Spec: &a.Spec}
	case ActUndrain:
		return MethodUndrain, &request{}
	}
	if a.Operation != "" {
		return MethodStop, &request{Reason: "drained"}
	}
	return MethodStop, &request{Reason: "decommissioned"}
}
