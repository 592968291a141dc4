package meta

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// publisher keeps the meta range's copies of range descriptors up to date.
type publisher struct {
	mu struct {
		sync.Mutex
		pending map[cluster.RangeID]cluster.RangeDescriptor
	}
	wake chan struct{} // holds a signal while something is pending
}

// maxPublish bounds the descriptors of one command.
const maxPublish = 256

// publishRetry is how long the publisher waits after an error, at first.
const publishRetry = 250 * time.Millisecond

func (p *publisher) init() {
	p.mu.pending = map[cluster.RangeID]cluster.RangeDescriptor{}
	p.wake = make(chan struct{}, 1)
}

// Publish hands over a descriptor of a range that this node leads, to be copied
// to the meta range soon. It does not block: pass it to store.OnDescriptor.
func (m *Meta) Publish(d cluster.RangeDescriptor) {
	p := &m.publish
	p.mu.Lock()
	if have, ok := p.mu.pending[d.ID]; !ok || have.Generation < d.Generation {
		p.mu.pending[d.ID] = *d.Clone()
	}
	p.mu.Unlock()
	p.signal()
}

func (p *publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run publishes descriptors until ctx is done.
func (m *Meta) Run(ctx context.Context, ready func()) error {
	ready()
	audit := time.NewTicker(m.cfg.Audit)
	defer audit.Stop()
	retry := publishRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-audit.C:
			m.audit()
			continue
		case <-m.publish.wake:
		}
		if !pause(ctx, m.cfg.Coalesce) {
			return nil
		}
		err := m.publishPending(ctx)
		if err == nil {
			retry = publishRetry
			continue
		}
		m.cfg.Logger.Debug("range descriptors are not published yet, will try again", logattr.Err(err))
		if !pause(ctx, retry) {
			return nil
		}
		retry = min(2*retry, 4*time.Second)
		m.publish.signal()
	}
}

// pause waits for d; false: ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// audit offers every descriptor that this node leads and the view lacks: a
// notice that was lost, or refused, is made good.
func (m *Meta) audit() {
	view := m.View()
	for _, s := range m.cfg.Store.Status() {
		if s.IsLeader() && stale(view, &s.Descriptor) {
			m.Publish(s.Descriptor)
		}
	}
}

// stale reports whether view lacks d, or a newer descriptor of its range.
func stale(view *metastate.View, d *cluster.RangeDescriptor) bool {
	have, ok := view.Range(d.ID)
	return !ok || have.Generation < d.Generation
}

// publishPending proposes what is pending and not known yet.
func (m *Meta) publishPending(ctx context.Context) error {
	for {
		batch := m.takePending()
		if len(batch) == 0 {
			return nil
		}
		if err := m.publishBatch(ctx, batch); err != nil {
			for _, d := range batch {
				m.Publish(d)
			}
			return err
		}
	}
}

// takePending removes some descriptors from the pending ones, in the order of
// their ids, and drops those that the view shows already.
func (m *Meta) takePending() []cluster.RangeDescriptor {
	view := m.View()
	if !view.Initialized() {
		return nil // the audit comes back to them
	}
	p := &m.publish
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []cluster.RangeDescriptor
	for id, d := range p.mu.pending {
		if !stale(view, &d) {
			delete(p.mu.pending, id)
		} else if len(batch) < maxPublish {
			delete(p.mu.pending, id)
			batch = append(batch, d)
		}
	}
	slices.SortFunc(batch, func(a, b cluster.RangeDescriptor) int { return cmp.Compare(a.ID, b.ID) })
	return batch
}

// publishBatch proposes descriptors together; if the command is refused, each
// by itself, so that one that is wrong does not hold up the others.
func (m *Meta) publishBatch(ctx context.Context, batch []cluster.RangeDescriptor) error {
	res, err := m.Propose(ctx, metastate.Command{
		By: m.cfg.Self.String(), Via: "agent", UpdateRanges: &metastate.UpdateRanges{Descriptors: batch},
	})
	if err != nil || res.Refusal == nil {
		return err
	}
	if len(batch) == 1 {
		m.cfg.Logger.Warn("meta range refuses a range descriptor", logattr.Range(batch[0].ID),
			slog.Uint64("generation", batch[0].Generation), logattr.Reason(res.Refusal.Message))
		return nil
	}
	for _, d := range batch {
		if err := m.publishBatch(ctx, []cluster.RangeDescriptor{d}); err != nil {
			return err
		}
	}
	return nil
}
