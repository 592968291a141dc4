package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// DB is what exec needs of kv and txn. Wrap makes one.
type DB interface {
	// Begin begins a transaction.
	Begin(level txn.Isolation, info txn.Info) Transaction
	// Settle waits for the end of the transaction that a change of objects was refused for,
	// and has its own change be carried out, or go.
	Settle(ctx context.Context, refusal *metastate.Refusal) error
	Fresh(ctx context.Context) (hlc.Timestamp, error)
	// Raise has all ranges of a pool refuse what rests on older versions of tables, and
	// returns when nothing is left that was written by it.
	Raise(ctx context.Context, pool cluster.PoolID, schemas []cluster.SchemaFence) error
	// Hold keeps what can be read at ts from being collected until release is called.
	Hold(ts hlc.Timestamp) (release func())
	Get(ctx context.Context, req kv.GetRequest) ([]kv.Row, error)
	Scan(ctx context.Context, req kv.ScanRequest) (Rows, error)
	// PastTime is the time for all of a statement that may read the past: by what the
	// replicas here have closed of the ranges of the keys, or, without keys, of any.
	PastTime(r *kv.Reading, p cluster.PoolID, c cluster.CollectionID, keys [][]byte) hlc.Timestamp
	Write(ctx context.Context, muts []kv.Mutation, o kv.WriteOptions) (hlc.Timestamp, error)
	// GiveUp ends a place that a Write kept and that is of no use any more.
	GiveUp(ctx context.Context, p kv.Place)
	// RangeOf says which range, as far as is known, holds a key; 0: unknown.
	RangeOf(p cluster.PoolID, c cluster.CollectionID, key []byte) cluster.RangeID
}

// Transaction is what exec needs of a *txn.Txn.
type Transaction interface {
	// Refresh begins a statement; Read is the time that it reads at.
	Refresh()
	Read(ctx context.Context) (hlc.Timestamp, error)
	// NoteRead notes what was read, for serializable transactions.
	NoteRead(span kv.Span)
	SetDeadlockTimeout(d time.Duration)
	// SetLockTimeout is for Commit; Lock has its own.
	SetLockTimeout(d time.Duration)
	Lock(ctx context.Context, req txn.LockRequest) (rows []kv.Row, skipped []bool, err error)
	// Mark is a state of the locks, and BackTo ends those that came after it.
	Mark() int
	BackTo(ctx context.Context, mark int) error
	Commit(ctx context.Context, muts []kv.Mutation, writer cluster.WriterID) (hlc.Timestamp, error)
	// With has p take part in Commit.
	With(p txn.Participant)
	// Rollback may be called after Commit, and does nothing then.
	Rollback()
}

// Rows are the rows of a scan: Next returns io.EOF after the last.
type Rows interface {
	Next(ctx context.Context) ([]kv.Row, error)
	Close()
}

// Wrap adapts a *kv.DB and the *txn.Manager over it.
func Wrap(db *kv.DB, m *txn.Manager) DB { return wrapped{db, m} }

type wrapped struct {
	*kv.DB
	transactions *txn.Manager
}

func (w wrapped) Begin(level txn.Isolation, info txn.Info) Transaction {
	return w.transactions.Begin(level, info)
}

func (w wrapped) Settle(ctx context.Context, refusal *metastate.Refusal) error {
	id, err := cluster.ParseTxnID(refusal.Txn)
	if err != nil {
		return err
	}
	return w.transactions.SettleObjects(ctx, id, refusal.Record)
}

func (w wrapped) Raise(ctx context.Context, pool cluster.PoolID, schemas []cluster.SchemaFence) error {
	return w.transactions.Raise(ctx, pool, schemas)
}

func (w wrapped) Scan(ctx context.Context, req kv.ScanRequest) (Rows, error) {
	it, err := w.DB.Scan(ctx, req)
	if err != nil {
		return nil, err
	}
	return it, nil
}

func (w wrapped) RangeOf(p cluster.PoolID, c cluster.CollectionID, key []byte) cluster.RangeID {
	route, ok := w.Table().Key(p, c, key)
	if !ok {
		return 0
	}
	return route.Descriptor.ID
}

// drain reads all rows, calling fn with each; fn returns false to stop.
func drain(ctx context.Context, rows Rows, fn func(r kv.Row) (more bool, err error)) error {
	for {
		batch, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		for _, r := range batch {
			if more, err := fn(r); err != nil || !more {
				return err
			}
		}
	}
}
