package operation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

var (
	errUndrained = errors.New("undrained")
	errEnding    = errors.New("the process ends")
	errDeadline  = errors.New("the deadline of the drain has passed")
)

// blockersNamed bounds the sessions that a drain names.
const blockersNamed = 5

// transferTimeout bounds one leadership transfer; another voter is tried then.
const transferTimeout = 3 * time.Second

// draining is one drain of this node, from its beginning until the node serves
// again or its process ends.
type draining struct {
	d       *Drainer
	spec    cluster.OperationSpec
	ctx     context.Context //nolint:containedctx // the life of the drain, not of a request
	cancel  context.CancelCauseFunc
	drained chan struct{} // closed when nothing is left, or it could not be done: err
	ended   chan struct{} // closed when the node serves again, or the process ends
	err     error         // set before drained is closed
	records chan struct{} // asks for the record to be written soon
	phased  chan struct{} // asks for it to be written now
	written chan struct{} // closed when nothing writes it any more

	mu struct {
		sync.Mutex
		op *cluster.Operation // the record; without an id if there is none
	}
	op *cluster.Operation // as it was begun with; nil: none
}

func newDraining(d *Drainer, spec cluster.OperationSpec, op *cluster.Operation) *draining {
	r := &draining{
		d: d, spec: spec, op: op, drained: make(chan struct{}), ended: make(chan struct{}),
		records: make(chan struct{}, 1), phased: make(chan struct{}, 1), written: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	record := &cluster.Operation{Phases: drainPhases(spec.Shutdown)}
	if op != nil {
		c := *op
		c.Phases = slices.Clone(op.Phases)
		if len(c.Phases) == 0 {
			c.Phases = drainPhases(spec.Shutdown)
		}
		record = &c
	}
	r.mu.op = record
	return r
}

func (r *draining) id() string {
	if r.op == nil {
		return ""
	}
	return r.op.ID
}

// run drains, holds the node drained, and lets it serve again when told to.
func (r *draining) run() {
	defer close(r.ended)
	go r.writeRecords()
	r.err = r.drain()
	if cause := context.Cause(r.ctx); cause != nil {
		r.err = cause // undrained, or the process ends
	}
	r.end(r.err)
	close(r.drained)
	if r.err == nil && r.spec.Shutdown {
		r.d.cfg.SetService(cluster.Stopping)
		r.d.cfg.Stop("drained")
		<-r.ctx.Done()
	}
	if r.err == nil {
		r.hold()
	}
	if !errors.Is(context.Cause(r.ctx), errEnding) {
		r.reopen()
	}
	r.d.ended(r)
}

// drain goes through the phases under one deadline.
func (r *draining) drain() error {
	deadline := seconds(r.spec.Deadline, r.d.cfg.Deadline)
	ctx, cancel := context.WithTimeoutCause(r.ctx, deadline, errDeadline)
	defer cancel()
	r.d.cfg.SetService(cluster.Draining)
	r.phase(PhaseUnready)
	err := r.handOver(ctx)
	if err == nil {
		err = r.emptySessions(ctx)
	}
	if errors.Is(err, errDeadline) && r.spec.OnDeadline == "force" && r.ctx.Err() == nil {
		r.d.cfg.Logger.Warn("drain goes on by force", "reason", err)
		r.closeAll()
		err = nil
	}
	if err != nil {
		return err
	}
	r.phase(PhaseFlush)
	if r.d.cfg.Flush != nil {
		if err := r.d.cfg.Flush(r.ctx); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	if r.spec.Shutdown {
		if err := r.certify(ctx, r.id()); err != nil && (r.spec.OnDeadline != "force" || !errors.Is(err, errDeadline)) {
			return err
		}
	}
	r.phase(PhaseDrained)
	r.d.cfg.SetService(cluster.Drained)
	return nil
}

// handOver hands over every leadership that another voter can take, while load
// balancers are given the time to look away. It ends when both are done.
func (r *draining) handOver(ctx context.Context) error {
	until := time.Now().Add(seconds(r.spec.LBWait, 0))
	tried := map[cluster.RangeID]map[cluster.NodeID]bool{}
	for {
		led, orphans := r.led()
		left := max(0, time.Until(until))
		r.handingOver(led, orphans, left)
		if len(led) == 0 && left == 0 {
			return nil
		}
		pause := 4 * r.d.cfg.Poll // a leadership may come back meanwhile
		if len(led) > 0 {
			r.transferSome(ctx, led, tried)
			pause = r.d.cfg.Poll
		}
		if left > 0 {
			pause = min(pause, left)
		}
		if err := sleep(ctx, pause); err != nil {
			if errors.Is(err, errDeadline) {
				return fmt.Errorf("%w: %s", err, handOverLeft(led, left))
			}
			return err
		}
	}
}

// handingOver records how far both halves of handOver are: unready ends when the
// load balancers have had their time, leaders when the node leads nothing.
func (r *draining) handingOver(led []*cluster.RangeStatus, orphans int, left time.Duration) {
	now := r.d.now()
	r.note(func(op *cluster.Operation) {
		op.Done.Leaders = max(0, op.Total.Leaders-len(led)-orphans)
		op.Why = handOverLeft(led, left)
		if left == 0 {
			endPhase(op, PhaseUnready, phaseDone, "", now)
			op.Phase = PhaseLeaders
		}
		if len(led) > 0 {
			besidePhase(op, PhaseLeaders, now)
			return
		}
		note := ""
		if orphans > 0 {
			note = fmt.Sprintf("%d ranges have no other voter that could lead", orphans)
		}
		endPhase(op, PhaseLeaders, phaseDone, note, now)
	})
}

// handOverLeft says what a drain waits for before it refuses sessions.
func handOverLeft(led []*cluster.RangeStatus, left time.Duration) string {
	var parts []string
	if len(led) > 0 {
		parts = append(parts, fmt.Sprintf("%d leaderships left, %s first", len(led), led[0].Descriptor.ID))
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("waiting for load balancers, %.0f s left", math.Ceil(left.Seconds())))
	}
	return strings.Join(parts, "; ")
}

// led returns the ranges that this node leads and another voter could, and how
// many nobody else could.
func (r *draining) led() (led []*cluster.RangeStatus, orphans int) {
	for _, st := range r.d.cfg.Store.Status() {
		if !st.IsLeader() {
			continue
		}
		if slices.ContainsFunc(st.Descriptor.Voters(), func(n cluster.NodeID) bool { return n != r.d.cfg.Self && r.mayLead(n) }) {
			led = append(led, st)
		} else {
			orphans++
		}
	}
	return led, orphans
}

// transferSome hands over up to eight ranges at once, each to the voter that has
// caught up and leads least.
func (r *draining) transferSome(ctx context.Context, led []*cluster.RangeStatus, tried map[cluster.RangeID]map[cluster.NodeID]bool) {
	counts := r.counts()
	var wg sync.WaitGroup
	for _, st := range led[:min(len(led), 8)] {
		id := st.Descriptor.ID
		if tried[id] == nil {
			tried[id] = map[cluster.NodeID]bool{}
		}
		to := r.heir(st, counts, tried[id])
		if to == 0 {
			clear(tried[id])
			continue
		}
		tried[id][to] = true
		counts[to]++
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(ctx, transferTimeout)
			defer cancel()
			if err := r.d.cfg.Store.Transfer(ctx, id, to); err != nil {
				r.d.cfg.Logger.Debug("leadership not handed over, will retry", "range", id.String(), "to", to.String(), "error", err)
			}
		}()
	}
	wg.Wait()
}

// counts is how many ranges each node leads, as far as is seen from here.
func (r *draining) counts() map[cluster.NodeID]int {
	counts := map[cluster.NodeID]int{}
	for _, st := range r.d.cfg.Store.Status() {
		counts[st.Leader]++
	}
	return counts
}

func (r *draining) heir(st *cluster.RangeStatus, counts map[cluster.NodeID]int, tried map[cluster.NodeID]bool) cluster.NodeID {
	best := cluster.NodeID(0)
	for _, p := range st.Progress {
		rep, ok := st.Descriptor.On(p.Node)
		stays := ok && (rep.Role == cluster.Voter || rep.Role == cluster.VoterIncoming)
		if !stays || !follows(st, p) || tried[p.Node] || !r.mayLead(p.Node) {
			continue
		}
		if best == 0 || counts[p.Node] < counts[best] || counts[p.Node] == counts[best] && p.Node < best {
			best = p.Node
		}
	}
	return best
}

// mayLead reports whether a node is one that leaderships may go to.
func (r *draining) mayLead(id cluster.NodeID) bool {
	if l, ok := r.d.cfg.Liveness()[id]; ok && l != cluster.Alive {
		return false
	}
	if r.d.cfg.Meta == nil {
		return true
	}
	v := r.d.cfg.Meta.View()
	n := v.Nodes[id]
	if n == nil || n.Membership != cluster.Active || n.Cordon {
		return false
	}
	for _, op := range v.Operations {
		if op.Spec.Kind == cluster.OpDrain && op.State == cluster.OpRunning && slices.Contains(op.Spec.Nodes, id) {
			return false
		}
	}
	return true
}

// emptySessions refuses new sessions, closes idle ones, and waits for the
// transactions of the others; after the transaction timeout it closes those too.
func (r *draining) emptySessions(ctx context.Context) error {
	sql := r.d.cfg.SQL
	r.phase(PhaseRefuse)
	if sql == nil {
		return nil
	}
	sql.SetDraining(true)
	r.phase(PhaseIdle)
	sql.CloseIdle()
	r.phase(PhaseTransactions)
	patience := time.NewTimer(seconds(r.spec.TxnTimeout, r.d.cfg.TxnTimeout))
	defer patience.Stop()
	out := false
	for {
		open := sql.Blockers()
		slices.SortStableFunc(open, func(a, b Blocker) int { return a.Since.Compare(b.Since) }) // the oldest first
		r.note(func(op *cluster.Operation) {
			op.Done.Sessions = max(0, op.Total.Sessions-len(open))
			op.Why = blockers(open, r.d.now())
			op.Blockers = r.named(open)
		})
		if len(open) == 0 {
			return nil
		}
		if out {
			sql.CloseAll()
		} else {
			sql.CloseIdle()
		}
		select {
		case <-patience.C:
			out = true
			r.note(func(op *cluster.Operation) {
				notePhase(op, PhaseTransactions, "closed after the transaction timeout; "+blockers(open, r.d.now()))
			})
			continue
		default:
		}
		if err := sleep(ctx, r.d.cfg.Poll); err != nil {
			if errors.Is(err, errDeadline) {
				return fmt.Errorf("%w: %s", err, blockers(open, r.d.now()))
			}
			return err
		}
	}
}

// blockers names the sessions that a drain waits for.
func blockers(open []Blocker, now time.Time) string {
	if len(open) == 0 {
		return ""
	}
	held := 0 // in transaction blocks
	for _, b := range open {
		if b.InTransaction {
			held++
		}
	}
	parts := make([]string, 0, blockersNamed)
	for _, b := range open[:min(len(open), blockersNamed)] {
		state := ""
		if b.State != "" {
			state = ", " + string(b.State)
		}
		if !b.Since.IsZero() {
			state += fmt.Sprintf(", %s", now.Sub(b.Since).Round(time.Second))
		}
		parts = append(parts, fmt.Sprintf("pid %d (user %s, application %q%s)", b.PID, b.User, b.Application, state))
	}
	noun := "sessions"
	if len(open) == 1 {
		noun = "session"
	}
	text := fmt.Sprintf("waits for %d %s (%d in a transaction): %s", len(open), noun, held, strings.Join(parts, "; "))
	if len(open) > blockersNamed {
		text += fmt.Sprintf("; and %d more", len(open)-blockersNamed)
	}
	return text
}

// closeAll is what a deadline with force does.
func (r *draining) closeAll() {
	if sql := r.d.cfg.SQL; sql != nil {
		sql.SetDraining(true)
		sql.CloseAll()
	}
}

// hold keeps the node drained until it is undrained or its time is up, and gives
// away the leaderships that it wins meanwhile.
func (r *draining) hold() {
	var over <-chan time.Time
	if ttl := seconds(r.spec.TTL, 0); ttl > 0 && !r.spec.Shutdown {
		timer := time.NewTimer(ttl)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(10 * r.d.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-over:
			return
		case <-tick.C:
			if led, _ := r.led(); len(led) > 0 {
				r.transferSome(r.ctx, led, map[cluster.RangeID]map[cluster.NodeID]bool{})
			}
		}
	}
}

// reopen lets the node serve again.
func (r *draining) reopen() {
	if sql := r.d.cfg.SQL; sql != nil {
		sql.SetDraining(false)
	}
	r.d.cfg.SetService(cluster.Ready)
}

// phase begins a phase and has it recorded at once.
func (r *draining) phase(name string) {
	r.mu.Lock()
	beginPhase(r.mu.op, name, r.d.now())
	r.mu.Unlock()
	r.record(r.phased)
}

// note changes the record, which is written soon.
func (r *draining) note(change func(op *cluster.Operation)) {
	r.mu.Lock()
	change(r.mu.op)
	r.mu.Unlock()
	r.record(r.records)
}

// record has the operation written, by another goroutine: a drain never waits
// for a meta range that has no quorum.
func (r *draining) record(to chan struct{}) {
	if r.op == nil {
		return
	}
	select {
	case to <- struct{}{}:
	default:
	}
}

// writeRecords writes the operation's progress until the final record is due: at
// most once a second, but a new phase at once, and what came last in any case.
func (r *draining) writeRecords() {
	defer close(r.written)
	var pause <-chan time.Time // nil: it may be written
	due := false
	for {
		if due && pause == nil {
			r.writeRecord()
			due, pause = false, time.After(time.Second)
		}
		select {
		case _, open := <-r.records:
			if !open {
				return
			}
			due = true
		case <-r.phased:
			due, pause = true, nil
		case <-pause:
			pause = nil
		}
	}
}

func (r *draining) writeRecord() {
	r.mu.Lock()
	op := *r.mu.op
	op.Phases = slices.Clone(op.Phases)
	r.mu.Unlock()
	if err := r.d.write(r.ctx, &op); err != nil {
		r.d.cfg.Logger.Warn("drain goes on, its record does not", "operation", op.ID, "error", err)
	}
}

// end writes the final record, if there is one to write: the drain is over.
func (r *draining) end(err error) {
	close(r.records)
	<-r.written
	if r.op == nil || r.ctx.Err() != nil {
		return // whoever cancelled it writes the record
	}
	r.mu.Lock()
	op := *r.mu.op
	op.Phases = slices.Clone(op.Phases)
	r.mu.Unlock()
	r.d.writeEnd(r.ctx, &op, err)
}

// join ends op, which asks for what this drain is doing or has done, as this
// drain ends.
func (r *draining) join(op *cluster.Operation) {
	select {
	case <-r.drained:
	case <-r.ended:
	}
	end := *op
	end.Phases = slices.Clone(op.Phases)
	failed := r.err
	if failed == nil && op.Spec.Shutdown {
		ctx, cancel := context.WithTimeoutCause(r.ctx, seconds(op.Spec.Deadline, r.d.cfg.Deadline), errDeadline)
		failed = r.certify(ctx, op.ID)
		cancel()
	}
	r.d.writeEnd(r.ctx, &end, failed)
	if failed == nil && op.Spec.Shutdown {
		r.d.cfg.SetService(cluster.Stopping)
		r.d.cfg.Stop("drained")
	}
}

func seconds(s float64, fallback time.Duration) time.Duration {
	if s <= 0 {
		return fallback
	}
	return time.Duration(s * float64(time.Second))
}

// sleep waits for d, and returns why it was cut short.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
