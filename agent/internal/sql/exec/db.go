package exec

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// DB is what exec needs of kv. Wrap makes one of a *kv.DB.
type DB interface {
	Fresh(ctx context.Context) (hlc.Timestamp, error)
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

// Rows are the rows of a scan: Next returns io.EOF after the last.
type Rows interface {
	Next(ctx context.Context) ([]kv.Row, error)
	Close()
}

// Wrap adapts a *kv.DB.
func Wrap(db *kv.DB) DB { return wrapped{db} }

type wrapped struct{ *kv.DB }

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

// PartialError says that a statement outside of a transaction changed some rows
// and then failed: ranges are written independently.
type PartialError struct {
	Written, Wanted int
	Cause           error
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d of %d rows were written: %v", e.Written, e.Wanted, e.Cause)
}

func (e *PartialError) Unwrap() error { return e.Cause }

// errConflict ends a transaction that lost against others.
var errConflict = errors.New("rows changed while the transaction ran") //nolint:gochecknoglobals // a sentinel

// ErrConflict is what a transaction ends with that lost: nothing of it was written.
// SQLSTATE 40001.
func ErrConflict() error { return errConflict }

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
