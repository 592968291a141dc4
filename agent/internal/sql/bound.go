package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// A table that is made with a foreign key is seen by all at once, and with it what it asks
// of who writes to the table that it references. So ranges refuse who does not know of it
// before anybody sees it: between the change being prepared and the transaction's record.
// If it comes to nothing the table that is referenced gets its new version all the same
// (metastate.ChangeObjects.Bound), since ranges ask for it.

// publishBound has a statement that stands alone be such a transaction. again: others were
// first, and it is to be made anew.
func (s *Session) publishBound(ctx context.Context, d *catalog.Draft) (again bool, err error) {
	s.open(s.defaults(), s.server.cfg.Now())
	s.tx.Begin(s.modes.level())
	s.draft = d
	err = s.finish(ctx)
	return err != nil && AsError(err).Code == "40001" && ctx.Err() == nil, err
}

// writeDown has a transaction that writes no rows have a record that decides all the same:
// beside a lock that nobody else asks for.
func (s *Session) writeDown(ctx context.Context, bound []cluster.SchemaVersion, keep func(*catalog.Table) bool) error {
	if len(bound) == 0 || s.tx.Wrote(keep) {
		return nil
	}
	table := s.server.catalog.View().Objects[bound[0].Collection]
	if table == nil {
		return nil // COMMIT tells
	}
	_, _, err := s.tx.Transaction().Lock(ctx, txn.LockRequest{Pool: table.Collection.Pool, Collection: table.RowsID(), Keys: [][]byte{[]byte("\x00bound")},
		Strength: lock.KeyShare, Wait: evaluation.Block, Durable: true})
	if err != nil {
		return fmt.Errorf("write down that tables are bound: %w", err)
	}
	return nil
}

// boundFor is how long who binds tables waits for transactions that write to them: some may
// wait for it.
const boundFor = 10 * time.Second

// bind has ranges refuse what rests on older versions of tables.
func (s *Session) bind(ctx context.Context, bound []cluster.SchemaVersion) error {
	ctx, cancel := context.WithTimeout(ctx, boundFor)
	defer cancel()
	for _, b := range bound {
		table := s.server.catalog.View().Objects[b.Collection]
		if table == nil {
			continue // cannot be: the change is prepared
		}
		if err := s.server.cfg.DB.Raise(ctx, table.Collection.Pool, []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: table.RowsID(), Version: b.Version}}}); err != nil {
			return &Error{Code: "57P03", Message: fmt.Sprintf("not all ranges could be told that table %q is referenced", table.Name), cause: err,
				Hint: "Nothing was changed. Try again when transactions that write to it have ended, and all ranges have a leader."}
		}
	}
	return nil
}
