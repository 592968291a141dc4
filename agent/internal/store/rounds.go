package store

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// Round satisfies replica.Output.
func (c *Core) Round() *replica.Round {
	if c.round == nil {
		c.round = replica.NewRound(c.cfg.Engine)
	}
	return c.round
}

// TakeRound hands out what has been applied and is to be committed; nil if there is
// nothing, or a round is out already.
func (c *Core) TakeRound() *replica.Round {
	if c.committing || c.round == nil {
		return nil
	}
	rd := c.round
	c.round, c.committing = nil, true
	rd.Seal()
	return rd
}

// RoundFailed tells the core that a round could not be committed: it does nothing more.
func (c *Core) RoundFailed(err error) { c.fatal(err) }

// RoundDone tells the core that rd is committed.
func (c *Core) RoundDone(rd *replica.Round) {
	c.committing = false
	rd.Done()
	rd.Ranges(func(id cluster.RangeID) {
		if s, ok := c.slots[id]; ok {
			c.mark(s)
		}
	})
}

// roundResult is how the commit of a round ended.
type roundResult struct {
	round *replica.Round
	err   error
}

// commitRounds makes one round after another visible.
func (s *Store) commitRounds() {
	for rd := range s.rounds {
		s.applied <- roundResult{rd, rd.Commit()}
	}
}
