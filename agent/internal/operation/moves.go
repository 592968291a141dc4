package operation

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// moving is a move being carried out.
type moving struct {
	move     placement.Move
	op       string // empty: upkeep
	inflight uint64
	told     bool // in begun

	step     string
	why      string
	code     placement.Code
	attempts int
	failed   string // the last error
	retryAt  time.Time

	prepared  uint64 // generation for which the target made room; 0: none
	cleared   bool   // the target was told to destroy an older replica
	polledAt  time.Time
	blockedAt time.Time // since when the kernel forbids the next step
	match     uint64    // of the learner, and since when it has not moved
	matchAt   time.Time
	ended     bool // done, or to be planned anew
}

// Begun is a move whose first change was made.
type Begun struct {
	Operation string // empty: upkeep
	Move      placement.Move
}

// Begun returns the moves that the last step learnt to have begun, each once.
func (c *Controller) Begun() []Begun { return c.begun }

// blocked reports whether the move cannot go on by itself for now.
func (m *moving) blocked() bool { return !m.blockedAt.IsZero() }

// start begins a move unless its range has one.
func (c *Controller) start(op string, move placement.Move) bool {
	if c.moves[move.Range] != nil || c.transfers[move.Range] != nil || c.beingSplit(move.Range) || !c.room(op, move) {
		return false
	}
	c.moves[move.Range] = &moving{move: move, op: op, step: "pending"}
	return true
}

// room reports whether another move may begin. Bounds are in quarters, since a
// small range counts a quarter.
func (c *Controller) room(op string, move placement.Move) bool {
	total, upkeep := 0, 0
	perNode := map[cluster.NodeID]int{}
	for _, m := range c.moves {
		w := c.weight(m.move)
		total += w
		if m.op == "" {
			upkeep += w
		}
		perNode[m.move.To] += w
	}
	w := c.weight(move)
	switch {
	case total+w > 4*c.cfg.MovesAtOnce:
		return false
	case op == "" && upkeep+w > 4*c.cfg.UpkeepMoves:
		return false
	case move.To != 0 && perNode[move.To]+w > 4*c.cfg.MovesPerNode:
		return false
	}
	return true
}

func (c *Controller) weight(m placement.Move) int {
	if m.Bytes <= c.cfg.SmallRange {
		return 1
	}
	return 4
}

// endRemoved ends the moves of ranges whose pool was dropped, before anything looks
// at a range that is no more. What a call under way still makes is removed.
func (c *Controller) endRemoved() {
	for _, id := range sorted(c.moves) {
		if c.in.View.Removed[id] != nil {
			delete(c.moves, id)
			c.ended++
		}
	}
}

// stepMoves carries on every move that is not waiting for an answer.
func (c *Controller) stepMoves() {
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if m.inflight == 0 && !m.ended && !c.in.Now.Before(m.retryAt) {
			c.stepMove(m)
		}
		if m.ended {
			delete(c.moves, id)
			c.ended++
		}
	}
}

func (c *Controller) stepMove(m *moving) {
	snap := c.snap
	if r := c.runs[m.op]; r != nil && r.op.Spec.MaxDisk > 0 {
		own := *c.snap
		own.MaxDisk = r.op.Spec.MaxDisk
		snap = &own
	}
	step := placement.Next(snap, m.move)
	m.step, m.why, m.code = step.Name, step.Why, step.Code
	if step.Kind != placement.StepBlocked {
		m.blockedAt = time.Time{}
	}
	switch step.Kind {
	case placement.StepDone:
		m.ended = true
	case placement.StepWait:
		c.await(m)
	case placement.StepBlocked:
		c.blocked(m)
	case placement.StepTransfer:
		r := c.snap.Range(m.move.Range)
		m.inflight = c.do(Action{Kind: ActTransfer, Operation: m.op, To: r.Leader, Range: m.move.Range, Node: step.To})
	case placement.StepChange:
		c.change(m, step.Change)
	}
}

// change asks the leader for one change; the target makes room before it is
// given a learner.
func (c *Controller) change(m *moving, change cluster.ReplicaChange) {
	r := c.snap.Range(m.move.Range)
	d := &r.Descriptor
	if change.Kind == cluster.AddLearner && m.prepared != d.Generation+1 {
		if m.attempts > 0 && !m.cleared {
			// Something is in the way there: most likely a replica of an earlier time.
			m.inflight = c.do(Action{Kind: ActDestroy, Operation: m.op, To: change.Add, Range: d.ID, Replica: d.NextReplica})
			return
		}
		m.inflight = c.do(Action{Kind: ActPrepare, Operation: m.op, To: change.Add, Range: d.ID, Descriptor: *d.Clone(), Replica: d.NextReplica})
		return
	}
	m.inflight = c.do(Action{Kind: ActChange, Operation: m.op, To: r.Leader, Range: d.ID, Change: change})
}

// await looks at how a learner catches up, and gives the target up if it does
// not.
func (c *Controller) await(m *moving) {
	r := c.snap.Range(m.move.Range)
	if to := c.snap.Node(m.move.To); m.move.To != 0 && (to == nil || !to.Live()) {
		c.giveUp(m, placement.NoTarget, fmt.Sprintf("%s is not alive", m.move.To))
		return
	}
	if c.stalled(m, r) {
		c.avoid(m.move.To)
		c.giveUp(m, placement.NoTarget, fmt.Sprintf("%s has not caught up by an entry for %s", m.move.To, c.cfg.Stall))
		if c.sourced[m.move.Range]++; c.sourced[m.move.Range]%2 == 0 {
			c.anotherSource(m) // two targets cannot both be wrong
		}
		return
	}
	c.poll(m, r)
}

// poll asks the leader how the range stands.
func (c *Controller) poll(m *moving, r *placement.Range) {
	if r == nil || r.Leader == 0 || c.in.Now.Sub(m.polledAt) < c.cfg.Poll {
		return
	}
	m.polledAt = c.in.Now
	m.inflight = c.do(Action{Kind: ActStatus, Operation: m.op, To: r.Leader, Range: m.move.Range, Ranges: []cluster.RangeID{m.move.Range}})
}

// stalled reports whether the learner's log has not grown for too long. While a
// snapshot is on its way the log does not grow: that is given longer.
func (c *Controller) stalled(m *moving, r *placement.Range) bool {
	match, snapshot := uint64(0), false
	for _, x := range c.extra[m.move.Range] {
		for _, p := range x.status.Progress {
			if p.Node == m.move.To {
				match, snapshot = p.Match, p.Snapshot
			}
		}
	}
	if m.matchAt.IsZero() || match > m.match {
		m.match, m.matchAt = match, c.in.Now
	}
	limit := c.cfg.Stall
	if snapshot {
		m.step = "snapshot"
		limit = c.patience(m)
	}
	return r.Leader != 0 && c.in.Now.Sub(m.matchAt) > limit
}

// blocked keeps a move that the kernel forbids until it may go on, unless
// another target would help or nobody asked for it.
func (c *Controller) blocked(m *moving) {
	if m.blockedAt.IsZero() {
		m.blockedAt = c.in.Now
	}
	if m.code == placement.NoTarget || m.code == placement.Disk || m.code == placement.Constraint {
		c.giveUp(m, m.code, m.why)
		return
	}
	if m.op == "" && c.in.Now.Sub(m.blockedAt) > c.cfg.Fresh {
		m.ended = true
		return
	}
	c.poll(m, c.snap.Range(m.move.Range))
}

// giveUp ends a move for the want of its target; whoever wanted it plans anew.
// A learner that is left behind is removed by upkeep.
func (c *Controller) giveUp(m *moving, code placement.Code, why string) {
	m.ended = true
	if r := c.runs[m.op]; r != nil {
		r.gaveUp(m, code, why)
	}
}

// moveDone takes in the answer that a move was waiting for.
func (c *Controller) moveDone(done Completion) {
	m := c.moves[done.Action.Range]
	if m == nil || m.inflight != done.Action.ID {
		return
	}
	m.inflight = 0
	if done.Err != nil {
		m.attempts++
		m.failed = done.Err.Error()
		m.why = m.failed
		m.retryAt = c.in.Now.Add(min(c.cfg.Retry*time.Duration(m.attempts), 10*c.cfg.Retry))
		m.prepared, m.polledAt = 0, time.Time{}
		if done.Action.Kind == ActDestroy {
			m.cleared = true // it may be that there was nothing: go on
		}
		// What is known of the leader may be wrong: only newer answers count.
		delete(c.extra, done.Action.Range)
		c.tired(m, done.Action.Kind)
		return
	}
	switch done.Action.Kind {
	case ActPrepare:
		m.prepared = done.Action.Descriptor.Generation + 1
	case ActDestroy:
		m.cleared = true
	case ActChange:
		m.attempts, m.failed, m.polledAt = 0, "", time.Time{}
		if !m.told {
			m.told = true
			c.begun = append(c.begun, Begun{Operation: m.op, Move: m.move})
		}
	}
}

// handing is a leadership transfer being carried out.
type handing struct {
	op       string
	inflight uint64
	retryAt  time.Time
}

// hand asks for a transfer, unless its range is busy or too many are under way.
func (c *Controller) hand(op string, t placement.Transfer) {
	if c.moves[t.Range] != nil || c.transfers[t.Range] != nil || len(c.transfers) >= c.cfg.TransfersAtOnce {
		return
	}
	h := &handing{op: op}
	h.inflight = c.do(Action{Kind: ActTransfer, Operation: op, To: t.From, Range: t.Range, Node: t.To})
	c.transfers[t.Range] = h
}

func (c *Controller) transferDone(done Completion) {
	h := c.transfers[done.Action.Range]
	if h == nil || h.inflight != done.Action.ID {
		return
	}
	h.inflight = 0
	if done.Err == nil {
		// Until the next report nobody asks for this transfer again.
		h.retryAt = c.in.Now.Add(c.cfg.Retry / 2)
		return
	}
	h.retryAt = c.in.Now.Add(2 * c.cfg.Retry)
}

// stepTransfers forgets transfers that have ended.
func (c *Controller) stepTransfers() {
	for _, id := range sorted(c.transfers) {
		if h := c.transfers[id]; h.inflight == 0 && !c.in.Now.Before(h.retryAt) {
			delete(c.transfers, id)
			c.ended++
		}
	}
}
