package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Damage of a table is met by whoever reads it: a request, a snapshot, a comparison,
// or a compaction, which knows no ranges. A request tells its own range's replica; for
// all others the storage engine says which table it was, and the store reads what its
// replicas hold there, to find out whose it is.

// examineAgain is the pause before one table is examined once more: to read a damaged
// block is to be told of it again.
const examineAgain = time.Minute

// examineQueue is how many tables wait: of one more the engine tells again when it is
// read next.
const examineQueue = 16

// holding is what a replica holds within some span.
type holding struct {
	id    cluster.RangeID
	spans []keys.Span
}

// Damaged tells the replica of a range that its disk cannot read back what it stored.
func (c *Core) Damaged(id cluster.RangeID, err error) {
	if s, ok := c.slots[id]; ok && !s.destroying {
		s.r.Damaged(err)
		c.mark(s)
	}
}

// holdings lists what the replicas hold in [start, end).
func (c *Core) holdings(start, end []byte) (out []holding) {
	for _, s := range c.order {
		if s.destroying {
			continue
		}
		h := holding{id: s.id}
		for _, span := range append(replica.Spans(s.r.Descriptor()), keys.RaftSpan(s.id)) {
			if span = overlapOf(span, start, end); bytes.Compare(span.Start, span.End) < 0 {
				h.spans = append(h.spans, span)
			}
		}
		if len(h.spans) > 0 {
			out = append(out, h)
		}
	}
	return out
}

func overlapOf(s keys.Span, start, end []byte) keys.Span {
	if bytes.Compare(s.Start, start) < 0 {
		s.Start = start
	}
	if bytes.Compare(end, s.End) < 0 {
		s.End = end
	}
	return s
}

// Unreadable tells of damage that a request for a range has met, if err is that, and
// returns what the request is answered.
func (s *Store) Unreadable(id cluster.RangeID, err error) error {
	if !errors.Is(err, storage.ErrCorruption) {
		return err
	}
	_ = s.inbox.complete(func(c *Core) { c.Damaged(id, err) }) // a stopped store leads nothing
	return &DamagedError{Range: id, Cause: err}
}

// Examine has the store find out whose data is in a table that is damaged. It does not
// wait.
func (s *Store) Examine(d storage.Damage) {
	select {
	case s.suspects <- d:
	default: // it is told again
	}
}

// examine reads what the replicas hold in damaged tables, one after another.
func (s *Store) examine(ctx context.Context) {
	examined := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.suspects:
			if at, ok := examined[d.Path]; ok && time.Since(at) < examineAgain {
				continue
			}
			if err := s.examineTable(ctx, &d); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Warn("damaged table not examined", slog.String("path", d.Path), logattr.Err(err))
			}
			examined[d.Path] = time.Now()
		}
	}
}

func (s *Store) examineTable(ctx context.Context, d *storage.Damage) error {
	s.cfg.Logger.Error("a table is damaged", slog.String("path", d.Path), logattr.Err(d.Err))
	held, err := request(ctx, s, func(c *Core, done func([]holding, error)) { done(c.holdings(d.Start, d.End), nil) })
	if err != nil {
		return err
	}
	for _, h := range held {
		for _, span := range h.spans {
			if err := s.readBack(ctx, span); errors.Is(err, storage.ErrCorruption) {
				_ = s.Unreadable(h.id, err)
			} else if err != nil {
				return err
			}
		}
	}
	own := overlapOf(keys.StoreAll(), d.Start, d.End)
	if bytes.Compare(own.Start, own.End) >= 0 {
		return nil
	}
	if err = s.readBack(ctx, own); errors.Is(err, storage.ErrCorruption) && s.cfg.OnFatal != nil {
		s.cfg.OnFatal(err) // what the store promised is in doubt, for all of its replicas
		return nil
	}
	return err
}

// readBack reads all that is in a span.
func (s *Store) readBack(ctx context.Context, span keys.Span) error {
	it, err := s.cfg.Engine.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = s.sumRate.wait(ctx, len(it.Key())+len(it.Value()))
	}
	return errors.Join(err, it.Err(), it.Close())
}
