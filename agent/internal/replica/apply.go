package replica

import (
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// apply applies committed entries in one batch, without a sync: the log is
// durable, and the applied index goes with the state, so that a crash leaves
// the state of some earlier entry and the rest is applied again.
func (r *Replica) apply(m *pb.Message) {
	end := r.desc.End
	if err := r.applyEntries(m.GetEntries()); err != nil {
		r.fail(err)
		return
	}
	r.deliver()
	if r.leading && r.desc.End != end {
		r.restart()
	}
	if r.removed {
		return
	}
	r.refusing = false
	for _, resp := range m.GetResponses() {
		if err := r.rn.Step(resp); err != nil {
			r.cfg.Logger.Debug("raft refused its own message", logattr.Range(r.rangeID), logattr.Err(err))
		}
	}
}

func (r *Replica) applyEntries(entries []*pb.Entry) error {
	b := r.cfg.Engine.NewBatch()
	generation, before := r.desc.Generation, r.applied
	r.children = nil
	for _, e := range entries {
		if err := r.applyEntry(b, e); err != nil {
			return errors.Join(fmt.Errorf("apply entry %d: %w", e.GetIndex(), err), b.Close())
		}
	}
	r.addCounts()
	r.checkCounts()
	err := r.countFirst(before)
	if err == nil {
		err = r.ids.end(b, r.rangeID, r.applied.Index, r.applied.LastTS)
	}
	if err == nil {
		err = b.Set(keys.RangeApplied(r.rangeID), r.applied.encode())
	}
	if err == nil {
		err = r.truncate(b)
	}
	if err == nil {
		err = b.Commit(false)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("commit applied entries: %w", err)
	}
	if r.desc.Generation != generation {
		// Nobody may read what was split off under the lease of before. It comes back
		// with the new descriptor when all that follows from the change is done.
		r.leased.grant(nil, r.last())
	}
	r.leased.reached(r.applied.Index)
	for _, child := range r.children {
		r.out.Born(r, child)
	}
	r.emitChecksum()
	if r.leading && !r.ready && r.applied.Term == r.leaderTerm {
		r.becomeReady()
	} else if r.desc.Generation != generation {
		r.out.Changed(r, r.leading)
	}
	return nil
}

func (r *Replica) applyEntry(b *storage.Batch, e *pb.Entry) error {
	invariant.Check(e.GetIndex() == r.applied.Index+1, "%s: entry %d applied after %d", r.rangeID, e.GetIndex(), r.applied.Index)
	r.applied.Index, r.applied.Term = e.GetIndex(), e.GetTerm()
	switch {
	case len(e.Data) == 0: // a leader's first, or a conf change that raft refused
		r.fate(e, Outcome{Err: ErrProposalLost})
		return nil
	case e.GetType() == pb.EntryConfChangeV2:
		return r.applyChange(b, e)
	case e.GetType() == pb.EntryNormal:
		return r.applyCommand(b, e)
	}
	return fmt.Errorf("%w: entry of type %s", storage.ErrCorruption, e.GetType())
}

// applyCommand applies a command. One of an Applier is not applied if its id says
// that it was before: then its first result is the result. The lookup is made for
// every command, not for retries alone: a first attempt may reach this range after
// its own retry.
func (r *Replica) applyCommand(b *storage.Batch, e *pb.Entry) error {
	env, err := decodeEnvelope(e.Data)
	if err != nil {
		return err
	}
	id, ts := env.id, env.ts
	invariant.Check(ts > r.applied.LastTS, "%s: entry %d has timestamp %s, one before it %s", r.rangeID, e.GetIndex(), ts, r.applied.LastTS)
	r.applied.LastTS = ts
	r.lastTS = max(r.lastTS, ts)
	if err := r.forget(b, ts); err != nil {
		return err
	}
	if env.split {
		return r.applySplit(b, e, &env)
	}
	if env.verify {
		r.applyVerify(e, &env)
		return nil
	}
	r.counts.writes++
	if r.evaluator != nil {
		return r.applyOutcome(b, e, &env)
	}
	if o, ok := r.Applied(id); ok {
		r.fate(e, o)
		return nil
	}
	result, err := r.applier.Apply(b, r.desc, e.GetIndex(), ts, env.payload)
	if err != nil {
		return err
	}
	r.fate(e, Outcome{Result: result, TS: ts})
	r.ids.add(id, ts, result)
	return nil
}

// applyOutcome applies what a leader has evaluated, and reads nothing. The id needs
// no look: the leader knew all that was applied before its term, and has let no
// request into its log twice. It must have none either: what was decided after this
// command rests on it.
func (r *Replica) applyOutcome(b *storage.Batch, e *pb.Entry, env *envelope) error {
	result, applied, err := r.evaluator.Write(b, r.desc, env.ts, env.payload)
	if err != nil {
		return err
	}
	r.fate(e, Outcome{Result: result, TS: env.ts, rejected: !applied})
	r.ids.add(env.id, env.ts, result)
	return nil
}

// Applied returns what became of a command that this replica has applied, if it
// has. Of one that is so old that its id is forgotten nobody knows: the outcome is
// that.
func (r *Replica) Applied(id CommandID) (o Outcome, ok bool) {
	if id.Timestamp() < r.applied.Forgotten {
		return Outcome{Err: &AmbiguousError{Cause: errForgotten}}, true
	}
	ts, result, ok := r.ids.find(id)
	return Outcome{Result: result, TS: ts}, ok && !r.cfg.Planted.dupApply()
}

// forget forgets old ids. It depends on timestamps in the log only, so that every
// replica forgets at the same entry.
func (r *Replica) forget(b *storage.Batch, now hlc.Timestamp) error {
	horizon := now.Add(-IDAge)
	if horizon < r.applied.Forgotten.Add(forgetEvery) || horizon > now {
		return nil
	}
	r.applied.Forgotten = horizon
	return r.ids.forget(b, r.rangeID, r.cfg.Planted.forgetEarly(horizon))
}

// applyChange changes the descriptor and raft's configuration together, if the
// range is still at the generation that the change expects.
func (r *Replica) applyChange(b *storage.Batch, e *pb.Entry) error {
	var cc pb.ConfChangeV2
	if err := proto.Unmarshal(e.Data, &cc); err != nil {
		return fmt.Errorf("%w: conf change: %w", storage.ErrCorruption, err)
	}
	change, err := decodeChange(cc.GetContext())
	if err != nil {
		return err
	}
	next, planned, err := planChange(r.desc, change)
	if err != nil {
		r.fate(e, Outcome{Err: err}) // raft is not told: the change did not happen
		return nil                   //nolint:nilerr // a refusal is an outcome
	}
	before := r.desc
	value, err := encodeDescriptor(next)
	if err != nil {
		return err
	}
	if err := b.Set(keys.RangeDescriptor(r.rangeID), value); err != nil {
		return err
	}
	r.setDescriptor(next)
	cs := r.rn.ApplyConfChange(planned)
	if err := cs.Equivalent(confState(next)); err != nil {
		invariant.Check(false, "%s: raft's configuration is not the descriptor's: %v", r.rangeID, err)
	}
	r.cfg.Logger.Debug("replicas changed", logattr.Range(r.rangeID), logattr.Reason(describe(change)))
	r.fate(e, Outcome{Descriptor: next.Clone()})
	r.changed(before)
	return nil
}

func describe(c cluster.ReplicaChange) string {
	s := string(c.Kind)
	if c.Add != 0 {
		s += " +" + c.Add.String()
	}
	if c.Remove != 0 {
		s += " -" + c.Remove.String()
	}
	for _, n := range c.Promote {
		s += " +" + n.String()
	}
	for _, n := range c.Demote {
		s += " -" + n.String()
	}
	return s
}

// changed follows a change of the descriptor that was just applied.
func (r *Replica) changed(before *cluster.RangeDescriptor) {
	for _, d := range before.Replicas {
		if _, ok := r.desc.ByReplica(d.Replica); ok {
			continue
		}
		if d.Replica == r.id {
			r.removed = true
		} else if r.leading {
			// raft stops talking to a removed replica at once, which then may never
			// learn of it.
			r.out.Gone(r.rangeID, d.Node, d.Replica+1)
		}
	}
}
