package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// count carries out one job. The view is taken when its turn has come.
func (s *Store) count(ctx context.Context, j *replica.CountJob) {
	select {
	case s.counting <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.counting }()
	defer j.Drop() // the loop may open it after its caller has left
	var n cluster.Counts
	err := s.do(ctx, func(_ *Core, done func(error)) { done(j.Open()) })
	if err == nil {
		n, err = j.Count(func(bytes int64) error { return s.scanRate.wait(ctx, int(bytes)) })
	}
	// Of a failure too, as when the loop is overloaded: the replica asks again.
	_ = s.inbox.complete(func(c *Core) { c.Counted(j, n, err) }) // a stopped store does not care
}
