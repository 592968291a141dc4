package operation

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// SQL is the node's SQL server as a drain sees it.
type SQL interface {
	// SetDraining refuses new sessions with 57P03 while on.
	SetDraining(on bool)
	// CloseIdle closes the sessions that are at a transaction boundary, with 57P01.
	CloseIdle()
	// CloseAll closes every session, with 57P01.
	CloseAll()
	// Blockers lists the sessions that are still open.
	Blockers() []Blocker
}

// Blocker is a session that a drain waits for.
type Blocker struct {
	PID         uint32
	User        string
	Application string
	State       cluster.SessionState
	// InTransaction says that it is in a transaction block.
	InTransaction bool
	Since         time.Time // of its transaction, or of a statement outside of one
	Query         string    // the head of its statement
}

// DrainerConfig is what a Drainer needs of its node.
type DrainerConfig struct {
	Self      cluster.NodeID
	BootNonce string
	Store     Store
	SQL       SQL // nil: this node serves no SQL
	// Meta is nil before the node knows its cluster: then only local drains run.
	Meta Meta
	// SetService says what the node now is to others: health, status, gossip.
	SetService func(cluster.Service)
	Liveness   func() map[cluster.NodeID]cluster.Liveness
	// Flush writes out what is in memory; nil: nothing to do.
	Flush func(ctx context.Context) error
	// MayStop asks the coordinator whether this process may stop now, for an
	// operation; nil: nobody needs to be asked.
	MayStop func(ctx context.Context, operation string) (StopCertificate, error)
	// Stop ends the process with exit code 0; it does not wait for the end.
	Stop   func(reason string)
	Logger *slog.Logger // nil discards
	// Now is what this node takes for the time: wall clocks jump; nil: time.Now.
	Now func() time.Time

	// TxnTimeout and Deadline hold where a spec names none. Defaults 60 s and 5 min.
	TxnTimeout, Deadline time.Duration
	// Poll is the pause between two looks at sessions and leaderships. Default 50 ms.
	Poll time.Duration
}

// Drainer makes this node safe to stop. It carries out the drain operations that
// the meta range names it for, and those that its own process asks for.
type Drainer struct {
	cfg  DrainerConfig
	wake chan struct{}

	mu struct {
		sync.Mutex
		current  *draining       // nil: the node serves
		finished map[string]bool // operations that a drain was begun for
		asked    map[string]bool // operations whose cancellation was carried out
	}
	wg sync.WaitGroup
}

// NewDrainer returns a Drainer; Run watches for operations.
func NewDrainer(cfg DrainerConfig) *Drainer {
	if cfg.TxnTimeout == 0 {
		cfg.TxnTimeout = time.Minute
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = 5 * time.Minute
	}
	if cfg.Poll == 0 {
		cfg.Poll = 50 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Drainer{cfg: cfg, wake: make(chan struct{}, 1)}
	d.mu.finished, d.mu.asked = map[string]bool{}, map[string]bool{}
	return d
}

func (d *Drainer) now() time.Time { return d.cfg.Now().UTC().Round(0) }

// Run carries out the drains that the meta range asks of this node until ctx is
// done. A node that finds its own tombstone stops.
func (d *Drainer) Run(ctx context.Context, ready func()) error {
	cancel := d.cfg.Meta.Subscribe(func(*metastate.View) { d.poke() })
	defer cancel()
	defer d.wg.Wait()
	defer d.abandon()
	if ready != nil {
		ready()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if v := d.cfg.Meta.View(); v != nil {
			d.look(ctx, v)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-tick.C:
		}
	}
}

func (d *Drainer) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// look starts and ends drains as the view says.
func (d *Drainer) look(ctx context.Context, v *metastate.View) {
	if n := v.Nodes[d.cfg.Self]; n != nil && n.Tombstone != nil && !d.keeps(v, n) {
		d.cfg.Stop("decommissioned")
		return
	}
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if op.Spec.Kind != cluster.OpDrain || op.State.Final() || !slices.Contains(op.Spec.Nodes, d.cfg.Self) {
			continue
		}
		switch {
		case op.State == cluster.OpCancelling:
			d.cancelled(ctx, op)
		case op.State == cluster.OpRunning && op.Incarnations[d.cfg.Self] == d.cfg.BootNonce:
			d.begin(op.Spec, op)
		}
	}
}

func (d *Drainer) keeps(v *metastate.View, n *cluster.Node) bool {
	op := v.Operations[n.Tombstone.Operation]
	return op != nil && op.Spec.Keep
}

// Begin starts a drain of the process's own, without an operation, unless one is
// under way. It returns at once.
func (d *Drainer) Begin(spec cluster.OperationSpec) { d.begin(spec, nil) }

// Drain drains this node for its own process: SIGTERM, or a service manager. It
// needs neither the meta range nor a quorum, does what it can within the
// deadline, and returns when the node is drained or ctx is done.
func (d *Drainer) Drain(ctx context.Context, spec cluster.OperationSpec) error {
	if spec.OnDeadline == "" {
		spec.OnDeadline = "force"
	}
	run := d.begin(spec, nil)
	select {
	case <-run.drained:
		return run.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin starts a drain, or returns the one under way.
func (d *Drainer) begin(spec cluster.OperationSpec, op *cluster.Operation) *draining {
	d.mu.Lock()
	defer d.mu.Unlock()
	if op != nil && d.mu.finished[op.ID] {
		return nil
	}
	if cur := d.mu.current; cur != nil {
		if op == nil || cur.id() == op.ID {
			return cur
		}
		// A drain of another origin is under way or done: the operation joins it.
		d.mu.finished[op.ID] = true
		d.wg.Add(1)
		go func() {
			defer d.wg.Done()
			cur.join(op)
		}()
		return cur
	}
	run := newDraining(d, spec, op)
	if op != nil {
		d.mu.finished[op.ID] = true
	}
	d.mu.current = run
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		run.run()
	}()
	return run
}

// Undrain ends a drain, and lets the node serve again. It returns when it does.
func (d *Drainer) Undrain() {
	d.mu.Lock()
	run := d.mu.current
	d.mu.Unlock()
	if run == nil {
		return
	}
	run.cancel(errUndrained)
	<-run.ended
	if run.op == nil {
		return
	}
	end := *run.op
	end.State, end.Why = cluster.OpCancelled, "undrained"
	if err := d.write(context.Background(), &end); err != nil { // refused if it has ended: no error
		d.cfg.Logger.Warn("the end of a drain is not recorded", "operation", end.ID, "error", err)
	}
}

// cancelled ends the drain of op, whose cancellation was asked for.
func (d *Drainer) cancelled(ctx context.Context, op *cluster.Operation) {
	d.mu.Lock()
	run, asked := d.mu.current, d.mu.asked[op.ID]
	d.mu.finished[op.ID], d.mu.asked[op.ID] = true, true
	d.mu.Unlock()
	if asked {
		return
	}
	if run != nil && run.id() == op.ID {
		run.cancel(errUndrained)
		select {
		case <-run.ended:
		case <-ctx.Done():
			return
		}
	}
	end := *op
	end.State = cluster.OpCancelled
	if res, err := d.propose(ctx, &end); err != nil || res.Refusal != nil && res.Refusal.Code == metastate.CodeStale {
		d.mu.Lock()
		delete(d.mu.asked, op.ID) // the next look writes it, as of the coordinator's term then
		d.mu.Unlock()
	}
}

// abandon ends what runs when the process does. The node is not made to serve
// again: it is about to end.
func (d *Drainer) abandon() {
	d.mu.Lock()
	run := d.mu.current
	d.mu.Unlock()
	if run != nil {
		run.cancel(errEnding)
	}
}

// Draining reports whether the node is being drained, or is.
func (d *Drainer) Draining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.current != nil
}

// ended forgets run once the node serves again.
func (d *Drainer) ended(run *draining) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.current == run {
		d.mu.current = nil
	}
}

// write records an operation's progress; the term is that of the coordinator
// that admitted it. A refusal is no error: the record has ended or has another
// writer.
func (d *Drainer) write(ctx context.Context, op *cluster.Operation) error {
	if d.cfg.Meta == nil || op.ID == "" {
		return nil
	}
	_, err := d.propose(ctx, op)
	return err
}

func (d *Drainer) propose(ctx context.Context, op *cluster.Operation) (metastate.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return d.cfg.Meta.Propose(ctx, metastate.Command{
		By: d.cfg.Self.String(), Via: "operation",
		UpdateOperation: &metastate.UpdateOperation{Operation: *op, Term: op.CoordinatorTerm},
	})
}

// writeEnd writes how a drain ended. A process that is about to stop tries
// twice; one that stays, until it is undrained.
func (d *Drainer) writeEnd(ctx context.Context, op *cluster.Operation, failed error) {
	now := d.now()
	op.State, op.Why = cluster.OpSucceeded, ""
	if failed != nil {
		op.State, op.Why = cluster.OpFailed, failed.Error()
	} else {
		beginPhase(op, PhaseDrained, now)
		endPhase(op, PhaseDrained, phaseDone, "", now)
		op.Done = op.Total
		if op.Spec.Shutdown {
			beginPhase(op, PhaseStop, now)
			endPhase(op, PhaseStop, phaseDone, "the process stops by itself", now)
		}
	}
	for try := 1; ; try++ {
		err := d.write(ctx, op)
		if err == nil {
			return
		}
		d.cfg.Logger.Warn("the end of a drain is not recorded yet", "operation", op.ID, "error", err)
		if op.Spec.Shutdown && try == 2 || sleep(ctx, time.Second) != nil {
			return
		}
	}
}
