package replica

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/invariant"
)

// Limits of what waits at one replica. Beyond them requests are refused.
const (
	maxQueued      = 16384
	maxQueuedBytes = 32 << 20
	maxStepBytes   = 1 << 20 // commands given to raft at once
	maxStepEntries = 1024
	maxAppends     = 2 // outstanding appends; raft.md 1.1: batches form while they last
)

// Outcome is what became of a proposal.
type Outcome struct {
	Result []byte
	TS     hlc.Timestamp // of the entry, or of the first attempt's
	Err    error
	// Index is set for a verification: of its entry.
	Index uint64
	// Descriptor is set for changes of replicas and splits, Child for splits.
	Descriptor *cluster.RangeDescriptor
	Child      *cluster.RangeDescriptor

	rejected bool // applied nowhere
}

// Proposal is one request or command, one change of replicas, one split or one
// verification, on its way.
type Proposal struct {
	ID CommandID
	// Retry says that an earlier attempt may still arrive, wherever.
	Retry   bool
	Payload []byte
	// Grows says that it is to make the range larger: see store.Room.
	Grows bool
	// Keep asks that a request that is refused keeps its place in line, for one that
	// comes in its stead: that names it as InPlaceOf. One without a payload gives the
	// place up.
	Keep      bool
	InPlaceOf CommandID
	// Ticks is how long it may wait to be given to raft; 0: for ever. Then the core
	// takes it back. Raft may have it for longer: its fate is known when it is applied.
	Ticks uint64
	Done  func(Outcome) // called once, by the core, unless Cancel returned true

	state  atomic.Int32
	change *cluster.ReplicaChange
	split  bool // Payload is a splitCommand
	verify bool // without a payload
	// collects says that its command takes garbage away. It has no id: nobody asks again.
	collects bool
	// fences says that its command refuses what was not refused before: what was evaluated
	// without it must not come behind it. As a split it holds up what is proposed.
	fences bool
	ts     hlc.Timestamp
	index  uint64 // the slot, once raft gave one
	term   uint64

	claimed  bool // as state says, of the range's own knowledge
	admitted bool // counted as waiting
	evaluated
}

const (
	proposalQueued int32 = iota
	proposalTaken
	proposalCancelled
)

// Cancel takes back a proposal that was not yet given to raft: true means that
// it certainly is not and never will be applied. Any goroutine may call it.
func (p *Proposal) Cancel() bool {
	return p.state.CompareAndSwap(proposalQueued, proposalCancelled)
}

func (p *Proposal) take() bool { return p.state.CompareAndSwap(proposalQueued, proposalTaken) }

// refuse answers a proposal that was not given to raft.
func (p *Proposal) refuse(err error) { p.answer(Outcome{Err: err}) }

func (p *Proposal) answer(o Outcome) {
	if p.take() {
		p.Done(o)
	}
}

// Propose queues a request or a command. Process has a request evaluated, and gives
// a command to raft.
func (r *Replica) Propose(p *Proposal) {
	switch {
	case r.failed != nil:
		p.refuse(r.failedError())
	case !r.leading:
		p.refuse(r.notLeader())
	case len(p.Payload) > r.cfg.MaxCommandBytes:
		p.refuse(ErrTooLarge)
	case r.queued >= maxQueued || r.queueBytes+len(p.Payload) > maxQueuedBytes:
		p.refuse(ErrOverloaded)
	case p.InPlaceOf != CommandID{} && len(p.Payload) == 0:
		r.giveUpPlace(p)
	default:
		if o, ok := r.Applied(p.ID); ok && !p.split && !p.verify {
			p.answer(o) // a retry: what was applied once needs no entry, nor a leader
			return
		}
		if r.evaluator != nil && !p.split && !p.verify {
			r.enter(p)
			return
		}
		r.admit(p)
		r.queue = append(r.queue, p)
	}
}

// admit counts p as waiting, until discharge.
func (r *Replica) admit(p *Proposal) {
	p.admitted = true
	r.queued++
	r.queueBytes += len(p.Payload)
}

func (r *Replica) discharge(p *Proposal) {
	if p.admitted {
		p.admitted = false
		r.queued--
		r.queueBytes -= len(p.Payload)
	}
}

// stepQueued gives queued commands to raft, many at once. They wait while a new
// leader has not applied its own first entry, while enough appends are
// outstanding, while raft refuses (a transfer is under way), and behind a split: what
// is proposed then must be of the range as the split leaves it.
func (r *Replica) stepQueued() {
	for len(r.queue) > 0 && r.leading && r.ready && r.appends < maxAppends && !r.refusing && r.evals.split == nil {
		if !r.stepSome() {
			return
		}
	}
}

func (r *Replica) stepSome() (more bool) {
	r.leased.propose(func(mark hlc.Timestamp) { more = r.stepAbove(mark) })
	return more
}

// stepAbove gives commands to raft, with timestamps above the read mark.
func (r *Replica) stepAbove(mark hlc.Timestamp) bool {
	n, size := 0, 0
	entries := make([]*pb.Entry, 0, min(len(r.queue), maxStepEntries))
	taken := r.taken[:0]
	for ; n < len(r.queue) && size < maxStepBytes && len(entries) < maxStepEntries && r.evals.split == nil; n++ {
		p := r.queue[n]
		if !r.claim(p) { // cancelled
			continue
		}
		p.ts = r.nextTS(max(mark, p.saw))
		invariant.Check(p.ts > p.saw, "%s: a command at %s follows what its evaluation saw at %s", r.rangeID, p.ts, p.saw)
		if p.split || p.fences {
			r.evals.split = p
		}
		e := &pb.Entry{Data: encodeEnvelope(p)}
		size += len(e.Data)
		entries = append(entries, e)
		taken = append(taken, p)
	}
	r.taken = taken
	if len(entries) == 0 {
		r.dequeue(n)
		return false
	}
	err := r.rn.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: new(uint64(r.id)), Entries: entries})
	if err != nil {
		// Nothing was appended: they stay in the queue.
		for _, p := range taken {
			p.ts = 0
			if p.request == nil {
				p.claimed = false
				p.state.Store(proposalQueued)
			}
		}
		r.refusing, r.evals.split = true, nil
		return false
	}
	for i, p := range taken {
		p.stage = inRaft
		r.leased.sent(r.last()+uint64(i)+1, p)
	}
	r.unslotted = append(r.unslotted, taken...)
	r.given += uint64(len(entries))
	r.dequeue(n)
	return true
}

func (r *Replica) dequeue(n int) {
	for _, p := range r.queue[:n] {
		r.discharge(p)
	}
	clear(r.queue[:n])
	r.queue = r.queue[n:]
	if len(r.queue) == 0 {
		r.queue = nil
	}
}

// nextTS returns the timestamp of the next command: after every command before
// it, after every read that was served, and after what its evaluation saw.
func (r *Replica) nextTS(mark hlc.Timestamp) hlc.Timestamp {
	r.lastTS = max(r.cfg.Clock.Now(), r.lastTS+1, mark+1)
	return r.lastTS
}

// noteSlots learns the index and term of the entries that this leader proposed.
func (r *Replica) noteSlots(entries []*pb.Entry) {
	for _, e := range entries {
		if e.GetTerm() != r.leaderTerm {
			continue
		}
		if len(e.Data) == 0 {
			r.news.alert(e.GetIndex())
			continue
		}
		if len(r.unslotted) == 0 {
			break
		}
		p := r.unslotted[0]
		r.unslotted = r.unslotted[1:]
		invariant.Check(p.change != nil || string(e.Data[2:18]) == string(p.ID[:]), "%s: entry %d is not the command that was proposed", r.rangeID, e.GetIndex())
		p.index, p.term = e.GetIndex(), e.GetTerm()
		if p.change != nil || p.split || p.verify {
			r.news.alert(p.index)
		}
		r.slotted.push(p)
	}
	if n := len(entries); n > 0 {
		r.lastIndex, r.given = entries[n-1].GetIndex(), 0
	}
}

// fate answers every proposal whose slot the entry decides: its own one was
// applied, any other one in the slot, or before it, certainly never will be.
func (r *Replica) fate(e *pb.Entry, o Outcome) {
	for p := r.slotted.front(); p != nil && p.index <= e.GetIndex(); p = r.slotted.front() {
		r.slotted.pop()
		r.settle(p, e, o)
	}
	if len(r.orphans) == 0 {
		return
	}
	for _, p := range r.orphans[e.GetIndex()] {
		r.settle(p, e, o)
	}
	delete(r.orphans, e.GetIndex())
}

func (r *Replica) settle(p *Proposal, e *pb.Entry, o Outcome) {
	if p.index != e.GetIndex() || p.term != e.GetTerm() {
		o = Outcome{Err: ErrProposalLost}
	} else if p.late != nil && o.Err == nil && !o.rejected {
		o.Result = p.late()
	} else if p.result != nil && o.Err == nil && !o.rejected {
		o.Result = p.result
	}
	r.outcomes = append(r.outcomes, settled{p, o})
}

type settled struct {
	p *Proposal
	o Outcome
}

// deliver answers the proposals that a commit decided, and returns the room. It runs
// after the commit, so that what is acknowledged can be read.
func (r *Replica) deliver(os []settled) []settled {
	for i := range os {
		r.answer(os[i].p, os[i].o)
		os[i] = settled{}
	}
	return os[:0]
}

// orphan keeps the slots of proposals of a leadership that ended: whoever leads
// now decides what fills them, and this replica learns it when it applies them.
func (r *Replica) orphan() {
	for p := r.slotted.front(); p != nil; p = r.slotted.front() {
		r.slotted.pop()
		if r.orphans == nil {
			r.orphans = map[uint64][]*Proposal{}
		}
		r.orphans[p.index] = append(r.orphans[p.index], p)
	}
	for _, p := range r.unslotted {
		r.answer(p, Outcome{Err: &AmbiguousError{Cause: errUnsettled}})
	}
	r.unslotted = nil
}

// jump answers the proposals whose slots up to an index are skipped here.
func (r *Replica) jump(to uint64, why error) {
	cause := &AmbiguousError{Cause: why}
	for p := r.slotted.front(); p != nil && p.index <= to; p = r.slotted.front() {
		r.slotted.pop()
		r.answer(p, Outcome{Err: cause})
	}
	for _, index := range slices.Sorted(maps.Keys(r.orphans)) {
		if index > to {
			break
		}
		for _, p := range r.orphans[index] {
			r.answer(p, Outcome{Err: cause})
		}
		delete(r.orphans, index)
	}
}

// refuseQueued answers every proposal that raft never saw.
func (r *Replica) refuseQueued(err error) {
	for _, p := range r.queue {
		r.answer(p, Outcome{Err: err})
	}
	r.queue = nil
}

// proposeChange gives a change of replicas to raft at once.
func (r *Replica) proposeChange(p *Proposal, cc *pb.ConfChangeV2) error {
	context, err := encodeChange(*p.change)
	if err != nil {
		return err
	}
	cc.Context = context
	data, err := proto.Marshal(cc)
	if err != nil {
		return err
	}
	if !r.claim(p) {
		return nil
	}
	if err = r.stepChange(p, data); err != nil {
		r.answer(p, Outcome{Err: err})
	}
	return nil
}

// stepChange gives a change of replicas to raft.
func (r *Replica) stepChange(p *Proposal, data []byte) error {
	m := &pb.Message{Type: pb.MsgProp.Enum(), From: new(uint64(r.id)), Entries: []*pb.Entry{{Type: pb.EntryConfChangeV2.Enum(), Data: data}}}
	if err := r.rn.Step(m); err != nil {
		if errors.Is(err, raft.ErrProposalDropped) {
			err = ErrChangePending
		}
		return err
	}
	r.given++
	if m.Entries[0].GetType() != pb.EntryConfChangeV2 {
		// raft put an empty entry in the place of a change that it refuses.
		return ErrChangePending
	}
	r.unslotted = append(r.unslotted, p)
	return nil
}

// proposals is a queue in the order of slots.
type proposals struct {
	ps   []*Proposal
	head int
}

func (q *proposals) push(p *Proposal) { q.ps = append(q.ps, p) }

func (q *proposals) front() *Proposal {
	if q.head == len(q.ps) {
		return nil
	}
	return q.ps[q.head]
}

func (q *proposals) pop() {
	q.ps[q.head] = nil
	q.head++
	if q.head == len(q.ps) {
		q.ps, q.head = q.ps[:0], 0
	} else if q.head > 1024 && q.head > len(q.ps)/2 {
		n := copy(q.ps, q.ps[q.head:])
		clear(q.ps[n:])
		q.ps, q.head = q.ps[:n], 0
	}
}
