package store

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// waiting is which proposals are to be taken back at which tick, unless raft has them
// by then: no proposal needs a timer. One that raft has is out of reach, and says what
// became of it when that is known: whoever asked waits no more.
type waiting struct {
	at map[uint64][]waiter
}

type waiter struct {
	id cluster.RangeID
	p  *replica.Proposal
}

// errLate is what became of a proposal that raft did not get in time: certainly nothing.
var errLate = fmt.Errorf("%w: not given to raft in time: %w", ErrProposalLost, context.DeadlineExceeded)

func (w *waiting) add(now uint64, id cluster.RangeID, p *replica.Proposal) {
	if p.Ticks == 0 {
		return
	}
	if w.at == nil {
		w.at = map[uint64][]waiter{}
	}
	at := now + p.Ticks + 1 // the tick that has begun is not a whole one
	w.at[at] = append(w.at[at], waiter{id, p})
}

// expire takes back what has waited until now.
func (c *Core) expire() {
	for _, w := range c.waiting.at[c.ticks] {
		if w.p.Cancel() {
			c.Cancelled(w.id, w.p)
			w.p.Done(replica.Outcome{Err: errLate})
		} else if c.cfg.Planted.DropsLate() {
			w.p.Done(replica.Outcome{Err: errLate})
		}
	}
	delete(c.waiting.at, c.ticks)
}
