package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// request is one request's way to the leader of a range.
type request struct {
	db     *DB
	id     cluster.RangeID
	policy Policy
	// write says that an attempt without an answer may have had an effect.
	write bool
	// unbounded lets an attempt take longer than AttemptTimeout.
	unbounded bool

	started time.Time
	rounds  int              // over all candidates, each followed by a pause
	tried   []cluster.NodeID // in this round
	hint    cluster.NodeID   // what the last follower said
	// maybe is set once an attempt may have been applied.
	maybe bool
	last  error
}

func (d *DB) request(id cluster.RangeID, p Policy) *request {
	return &request{db: d, id: id, policy: p.orDefault(d.cfg.Policy), started: time.Now()}
}

// verdict is what to do after an attempt that failed.
type verdict int

const (
	giveUp  verdict = iota
	goOn            // with another candidate, or this one after a pause
	tryHere         // this one again after a pause
)

// run makes attempts until one succeeds, one fails for good, or the budget ends.
func (r *request) run(ctx context.Context, attempt func(ctx context.Context, node cluster.NodeID) error) error {
	if err := r.db.awake(ctx, r.policy.Budget); err != nil {
		return err
	}
	for {
		if r.write && ctx.Err() != nil {
			return r.failure(context.Cause(ctx))
		}
		node := r.candidate()
		if node == 0 {
			if err := r.pause(ctx); err != nil {
				return err
			}
			continue
		}
		err := r.tryAt(ctx, node, attempt)
		if ctx.Err() == nil {
			r.db.answered(node, !noAnswer(err))
		}
		if err == nil {
			r.db.cfg.Table.SetLeader(r.id, node)
			return nil
		}
		err = clockError(err, r.db.cfg.Self, r.db.cfg.Self) // another node names both by itself
		r.last = err
		if r.db.ctx.Err() != nil && r.db.cfg.Self != node {
			r.maybe = r.maybe || r.write && !surelyNothing(err)
			return r.failure(fmt.Errorf("%w: %w", store.ErrStopped, err))
		}
		if ctx.Err() != nil {
			r.maybe = r.maybe || r.write && !surelyNothing(err)
			return r.failure(context.Cause(ctx))
		}
		switch r.judge(node, err) {
		case giveUp:
			return r.failure(err)
		case goOn:
			r.tried = append(r.tried, node)
		case tryHere:
			if err := r.pause(ctx); err != nil {
				return err
			}
			r.hint = node
		}
	}
}

// progress notes that the attempt under way has achieved a part of the request:
// the patience begins anew.
func (r *request) progress() {
	r.started, r.rounds, r.tried = time.Now(), 0, r.tried[:0]
}

// failure wraps err by the fate of the request.
func (r *request) failure(err error) error {
	var ambiguous *store.AmbiguousError
	if r.maybe && !errors.As(err, &ambiguous) {
		return &store.AmbiguousError{Cause: err}
	}
	return err
}

// tryAt makes one attempt. Of a write at another node the answer is waited for a little
// longer than the request lasts: this node's own takes the write back by itself.
func (r *request) tryAt(ctx context.Context, node cluster.NodeID, attempt func(context.Context, cluster.NodeID) error) error {
	if !r.write || node == r.db.cfg.Self {
		return r.once(ctx, node, attempt)
	}
	ctx, end := linger(ctx)
	defer end()
	return r.once(ctx, node, attempt)
}

// once makes one attempt, which ends early when the node is suspected.
func (r *request) once(ctx context.Context, node cluster.NodeID, attempt func(context.Context, cluster.NodeID) error) error {
	var patience time.Duration
	if !r.unbounded {
		patience = r.db.patience(node)
	}
	a := r.db.attempt(ctx, node, patience)
	defer a.finish()
	return attempt(a, node)
}

// candidate returns the node to try next, 0 if all were tried in this round:
// what a follower said, then the known leader, then the leader that the local
// replica knows, then the voters; those that are in doubt come last.
func (r *request) candidate() cluster.NodeID {
	hint := r.hint
	r.hint = 0
	route, ok := r.db.cfg.Table.Range(r.id)
	local, _ := r.db.cfg.Store.RangeStatus(r.id)
	if !ok {
		// Before the meta range's first command only the local replica knows.
		route.Descriptor = &local.Descriptor
	}
	order := make([]cluster.NodeID, 0, 8)
	order = append(order, hint, route.Leader, local.Leader)
	for _, rep := range route.Descriptor.Replicas {
		if rep.Role != cluster.Learner {
			order = append(order, rep.Node)
		}
	}
	var doubtful cluster.NodeID
	for _, n := range order {
		switch {
		case n == 0 || slices.Contains(r.tried, n):
		case !r.db.doubtful(n):
			return n
		case doubtful == 0:
			doubtful = n
		}
	}
	if doubtful == 0 && len(r.tried) == 0 {
		r.last = errNoReplicas
	}
	return doubtful
}

// localLeader returns the leader that this node's replica knows; 0: none.
func (r *request) localLeader() cluster.NodeID {
	s, _ := r.db.cfg.Store.RangeStatus(r.id)
	return s.Leader
}

// judge learns from a failed attempt and says how to go on.
func (r *request) judge(node cluster.NodeID, err error) verdict {
	var (
		notLeader   *store.NotLeaderError
		notFound    *store.RangeNotFoundError
		mismatch    *store.RangeMismatchError
		ambiguous   *store.AmbiguousError
		failed      *store.ReplicaFailedError
		damaged     *store.DamagedError
		unreachable *transport.UnreachableError
		call        *transport.CallError
		clock       *ClockError
	)
	table := r.db.cfg.Table
	switch {
	case errors.As(err, &ambiguous):
		r.maybe = r.write
		table.DropLeader(r.id, node)
		return goOn
	case errors.As(err, &notLeader):
		table.DropLeader(r.id, node)
		if l := notLeader.Leader; l != 0 && l != node && !slices.Contains(r.tried, l) {
			r.hint = l
		}
		return goOn
	case errors.As(err, &mismatch):
		table.Learn(mismatch.Descriptor)
		for _, d := range mismatch.Others {
			table.Learn(d)
		}
		return giveUp // the caller groups its keys anew
	case errors.As(err, &notFound), errors.As(err, &failed), errors.As(err, &damaged), errors.As(err, &clock), errors.Is(err, store.ErrStopped):
		table.DropLeader(r.id, node)
		return goOn
	case errors.Is(err, store.ErrProposalLost) && errors.Is(err, context.DeadlineExceeded):
		table.DropLeader(r.id, node) // taken back: the node does not get on, perhaps another leads
		return goOn
	case errors.Is(err, store.ErrProposalLost), errors.Is(err, store.ErrOverloaded):
		return tryHere
	case errors.As(err, &call) && call.Code == transport.CodeOverloaded:
		return goOn // it did not even begin: perhaps the node is starting
	case errors.As(err, &unreachable):
		r.maybe = r.maybe || r.write && unreachable.Sent
		table.DropLeader(r.id, node)
		return goOn
	case noAnswer(err):
		r.maybe = r.maybe || r.write
		table.DropLeader(r.id, node)
		return goOn
	}
	return giveUp
}

// noAnswer reports whether err says that the time for an attempt ran out.
func noAnswer(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// surelyNothing reports whether err says that the attempt had no effect.
func surelyNothing(err error) bool {
	var (
		notLeader   *store.NotLeaderError
		notFound    *store.RangeNotFoundError
		mismatch    *store.RangeMismatchError
		damaged     *store.DamagedError
		unreachable *transport.UnreachableError
		clock       *ClockError
	)
	if errors.As(err, &unreachable) {
		return !unreachable.Sent
	}
	return errors.As(err, &notLeader) || errors.As(err, &notFound) || errors.As(err, &mismatch) || errors.As(err, &clock) || errors.As(err, &damaged) ||
		errors.Is(err, store.ErrProposalLost) || errors.Is(err, store.ErrOverloaded) || errors.Is(err, store.ErrDiskFull)
}

// pollLocal is how often a pause looks whether the local replica knows a new leader.
const pollLocal = 20 * time.Millisecond

// pause waits after a round without success, less if a leader becomes known,
// and begins a new round. It returns an error if the budget is spent.
func (r *request) pause(ctx context.Context) error {
	d, ok := r.policy.pause(r.rounds, time.Since(r.started))
	if !ok {
		last := r.last
		var unavailable *UnavailableError
		if !errors.As(last, &unavailable) {
			last = &UnavailableError{Range: r.id, Cause: fmt.Errorf("no leader within %s: %w", time.Since(r.started).Round(time.Millisecond), last)}
		}
		return r.failure(last)
	}
	r.rounds++
	r.tried = r.tried[:0]
	known, local := r.db.cfg.Table.Leader(r.id), r.localLeader()
	timer := time.NewTimer(d)
	defer timer.Stop()
	poll := time.NewTicker(pollLocal)
	defer poll.Stop()
	for {
		changed := r.db.cfg.Table.Changed()
		if l := r.db.cfg.Table.Leader(r.id); l != 0 && l != known {
			return nil // another request found the leader
		}
		select {
		case <-ctx.Done():
			return r.failure(context.Cause(ctx))
		case <-timer.C:
			return nil
		case <-changed:
		case <-poll.C:
			if l := r.localLeader(); l != 0 && l != local {
				return nil
			}
		}
	}
}
