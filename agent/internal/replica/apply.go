package replica

import (
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

// applyEntry decodes a committed entry, and writes what it does to b. It reads memory
// alone, but for a split.
func (r *Replica) applyEntry(b *storage.Batch, e *pb.Entry) error {
	invariant.Check(e.GetIndex() == r.decoded.Index+1, "%s: entry %d applied after %d", r.rangeID, e.GetIndex(), r.decoded.Index)
	r.decoded.Index, r.decoded.Term = e.GetIndex(), e.GetTerm()
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
	invariant.Check(ts > r.decoded.LastTS, "%s: entry %d has timestamp %s, one before it %s", r.rangeID, e.GetIndex(), ts, r.decoded.LastTS)
	r.decoded.LastTS = ts
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
	if o, ok := r.known(id); ok {
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
	r.takeGarbage()
	r.fate(e, Outcome{Result: result, TS: env.ts, rejected: !applied})
	if env.id != (CommandID{}) { // of garbage: nobody asks for it again
		r.ids.add(env.id, env.ts, result)
	}
	return nil
}

// known returns what becomes of a command that is in the log before this one, if its
// id says that.
func (r *Replica) known(id CommandID) (o Outcome, ok bool) {
	if id.Timestamp() < r.decoded.Forgotten {
		return Outcome{Err: &AmbiguousError{Cause: errForgotten}}, true
	}
	ts, result, ok := r.ids.find(id)
	return Outcome{Result: result, TS: ts}, ok && !r.cfg.Planted.dupApply()
}

// Applied returns what became of a command that this replica has applied, if it
// has. Of one that is so old that its id is forgotten nobody knows: the outcome is
// that.
func (r *Replica) Applied(id CommandID) (o Outcome, ok bool) {
	o, ok = r.known(id)
	return o, ok && o.TS <= r.applied.LastTS
}

// forget forgets old ids. It depends on timestamps in the log only, so that every
// replica forgets at the same entry.
func (r *Replica) forget(b *storage.Batch, now hlc.Timestamp) error {
	horizon := now.Add(-IDAge)
	if horizon < r.decoded.Forgotten.Add(forgetEvery) || horizon > now {
		return nil
	}
	r.decoded.Forgotten = horizon
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
