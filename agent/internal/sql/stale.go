package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// behindFor is how long a statement waits until its node hears of a change of a table that
// ranges know already: longer than the meta range takes to elect a leader.
const behindFor = 15 * time.Second

// again reports whether a statement is to be planned and run anew: ranges have refused it
// since it rests on a table as it was before a change, and this node knows the change by
// now. Nothing was written, and the client was told nothing. In a transaction others of its
// statements rest on the table, too: it ends.
func (s *Session) again(ctx context.Context, p *Prepared, failed error) (bool, error) {
	var stale *kv.StaleSchemaError
	if _, rows := p.statement.Node.(*syntax.Query); !rows || s.tx != nil || s.told || !errors.As(failed, &stale) {
		return false, failed
	}
	waiting, cancel := context.WithTimeout(ctx, behindFor)
	defer cancel()
	for {
		view := s.server.catalog.View()
		// Of a table or an index that is no more the new plan tells.
		if o := storing(view, stale.Wanted.Collection); o == nil || o.Version >= stale.Wanted.Version {
			return true, nil
		}
		if err := s.server.cfg.Meta.Wait(waiting, view.Index+1); err == nil {
			continue
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, &Error{Code: "57P03", Message: fmt.Sprintf("this node has not heard for %d s of a change of a table of this statement", behindFor/time.Second),
			Hint: "Nothing was written. Try again, or on another node; nodedbctl check tells which nodes do not hear of the meta range.", cause: failed}
	}
}

// storing is the table whose rows, or entries of an index, a collection has; nil: none.
func storing(view *metastate.View, id cluster.CollectionID) *cluster.Object {
	if o := view.Objects[id]; o != nil && o.RowsID() == id {
		return o
	}
	for _, o := range view.Objects {
		if slices.Contains(o.StoredIDs(), id) {
			return o
		}
	}
	return nil
}

// staleSchema is what a transaction is told that rests on a table as it was before a change.
func staleSchema(stale *kv.StaleSchemaError) *Error {
	return &Error{Code: "40001", Message: "could not serialize access: a table of this transaction was changed while it ran", Hint: retryHint, cause: stale}
}

// barTruncated has ranges refuse what is written to tables in whose place new ones stand,
// by nodes that have not heard of that: it would be lost. It returns when nothing of it is
// on its way any more.
func (s *Session) barTruncated(ctx context.Context, d *catalog.Draft) {
	for _, o := range d.Truncated() {
		never := []cluster.SchemaFence{cluster.Abandoned(o.RowsID())}
		if err := s.server.cfg.DB.Raise(ctx, o.Collection.Pool, never); err != nil {
			s.notice("WARNING", "01000", "rows that nodes write to table %q as it was, before they hear of TRUNCATE, may be lost: %v", o.Name, err)
		}
	}
}
