package txn

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// Raise has all ranges of a pool refuse what rests on older versions of descriptors than
// those of schemas, and returns when they do and nothing is left that was laid by it: what
// commits later than that was made by who knew these versions. It may be called again, by
// anybody: what is done is not done twice. told hears up to which key it has come, of what
// ranges; nil: nobody does.
//
// A range that is split while this goes on has told before, and its halves have what it
// has; or it has not, and both are asked.
func (m *Manager) Raise(ctx context.Context, pool cluster.PoolID, schemas []cluster.SchemaFence, told func(upTo cluster.Key)) error {
	end := cluster.VShard(cluster.VShards).Key()
	wait := &contention{m: m, since: m.cfg.Now()}
	var again replanning
	for at := cluster.VShard(0).Key(); at < end; {
		r, err := m.at(ctx, keys.DataSpan(pool, at, end).Start, &datastate.Raise{Pool: pool, From: at, Schemas: schemas})
		switch {
		case err != nil:
			return fmt.Errorf("raise the fence at %s: %w", at.Text(), err)
		case r.Outcome == datastate.Blocked:
			if err := wait.blocked(ctx, r.By); err != nil {
				return fmt.Errorf("wait for what was written by an older version: %w", err)
			}
		case r.Outcome != datastate.Applied:
			return fmt.Errorf("raise the fence at %s: outcome %d", at.Text(), r.Outcome)
		case r.Until > at:
			at, again = r.Until, replanning{}
			if told != nil {
				told(at)
			}
		case r.More: // it is set now, or an earlier attempt has
		default:
			if err := again.pause(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
