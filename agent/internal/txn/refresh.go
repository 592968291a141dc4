package txn

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// refresh has what a serializable transaction has read at its snapshot count as read at
// the time at which it commits, after all of its intents, unless somebody has written
// there since. Others that are serializable meet its intents when they do the same.
func (c *commit) refresh(ctx context.Context) (at hlc.Timestamp, err error) {
	t := c.t
	t.mu.Lock()
	reads, since := t.reads.all(), t.snapshot
	t.mu.Unlock()
	changed, err := c.m.ranges.Changed(ctx, reads, since, c.min, t.id)
	switch {
	case c.m.cfg.Planted.skipsRefresh():
	case err != nil:
		return 0, fmt.Errorf("commit: look whether rows that were read have changed: %w", err)
	case changed:
		return 0, &ConflictError{Reason: reasonRead}
	}
	return c.min, nil
}
