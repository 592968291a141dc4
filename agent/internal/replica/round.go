package replica

import (
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Round is what the replicas of a node have decoded of committed entries and not
// committed to the engine: one plain batch for all ranges, whose commit is carried
// out off the loop. One round is being committed while the next is collected.
type Round struct {
	batch *storage.Batch
	parts []*part
}

// part is what a round does to one replica.
type part struct {
	replica   *Replica
	state     appliedState // that the engine has once the round is committed
	outcomes  []settled
	responses []*pb.Message     // raft's, for applies that end in the round
	mirror    evaluation.Mirror // as the round leaves it; nil: the machine has none
}

// NewRound begins to collect a round.
func NewRound(e *storage.Engine) *Round { return &Round{batch: e.NewWriteBatch()} }

// Seal ends the collecting: each replica's part gets its applied state and the ids of
// its commands.
func (rd *Round) Seal() {
	for _, p := range rd.parts {
		p.replica.seal(rd.batch, p)
	}
}

// Commit makes the round visible, without a sync: the log is durable, and the applied
// states go with what was applied, so that a crash leaves the state of some earlier
// entry of each range and the rest is applied again. Any goroutine may call it, once.
// After an error nobody knows what is visible.
func (rd *Round) Commit() error {
	err := rd.batch.Commit(false)
	if err = errors.Join(err, rd.batch.Close()); err != nil {
		return fmt.Errorf("commit applied entries: %w", err)
	}
	return nil
}

// Done tells the replicas that the round is committed.
func (rd *Round) Done() {
	for _, p := range rd.parts {
		p.replica.roundDone(p)
	}
}

// Drop gives the round up.
func (rd *Round) Drop() { _ = rd.batch.Close() } // nothing of it is written

// Ranges calls fn for each range that has a part in the round.
func (rd *Round) Ranges(fn func(cluster.RangeID)) {
	for _, p := range rd.parts {
		fn(p.replica.rangeID)
	}
}

// collect returns the batch of the round in which this replica takes part from here on.
func (r *Replica) collect() *storage.Batch {
	rd := r.out.Round()
	if r.collecting == nil {
		r.collecting = &part{replica: r}
		rd.parts = append(rd.parts, r.collecting)
	}
	return rd.batch
}

// Uncommitted reports whether a round holds something of the replica. Who writes its
// state from elsewhere waits until none does.
func (r *Replica) Uncommitted() bool { return r.collecting != nil || r.committing != nil }

// Settled reports whether all that raft gave the replica to apply is committed to the
// engine, or never will be.
func (r *Replica) Settled() bool { return !r.Uncommitted() && (len(r.todo) == 0 || r.stopped()) }

// apply takes committed entries that raft wants applied.
func (r *Replica) apply(m *pb.Message) {
	r.todo = append(r.todo, m)
	r.applySome()
}

// applySome decodes entries into the round that is being collected, as far as it may:
// one that changes what the range is stands alone, and waits until all before it is
// committed.
func (r *Replica) applySome() {
	for len(r.todo) > 0 && !r.stopped() {
		m := r.todo[0]
		for entries := m.GetEntries(); r.decodedOf < len(entries); r.decodedOf++ {
			e := entries[r.decodedOf]
			if !alone(e) {
				r.applyTogether(e)
			} else if r.Uncommitted() && !r.cfg.Planted.splitAtOnce() {
				return // roundDone goes on
			} else {
				r.applyAlone(e)
			}
			if r.stopped() {
				return
			}
		}
		r.todo, r.decodedOf = r.todo[1:], 0
		if r.collecting == nil && r.committing == nil {
			r.respondApplied(m.GetResponses())
			continue
		}
		r.collect()
		r.collecting.responses = append(r.collecting.responses, m.GetResponses()...)
	}
	if len(r.todo) == 0 {
		r.todo = nil
	}
}

// alone reports whether e changes the descriptor, or asks what the replica holds there:
// no round may hold what comes before it and what comes after.
func alone(e *pb.Entry) bool {
	return len(e.Data) > 1 && (e.GetType() == pb.EntryConfChangeV2 || e.Data[1]&(envelopeSplit|envelopeVerify) != 0)
}

// applyTogether applies an entry in the round. Of one that fails nothing counts.
func (r *Replica) applyTogether(e *pb.Entry) {
	b, before := r.collect(), r.decoded
	if err := r.applyEntry(b, e); err != nil {
		r.decoded = before
		r.fail(fmt.Errorf("apply entry %d: %w", e.GetIndex(), err))
	}
}

// applyAlone applies an entry and commits it at once: such entries are rare.
func (r *Replica) applyAlone(e *pb.Entry) {
	b := r.cfg.Engine.NewWriteBatch()
	generation, end := r.desc.Generation, r.desc.End
	r.children = nil
	err := r.applyEntry(b, e)
	if err == nil {
		err = r.writeDecoded(b)
	}
	if err == nil {
		err = b.Commit(false)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		r.fail(fmt.Errorf("apply entry %d: %w", e.GetIndex(), err))
		return
	}
	if r.desc.Generation != generation {
		// Nobody may read what was split off under the lease of before. It comes back
		// with the new descriptor when all that follows from the change is done.
		r.leased.grant(nil, r.last())
		r.followPast()
	}
	if r.evaluator != nil {
		r.evaluator.Narrow(r.cfg.Planted.splitUnlocks(r.desc))
	}
	for _, child := range r.children {
		r.out.Born(r, child)
	}
	r.emitChecksum()
	became := r.advance(r.decoded)
	if !became && r.desc.Generation != generation {
		r.out.Changed(r, r.leading)
	}
	r.outcomes = r.deliver(r.outcomes)
	if r.leading && r.desc.End != end {
		r.restart()
	}
}

// seal ends the replica's part of a round, whose state is what was decoded so far.
func (r *Replica) seal(b *storage.Batch, p *part) {
	defer r.guard()
	r.collecting, r.committing, p.state = nil, p, r.applied
	err := r.countFirst()
	if err == nil {
		err = r.writeDecoded(b)
	}
	if err == nil && !r.stopped() {
		err = r.truncate(b)
	}
	p.state = r.decoded
	if r.evaluator != nil {
		p.mirror = r.evaluator.Mirror()
	}
	if r.cfg.Planted.showEarly() {
		r.show(p.mirror)
	}
	p.outcomes, r.outcomes = r.outcomes, nil
	if err != nil {
		r.fail(err)
		return
	}
	if r.cfg.Planted.applyEarly() && !r.stopped() {
		r.advance(p.state)
		p.outcomes = r.deliver(p.outcomes)
	}
}

// writeDecoded writes how far the state is that b makes, and what else there is one
// of in each round.
func (r *Replica) writeDecoded(b *storage.Batch) error {
	r.addCounts()
	r.checkCounts()
	if err := r.ids.end(b, r.rangeID, r.decoded.Index, r.decoded.LastTS); err != nil {
		return err
	}
	if r.cfg.Planted.stateAhead() {
		if err := r.storeState(r.decoded, false); err != nil {
			return err
		}
	}
	if err := b.Set(keys.RangeApplied(r.rangeID), r.decoded.encode()); err != nil {
		return fmt.Errorf("write applied state: %w", err)
	}
	return nil
}

// roundDone follows the commit of a round: what it decided is told, and what waited
// for it goes on.
func (r *Replica) roundDone(p *part) {
	r.committing = nil
	if r.failed != nil {
		return // who waited has been answered
	}
	defer r.guard()
	r.show(p.mirror)
	counted := r.applied.Counted
	if !r.advance(p.state) && counted != p.state.Counted {
		r.out.Changed(r, false)
	}
	r.deliver(p.outcomes)
	r.respondApplied(p.responses)
	r.applySome()
	r.finishReads()
}

// show has reads meet the intents that a commit has left, and no more those that it
// took away: see LeaseRead.Mirror for the order.
func (r *Replica) show(m evaluation.Mirror) {
	if m != nil {
		r.evaluator.Show(m)
	}
}

// advance notes that the engine holds state, and reports whether that made a new
// leader ready.
func (r *Replica) advance(state appliedState) (ready bool) {
	invariant.Check(state.Index >= r.applied.Index, "%s: applied up to %d, and then up to %d", r.rangeID, r.applied.Index, state.Index)
	r.applied = state
	r.leased.reached(state.Index)
	r.past.reached(state.Index, state.LastTS)
	if ready = r.leading && !r.ready && state.Term == r.leaderTerm; ready {
		r.becomeReady()
	}
	return ready
}

// respondApplied tells raft that what it gave to apply is committed to the engine.
func (r *Replica) respondApplied(responses []*pb.Message) {
	r.refusing = false
	for _, resp := range responses {
		if err := r.rn.Step(resp); err != nil {
			r.cfg.Logger.Debug("raft refused its own message", logattr.Range(r.rangeID), logattr.Err(err))
		}
	}
}
