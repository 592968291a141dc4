package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// raiseParts is in how many parts a pool is asked side by side.
const raiseParts = 8

// closingGrace is how long transactions that are open keep a place from being closed: who
// comes later waits behind them, wherever the table is to be. Those that do something are
// done by then; what an idle one has laid there is aborted, and it ends with 40001.
const closingGrace = 5 * time.Second

// Raise has all ranges of a pool refuse what rests on older versions of descriptors than
// those of schemas, and returns when they do and nothing is left that was laid by it: what
// commits later than that was made by who knew these versions. It may be called again, by
// anybody: what is done is not done twice.
//
// A range that is split while this goes on has answered before, and its halves have what it
// has; or it has not, and both are asked.
func (m *Manager) Raise(ctx context.Context, pool cluster.PoolID, schemas []cluster.SchemaFence) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make([]error, raiseParts)
	for i := range raiseParts {
		from, to := cluster.VShard(i*cluster.VShards/raiseParts), cluster.VShard((i+1)*cluster.VShards/raiseParts)
		wg.Go(func() {
			if errs[i] = m.raise(ctx, datastate.Raise{Pool: pool, From: from.Key(), Schemas: schemas}, to.Key()); errs[i] != nil {
				cancel(errs[i]) // the others need not go on
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// raise is Raise of the ranges that own what is before to.
func (m *Manager) raise(ctx context.Context, ask datastate.Raise, to cluster.Key) error {
	wait := &contention{m: m, since: m.cfg.Now()}
	if slices.ContainsFunc(ask.Schemas, cluster.SchemaFence.Closes) {
		wait.grace = closingGrace
	}
	var again replanning
	for ask.From < to {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		request := ask
		r, err := m.at(ctx, keys.DataSpan(ask.Pool, ask.From, to).Start, &request)
		switch {
		case err != nil:
			return fmt.Errorf("raise the fence at %s: %w", ask.From.Text(), err)
		case r.Outcome == datastate.Blocked:
			if err := wait.blocked(ctx, r.By); err != nil {
				return fmt.Errorf("wait for what was written by an older version: %w", err)
			}
		case r.Outcome != datastate.Applied:
			return fmt.Errorf("raise the fence at %s: outcome %d", ask.From.Text(), r.Outcome)
		case r.Until > ask.From:
			ask.From, again = r.Until, replanning{}
		case r.More: // it is set now
		default: // an earlier attempt has set it
			if err := again.pause(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
