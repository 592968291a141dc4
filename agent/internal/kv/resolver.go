package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Resolver finds out what becomes of transactions that are in the way. *txn.Manager is
// one.
type Resolver interface {
	// Resolve is called when a read has met intents. passed are transactions that commit
	// after the time of the read: it ignores their intents; all others are resolved.
	// again says that one of those has committed already: a read that has chosen no time
	// itself is made again at a later one. try counts the calls for one read.
	Resolve(ctx context.Context, e *store.IntentsError, try int) (passed []cluster.TxnID, again bool, err error)
	// Blocked is called when a write outside of a transaction is blocked by others. It
	// returns when the write may be made again.
	Blocked(ctx context.Context, by []datastate.Blocker) error
}

// resolving is what one read has met of transactions so far.
type resolving struct {
	db     *DB
	tries  int
	passed []cluster.TxnID // whose intents do not matter at the time of the read
}

// errNoResolver is for tools that read without transactions.
var errNoResolver = errors.New("a read met a transaction that has not ended")

// met has a read go on that failed with err because it met intents: it is made again,
// with passed. again says that it is to be at a later time, unless it has one of its own.
func (r *resolving) met(ctx context.Context, err error) (at hlc.Timestamp, again bool, _ error) {
	var e *store.IntentsError
	if !errors.As(err, &e) {
		return 0, false, err
	}
	if r.db.cfg.Resolver == nil {
		return 0, false, fmt.Errorf("%w: %w", errNoResolver, err)
	}
	passed, again, err := r.db.cfg.Resolver.Resolve(ctx, e, r.tries)
	if err != nil {
		return 0, false, err
	}
	r.tries++
	r.passed = append(r.passed, passed...)
	return e.TS, again, nil
}
