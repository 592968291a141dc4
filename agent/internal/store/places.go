package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

const (
	// receiveBytes is what a snapshot takes of memory while it is received: its chunk
	// on the wire and here, a small one as a whole, the index and filter of a table.
	receiveBytes = 8 << 20
	// receiveWait is how long a snapshot waits for its place; its sender holds a view
	// meanwhile. Most take a fraction of a second.
	receiveWait = 5 * time.Second
	// diskSpare is what must be left of the disk beside the snapshots that come.
	diskSpare = 256 << 20
)

// LaterError says that a snapshot was not received for want of room. Nothing of it
// was taken; its sender tries again.
type LaterError struct {
	Range  cluster.RangeID
	Reason string
}

func (e *LaterError) Error() string {
	return fmt.Sprintf("no room for a snapshot of %s: %s; later", e.Range, e.Reason)
}

// places lets a few snapshots in at once, and none for which there is no room.
type places struct {
	tokens chan struct{} // one for each that is being received
	memory *budget.Budget
	free   func() uint64

	// refused counts those for which there was no room.
	refused atomic.Uint64

	mu struct {
		sync.Mutex
		coming uint64 // bytes that those inside may still put on the disk
	}
}

func newPlaces(cfg *Config) *places {
	return &places{tokens: make(chan struct{}, cfg.SnapshotReceives), memory: cfg.Snapshots, free: cfg.DiskFree}
}

// SnapshotsRefused counts snapshots for which there was no room here.
func (s *Store) SnapshotsRefused() uint64 { return s.places.refused.Load() }

// enter waits for a place, and takes it if there is room. The caller calls leave at
// the end. Otherwise the error is a *LaterError, or that of ctx.
func (p *places) enter(ctx context.Context, h *replica.SnapshotHeader) (leave func(), err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			p.refused.Add(1)
		}
	}()
	timer := time.NewTimer(receiveWait)
	defer timer.Stop()
	select {
	case p.tokens <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, &LaterError{Range: h.Range, Reason: fmt.Sprintf("%d others are being received", cap(p.tokens))}
	}
	if err := p.memory.Reserve(receiveBytes); err != nil {
		<-p.tokens
		return nil, &LaterError{Range: h.Range, Reason: err.Error()}
	}
	if err := p.takeDisk(h); err != nil {
		p.memory.Release(receiveBytes)
		<-p.tokens
		return nil, err
	}
	return func() {
		p.giveDisk(h)
		p.memory.Release(receiveBytes)
		<-p.tokens
	}, nil
}

func (p *places) takeDisk(h *replica.SnapshotHeader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free != nil {
		if free, need := p.free(), p.mu.coming+h.Bytes+diskSpare; free < need {
			return &LaterError{Range: h.Range, Reason: fmt.Sprintf("it has about %d MiB, and the disk %d MiB left, of which %d stay free", h.Bytes>>20, free>>20, diskSpare>>20)}
		}
	}
	p.mu.coming += h.Bytes
	return nil
}

func (p *places) giveDisk(h *replica.SnapshotHeader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.coming -= h.Bytes
}
