package sql

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
)

// fakeCoordinator carries schema changes out while somebody waits for them.
type fakeCoordinator struct {
	f *fixture
	// before is called before each part of an operation.
	before func(op *cluster.Operation)
	parts  atomic.Int64
}

func (o *fakeCoordinator) Wait(ctx context.Context, id string, _ func(*cluster.Operation) bool) (cluster.Operation, error) {
	for {
		op := *o.f.meta.View().Operations[id]
		if op.State.Final() {
			return op, nil
		}
		if op.Phase == "" {
			op.Phase = operation.PhaseFence
		}
		if o.before != nil {
			o.before(&op)
		}
		if ctx.Err() != nil {
			return op, ctx.Err()
		}
		o.parts.Add(1)
		p, err := o.f.server.Change(ctx, &op)
		if err != nil {
			return op, err
		}
		op.State, op.Phase, op.Why, op.Failure, op.Cursor, op.Rows = p.State, p.Phase, p.Why, p.Failure, p.Cursor, p.Rows
		if _, err := o.f.meta.Propose(ctx, metastate.Command{Via: "operation", UpdateOperation: &metastate.UpdateOperation{Operation: op, Term: 1}}); err != nil {
			return op, err
		}
	}
}

// fences are what the ranges of the fake refuse.
type fences map[cluster.CollectionID]uint64

// Raise satisfies DB.
func (f *fakeDB) Raise(_ context.Context, _ cluster.PoolID, schemas []cluster.SchemaFence) error {
	if f.beforeRaise != nil {
		f.beforeRaise()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fences == nil {
		f.fences, f.readFences, f.closed = fences{}, fences{}, map[cluster.CollectionID]hlc.Timestamp{}
	}
	f.raised = append(f.raised, schemas...)
	for _, s := range schemas {
		f.fences[s.Collection] = max(f.fences[s.Collection], s.Version)
		if s.Closes() && f.closed[s.Collection] == 0 {
			f.ts++
			f.closed[s.Collection] = f.ts
		} else if s.Reads {
			f.readFences[s.Collection] = max(f.readFences[s.Collection], s.Version)
		}
	}
	return nil
}

// stale is the refusal of what rests on an older version. f.mu is held.
func (f *fakeDB) stale(muts []kv.Mutation) error {
	for i := range muts {
		if want := f.fences[muts[i].Collection]; muts[i].Schema < want {
			return &kv.StaleSchemaError{Wanted: cluster.SchemaVersion{Collection: muts[i].Collection, Version: want}}
		}
	}
	return nil
}

// staleRead is the refusal of a read that rests on an older version. f.mu is held.
func (f *fakeDB) staleRead(c cluster.CollectionID, ts hlc.Timestamp, schema uint64) error {
	if at := f.closed[c]; at != 0 && ts >= at {
		return &kv.StaleSchemaError{Wanted: cluster.Closing(c).SchemaVersion}
	}
	if want := f.readFences[c]; schema != 0 && schema < want {
		return &kv.StaleSchemaError{Wanted: cluster.SchemaVersion{Collection: c, Version: want}}
	}
	return nil
}

var errCutOff = errors.New("this node hears nothing")
