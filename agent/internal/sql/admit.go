package sql

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// enter waits until the statement may run. A transaction that has begun its work goes
// ahead of statements that begin, and is not refused: what it holds would be lost.
func (s *Session) enter(ctx context.Context, weight queryplan.Weight, sink RowSink) (*admission.Place, error) {
	var queue *admission.Queue
	switch weight {
	case queryplan.Free:
		return nil, nil //nolint:nilnil // a nil Place can be used
	case queryplan.Short:
		queue = s.server.cfg.Short
	default:
		queue = s.server.cfg.Long
	}
	place, err := queue.Take(ctx, s.tx != nil && s.entered)
	if err != nil {
		return nil, err
	}
	s.entered = s.tx != nil
	if w, ok := sink.(ClientWaiter); ok && place != nil {
		w.WaitWith(place)
	}
	return place, nil
}

// weight is how much of the node a query takes. Nobody knows how much comes to a COPY.
func (p *Prepared) weight() queryplan.Weight {
	if p.feed != nil {
		return queryplan.Long
	}
	return p.plan.Weight()
}
