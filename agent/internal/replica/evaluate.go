package replica

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/latch"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// maxLine is how many requests wait for one row: at 2,000 a second they wait half a
// second, which is less than a gateway gives an attempt.
const maxLine = 1024

// evaluations is what a leader knows of the requests that it evaluates. It begins
// empty with each leadership, and what an earlier one left is void.
type evaluations struct {
	epoch   uint64 // rises when all that is under way becomes void
	seq     uint64 // of the last request
	order   uint64 // of the last decision
	latches *latch.Table
	// open are the requests that have no answer yet, those in raft included.
	open   map[CommandID]*Proposal
	known  knownRows
	split  *Proposal // or a fence, given to raft, and not applied: nothing is proposed behind it
	places places
	// locks are those of transactions, in memory or written down.
	locks *lock.Table
	waits lockWaits
}

// stage is how far a request is.
type stage int

const (
	inLine  stage = iota // waits for its latches, or is being evaluated
	decided              // has its command, which waits for raft
	refused              // waits until its refusal is certain
	inRaft
)

// evaluated is the part of a Proposal that a request adds.
type evaluated struct {
	request  evaluation.Request
	stage    stage
	seq      uint64 // of its arrival
	order    uint64 // of its decision
	latch    *latch.Latch
	command  []byte // what is proposed in place of the payload
	result   []byte // the answer once that is applied
	saw      hlc.Timestamp
	joined   []*Proposal // the same request, made again: they get its answer
	refusals []func(err error)
	late     func() []byte // the answer in place of result, made when it is due
	waits    bool          // refused over what another request leaves, whose fate is open
	again    bool          // refused so that it may be asked anew
	repeats  bool          // without an entry it needs no record
	epoch    uint64        // in which it was decided, of one that fences
	placed   bool          // it has taken a place over: nobody has locked its rows since that was kept
	applied  bool          // its command is
	answered bool
	lockWait
}

func newEvaluations(known int) evaluations {
	return evaluations{latches: latch.New(maxLine), open: map[CommandID]*Proposal{}, known: newKnownRows(known), places: newPlaces(), locks: lock.New(maxLine), waits: newLockWaits()}
}

// enter takes a request: it stands in line for its rows, or joins its first attempt.
func (r *Replica) enter(p *Proposal) {
	if first := r.evals.open[p.ID]; first != nil {
		// From here on nobody may take it back: it may be applied.
		if r.claim(p) {
			first.joined = append(first.joined, p)
			// What may still arrive beside p must find the answer that p gets.
			first.Retry = first.Retry || p.Retry && !r.cfg.Planted.joinUnrecorded()
		}
		return
	}
	req, err := r.evaluator.Open(p.Payload)
	if err != nil {
		p.refuse(fmt.Errorf("%s: the request is not evaluated: %w", r.rangeID, err))
		return
	}
	r.evals.seq++
	p.request, p.seq = req, r.evals.seq
	r.standInLine(p)
}

func (r *Replica) standInLine(p *Proposal) {
	rows := p.request.Touches()
	if r.cfg.Planted.noLatch() {
		rows = nil
	}
	l := r.takeOver(p, rows)
	if p.placed = l != nil; !p.placed {
		var err error
		if l, err = r.evals.latches.Acquire(rows, p); err != nil {
			r.answer(p, Outcome{Err: ErrOverloaded})
			return
		}
	}
	p.latch, p.stage = l, inLine
	r.evals.open[p.ID] = p
	r.comesBack(p)
	r.admit(p)
}

// claim makes p the range's own: who asked can take it back no more. False: it has
// been taken back.
func (r *Replica) claim(p *Proposal) bool {
	p.claimed = p.claimed || p.take()
	return p.claimed
}

// Cancelled tells that p was taken back: its place in line is free.
func (r *Replica) Cancelled(p *Proposal) {
	if r.stopped() || p.answered || r.evals.open[p.ID] != p || p.claimed {
		return
	}
	defer r.guard()
	r.drop(p)
}

// drop forgets a request that was taken back. Those that had joined it go on.
func (r *Replica) drop(p *Proposal) {
	p.answered = true
	r.leave(p)
	for i, q := range p.joined {
		q.request, q.seq = p.request, p.seq
		if r.standInLine(q); !q.answered {
			q.joined = p.joined[i+1:]
			return
		}
	}
}

// leave takes a request out of all that it was in.
func (r *Replica) leave(p *Proposal) {
	r.discharge(p)
	if p.request == nil {
		return
	}
	if r.evals.open[p.ID] == p {
		delete(r.evals.open, p.ID)
	}
	if p.latch != nil {
		p.latch.Release()
	}
	r.leaveLocks(p)
	for _, row := range p.request.Touches() {
		r.evals.known.end(row, p, p.applied)
	}
}

// answer ends a proposal, once. What was refused over what it leaves is refused for
// certain now, or has to be asked again.
func (r *Replica) answer(p *Proposal, o Outcome) {
	if p.answered {
		return
	}
	p.answered = true
	if o.Err == nil {
		r.keepPlace(p)
	}
	if o.Err == nil && !o.rejected {
		p.applied = p.stage == inRaft
		r.endLocks(p)
	}
	r.leave(p)
	if r.evals.split == p {
		r.evals.split = nil
	}
	if r.claim(p) {
		p.Done(o)
	}
	for _, q := range p.joined {
		q.Done(o)
	}
	err := o.Err
	if o.rejected {
		err = ErrProposalLost
	}
	for _, refuse := range p.refusals {
		refuse(err)
	}
	p.joined, p.refusals = nil, nil
	if p.fences && p.request != nil && err == nil && p.epoch == r.evals.epoch && r.leading {
		r.restart()
	}
}

// Evaluation is a request to be evaluated outside of the loop: whoever carries it out
// calls Run, anywhere, and then the core's Evaluated.
type Evaluation struct {
	Range cluster.RangeID

	replica *Replica
	p       *Proposal
	epoch   uint64
	desc    *cluster.RangeDescriptor
	pending []evaluation.Pending
	by      []*Proposal // whose pending versions these are
	result  evaluation.Decision
	err     error
	broken  any // what it panicked with: an invariant is broken, unless it is void
}

// evaluateGranted hands out the requests whose turn it is. A new leader's wait until
// it is ready: until then it does not know what earlier leaders have acknowledged.
func (r *Replica) evaluateGranted() {
	if !r.leading || !r.ready && !r.cfg.Planted.evaluateUnready() {
		return
	}
	for {
		r.goOn()
		ls := r.evals.latches.Granted()
		if len(ls) == 0 {
			return
		}
		for _, l := range ls {
			if p, ok := l.Owner.(*Proposal); ok && p != nil && !p.answered && p.latch == l {
				r.evaluate(p)
			}
		}
	}
}

func (r *Replica) evaluate(p *Proposal) {
	// Of every request, not of retries alone: a first attempt may come after its own
	// retry. What is applied from here on cannot have this id: its requests join.
	if o, ok := r.Applied(p.ID); ok {
		r.answer(p, o)
		return
	}
	if !r.passLocks(p) {
		return
	}
	rows := p.request.Touches()
	j := &Evaluation{
		Range: r.rangeID, replica: r, p: p, epoch: r.evals.epoch, desc: r.desc,
		pending: make([]evaluation.Pending, len(rows)), by: make([]*Proposal, len(rows)),
	}
	for i, row := range rows {
		if !r.cfg.Planted.freeLatchEarly() {
			j.pending[i], j.by[i] = r.evals.known.of(row)
		}
	}
	for i, by := range p.skip {
		j.pending[i].Skip = by
	}
	r.contended(p, j.pending)
	if r.evaluateHere(j) {
		r.Evaluated(j)
		return
	}
	r.out.Evaluate(j)
}

// rowsHere is how many rows a request may touch to be evaluated in the loop.
const rowsHere = 16

// evaluateHere evaluates a request that needs nothing but what is known, which is sooner
// done than given away and taken back. The loop reads no engine.
func (r *Replica) evaluateHere(j *Evaluation) bool {
	rows := j.p.request.Touches()
	if n := j.p.request.Locks().N; r.cfg.KnownRows == 0 || len(rows) > rowsHere || !r.evals.known.all(rows[:n]) {
		return false
	}
	j.Run(storage.NoRows())
	if errors.Is(j.err, storage.ErrNoRows) {
		j.result, j.err = evaluation.Decision{}, nil
		return false
	}
	return true
}

// Run evaluates over rows of the engine, a view from after the job was handed out. Any
// goroutine may call it, once. A broken invariant is the replica's to stop over: one that is
// void meanwhile finds rows that do not go with what it was told of them.
func (j *Evaluation) Run(rows *storage.Rows) {
	defer func() { j.broken = recover() }()
	j.result, j.err = j.p.request.Evaluate(rows, j.desc, j.pending)
}

// Evaluated takes an evaluation that was carried out. One of before the leadership or
// the range changed is void: its request was answered then, or stands in line anew.
func (r *Replica) Evaluated(j *Evaluation) {
	p := j.p
	if r.stopped() {
		return
	}
	defer r.guard()
	if r.cfg.Planted.proposeVoid() && j.epoch != r.evals.epoch && j.result.Command != nil && r.leading && r.ready {
		p.answered, p.stage, p.command = true, decided, j.result.Command
		r.queue = append(r.queue, p)
		return
	}
	if j.epoch != r.evals.epoch || p.answered {
		return
	}
	if j.broken != nil {
		panic(j.broken)
	}
	rows := p.request.Touches()
	for i, version := range j.result.Found {
		if version != nil {
			r.evals.known.found(rows[i], version)
		}
	}
	switch {
	case errors.Is(j.err, storage.ErrCorruption):
		r.answer(p, Outcome{Err: r.unreadable(j.err)})
	case j.err != nil:
		r.answer(p, Outcome{Err: fmt.Errorf("%s: evaluate: %w", r.rangeID, j.err)})
		r.fail(fmt.Errorf("evaluate a request: %w", j.err))
	case j.result.Command == nil:
		r.refuse(j)
	case len(j.result.Command) > 2*r.cfg.MaxCommandBytes: // headers come on top of what was asked
		r.answer(p, Outcome{Err: ErrTooLarge})
	case !r.claim(p):
		r.drop(p)
	default:
		if err := r.observe(j.result.Saw); err != nil {
			r.answer(p, Outcome{Err: err})
			return
		}
		r.decide(p, j)
	}
}

// observe moves the clock past what an evaluation saw: what is not of the range itself a
// gateway has named.
func (r *Replica) observe(saw hlc.Timestamp) error {
	if saw <= r.lastTS {
		return nil
	}
	return r.cfg.Observe(saw)
}

// decide has a command follow those that were decided before, and lets the next in
// line go on from what it leaves.
func (r *Replica) decide(p *Proposal, j *Evaluation) {
	d := &j.result
	r.evals.order++
	p.stage, p.order, p.command, p.result, p.saw = decided, r.evals.order, d.Command, d.Result, d.Saw
	p.ends, p.endsAll, p.fences, p.epoch = d.Ends, d.EndsAll, d.Fences, j.epoch
	if d.Answer != nil {
		p.late = func() []byte { return d.Answer(j.times) }
	}
	for i, row := range p.request.Touches() {
		if v := d.Leaves[i]; v != nil {
			r.evals.known.leave(row, p, v)
		}
	}
	p.latch.Pass()
	r.queue = append(r.queue, p)
}

// refuse makes a refusal certain. It needs no entry: it is enough that this replica
// still leads after it was decided, and that what it was decided on is applied.
func (r *Replica) refuse(j *Evaluation) {
	p := j.p
	p.stage, p.again, p.repeats = refused, j.result.Again, j.result.Repeats
	p.ends, p.endsAll = j.result.Ends, j.result.EndsAll
	if !p.Keep || !p.again {
		p.latch.Release()
	}
	var last *Proposal // the last command that it was decided on; those before are applied before
	for _, q := range j.by {
		if q != nil && !q.answered && (last == nil || q.order > last.order) {
			last = q
		}
	}
	settle := func(err error) {
		p.waits = false
		switch {
		case p.answered:
		case err != nil: // what it was refused for never was
			r.answer(p, Outcome{Err: ErrProposalLost})
		default:
			r.confirm(p, j.result.Answer(j.times))
		}
	}
	if last == nil {
		settle(nil)
		return
	}
	p.waits = true
	last.refusals = append(last.refusals, settle)
}

// times are the timestamps of the commands that it went on from, once they have them.
func (j *Evaluation) times(row int) hlc.Timestamp {
	if q := j.by[row]; q != nil {
		return q.ts
	}
	return 0
}

// confirm answers with a refusal once leadership is confirmed, as for a read: by the lease,
// or by a quorum. If an earlier attempt may still arrive, it must find that it is refused:
// then the answer is recorded by an entry.
func (r *Replica) confirm(p *Proposal, result []byte) {
	if r.cfg.Planted.refuseUnconfirmed() {
		r.answer(p, Outcome{Result: result})
		return
	}
	if p.Retry && !p.repeats {
		r.record(p, result)
		return
	}
	if r.leased.Held() { // nobody else leads, now that it is decided
		r.answer(p, Outcome{Result: result})
		return
	}
	r.Read(&Read{refusal: true, Done: func(err error) {
		if err == nil && p.Retry && !p.repeats && !p.answered { // a retry has joined it meanwhile
			r.record(p, result)
			return
		}
		r.answer(p, Outcome{Result: result, Err: err})
	}})
}

// record has an entry answer with a refusal.
func (r *Replica) record(p *Proposal, result []byte) {
	if !r.claim(p) {
		r.drop(p)
		return
	}
	p.command, p.result = r.evaluator.Record(result), result
	r.queue = append(r.queue, p)
}

// void ends all evaluations. What raft has not seen is answered with err.
func (r *Replica) void(err error) {
	r.evals.epoch++
	r.resetLatches()
	r.forgetLocks()
	r.evals.split = nil
	for _, p := range r.opened() {
		delete(r.evals.open, p.ID)
		if p.stage != inRaft {
			r.answer(p, Outcome{Err: err})
		}
	}
}

// resetLatches forgets who stands where, and what is known there.
func (r *Replica) resetLatches() {
	r.evals.latches.Reset()
	if !r.cfg.Planted.remembers() {
		r.evals.known = newKnownRows(r.cfg.KnownRows)
	}
	r.evals.places.reset()
}

// opened returns the requests without an answer, in the order in which they came.
func (r *Replica) opened() []*Proposal {
	return slices.SortedFunc(maps.Values(r.evals.open), func(a, b *Proposal) int { return cmp.Compare(a.seq, b.seq) })
}

// restart evaluates anew what raft has not seen, after the range has given rows away, or
// refuses what it did not before: what was decided about them cannot be applied, nor what was decided upon that.
// Nothing is in raft: nothing is proposed behind a split.
func (r *Replica) restart() {
	r.evals.epoch++
	r.resetLatches()
	r.narrowLocks()
	r.queue = slices.DeleteFunc(r.queue, func(p *Proposal) bool { return p.stage == decided && p.request != nil })
	for _, p := range r.opened() {
		invariant.Check(p.stage != inRaft, "%s: a command was proposed behind a split", r.rangeID)
		if p.stage == refused && !p.waits {
			continue // it was refused over what is applied
		}
		r.discharge(p)
		p.command, p.result, p.late, p.refusals, p.waits, p.again, p.fences = nil, nil, nil, nil, false, false, false
		r.leaveLocks(p)
		r.standInLine(p)
	}
	r.cfg.Logger.Debug("requests are evaluated anew", logattr.Range(r.rangeID))
}

var errUnsettled = errors.New("leadership ended while the command was proposed")

// Replica returns whose request it is.
func (j *Evaluation) Replica() *Replica { return j.replica }
