package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// ErrMiddlePending says that the middle of a range is being looked for: ask again.
var ErrMiddlePending = errors.New("the middle of the range is being looked for")

const (
	// middleRate is how many bytes per second the search for a middle reads: a tenth
	// of what a disk can do, so that nobody feels it.
	middleRate = 64 << 20
	// middleKept is how long the answer waits for who asked.
	middleKept = time.Minute
	// nearVShard is the share of a range's bytes by which the beginning of a vshard
	// may miss the middle and is still taken rather than a row.
	nearVShard = 6
)

// middles are the searches of this node, by range: one reads at a time.
type middles struct {
	mu    sync.Mutex
	found map[cluster.RangeID]*middleSearch
	turn  sync.Mutex // of who reads
}

type middleSearch struct {
	ended time.Time // zero: it goes on
	at    cluster.Key
	err   error
}

// Middle returns the key at which a split of a range that this node leads would
// halve its bytes: the beginning of a vshard if one is near, else a row; empty, if
// the range has not two rows. It reads the whole range, beside everything else, and
// returns ErrMiddlePending until it has.
func (d *DB) Middle(ctx context.Context, id cluster.RangeID) (cluster.Key, error) {
	m := &d.middles
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, s := range m.found {
		if !s.ended.IsZero() && time.Since(s.ended) > middleKept {
			delete(m.found, other)
		}
	}
	s := m.found[id]
	if s == nil {
		// The first answer is at once whether this node leads the range.
		h, err := d.cfg.Store.Read(ctx, id, d.cfg.Clock.Now(), store.Scope{})
		if err != nil {
			return "", err
		}
		h.Close()
		if m.found == nil {
			m.found = map[cluster.RangeID]*middleSearch{}
		}
		s = &middleSearch{}
		m.found[id] = s
		d.wg.Go(func() { d.findMiddle(id, s) })
	}
	if s.ended.IsZero() {
		return "", ErrMiddlePending
	}
	delete(m.found, id)
	return s.at, s.err
}

func (d *DB) findMiddle(id cluster.RangeID, s *middleSearch) {
	d.middles.turn.Lock()
	defer d.middles.turn.Unlock()
	at, err := d.readMiddle(id)
	d.middles.mu.Lock()
	defer d.middles.mu.Unlock()
	s.at, s.err, s.ended = at, err, time.Now()
}

func (d *DB) readMiddle(id cluster.RangeID) (cluster.Key, error) {
	h, err := d.cfg.Store.Read(d.ctx, id, d.cfg.Clock.Now(), store.Scope{})
	if err != nil {
		return "", err
	}
	defer h.Close()
	x := &h.Descriptor
	if x.IsMeta() {
		return "", errors.New("the meta range has no middle")
	}
	total := int64(0)
	pace := func(n int64) error {
		total += n
		return d.readPause(n)
	}
	row, err := datastate.Middle(h.Reader, keys.DataSpan(x.Pool, x.Start, x.End), pace)
	if err != nil || row == nil {
		return "", err
	}
	at := keys.Bound(row)
	for _, near := range []cluster.Key{at.VShard().Key(), (at.VShard() + 1).Key()} {
		if !x.Inside(near) {
			continue
		}
		n, err := datastate.Count(h.Reader, keys.DataSpan(x.Pool, min(at, near), max(at, near)), d.readPause)
		if err != nil {
			return "", fmt.Errorf("look for a vshard near the middle: %w", err)
		}
		if (n.Live+n.Dead)*nearVShard <= total {
			return near, nil
		}
	}
	return at, nil
}

// readPause waits for as long as n bytes take at middleRate.
func (d *DB) readPause(n int64) error {
	select {
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	case <-time.After(time.Duration(n) * time.Second / middleRate):
		return nil
	}
}
